//! Changes to captures: bytes, pieces, other captures' pieces, and words that parsers trip over.

use crate::random::Random;

/// What is longer is cut: collectors refuse far larger bodies, and short ones are quicker.
const INPUT_BYTES_MAX: usize = 16 * 1024;
const CHANGES_MAX: usize = 8;

/// Ends of ranges, empty things, what is quoted or nested, and what encodings mistake for something else.
const WORDS: &[&[u8]] = &[
    b"",
    b"0",
    b"-1",
    b"-40",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"1e999",
    b"-0.0",
    b"NaN",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"\\",
    b"%",
    b"%00",
    b"%zz",
    b"%F0%9F",
    b"+",
    b"&&==&",
    b"=?utf-8?B?////?=",
    b"=?x?Q?=?=",
    b"\r\n\r\n",
    b"\r\n ",
    b"\n\n",
    b"--b--\r\n",
    b"Content-Type: multipart/report; boundary=\"\"\r\n",
    b"Content-Type: message/delivery-status\r\n\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n\r\n",
    b"Status: 5.1.1\r\n",
    b"Status: 999.999.999\r\n",
    b"Status: 5.\r\n",
    b"Action: failed\r\n",
    b"Diagnostic-Code: smtp; 550",
    b"Final-Recipient: rfc822;",
    b"Feedback-Type: abuse\r\n",
    b"bounce+",
    b"@",
    b"\0",
    b"\x7f",
    b"\xff",
    b"\xc3\x28",
    b"\xf0\x9f\x98\x80",
    b"\xef\xbb\xbf",
    "\u{202e}\u{feff}\u{0}".as_bytes(),
];

/// Makes inputs from seeds.
#[derive(Debug)]
pub struct Mutator {
    random: Random,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    pub fn new(seed: u64, seeds: Vec<Vec<u8>>) -> Self {
        Self { random: Random::new(seed), seeds }
    }

    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.any_seed().to_vec();
        for _ in 0..=self.random.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn any_seed(&mut self) -> &[u8] {
        let at = self.random.below(self.seeds.len());
        self.seeds.get(at).map_or(&[], Vec::as_slice)
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        match self.random.below(10) {
            0 => {
                let at = self.random.below(input.len());
                let bit = self.random.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            1 => {
                let at = self.random.below(input.len());
                let value = self.random.next().to_le_bytes()[0];
                if let Some(byte) = input.get_mut(at) {
                    *byte = value;
                }
            }
            2 => {
                let (from, to) = self.piece(input.len());
                input.drain(from..to);
            }
            3 => {
                let (from, to) = self.piece(input.len());
                let piece = input[from..to].to_vec();
                self.insert(input, &piece);
            }
            4 => input.truncate(self.random.below(input.len() + 1)),
            5 => {
                let other = self.any_seed().to_vec();
                let (from, to) = self.piece(other.len());
                self.insert(input, &other[from..to]);
            }
            6 => self.change_number(input),
            7 => {
                let word = self.random.pick(WORDS).unwrap_or_default();
                let (from, to) = self.piece(input.len());
                input.splice(from..to, word.iter().copied());
            }
            _ => {
                let word = self.random.pick(WORDS).unwrap_or_default();
                self.insert(input, word);
            }
        }
    }

    /// Somewhere in so many bytes, and most often short.
    fn piece(&mut self, len: usize) -> (usize, usize) {
        let from = self.random.below(len + 1);
        let longest = if self.random.below(4) == 0 { len - from } else { (len - from).min(16) };
        (from, from + self.random.below(longest + 1))
    }

    fn insert(&mut self, input: &mut Vec<u8>, piece: &[u8]) {
        let at = self.random.below(input.len() + 1);
        input.splice(at..at, piece.iter().copied());
    }

    /// One of the numbers becomes another one.
    fn change_number(&mut self, input: &mut Vec<u8>) {
        let starts: Vec<usize> = (0..input.len())
            .filter(|&at| input[at].is_ascii_digit() && (at == 0 || !input[at - 1].is_ascii_digit()))
            .collect();
        let Some(&from) = starts.get(self.random.below(starts.len())) else { return };
        let digits = input[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let numbers: [&[u8]; 6] =
            [b"0", b"-1", b"65536", b"4294967296", b"9223372036854775808", b"99999999999999999999999"];
        let number = self.random.pick(&numbers).unwrap_or_default();
        input.splice(from..from + digits, number.iter().copied());
    }
}
