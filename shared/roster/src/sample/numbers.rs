//! Phone numbers that are valid and nobody's: exchange 555 of real area codes.

use rand::Rng;

use super::Random;

const AREA_CODES: [u16; 180] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229,
    231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 276, 281, 301, 302, 303, 304,
    305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 325, 330, 334, 336, 337,
    339, 347, 351, 352, 360, 361, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417,
    419, 423, 425, 430, 432, 434, 435, 440, 443, 469, 478, 479, 480, 484, 501, 502, 503, 504, 505, 507, 508,
    509, 510, 512, 513, 515, 516, 517, 518, 520, 530, 540, 541, 551, 559, 561, 562, 563, 567, 570, 571, 573,
    574, 575, 580, 585, 586, 601, 602, 603, 605, 606, 607, 608, 609, 610, 612, 614, 615, 616, 617, 618, 619,
    620, 623, 626, 630, 631, 636, 641, 646, 650, 651, 660, 661, 662, 678, 682, 701, 702, 703, 704, 706, 707,
    708, 712, 713, 714, 715, 716, 717, 718, 719, 720, 724, 727,
];

/// 0100 to 0199 are set aside for fiction; a very large district goes on into the rest of 555.
const FIRST_LINE: usize = 100;

/// Hands out each number once.
#[derive(Default)]
pub(crate) struct Numbers {
    taken: usize,
}

impl Numbers {
    /// Ten digits.
    pub(crate) fn next(&mut self) -> String {
        let area = AREA_CODES[self.taken % AREA_CODES.len()];
        let line = (FIRST_LINE + self.taken / AREA_CODES.len()) % 10_000;
        self.taken += 1;
        format!("{area}555{line:04}")
    }
}

/// The number as one of the many ways people type it.
pub(crate) fn as_typed(number: &str, random: &mut Random) -> String {
    let (area, exchange, line) = (&number[..3], &number[3..6], &number[6..]);
    match random.random_range(0..5) {
        0 => number.to_owned(),
        1 => format!("({area}) {exchange}-{line}"),
        2 => format!("{area}-{exchange}-{line}"),
        3 => format!("{area}.{exchange}.{line}"),
        _ => format!("+1{number}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::phone::PhoneReader;

    #[test]
    fn every_number_is_new_valid_and_in_exchange_555() {
        let reader = PhoneReader::new("US").unwrap();
        let mut numbers = Numbers::default();
        let mut seen = HashSet::new();
        for _ in 0..2 * AREA_CODES.len() {
            let number = numbers.next();
            assert_eq!(&number[3..6], "555");
            assert_eq!(reader.read(&number).map(|read| read.phone.into()), Some(format!("+1{number}")));
            assert!(seen.insert(number));
        }
    }
}
