//! What a compose form holds, field by field as it was typed. `writing.rs` makes the request of it, `reading.rs` the form of a
//! request.

mod reading;
mod writing;

use uuid::Uuid;

/// The field of a file, and that of those which are attached already, by their ids.
pub(in crate::console) const FILE: &str = "file";
pub(in crate::console) const ATTACHED: &str = "attachment";
/// Languages beside the one for all.
pub(super) const LANGUAGES_MAX: usize = 20;

/// Names and values as a browser sends them, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pairs: Vec<(String, String)>,
}

/// Of a template: its recipients are chosen when it is used.
pub(super) const WHO_LATER: &str = "later";

/// When it is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Now,
    At,
    Recurring,
}

impl Draft {
    /// A form that nobody has filled in.
    pub fn new() -> Self {
        let mut draft = Self::default();
        draft.set("key", &Uuid::now_v7().to_string());
        for (name, value) in
            [("message_type", "general"), ("who", "all"), ("role", "guardian"), ("when", "now")]
        {
            draft.set(name, value);
        }
        for (name, value) in
            [("frequency", "weekly"), ("interval", "1"), ("monthly", "day"), ("ends", "never")]
        {
            draft.set(name, value);
        }
        draft
    }

    pub fn of_form(form: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(form)
            .map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n")))
            .collect();
        Self::of_pairs(pairs)
    }

    /// What a form held, but for the button that was pressed, and a file: it has its own place by then.
    pub fn of_pairs(mut pairs: Vec<(String, String)>) -> Self {
        pairs.retain(|(name, _)| name != "action" && name != FILE);
        let mut draft = Self { pairs };
        if Uuid::parse_str(draft.text("key")).is_err() {
            draft.set("key", &Uuid::now_v7().to_string());
        }
        draft
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.pairs.retain(|(is, _)| is != name);
        self.add(name, value);
    }

    pub fn add(&mut self, name: &str, value: &str) {
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    pub fn take_out(&mut self, name: &str, value: &str) {
        self.pairs.retain(|(is, of)| is != name || of != value);
    }

    /// All of it, for the form of the next step.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    pub fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|(is, _)| is == name).map_or("", |(_, value)| value)
    }

    /// Is this one of the values of a field that may have several?
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.pairs.iter().any(|(is, of)| is == name && of == value)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.pairs.iter().filter(|(is, _)| is == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A field of a language: the one for all has plain names.
    pub fn of_language(&self, name: &str, at: usize) -> &str {
        self.text(&field_of(name, at))
    }

    /// How many languages there are beside the one for all.
    pub fn languages(&self) -> usize {
        self.text("languages").parse().unwrap_or(0).min(LANGUAGES_MAX)
    }

    pub fn add_language(&mut self) {
        let languages = (self.languages() + 1).min(LANGUAGES_MAX);
        self.set("languages", &languages.to_string());
    }

    /// Takes one out; those behind it move up.
    pub fn remove_language(&mut self, at: usize) {
        let languages = self.languages();
        if at == 0 || at > languages {
            return;
        }
        let moved = |name: &str| -> Option<String> {
            let (field, of) = name.rsplit_once('_')?;
            let of: usize = of.parse().ok()?;
            (of > at).then(|| field_of(field, of - 1))
        };
        self.pairs.retain(|(name, _)| !name.ends_with(&format!("_{at}")));
        for (name, _) in &mut self.pairs {
            if let Some(moved) = moved(name) {
                *name = moved;
            }
        }
        self.set("languages", &(languages - 1).to_string());
    }

    pub fn when(&self) -> When {
        match self.text("when") {
            "at" => When::At,
            "recurring" => When::Recurring,
            _ => When::Now,
        }
    }

    pub fn is_emergency(&self) -> bool {
        self.text("message_type") == "emergency"
    }
}

/// The name of a language's field.
pub(super) fn field_of(name: &str, at: usize) -> String {
    if at == 0 { name.to_owned() } else { format!("{name}_{at}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_taken_out_with_all_its_texts() {
        let form =
            "languages=3&language_1=es&body_1=uno&language_2=vi&body_2=hai&sms_2=ba&language_3=so&body_3=x";
        let mut draft = Draft::of_form(form.as_bytes());
        draft.remove_language(1);
        assert_eq!((draft.languages(), draft.text("language_1"), draft.text("sms_1")), (2, "vi", "ba"));
        assert_eq!((draft.text("body_2"), draft.text("body_3")), ("x", ""));
        draft.remove_language(9);
        assert_eq!(draft.languages(), 2);
    }
}
