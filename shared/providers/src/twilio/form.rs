//! Form-encoded bodies, which Twilio both takes and posts.

use std::borrow::Cow;

/// The decoded parameters of a form body, in the order they came.
#[derive(Debug, Clone, Default)]
pub struct Form<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Form<'a> {
    pub fn parse(body: &'a [u8]) -> Self {
        Self { pairs: form_urlencoded::parse(body).collect() }
    }

    pub fn from_pairs(pairs: &[(&'a str, &'a str)]) -> Self {
        let pairs = pairs.iter().map(|&(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value)));
        Self { pairs: pairs.collect() }
    }

    /// The first value of `key`, if there is one and it is not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(name, _)| name == key)?;
        Some(&*found.1).filter(|value| !value.is_empty())
    }

    pub fn pairs(&self) -> &[(Cow<'a, str>, Cow<'a, str>)] {
        &self.pairs
    }
}
