//! The people of a sample district, one household after the other: families, then staff.
//!
//! Each file of the sample is one walk over them from the seed, so that none of them is kept.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::Random;
use super::faults::Breakages;
use super::names::Community;
use super::numbers::{Numbers, as_typed};
use super::person::{Household, Link, Planned, SaidBy};
use super::schools::{GRADES, PLACES, Schools};

const STUDENTS_PER_STAFF: usize = 14;

/// Some families live, or stay, outside the district's own zone.
const OTHER_ZONES: [&str; 4] = ["America/Denver", "America/Phoenix", "America/New_York", "Asia/Ho_Chi_Minh"];

/// What a district of this size and seed consists of.
pub(crate) struct Plan {
    pub students: usize,
    pub seed: u64,
    pub schools: Schools,
}

impl Plan {
    pub(crate) fn new(students: usize, seed: u64) -> Self {
        Self { students, seed, schools: Schools::of(students) }
    }

    /// The same households each time.
    pub(crate) fn households(&self) -> Households<'_> {
        Households {
            plan: self,
            random: Random::seed_from_u64(self.seed),
            numbers: Numbers::default(),
            breakages: Breakages::of(self.students),
            students: 0,
            people: 0,
            staff: 0,
        }
    }
}

pub(crate) struct Households<'a> {
    plan: &'a Plan,
    random: Random,
    numbers: Numbers,
    breakages: Breakages,
    /// Made so far.
    students: usize,
    people: usize,
    staff: usize,
}

impl Iterator for Households<'_> {
    type Item = Household;

    fn next(&mut self) -> Option<Household> {
        if self.students < self.plan.students {
            let children = self.children().min(self.plan.students - self.students);
            let mut family = self.family(children);
            self.students += children;
            self.breakages.break_rows(&mut family, self.students, &mut self.random);
            return Some(family);
        }
        if self.staff < self.plan.students.div_ceil(STUDENTS_PER_STAFF) {
            let staff = self.staff();
            return Some(Household { people: vec![staff], links: Vec::new() });
        }
        None
    }
}

impl Households<'_> {
    fn percent(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn children(&mut self) -> usize {
        match self.random.random_range(0..100) {
            0..55 => 1,
            55..87 => 2,
            _ => 3,
        }
    }

    /// 1.6 guardians for each student, on average.
    fn guardians(&mut self) -> usize {
        match self.random.random_range(0..100) {
            0..45 => 1,
            45..95 => 2,
            _ => 3,
        }
    }

    /// Children and their guardians, each guardian a contact of each child, in whatever schools the
    /// children's grades put them.
    fn family(&mut self, children: usize) -> Household {
        let community = Community::draw(&mut self.random);
        let family_name = community.family_name(&mut self.random);
        let place = self.random.random_range(0..PLACES);
        let mut people: Vec<Planned> =
            (0..children).map(|_| self.student(place, family_name, community)).collect();
        let time_zone = if self.percent(4) {
            OTHER_ZONES.choose(&mut self.random).copied().unwrap_or_default()
        } else {
            ""
        };
        for nth in 0..self.guardians() {
            let mut guardian = self.guardian(nth, family_name, community);
            guardian.org = people[0].org.clone();
            guardian.time_zone = time_zone;
            people.push(guardian);
        }
        let (_, guardians) = people.split_at_mut(children);
        self.share_devices(guardians);
        let links = self.links(children, people.len());
        Household { people, links }
    }

    fn links(&mut self, children: usize, people: usize) -> Vec<Link> {
        let mut links = Vec::with_capacity(children * (people - children));
        for student in 0..children {
            for contact in children..people {
                let said_by = match self.random.random_range(0..3) {
                    0 => SaidBy::Student,
                    1 => SaidBy::Contact,
                    _ => SaidBy::Both,
                };
                links.push(Link { student, contact, said_by });
            }
        }
        links
    }

    fn student(&mut self, place: u32, family_name: &str, community: &Community) -> Planned {
        let grade = self.random.random_range(0..GRADES.len());
        let id = self.id("stu");
        let email = (grade >= 6 && self.percent(70)).then(|| format!("{id}@students.example.org"));
        let mut student = Planned {
            role: "student",
            org: self.plan.schools.near(place, grade).id.clone(),
            given_name: community.given_name(&mut self.random).to_owned(),
            family_name: family_name.to_owned(),
            grade: GRADES[grade],
            enabled: grade >= 3,
            email,
            language: community.language,
            id,
            ..Planned::default()
        };
        if grade >= 9 && self.percent(20) {
            let number = self.numbers.next();
            student.mobile_text = as_typed(&number, &mut self.random);
            student.mobile = Some(number);
        }
        student
    }

    fn guardian(&mut self, nth: usize, family_name: &str, community: &Community) -> Planned {
        let role = match nth {
            0 | 1 if self.percent(85) => "parent",
            2 => "relative",
            _ => "guardian",
        };
        let id = self.id("grd");
        let mail_host = ["mail.example.com", "mail.example.net", "post.example.org"][nth % 3];
        let mut guardian = Planned {
            role,
            given_name: community.given_name(&mut self.random).to_owned(),
            family_name: family_name.to_owned(),
            // The language is not asked of everyone.
            language: if self.percent(80) { community.language } else { "" },
            id,
            ..Planned::default()
        };
        // A few families cannot be reached at all.
        if !self.percent(3) {
            guardian.enabled = self.percent(75);
            guardian.email = self.percent(85).then(|| format!("{}@{mail_host}", guardian.id));
            self.give_phones(&mut guardian);
        }
        guardian
    }

    fn give_phones(&mut self, person: &mut Planned) {
        if self.percent(88) {
            let number = self.numbers.next();
            person.mobile_text = as_typed(&number, &mut self.random);
            person.mobile = Some(number);
        }
        (person.landlines, person.landline_text) = match self.random.random_range(0..100) {
            0..18 => (1, self.new_number()),
            18..23 => (1, format!("{} x{}", self.new_number(), self.random.random_range(100..1000))),
            23..26 => (2, format!("{}; {}", self.new_number(), self.new_number())),
            // The mobile, written down twice.
            26..36 => match &person.mobile {
                Some(mobile) => (1, as_typed(mobile, &mut self.random)),
                None => (1, self.new_number()),
            },
            _ => (0, String::new()),
        };
    }

    fn new_number(&mut self) -> String {
        let number = self.numbers.next();
        as_typed(&number, &mut self.random)
    }

    /// In some families two guardians give one number, that of the house or one mobile; in some, one address.
    fn share_devices(&mut self, guardians: &mut [Planned]) {
        let [first, second, ..] = guardians else { return };
        if self.percent(25) {
            if self.percent(70) {
                let number = self.numbers.next();
                for guardian in [&mut *first, &mut *second] {
                    guardian.landlines = 1;
                    guardian.landline_text = as_typed(&number, &mut self.random);
                }
            } else if let Some(number) = first.mobile.clone() {
                second.mobile_text = as_typed(&number, &mut self.random);
                second.mobile = Some(number);
            }
        }
        if self.percent(10) && first.email.is_some() {
            second.email.clone_from(&first.email);
        }
    }

    fn staff(&mut self) -> Planned {
        let number = self.staff;
        self.staff += 1;
        let schools = &self.plan.schools.all;
        let community = Community::draw(&mut self.random);
        let id = format!("stf-{number:06}");
        let mut staff = Planned {
            role: if number.is_multiple_of(20) { "administrator" } else { "teacher" },
            org: schools[number % schools.len()].id.clone(),
            given_name: community.given_name(&mut self.random).to_owned(),
            family_name: community.family_name(&mut self.random).to_owned(),
            enabled: true,
            email: Some(format!("{id}@staff.example.org")),
            id,
            ..Planned::default()
        };
        if self.percent(60) {
            self.give_phones(&mut staff);
        }
        staff
    }

    fn id(&mut self, kind: &str) -> String {
        let id = format!("{kind}-{:06}", self.people);
        self.people += 1;
        id
    }
}
