//! A profile's file read key by key: every fault is found before any is told.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

/// What is wrong with one key, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFault {
    pub key: String,
    pub fault: String,
    pub remedy: String,
}

impl fmt::Display for ProfileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.fault, self.remedy)
    }
}

#[derive(Debug, Default)]
pub(in crate::gateway) struct Faults(Vec<ProfileFault>);

impl Faults {
    pub fn add(&mut self, key: impl Into<String>, fault: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(ProfileFault { key: key.into(), fault: fault.into(), remedy: remedy.into() });
    }

    /// The value, or None and its fault.
    pub fn keep<T>(&mut self, key: &str, read: Result<T, (String, String)>) -> Option<T> {
        read.map_err(|(fault, remedy)| self.add(key, fault, remedy)).ok()
    }

    pub fn or<T>(self, read: Option<T>) -> Result<T, Vec<ProfileFault>> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            Some(_) | None => Err(self.0),
        }
    }
}

/// A table whose keys are taken one by one. What is left at the end is unknown.
#[derive(Debug)]
pub(in crate::gateway) struct Section {
    path: String,
    table: Table,
    known: Vec<&'static str>,
}

impl Section {
    pub fn root(table: Table) -> Self {
        Self { path: String::new(), table, known: Vec::new() }
    }

    /// The full name of one of its keys.
    pub fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.table.remove(name)
    }

    pub fn text(&mut self, name: &'static str, faults: &mut Faults) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => wrong_type(faults, self.key(name), &other, "a text in quotes"),
        }
    }

    /// A text that `read` understands.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        faults: &mut Faults,
        read: impl FnOnce(&str) -> Result<T, (String, String)>,
    ) -> Option<T> {
        let text = self.text(name, faults)?;
        faults.keep(&self.key(name), read(&text))
    }

    /// As [`Section::parsed`]; without the key that is a fault.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        remedy: &str,
        faults: &mut Faults,
        read: impl FnOnce(&str) -> Result<T, (String, String)>,
    ) -> Option<T> {
        if !self.table.contains_key(name) {
            self.known.push(name);
            faults.add(self.key(name), "missing", remedy);
            return None;
        }
        self.parsed(name, faults, read)
    }

    /// One of `words`; `default` without the key.
    pub fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
        default: T,
        faults: &mut Faults,
    ) -> T {
        self.parsed(name, faults, |text| word(text, words)).unwrap_or(default)
    }

    pub fn seconds(&mut self, name: &'static str, faults: &mut Faults) -> Option<u32> {
        match self.take(name)? {
            Value::Integer(number) if (1..=86_400).contains(&number) => u32::try_from(number).ok(),
            other => {
                faults.add(self.key(name), format!("is {other}"), "give seconds, from 1 to 86400");
                None
            }
        }
    }

    pub fn section(&mut self, name: &'static str, faults: &mut Faults) -> Option<Self> {
        match self.take(name)? {
            Value::Table(table) => Some(Self { path: self.key(name), table, known: Vec::new() }),
            other => wrong_type(faults, self.key(name), &other, "a table"),
        }
    }

    /// A table of words that the gateway uses, each with a text of ours that `read` understands.
    pub fn words<T>(
        &mut self,
        name: &'static str,
        faults: &mut Faults,
        read: impl Fn(&str) -> Result<T, (String, String)>,
    ) -> BTreeMap<String, T> {
        let Some(section) = self.section(name, faults) else { return BTreeMap::new() };
        let mut words = BTreeMap::new();
        for (word, value) in section.table {
            let key = format!("{}.{word:?}", section.path);
            let read = match &value {
                Value::String(text) => faults.keep(&key, read(text)),
                other => wrong_type(faults, key.clone(), other, "a text in quotes"),
            };
            let Some(read) = read else { continue };
            if words.insert(normal(&word), read).is_some() {
                faults.add(key, "stands there twice", "keep one: case does not matter");
            }
        }
        words
    }

    /// Whatever was not taken is a fault.
    pub fn finish(self, faults: &mut Faults) {
        for name in self.table.keys() {
            faults.add(self.key(name), "unknown key", format!("use {}", self.known.join(", ")));
        }
    }
}

/// As the gateway's words are compared: case and surrounding space do not matter.
pub(in crate::gateway) fn normal(word: &str) -> String {
    word.trim().to_ascii_lowercase()
}

/// The one of `words` that `text` is.
pub(super) fn word<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, (String, String)> {
    let found = words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        (format!("{text:?} is unknown"), format!("use {}", names.join(", ")))
    })
}

pub(super) fn wrong_type<T>(faults: &mut Faults, key: String, value: &Value, wanted: &str) -> Option<T> {
    faults.add(key, format!("is of the type {}", value.type_str()), format!("give {wanted}"));
    None
}
