//! The schools of a sample district, by level and of different sizes.

/// Grades in order, as CEDS writes them; the index decides the level.
pub(crate) const GRADES: [&str; 13] =
    ["KG", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"];

/// Where a family lives is a number below this; neighbours share their schools.
pub(crate) const PLACES: u32 = 10_000;

const NAMES: [&str; 24] = [
    "Lincoln",
    "Washington",
    "Riverside",
    "Maple Grove",
    "Harriet Tubman",
    "Cesar Chavez",
    "Lakeview",
    "Oak Hill",
    "Roosevelt",
    "Sunnyside",
    "Rosa Parks",
    "Jefferson",
    "Cedar Ridge",
    "Mission",
    "Franklin",
    "Prairie View",
    "Sally Ride",
    "Mountain View",
    "Madison",
    "Willow Creek",
    "Thurgood Marshall",
    "Highland",
    "Meadowbrook",
    "Sacajawea",
];
/// A large district has each name once more in each part of the town.
const PARTS: [&str; 9] = ["", "North ", "South ", "East ", "West ", "New ", "Upper ", "Lower ", "Central "];

/// One of the level's schools is at most so many times as large as another.
const WEIGHTS: std::ops::RangeInclusive<u32> = 50..=150;

pub(crate) struct School {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Copy)]
enum Level {
    Elementary,
    Middle,
    High,
}

pub(crate) struct Schools {
    pub all: Vec<School>,
    elementary: Range,
    middle: Range,
    high: Range,
}

/// The schools of one level: where they begin in `all`, and at which sum of weights each ends.
struct Range {
    first: usize,
    ends: Vec<u32>,
}

impl Schools {
    pub(crate) fn of(students: usize) -> Self {
        let mut all = Vec::new();
        // The share of a level in thirteen grades, and how large its schools are on average.
        let [elementary, middle, high] =
            [(6, 450, "Elementary School"), (3, 700, "Middle School"), (4, 1_200, "High School")].map(
                |(grades, size, title)| {
                    let first = all.len();
                    let mut end = 0;
                    let ends = (0..(students * grades / 13).div_ceil(size).max(1)).map(|number| {
                        all.push(School {
                            id: format!("org-school-{:03}", all.len() + 1),
                            name: name(number, title),
                        });
                        end += weight(number);
                        end
                    });
                    Range { first, ends: ends.collect() }
                },
            );
        Self { all, elementary, middle, high }
    }

    /// The school of that grade where the family lives.
    pub(crate) fn near(&self, place: u32, grade: usize) -> &School {
        let range = match level(grade) {
            Level::Elementary => &self.elementary,
            Level::Middle => &self.middle,
            Level::High => &self.high,
        };
        let total = range.ends.last().copied().unwrap_or_default();
        let point = u64::from(place) * u64::from(total) / u64::from(PLACES);
        &self.all[range.first + range.ends.partition_point(|&end| u64::from(end) <= point)]
    }
}

fn level(grade: usize) -> Level {
    match grade {
        0..=5 => Level::Elementary,
        6..=8 => Level::Middle,
        _ => Level::High,
    }
}

fn name(number: usize, title: &str) -> String {
    let (name, round) = (NAMES[number % NAMES.len()], number / NAMES.len());
    let part = PARTS[round % PARTS.len()];
    match round / PARTS.len() {
        0 => format!("{part}{name} {title}"),
        again => format!("{part}{name} {title} {}", again + 1),
    }
}

/// Spread over the whole range without a pattern that one would see.
fn weight(number: usize) -> u32 {
    let width = WEIGHTS.end() - WEIGHTS.start() + 1;
    WEIGHTS.start() + (number as u32).wrapping_mul(37) % width
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_place_has_a_school_of_each_level_and_every_school_a_place() {
        for students in [0, 1, 5_000, 60_000] {
            let schools = Schools::of(students);
            let reached: HashSet<&str> = (0..PLACES)
                .flat_map(|place| [0, 7, 12].map(|grade| schools.near(place, grade).id.as_str()))
                .collect();
            assert_eq!(reached.len(), schools.all.len(), "{students} students");
        }
    }

    #[test]
    fn no_two_schools_of_half_a_million_students_have_one_name() {
        let schools = Schools::of(500_000);
        let names: HashSet<&str> = schools.all.iter().map(|school| school.name.as_str()).collect();
        assert!(schools.all.len() > 800 && names.len() == schools.all.len(), "{}", names.len());
    }
}
