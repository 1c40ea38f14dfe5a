//! The undo period, whether a second person is asked, and whom tests go to: three decisions, and a form of each. One that is
//! saved leaves the others as somebody else may have decided them meanwhile.

use serde_json::{Value, json};
use tocsin_store::tenant::sending::SendingPolicy;

use super::number;
use crate::console::form::{Complaints, Form};
use crate::fields::Fault;
use crate::sending_policy::TEST_PEOPLE_MAX;

/// One of the decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Undo,
    SecondPerson,
    Tests,
}

impl Part {
    /// The fragment that leads to its form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undo => "undo",
            Self::SecondPerson => "second-person",
            Self::Tests => "tests",
        }
    }
}

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

    /// With what was typed into one of its forms.
    pub fn typed(self, part: Part, form: &Form, faults: Complaints) -> Self {
        let kept = Self { faults, ..self };
        match part {
            Part::Undo => Self { undo_seconds: form.text("undo_seconds"), ..kept },
            Part::SecondPerson => Self { second_person: form.holds("second_person"), ..kept },
            Part::Tests => Self { test_people: form.text("test_people"), ..kept },
        }
    }

    /// What is wrong with the list as a whole, or else with lines of it.
    pub fn people_fault(&self) -> Option<String> {
        let whole = self.faults.exactly("test_people", "The list");
        whole.or_else(|| self.faults.about("test_people", "A line"))
    }

    /// As `PUT /v1/sending-policy` takes it. A box that is not ticked says no, a list without lines names nobody.
    pub fn request(part: Part, form: &Form) -> Result<Value, Vec<Fault>> {
        let mut faults = Vec::new();
        let request = match part {
            Part::Undo => {
                json!({ "undo_seconds": number(form, "undo_seconds", "undo_seconds", &mut faults) })
            }
            Part::SecondPerson => json!({ "second_person": form.holds("second_person") }),
            Part::Tests => {
                let people = form.text("test_people");
                let lines = people.lines().map(str::trim).filter(|line| !line.is_empty());
                json!({ "test_people": lines.collect::<Vec<_>>() })
            }
        };
        if faults.is_empty() { Ok(request) } else { Err(faults) }
    }
}
