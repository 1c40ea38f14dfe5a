//! The undo period, whether a second person is asked, and whom tests go to.

use serde_json::{Value, json};
use tocsin_store::tenant::sending::SendingPolicy;

use super::number;
use crate::console::form::{Complaints, Form};
use crate::fields::Fault;
use crate::sending_policy::TEST_PEOPLE_MAX;

pub(super) struct SendingForm {
    pub undo_seconds: String,
    pub second_person: bool,
    /// Source ids, one a line, as they were typed.
    pub test_people: String,
    pub test_people_max: usize,
    pub faults: Complaints,
}

impl SendingForm {
    pub fn of(kept: &SendingPolicy) -> Self {
        Self {
            undo_seconds: kept.undo.as_secs().to_string(),
            second_person: kept.second_person,
            test_people: kept.test_people.join("\n"),
            test_people_max: TEST_PEOPLE_MAX,
            faults: Complaints::default(),
        }
    }

    pub fn typed(form: &Form, faults: Complaints) -> Self {
        Self {
            undo_seconds: form.text("undo_seconds"),
            second_person: form.holds("second_person"),
            test_people: form.text("test_people"),
            test_people_max: TEST_PEOPLE_MAX,
            faults,
        }
    }

    /// What is wrong with the list as a whole, or else with lines of it.
    pub fn people_fault(&self) -> Option<String> {
        let whole = self.faults.exactly("test_people", "The list");
        whole.or_else(|| self.faults.about("test_people", "A line"))
    }

    /// As `PUT /v1/sending-policy` takes it. A box that is not ticked says no, a list without lines names nobody.
    pub fn request(form: &Form) -> Result<Value, Vec<Fault>> {
        let mut faults = Vec::new();
        let people = form.text("test_people");
        let people: Vec<&str> = people.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let request = json!({
            "undo_seconds": number(form, "undo_seconds", "undo_seconds", &mut faults),
            "second_person": form.holds("second_person"),
            "test_people": people,
        });
        if faults.is_empty() { Ok(request) } else { Err(faults) }
    }
}
