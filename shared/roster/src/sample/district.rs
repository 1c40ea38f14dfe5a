//! The plan of a district: schools by level, families around them, staff; and what it comes to.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::SampleReport;
use super::faults::Fault;
use super::names::Community;
use super::numbers::{Numbers, as_typed};

const STUDENTS_PER_STAFF: usize = 14;

/// Grades in order, as CEDS writes them; the index decides the level.
const GRADES: [&str; 13] = ["KG", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"];

/// Some families live, or stay, outside the district's own zone.
const OTHER_ZONES: [&str; 4] = ["America/Denver", "America/Phoenix", "America/New_York", "Asia/Ho_Chi_Minh"];

pub(crate) const DISTRICT_ID: &str = "org-district";

pub(crate) struct District {
    pub schools: Vec<PlannedSchool>,
    pub people: Vec<Planned>,
    /// Student and contact, as indices into `people`, with who says so.
    pub links: Vec<Link>,
}

pub(crate) struct PlannedSchool {
    pub id: String,
    pub name: String,
    level: Level,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Elementary,
    Middle,
    High,
}

/// One user row to be. Phones are ten digits; `*_text` is how the row spells them.
#[derive(Default)]
pub(crate) struct Planned {
    pub id: String,
    pub role: &'static str,
    pub org: String,
    pub given_name: String,
    pub family_name: String,
    pub grade: &'static str,
    pub enabled: bool,
    pub email: Option<String>,
    pub mobile: Option<String>,
    pub mobile_text: String,
    /// How many different numbers `landline_text` holds.
    pub landlines: usize,
    pub landline_text: String,
    pub language: &'static str,
    pub time_zone: &'static str,
    pub fault: Option<Fault>,
}

#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub student: usize,
    pub contact: usize,
    pub said_by: SaidBy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaidBy {
    Student,
    Contact,
    Both,
}

impl Planned {
    pub(crate) fn is_student(&self) -> bool {
        self.role == "student"
    }

    pub(crate) fn is_guardian(&self) -> bool {
        matches!(self.role, "parent" | "guardian" | "relative")
    }

    /// Whether reading leaves the whole row out.
    fn is_lost(&self) -> bool {
        self.fault.is_some_and(Fault::loses_the_row)
    }

    fn voice(&self) -> usize {
        if self.landlines > 0 { self.landlines } else { usize::from(self.mobile.is_some()) }
    }
}

impl District {
    pub(crate) fn report(&self) -> SampleReport {
        let mut report = SampleReport { schools: self.schools.len() + 1, ..SampleReport::default() };
        for person in self.people.iter().filter(|person| !person.is_lost()) {
            let (voice, sms) = (person.voice(), usize::from(person.mobile.is_some()));
            let (email, inbox) = (usize::from(person.email.is_some()), usize::from(person.enabled));
            report.people += 1;
            report.students += usize::from(person.is_student());
            report.voice += voice;
            report.sms += sms;
            report.email += email;
            report.inbox += inbox;
            report.without_device += usize::from(voice + sms + email + inbox == 0);
        }
        let stands =
            |link: &&Link| !self.people[link.student].is_lost() && !self.people[link.contact].is_lost();
        report.contacts = self.links.iter().filter(stands).count();
        for fault in Fault::ALL {
            let count = self.people.iter().filter(|person| person.fault == Some(fault)).count();
            if fault.is_warning() {
                report.warnings += count;
            } else {
                report.errors += count;
            }
            report.faults.push((fault, count));
        }
        report
    }
}

pub(crate) fn plan(students: usize, random: &mut StdRng) -> District {
    let mut planner = Planner {
        random,
        numbers: Numbers::default(),
        district: District { schools: schools(students), people: Vec::new(), links: Vec::new() },
    };
    let mut left = students;
    let mut family = 0;
    while left > 0 {
        let children = planner.children().min(left);
        planner.family(family, children);
        left -= children;
        family += 1;
    }
    for number in 0..students.div_ceil(STUDENTS_PER_STAFF) {
        planner.staff(number);
    }
    planner.district
}

fn schools(students: usize) -> Vec<PlannedSchool> {
    let mut schools = Vec::new();
    let names =
        ["Lincoln", "Washington", "Riverside", "Maple Grove", "Harriet Tubman", "Cesar Chavez", "Lakeview"];
    // The share of a level in thirteen grades, and how large its schools are.
    for (level, grades, size, title) in [
        (Level::Elementary, 6, 450, "Elementary School"),
        (Level::Middle, 3, 700, "Middle School"),
        (Level::High, 4, 1_200, "High School"),
    ] {
        for number in 0..(students * grades / 13).div_ceil(size).max(1) {
            let number_in_name = if number < names.len() { String::new() } else { format!(" {number}") };
            schools.push(PlannedSchool {
                id: format!("org-school-{:03}", schools.len() + 1),
                name: format!("{}{number_in_name} {title}", names[number % names.len()]),
                level,
            });
        }
    }
    schools
}

struct Planner<'a> {
    random: &'a mut StdRng,
    numbers: Numbers,
    district: District,
}

impl Planner<'_> {
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
    fn family(&mut self, number: usize, children: usize) {
        let community = Community::draw(self.random);
        let family_name = community.family_name(self.random);
        let first_child = self.district.people.len();
        for _ in 0..children {
            self.student(number, family_name, community);
        }
        let time_zone =
            if self.percent(4) { OTHER_ZONES.choose(self.random).copied().unwrap_or_default() } else { "" };
        let first_guardian = self.district.people.len();
        for nth in 0..self.guardians() {
            self.guardian(nth, family_name, community);
            let guardian = self.district.people.len() - 1;
            self.district.people[guardian].org = self.district.people[first_child].org.clone();
            self.district.people[guardian].time_zone = time_zone;
        }
        self.share_phones(first_guardian);
        for student in first_child..first_guardian {
            for contact in first_guardian..self.district.people.len() {
                let said_by = match self.random.random_range(0..3) {
                    0 => SaidBy::Student,
                    1 => SaidBy::Contact,
                    _ => SaidBy::Both,
                };
                self.district.links.push(Link { student, contact, said_by });
            }
        }
    }

    fn student(&mut self, family: usize, family_name: &str, community: &Community) {
        let grade = self.random.random_range(0..GRADES.len());
        let level = match grade {
            0..=5 => Level::Elementary,
            6..=8 => Level::Middle,
            _ => Level::High,
        };
        let near: Vec<_> = self.district.schools.iter().filter(|school| school.level == level).collect();
        let org = near[family % near.len()].id.clone();
        let id = format!("stu-{:06}", self.district.people.len());
        let email = (grade >= 6 && self.percent(70)).then(|| format!("{id}@students.example.org"));
        let mut student = Planned {
            role: "student",
            org,
            given_name: community.given_name(self.random).to_owned(),
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
            student.mobile_text = as_typed(&number, self.random);
            student.mobile = Some(number);
        }
        self.district.people.push(student);
    }

    fn guardian(&mut self, nth: usize, family_name: &str, community: &Community) {
        let role = match nth {
            0 | 1 if self.percent(85) => "parent",
            2 => "relative",
            _ => "guardian",
        };
        let id = format!("grd-{:06}", self.district.people.len());
        let mail_host = ["mail.example.com", "mail.example.net", "post.example.org"][nth % 3];
        let mut guardian = Planned {
            role,
            given_name: community.given_name(self.random).to_owned(),
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
        self.district.people.push(guardian);
    }

    fn give_phones(&mut self, person: &mut Planned) {
        if self.percent(88) {
            let number = self.numbers.next();
            person.mobile_text = as_typed(&number, self.random);
            person.mobile = Some(number);
        }
        (person.landlines, person.landline_text) = match self.random.random_range(0..100) {
            0..18 => (1, self.new_number()),
            18..23 => (1, format!("{} x{}", self.new_number(), self.random.random_range(100..1000))),
            23..26 => (2, format!("{}; {}", self.new_number(), self.new_number())),
            // The mobile, written down twice.
            26..36 => match &person.mobile {
                Some(mobile) => (1, as_typed(mobile, self.random)),
                None => (1, self.new_number()),
            },
            _ => (0, String::new()),
        };
    }

    fn new_number(&mut self) -> String {
        let number = self.numbers.next();
        as_typed(&number, self.random)
    }

    /// In some families two guardians give one number: that of the house, or one mobile.
    fn share_phones(&mut self, first_guardian: usize) {
        if self.district.people.len() < first_guardian + 2 || !self.percent(25) {
            return;
        }
        if self.percent(70) {
            let number = self.numbers.next();
            for nth in [first_guardian, first_guardian + 1] {
                self.district.people[nth].landlines = 1;
                self.district.people[nth].landline_text = as_typed(&number, self.random);
            }
        } else if let Some(number) = self.district.people[first_guardian].mobile.clone() {
            let second = &mut self.district.people[first_guardian + 1];
            second.mobile_text = as_typed(&number, self.random);
            second.mobile = Some(number);
        }
    }

    fn staff(&mut self, number: usize) {
        let community = Community::draw(self.random);
        let id = format!("stf-{number:06}");
        let mut staff = Planned {
            role: if number.is_multiple_of(20) { "administrator" } else { "teacher" },
            org: self.district.schools[number % self.district.schools.len()].id.clone(),
            given_name: community.given_name(self.random).to_owned(),
            family_name: community.family_name(self.random).to_owned(),
            enabled: true,
            email: Some(format!("{id}@staff.example.org")),
            id,
            ..Planned::default()
        };
        if self.percent(60) {
            self.give_phones(&mut staff);
        }
        self.district.people.push(staff);
    }
}
