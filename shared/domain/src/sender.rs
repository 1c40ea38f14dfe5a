//! What an account sends from: phone numbers, short codes, messaging services, mail addresses; and which of them
//! a person is contacted from.

use crate::Channel;

/// Of a phone number: E.164 has so many digits after the plus.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
const SHORT_CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=8;
/// What a messaging service's id begins with (wire A.1), and how many hexadecimal digits follow.
const SERVICE_PREFIX: &str = "MG";
const SERVICE_DIGITS: usize = 32;
const EMAIL_CHARS_MAX: usize = 254;

/// Is this a messaging service, which chooses among its own numbers?
pub fn is_messaging_service(address: &str) -> bool {
    address.strip_prefix(SERVICE_PREFIX).is_some_and(|hex| {
        hex.len() == SERVICE_DIGITS && hex.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Can `address` be sent from over `channel`? The error says what is wrong and what to give.
pub fn check(channel: Channel, address: &str) -> Result<(), &'static str> {
    let fits = match channel {
        Channel::Voice => is_e164(address),
        Channel::Sms => is_e164(address) || is_short_code(address) || is_messaging_service(address),
        Channel::Email => is_email(address),
        Channel::Inbox => return Err("the inbox sends from no number: leave it without senders"),
    };
    let remedy = match channel {
        Channel::Voice => "is no number in E.164: give + and 7 to 15 digits, such as +15005550006",
        Channel::Sms => {
            "is no number in E.164, short code or messaging service: give + and 7 to 15 digits, \
             3 to 8 digits, or MG and 32 hexadecimal digits"
        }
        Channel::Email | Channel::Inbox => "is no mail address: give one such as school@example.org",
    };
    if fits { Ok(()) } else { Err(remedy) }
}

/// One of several that could contact a person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub id: i32,
    /// How many people it serves beside the others, as a rate. Above 0.
    pub weight: f64,
}

/// The candidate that `person` (any number that stays the same) is contacted from: the same one as long as it is
/// among the candidates, whatever others come and go, and each for its weight's part of all people. None: there is
/// no candidate.
pub fn preferred(person: i64, candidates: impl Iterator<Item = Candidate>) -> Option<i32> {
    // Weighted rendezvous hashing: the highest of -weight / ln(h) wins, h evenly drawn for each pair.
    let score = |candidate: &Candidate| {
        let drawn = mixed(person as u64 ^ mixed(candidate.id as u64));
        let h = (drawn >> 11) as f64 / (1_u64 << 53) as f64;
        -candidate.weight.max(f64::MIN_POSITIVE) / h.max(f64::MIN_POSITIVE).ln()
    };
    candidates.max_by(|one, other| score(one).total_cmp(&score(other))).map(|candidate| candidate.id)
}

/// The finaliser of splitmix64: every bit of the answer depends on every bit asked for.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+')
        .is_some_and(|digits| DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn is_short_code(text: &str) -> bool {
    SHORT_CODE_DIGITS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_email(text: &str) -> bool {
    let plain =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    text.len() <= EMAIL_CHARS_MAX
        && text.split_once('@').is_some_and(|(local, domain)| {
            plain(local) && plain(domain) && domain.contains('.') && !domain.contains('@')
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";

    #[test]
    fn a_sender_is_what_its_channel_can_send_from() {
        let good = [
            (Channel::Voice, "+15005550006"),
            (Channel::Sms, "+15005550006"),
            (Channel::Sms, "88788"),
            (Channel::Sms, SERVICE),
            (Channel::Email, "school@example.org"),
        ];
        for (channel, address) in good {
            assert_eq!(check(channel, address), Ok(()), "{channel} {address}");
        }
        let bad = [
            (Channel::Voice, "15005550006"),
            (Channel::Voice, "88788"),
            (Channel::Voice, SERVICE),
            (Channel::Sms, "+1 500 555"),
            (Channel::Sms, "MG01"),
            (Channel::Sms, ""),
            (Channel::Email, "school"),
            (Channel::Email, "a@b@example.org"),
            (Channel::Email, "a\n@example.org"),
            (Channel::Inbox, "+15005550006"),
        ];
        for (channel, address) in bad {
            let fault = check(channel, address).unwrap_err();
            assert!(fault.contains(':'), "{channel} {address}: {fault}");
        }
    }

    fn shares(candidates: &[Candidate]) -> BTreeMap<i32, usize> {
        let mut shares = BTreeMap::new();
        for person in 0..10_000 {
            let chosen = preferred(person, candidates.iter().copied()).unwrap();
            *shares.entry(chosen).or_default() += 1;
        }
        shares
    }

    #[test]
    fn a_person_keeps_the_sender_whatever_others_come_and_go() {
        let with = |ids: &[i32]| -> Vec<Candidate> {
            ids.iter().map(|id| Candidate { id: *id, weight: 1.0 }).collect()
        };
        for person in -500..500 {
            let of = |ids: &[i32]| preferred(person, with(ids).into_iter());
            let chosen = of(&[1, 2, 3, 4]).unwrap();
            let fewer: Vec<i32> =
                [1, 2, 3, 4].into_iter().filter(|id| *id == chosen || id % 2 == 0).collect();
            assert_eq!(of(&fewer), Some(chosen));
        }
        assert_eq!(preferred(7, std::iter::empty()), None);
    }

    #[test]
    fn people_are_spread_by_weight() {
        let even = shares(&[Candidate { id: 1, weight: 1.0 }, Candidate { id: 2, weight: 1.0 }]);
        assert!((4_700..5_300).contains(&even[&1]), "{even:?}");
        let uneven = shares(&[Candidate { id: 1, weight: 1.0 }, Candidate { id: 2, weight: 9.0 }]);
        assert!((800..1_200).contains(&uneven[&1]), "{uneven:?}");
    }
}
