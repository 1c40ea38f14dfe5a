//! Tests: messages that go to the district's test people, whoever was chosen (docs/adr/0040-second-person-and-tests.md).

use tocsin_domain::audience::Audience;

use super::{Standing, audience};
use crate::fields::{Faults, Fields};

const NO_TEST_PEOPLE: &str = "needs people whom it may go to, and the district names none: name them in test_people of \
                              PUT /v1/sending-policy";

/// Whom a message is for.
pub(super) struct Addressed {
    pub test: bool,
    pub audience: Audience,
}

/// The audience that is stored. Of a test it *is* the list of test people, so that nothing which reads it later can find
/// anybody else; what was chosen is checked and forgotten. What corrects a test is one, for those whom the test reached.
pub(super) fn read(fields: &mut Fields, standing: &Standing, faults: &mut Faults) -> Option<Addressed> {
    let asked = fields.take("test").and_then(|field| field.boolean(faults)).unwrap_or_default();
    let chosen = if asked && !fields.holds("audience") {
        fields.take("audience");
        None
    } else {
        audience::read(fields, faults)
    };
    if standing.corrected.as_ref().is_some_and(|campaign| campaign.test) {
        return chosen.map(|audience| Addressed { test: true, audience });
    }
    if !asked {
        return chosen.map(|audience| Addressed { test: false, audience });
    }
    if standing.test_people.is_empty() {
        faults.add("test", NO_TEST_PEOPLE);
        return None;
    }
    Some(Addressed { test: true, audience: Audience::of_people(standing.test_people.clone()) })
}
