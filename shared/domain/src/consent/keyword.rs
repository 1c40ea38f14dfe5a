//! What an inbound text says about consent (wire E.3).

/// A word that decides something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    Stop,
    Start,
    Help,
}

/// How an inbound text is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Keyword(Keyword),
    /// Speaks of stopping in words of its own: for a person to read. A wish to stop counts however it is put, and
    /// no list of words knows every way.
    Review,
    Other,
}

/// Those of the carriers and providers, those that 47 CFR 64.1200(a)(10) names, and the French ones.
const STOP: [&str; 11] = [
    "STOP",
    "STOPALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "REVOKE",
    "OPTOUT",
    "ARRET",
    "ARRETE",
    "ARRETT",
];
/// `Y` and `YES` are how one opts in (requirement 163), and never just an answer.
const START: [&str; 4] = ["START", "YES", "UNSTOP", "Y"];
const HELP: [&str; 2] = ["HELP", "INFO"];
/// Words of a longer text that make it one to be read.
const SUSPECT: [&str; 9] =
    ["STOP", "STOPPING", "UNSUBSCRIBE", "CANCEL", "QUIT", "REVOKE", "REMOVE", "OPT", "ARRET"];

impl Reading {
    /// The whole text must be the keyword. Case, spaces, punctuation and the accents of *arrêté* make no difference:
    /// `Opt-out.` is OPTOUT.
    pub fn of(text: &str) -> Self {
        let word: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(folded).collect();
        for (words, keyword) in
            [(&STOP[..], Keyword::Stop), (&START[..], Keyword::Start), (&HELP[..], Keyword::Help)]
        {
            if words.contains(&word.as_str()) {
                return Self::Keyword(keyword);
            }
        }
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        let suspect = |word: &str| {
            let word: String = word.chars().flat_map(folded).collect();
            SUSPECT.contains(&word.as_str())
        };
        if words.any(suspect) { Self::Review } else { Self::Other }
    }
}

impl Keyword {
    /// What the sender is told where the provider tells nothing itself. One confirmation is allowed after a STOP;
    /// each text fits one segment.
    pub fn reply(self) -> &'static str {
        match self {
            Self::Stop => {
                "You have opted out and will get no more texts from this number. Reply START to get them again."
            }
            Self::Start => "You will get texts from this number. Reply STOP to end them, HELP for help.",
            Self::Help => {
                "School notices by text. For help, ask your school's office. Reply STOP to end them. \
                 Msg & data rates may apply."
            }
        }
    }
}

fn folded(c: char) -> impl Iterator<Item = char> {
    c.to_uppercase().map(|c| match c {
        'È' | 'É' | 'Ê' | 'Ë' => 'E',
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segments::segments;

    #[test]
    fn keywords_are_read_whatever_their_case_spaces_and_punctuation() {
        for stop in STOP {
            for text in
                [stop.to_owned(), stop.to_lowercase(), format!(" \n{stop}!! "), format!("\"{stop}.\"")]
            {
                assert_eq!(Reading::of(&text), Reading::Keyword(Keyword::Stop), "{text:?}");
            }
        }
        let table = [
            ("opt out", Keyword::Stop),
            ("Opt-Out.", Keyword::Stop),
            ("STOP ALL", Keyword::Stop),
            ("S.T.O.P.", Keyword::Stop),
            ("stop \u{1f6d1}", Keyword::Stop),
            ("Arrêté", Keyword::Stop),
            ("arrêt", Keyword::Stop),
            ("start", Keyword::Start),
            ("Yes.", Keyword::Start),
            ("y", Keyword::Start),
            (" UnStop ", Keyword::Start),
            ("help?", Keyword::Help),
            ("Info", Keyword::Help),
        ];
        for (text, keyword) in table {
            assert_eq!(Reading::of(text), Reading::Keyword(keyword), "{text:?}");
        }
    }

    #[test]
    fn a_wish_to_stop_in_other_words_is_for_a_person_to_read() {
        for text in
            ["please stop texting me", "STOP PLEASE", "Remove me from this list", "I want to opt out of this"]
        {
            assert_eq!(Reading::of(text), Reading::Review, "{text:?}");
        }
    }

    #[test]
    fn any_other_text_says_nothing_about_consent() {
        for text in [
            "",
            " ",
            "Ana is ill today",
            "yes she will come",
            "nonstop",
            "\u{1f44d}",
            "the bus stops here",
            "7",
        ] {
            assert_eq!(Reading::of(text), Reading::Other, "{text:?}");
        }
    }

    #[test]
    fn every_reply_fits_one_segment() {
        for keyword in [Keyword::Stop, Keyword::Start, Keyword::Help] {
            assert_eq!(segments(keyword.reply()).count, 1, "{keyword:?}");
        }
    }
}
