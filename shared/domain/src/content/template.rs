//! Merge fields: `{{ field }}`, or `{{ field | fallback text }}` for recipients without that field.
//!
//! Nothing else is special. A single brace is itself, and a value is never read as a template.

use std::collections::BTreeMap;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// Why a text is no template. Positions count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    #[error("the {{{{ at character {position} is never closed: end the field with }}}}")]
    Unclosed { position: usize },
    #[error("the }}}} at character {position} closes nothing: begin the field with {{{{")]
    Unopened { position: usize },
    #[error("the field at character {position} has no name")]
    Unnamed { position: usize },
    #[error(
        "the field at character {position} is named {name:?}: use lower-case letters, digits and underscores"
    )]
    BadName { position: usize, name: String },
}

/// A recipient has no value for a field that has no fallback.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value for the merge field {0:?}, and it has no fallback: write {{{{ {0} | … }}}}")]
pub struct MissingField(pub String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Missing(#[from] MissingField),
}

/// A text that was read once and is rendered for many recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template<'a> {
    pieces: Vec<Piece<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Field { name: &'a str, fallback: Option<&'a str> },
}

impl<'a> Template<'a> {
    pub fn parse(text: &'a str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        loop {
            let at = |rest: &str| text[..text.len() - rest.len()].chars().count() + 1;
            let (before, field_on) = match rest.split_once(OPEN) {
                Some((before, after)) => (before, Some(after)),
                None => (rest, None),
            };
            if let Some(stray) = before.find(CLOSE) {
                return Err(TemplateError::Unopened { position: at(&rest[stray..]) });
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before));
            }
            let Some(field_on) = field_on else { return Ok(Self { pieces }) };
            let position = at(&rest[before.len()..]);
            let (field, after) = field_on.split_once(CLOSE).ok_or(TemplateError::Unclosed { position })?;
            if field.contains(OPEN) {
                return Err(TemplateError::Unclosed { position });
            }
            pieces.push(read_field(field, position)?);
            rest = after;
        }
    }

    /// The fields' names, each once, in order of their first use.
    pub fn fields(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        for piece in &self.pieces {
            if let Piece::Field { name, .. } = piece
                && !names.contains(name)
            {
                names.push(*name);
            }
        }
        names
    }

    /// Fills in `values`. A blank value is as none: "Dear ," helps nobody.
    pub fn render(&self, values: &BTreeMap<String, String>) -> Result<String, MissingField> {
        let mut rendered = String::new();
        for piece in &self.pieces {
            rendered.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Field { name, fallback } => values
                    .get(*name)
                    .map(|value| value.trim())
                    .filter(|value| !value.is_empty())
                    .or(*fallback)
                    .ok_or_else(|| MissingField((*name).to_owned()))?,
            });
        }
        Ok(rendered)
    }
}

fn read_field(field: &str, position: usize) -> Result<Piece<'_>, TemplateError> {
    let (name, fallback) = match field.split_once('|') {
        Some((name, fallback)) => (name.trim(), Some(fallback.trim())),
        None => (field.trim(), None),
    };
    if name.is_empty() {
        return Err(TemplateError::Unnamed { position });
    }
    if !name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
        return Err(TemplateError::BadName { position, name: name.to_owned() });
    }
    Ok(Piece::Field { name, fallback })
}

/// The names of the merge fields of `template`, each once.
pub fn fields(template: &str) -> Result<Vec<String>, TemplateError> {
    Ok(Template::parse(template)?.fields().into_iter().map(str::to_owned).collect())
}

/// Renders `template` once. For many recipients, parse a [`Template`] and render that.
pub fn render(template: &str, values: &BTreeMap<String, String>) -> Result<String, RenderError> {
    Ok(Template::parse(template)?.render(values)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn fields_are_filled_in_or_fall_back() {
        let ana = values(&[("given_name", " Ana "), ("grade", ""), ("student_name", "{{ grade }}")]);
        let cases = [
            ("No field.", "No field."),
            ("", ""),
            ("Dear {{ given_name }},", "Dear Ana,"),
            ("{{given_name}}{{  given_name\n}}", "AnaAna"),
            ("{{ given_name | parent }}", "Ana"),
            ("{{ family_name | parent or guardian }}", "parent or guardian"),
            ("{{ family_name | }}!", "!"),
            ("{{ family_name | a | b }}", "a | b"),
            ("Grade {{ grade | – }}", "Grade –"),
            ("A { single } brace", "A { single } brace"),
            ("{{ student_name }}", "{{ grade }}"),
            ("¡Año {{ given_name }}!", "¡Año Ana!"),
        ];
        for (template, expected) in cases {
            assert_eq!(render(template, &ana).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn a_field_without_value_and_fallback_is_named() {
        for template in ["{{ grade }}", "{{ given_name | x }} {{ grade }}"] {
            let fault = render(template, &values(&[("grade", "  ")])).unwrap_err();
            assert_eq!(fault, RenderError::Missing(MissingField("grade".into())));
            assert!(fault.to_string().contains("{{ grade | … }}"), "{fault}");
        }
    }

    #[test]
    fn broken_templates_are_named_with_their_position() {
        let bad_name = |position, name: &str| TemplateError::BadName { position, name: name.to_owned() };
        let cases = [
            ("{{ a", TemplateError::Unclosed { position: 1 }),
            ("ñ {{ a }", TemplateError::Unclosed { position: 3 }),
            ("{{ a {{ b }}", TemplateError::Unclosed { position: 1 }),
            ("{{ a }} }}", TemplateError::Unopened { position: 9 }),
            ("a }} {{ b }}", TemplateError::Unopened { position: 3 }),
            ("{{}}", TemplateError::Unnamed { position: 1 }),
            ("x{{ | fallback }}", TemplateError::Unnamed { position: 2 }),
            ("{{ given name }}", bad_name(1, "given name")),
            ("{{ Grade }}", bad_name(1, "Grade")),
        ];
        for (template, fault) in cases {
            assert_eq!(Template::parse(template), Err(fault.clone()), "{template}");
            assert_eq!(fields(template), Err(fault));
        }
        let shown = TemplateError::Unclosed { position: 3 }.to_string();
        assert_eq!(shown, "the {{ at character 3 is never closed: end the field with }}");
    }

    #[test]
    fn fields_are_listed_once_in_order() {
        assert_eq!(fields("{{ b }} {{ a | x }} {{ b | y }}").unwrap(), ["b", "a"]);
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_rendered(text in "[{}| a\n]{0,24}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert!(template.render(&values(&[("a", "1"), ("aa", "2"), ("aaa", "3")])).is_ok()
                    || template.fields().iter().any(|name| name.len() > 3));
            }
        }

        #[test]
        fn text_without_braces_is_itself(text in "[^{}]{0,40}") {
            let rendered = render(&text, &BTreeMap::new());
            prop_assert_eq!(rendered.as_deref(), Ok(text.as_str()));
        }
    }
}
