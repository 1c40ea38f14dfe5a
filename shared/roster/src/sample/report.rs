//! What reading a sample must come to.

use super::faults::Fault;
use super::households::Plan;
use super::person::Household;

/// What `read` must make of the sample: the rows of each kind, and the problems.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleReport {
    /// All organisations, the district itself among them.
    pub schools: usize,
    pub people: usize,
    pub students: usize,
    /// Pairs of student and contact.
    pub contacts: usize,
    pub voice: usize,
    pub sms: usize,
    pub email: usize,
    pub inbox: usize,
    /// People without any device.
    pub without_device: usize,
    pub errors: usize,
    pub warnings: usize,
    /// The broken rows by what is wrong with them; each is one problem.
    pub faults: Vec<(Fault, usize)>,
    /// The files with their rows, headers not counted.
    pub files: Vec<(&'static str, u64)>,
}

impl SampleReport {
    pub(crate) fn of(plan: &Plan, files: Vec<(&'static str, u64)>) -> Self {
        let mut report = Self {
            schools: plan.schools.all.len() + 1,
            faults: Fault::ALL.map(|fault| (fault, 0)).to_vec(),
            files,
            ..Self::default()
        };
        for household in plan.households() {
            report.add(&household);
        }
        report
    }

    fn add(&mut self, household: &Household) {
        let people = &household.people;
        for person in people.iter().filter(|person| !person.is_lost()) {
            let (voice, sms) = (person.voice(), usize::from(person.mobile.is_some()));
            let (email, inbox) = (usize::from(person.email.is_some()), usize::from(person.enabled));
            self.people += 1;
            self.students += usize::from(person.is_student());
            self.voice += voice;
            self.sms += sms;
            self.email += email;
            self.inbox += inbox;
            self.without_device += usize::from(voice + sms + email + inbox == 0);
        }
        let links = household.links.iter();
        self.contacts +=
            links.filter(|link| !people[link.student].is_lost() && !people[link.contact].is_lost()).count();
        for fault in people.iter().filter_map(|person| person.fault) {
            if fault.is_warning() {
                self.warnings += 1;
            } else {
                self.errors += 1;
            }
            self.faults.iter_mut().filter(|(kind, _)| *kind == fault).for_each(|(_, count)| *count += 1);
        }
    }
}
