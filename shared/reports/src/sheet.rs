//! What a format must be able to set.

use std::io;

use crate::cells::Line;

/// A name and what is said under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub name: String,
    pub value: String,
}

/// One format. What is set is given in the order in which it is read.
pub(crate) trait Sheet {
    /// The document's title and what it is about.
    fn title(&mut self, title: &str, about: &str) -> io::Result<()>;
    fn section(&mut self, name: &str) -> io::Result<()>;
    /// Short facts, the first half of them in one column and the others in a second.
    fn facts(&mut self, facts: &[Fact]) -> io::Result<()>;
    /// Facts of any length, one below the other.
    fn list(&mut self, facts: &[Fact]) -> io::Result<()>;
    /// Columns of numbers behind a first one of names.
    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()>;
    /// A heading within a section.
    fn heading(&mut self, text: &str) -> io::Result<()>;
    /// Text of any length, with line breaks of its own.
    fn paragraph(&mut self, text: &str) -> io::Result<()>;
    /// What explains the rest.
    fn note(&mut self, text: &str) -> io::Result<()>;
    /// The delivery detail begins; only lines follow until [`Sheet::end_detail`].
    fn begin_detail(&mut self) -> io::Result<()>;
    fn line(&mut self, line: &Line<'_>) -> io::Result<()>;
    fn end_detail(&mut self) -> io::Result<()>;
    fn finish(&mut self) -> io::Result<()>;
    /// The sign of a duplicate (requirement 63).
    fn duplicate_sign(&self) -> &'static str;
}

impl Fact {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// Fills a place.
    pub fn blank() -> Self {
        Self::new("", "")
    }
}
