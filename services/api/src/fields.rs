//! Reading an untrusted object member by member, so that one answer names every fault of a request.
//!
//! Each reader adds its fault and returns None; whoever reads goes on with the next member and looks at
//! [`Faults`] at the end. A fault says what is wrong and what to do.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// The path of the whole body.
const ROOT: &str = "$";
/// Of a wrong value, an answer repeats this much.
const QUOTED_CHARS_MAX: usize = 40;

/// A faulty member: its path, such as `contents[1].body`, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Fault {
    pub field: String,
    pub reason: String,
}

#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Fault { field: field.into(), reason: reason.into() });
    }

    pub fn extend(&mut self, faults: Vec<Fault>) {
        self.0.extend(faults);
    }

    /// What was read, or the faults that were found.
    pub fn or<T>(self, read: Option<T>) -> Result<T, Vec<Fault>> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            Some(_) | None => Err(self.0),
        }
    }
}

/// An object whose members are taken out one by one. What is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Fields {
    path: String,
    members: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    /// The parameters of a query string.
    pub fn of_query(query: Option<&str>, faults: &mut Faults) -> Self {
        let mut members = Map::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if members.insert(name.clone().into_owned(), Value::String(value.into_owned())).is_some() {
                faults.add(name, "is given twice: give it once");
            }
        }
        Self { path: ROOT.to_owned(), members, known: Vec::new() }
    }

    /// A form's fields that were left empty are as if they were not there.
    pub fn drop_empty(&mut self) {
        self.members.retain(|_, value| value.as_str().is_none_or(|text| !text.trim().is_empty()));
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The member; None if it is absent or null.
    pub fn take(&mut self, name: &'static str) -> Option<Field> {
        self.known.push(name);
        let value = self.members.remove(name).filter(|value| !value.is_null())?;
        Some(Field { path: below(&self.path, name), value })
    }

    /// Is the member there, and not null?
    pub fn holds(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// As [`Fields::take`]; its absence is a fault, which `remedy` mends.
    pub fn required(&mut self, name: &'static str, remedy: &str, faults: &mut Faults) -> Option<Field> {
        let field = self.take(name);
        if field.is_none() {
            faults.add(below(&self.path, name), format!("is missing: {remedy}"));
        }
        field
    }

    /// Whatever was not taken is a fault.
    pub fn finish(self, faults: &mut Faults) {
        for name in self.members.keys() {
            faults.add(below(&self.path, name), format!("is unknown: use {}", self.known.join(", ")));
        }
    }
}

/// One value and where it stands.
#[derive(Debug)]
pub(crate) struct Field {
    pub path: String,
    value: Value,
}

impl Field {
    /// The whole body.
    pub fn root(value: Value) -> Self {
        Self { path: ROOT.to_owned(), value }
    }

    pub fn object(self, faults: &mut Faults) -> Option<Fields> {
        match self.value {
            Value::Object(members) => Some(Fields { path: self.path, members, known: Vec::new() }),
            other => wrong_kind(faults, self.path, &other, "an object"),
        }
    }

    pub fn list(self, faults: &mut Faults) -> Option<Vec<Field>> {
        match self.value {
            Value::Array(entries) => {
                let entry = |(at, value)| Field { path: format!("{}[{at}]", self.path), value };
                Some(entries.into_iter().enumerate().map(entry).collect())
            }
            other => wrong_kind(faults, self.path, &other, "a list"),
        }
    }

    pub fn boolean(self, faults: &mut Faults) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            other => wrong_kind(faults, self.path, &other, "true or false"),
        }
    }

    pub fn integer(self, range: RangeInclusive<u32>, faults: &mut Faults) -> Option<u32> {
        let Value::Number(number) = &self.value else {
            return wrong_kind(faults, self.path, &self.value, "a whole number");
        };
        let fitting = number.as_u64().and_then(|is| u32::try_from(is).ok()).filter(|is| range.contains(is));
        if fitting.is_none() {
            faults.add(
                self.path,
                format!("is {number}: use a whole number from {} to {}", range.start(), range.end()),
            );
        }
        fitting
    }

    /// A small number, which may be below zero.
    pub fn signed(self, faults: &mut Faults) -> Option<i32> {
        let Value::Number(number) = &self.value else {
            return wrong_kind(faults, self.path, &self.value, "a whole number");
        };
        let fitting = number.as_i64().and_then(|is| i32::try_from(is).ok());
        if fitting.is_none() {
            faults.add(self.path, format!("is {number}: use a whole number"));
        }
        fitting
    }

    pub fn decimal(self, range: RangeInclusive<f64>, faults: &mut Faults) -> Option<f64> {
        let Value::Number(number) = &self.value else {
            return wrong_kind(faults, self.path, &self.value, "a number");
        };
        let fitting = number.as_f64().filter(|is| range.contains(is));
        if fitting.is_none() {
            let reason = format!("is {number}: use a number from {} to {}", range.start(), range.end());
            faults.add(self.path, reason);
        }
        fitting
    }

    /// Any text. The store cannot hold a NUL character.
    pub fn string(self, faults: &mut Faults) -> Option<String> {
        match self.value {
            Value::String(text) if text.contains('\0') => {
                faults.add(self.path, "holds a NUL character: remove it");
                None
            }
            Value::String(text) => Some(text),
            other => wrong_kind(faults, self.path, &other, "a text"),
        }
    }

    /// A text that says something in at most `chars_max` characters.
    pub fn text(self, chars_max: usize, faults: &mut Faults) -> Option<String> {
        let path = self.path.clone();
        let text = self.string(faults)?;
        let is = text.chars().count();
        if text.trim().is_empty() {
            faults.add(path, "is empty: fill it in");
        } else if is > chars_max {
            faults.add(path, format!("has {is} characters: at most {chars_max} are taken"));
        } else {
            return Some(text);
        }
        None
    }

    /// A text that `parse` understands; else its reason is the fault.
    pub fn parsed<T>(self, faults: &mut Faults, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let path = self.path.clone();
        let text = self.string(faults)?;
        parse(&text).map_err(|reason| faults.add(path, reason)).ok()
    }

    /// The name of one of `all`.
    pub fn one_of<T: Copy>(self, all: &[T], name: fn(T) -> &'static str, faults: &mut Faults) -> Option<T> {
        if let Value::String(_) = self.value {
            return self.parsed(faults, |text| named(text, all, name));
        }
        wrong_kind(faults, self.path, &self.value, &format!("one of {}", names(all, name)))
    }
}

/// The one of `all` that `text` names, or why it is none.
pub(crate) fn named<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| format!("{} is unknown: use {}", quoted(text), names(all, name)))
}

fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> String {
    let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
    names.join(", ")
}

/// Reads every entry before any is given up, so that the faults of each are found.
pub(crate) fn all_of<T>(entries: Vec<Field>, read: impl FnMut(Field) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = entries.into_iter().map(read).collect();
    read.into_iter().collect()
}

/// The beginning of a wrong value.
pub(crate) fn quoted(text: &str) -> String {
    let start: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    format!("{start:?}")
}

/// The path of a member.
pub(crate) fn below(path: &str, name: &str) -> String {
    if path == ROOT { name.to_owned() } else { format!("{path}.{name}") }
}

fn wrong_kind<T>(faults: &mut Faults, path: String, value: &Value, wanted: &str) -> Option<T> {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    faults.add(path, format!("is {is}: give {wanted}"));
    None
}
