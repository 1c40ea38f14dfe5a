//! Texts with `{field}`s: what a profile writes into requests.
//!
//! Strict substitution and no template language: a profile has no conditions or loops to get wrong, an unknown field
//! is found at start, and values are escaped by what they are put into (a JSON or form serialiser, percent-encoding),
//! never by the profile.

use std::borrow::Cow;

/// What a template may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Channel,
    To,
    ToDigits,
    From,
    FromDigits,
    Body,
    Subject,
    Extension,
    Language,
    CallbackUrl,
    Token,
    Attempt,
    ValidForSeconds,
    Id,
    User,
    Secret,
    // Of each file of a mail.
    FileName,
    FileType,
    FileBase64,
    // What callbacks are signed over.
    Url,
    Timestamp,
}

impl Field {
    /// What there is once for each file, within a list of files only.
    pub const OF_FILE: [Self; 3] = [Self::FileName, Self::FileType, Self::FileBase64];

    const ALL: [Self; 21] = [
        Self::Channel,
        Self::To,
        Self::ToDigits,
        Self::From,
        Self::FromDigits,
        Self::Body,
        Self::Subject,
        Self::Extension,
        Self::Language,
        Self::CallbackUrl,
        Self::Token,
        Self::Attempt,
        Self::ValidForSeconds,
        Self::Id,
        Self::User,
        Self::Secret,
        Self::FileName,
        Self::FileType,
        Self::FileBase64,
        Self::Url,
        Self::Timestamp,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::To => "to",
            Self::ToDigits => "to_digits",
            Self::From => "from",
            Self::FromDigits => "from_digits",
            Self::Body => "body",
            Self::Subject => "subject",
            Self::Extension => "extension",
            Self::Language => "language",
            Self::CallbackUrl => "callback_url",
            Self::Token => "token",
            Self::Attempt => "attempt",
            Self::ValidForSeconds => "valid_for_seconds",
            Self::Id => "id",
            Self::User => "user",
            Self::Secret => "secret",
            Self::FileName => "file_name",
            Self::FileType => "file_type",
            Self::FileBase64 => "file_base64",
            Self::Url => "url",
            Self::Timestamp => "timestamp",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Field(Field),
}

/// A text with fields in it. `{{` and `}}` stand for the braces themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

/// The value of a field; None: this message has none.
pub(super) type Lookup<'a> = dyn Fn(Field) -> Option<Cow<'a, str>> + 'a;

impl Template {
    /// With the fields of `allowed` alone. The error says what is wrong and what to do.
    pub fn parse(text: &str, allowed: &[Field]) -> Result<Self, (String, String)> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = rest.split_once('}').filter(|_| brace == "{") else {
                let fault = format!("has a {brace} without its other half");
                return Err((fault, "write {{ or }} where a brace itself is meant".to_owned()));
            };
            let field = field(name, allowed)?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Field(field));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    pub fn each(&self, take: impl FnMut(&Part)) {
        self.0.iter().for_each(take);
    }

    /// The field that is all of it.
    pub fn only_field(&self) -> Option<Field> {
        match self.0.as_slice() {
            [Part::Field(field)] => Some(*field),
            _ => None,
        }
    }

    pub fn fields(&self) -> impl Iterator<Item = Field> {
        self.0.iter().filter_map(|part| match part {
            Part::Field(field) => Some(*field),
            Part::Text(_) => None,
        })
    }

    pub fn names(&self, field: Field) -> bool {
        self.fields().any(|named| named == field)
    }

    /// With each value as `put` writes it. What a message does not have is left empty.
    pub fn render(&self, values: &Lookup<'_>, put: impl Fn(&str, &mut String)) -> String {
        let mut text = String::new();
        self.each(|part| match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Field(field) => put(&values(*field).unwrap_or_default(), &mut text),
        });
        text
    }

    /// With the values as they are: for what is escaped as a whole afterwards, or not at all.
    pub fn plain(&self, values: &Lookup<'_>) -> String {
        self.render(values, |value, text| text.push_str(value))
    }
}

fn field(name: &str, allowed: &[Field]) -> Result<Field, (String, String)> {
    let remedy = || {
        let names: Vec<String> = allowed.iter().map(|field| format!("{{{}}}", field.as_str())).collect();
        format!("use {}", names.join(", "))
    };
    let Some(field) = Field::ALL.into_iter().find(|field| field.as_str() == name) else {
        return Err((format!("names the unknown field {name:?}"), remedy()));
    };
    if !allowed.contains(&field) {
        return Err((format!("names {{{name}}}, which there is not here"), remedy()));
    }
    Ok(field)
}

/// Everything but what RFC 3986 leaves unreserved is encoded, so that a value stays one part of a path or query.
pub(super) fn percent_encoded(value: &str, text: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: [Field; 3] = [Field::To, Field::Body, Field::Extension];

    fn values(field: Field) -> Option<Cow<'static, str>> {
        match field {
            Field::To => Some("+1 5/?#&=é".into()),
            Field::Body => Some("{to}".into()),
            _ => None,
        }
    }

    #[test]
    fn fields_are_put_in_once_and_braces_are_doubled() {
        let table = [
            ("", ""),
            ("plain", "plain"),
            ("a {body} b {extension}c", "a {to} b c"),
            ("{{to}} is {body}", "{to} is {to}"),
            ("{{{body}}}", "{{to}}"),
        ];
        for (text, expected) in table {
            assert_eq!(Template::parse(text, &ALLOWED).unwrap().plain(&values), expected, "{text}");
        }
    }

    #[test]
    fn a_value_in_a_path_stays_one_part_of_it() {
        let template = Template::parse("/calls/{to}?x={to}", &ALLOWED).unwrap();
        let encoded = "%2B1%205%2F%3F%23%26%3D%C3%A9";
        assert_eq!(template.render(&values, percent_encoded), format!("/calls/{encoded}?x={encoded}"));
    }

    #[test]
    fn what_is_no_template_is_told_with_its_remedy() {
        let table = [
            ("{", "has a { without its other half", "{{"),
            ("a}b", "has a } without its other half", "{{"),
            ("{to", "has a { without its other half", "{{"),
            ("{too}", "names the unknown field \"too\"", "{to}, {body}, {extension}"),
            ("{ to }", "names the unknown field \" to \"", "{to}"),
            ("{secret}", "names {secret}, which there is not here", "{to}"),
        ];
        for (text, expected, remedy) in table {
            let (fault, advice) = Template::parse(text, &ALLOWED).unwrap_err();
            assert_eq!(fault, expected, "{text}");
            assert!(advice.contains(remedy), "{advice}");
        }
    }
}
