//! Names and languages as a mixed district has them.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::Random;

/// A language spoken at home, how many families of a hundred speak it, and names they may have.
pub(crate) struct Community {
    pub language: &'static str,
    percent: u32,
    given: &'static [&'static str],
    family: &'static [&'static str],
}

const COMMUNITIES: [Community; 7] = [
    Community {
        language: "en",
        percent: 62,
        given: &[
            "Olivia", "Liam", "Emma", "Noah", "Ava", "Ethan", "Grace", "Mason", "Chloe", "Logan", "Hannah",
            "Caleb", "Abigail", "Owen", "Ella", "Wyatt", "Nora", "Isaac", "Ruby", "Miles",
        ],
        family: &[
            "Johnson", "Williams", "O'Brien", "Miller", "Anderson", "Baker", "Clark", "Foster", "Hughes",
            "Kelly", "Larson", "Murphy", "Nelson", "Olson", "Parker", "Reed", "Sanders", "Turner", "Walsh",
            "Young",
        ],
    },
    Community {
        language: "es",
        percent: 20,
        given: &[
            "Sofía",
            "Mateo",
            "Valentina",
            "Santiago",
            "Camila",
            "Diego",
            "Lucía",
            "Andrés",
            "Elena",
            "José",
            "Ximena",
            "Raúl",
        ],
        family: &[
            "García",
            "Hernández",
            "López",
            "Martínez",
            "Núñez",
            "Ramírez",
            "Torres",
            "Vásquez",
            "Muñoz",
            "de la Cruz",
        ],
    },
    Community {
        language: "vi",
        percent: 4,
        given: &["Minh", "Lan", "Hương", "Tuấn", "Thảo", "Đức", "Ngọc", "Phúc"],
        family: &["Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ"],
    },
    Community {
        language: "so",
        percent: 4,
        given: &["Amina", "Abdi", "Hodan", "Yusuf", "Faduma", "Mahad", "Ifrah", "Guled"],
        family: &["Warsame", "Jama", "Farah", "Hirsi", "Abdullahi", "Duale"],
    },
    Community {
        language: "ar",
        percent: 4,
        given: &["ليلى", "عمر", "Mariam", "Khalid", "Noor", "Samir", "Rania", "Tariq"],
        family: &["حداد", "Haddad", "Nasser", "Khoury", "Mansour", "Saleh"],
    },
    Community {
        language: "zh-Hans",
        percent: 3,
        given: &["Mei", "Jun", "Xiu", "Hao", "Ling", "伟", "芳", "Bo"],
        family: &["Chen", "Wang", "李", "Zhang", "Liu", "Huang"],
    },
    Community {
        language: "uk",
        percent: 3,
        given: &["Оксана", "Тарас", "Iryna", "Andriy", "Daryna", "Bohdan"],
        family: &["Шевченко", "Bondarenko", "Kovalenko", "Melnyk", "Tkachuk"],
    },
];

impl Community {
    pub(crate) fn draw(random: &mut Random) -> &'static Self {
        let mut point = random.random_range(0..100);
        for community in &COMMUNITIES {
            if point < community.percent {
                return community;
            }
            point -= community.percent;
        }
        &COMMUNITIES[0]
    }

    pub(crate) fn given_name(&self, random: &mut Random) -> &'static str {
        self.given.choose(random).copied().unwrap_or("Alex")
    }

    pub(crate) fn family_name(&self, random: &mut Random) -> &'static str {
        self.family.choose(random).copied().unwrap_or("Smith")
    }
}
