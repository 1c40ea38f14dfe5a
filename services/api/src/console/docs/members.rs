//! Schemas in words: what a member or a parameter may be.

use serde_json::Value;

/// A member of an object, or a parameter.
pub(super) struct Member {
    pub name: String,
    /// Where a parameter stands; empty of a member.
    pub place: String,
    pub required: bool,
    pub kind: Type,
    pub description: Prose,
}

/// Text with names in it that stand between backticks.
pub(super) type Prose = Vec<Piece>;

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Words(String),
    Code(String),
}

/// What a value may be: words, and the schema that they lead to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Type {
    /// Such as `list of`.
    pub before: String,
    /// The name of a schema.
    pub link: Option<String>,
    pub limits: String,
    /// The words that it is one of.
    pub words: Vec<String>,
}

impl Member {
    pub fn of_parameter(parameter: &Value) -> Self {
        Self {
            name: text(&parameter["name"]),
            place: text(&parameter["in"]),
            required: parameter["required"] == true,
            kind: type_of(&parameter["schema"]),
            description: prose(&parameter["description"]),
        }
    }
}

/// The members of an object: those that are required first.
pub(super) fn members(schema: &Value) -> Vec<Member> {
    let required: Vec<&str> = strings(&schema["required"]).collect();
    let of = |(name, schema): (&String, &Value)| Member {
        name: name.clone(),
        place: String::new(),
        required: required.contains(&name.as_str()),
        kind: type_of(schema),
        description: prose(&schema["description"]),
    };
    let mut members: Vec<Member> = schema["properties"].as_object().into_iter().flatten().map(of).collect();
    members.sort_by_key(|member| !member.required);
    members
}

pub(super) fn type_of(schema: &Value) -> Type {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return Type { link: Some(name.to_owned()), ..Type::default() };
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let real: Vec<&Value> = choices.iter().filter(|choice| choice["type"] != "null").collect();
        let orders_only =
            real.iter().all(|choice| choice.get("required").is_some() || choice.get("format").is_some());
        if let ([only], false) = (real.as_slice(), orders_only) {
            let nullable = real.len() < choices.len();
            let kind = type_of(only);
            return if nullable { kind.or_null() } else { kind };
        }
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        // Names with what each means.
        let words = choices.iter().flat_map(|choice| {
            let one = choice["const"].as_str().into_iter();
            one.chain(strings(&choice["enum"])).map(str::to_owned).collect::<Vec<_>>()
        });
        return Type { before: "text".to_owned(), words: words.collect(), ..Type::default() };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        several => strings(several).collect(),
    };
    let kind = match kinds.iter().find(|kind| **kind != "null") {
        Some(&"array") => type_of(&schema["items"]).after("list of "),
        Some(&"object") => object(schema),
        Some(&"string") => Type {
            before: "text".to_owned(),
            limits: limits(schema),
            words: strings(&schema["enum"]).map(str::to_owned).collect(),
            ..Type::default()
        },
        Some(&"integer") => {
            Type { before: "whole number".to_owned(), limits: limits(schema), ..Type::default() }
        }
        Some(&"number") => Type { before: "number".to_owned(), limits: limits(schema), ..Type::default() },
        Some(&"boolean") => Type { before: "true or false".to_owned(), ..Type::default() },
        Some(other) => Type { before: (*other).to_owned(), ..Type::default() },
        None => Type { before: "anything".to_owned(), ..Type::default() },
    };
    if kinds.contains(&"null") { kind.or_null() } else { kind }
}

/// An object whose members have names of their own is told of by what they hold.
fn object(schema: &Value) -> Type {
    let first = schema["properties"].as_object().and_then(|members| members.values().next());
    match schema.get("additionalProperties").filter(|it| it.is_object()).or(first) {
        Some(held) => type_of(held).after("object of "),
        None => Type { before: "object".to_owned(), ..Type::default() },
    }
}

fn limits(schema: &Value) -> String {
    let between = |least: &str, most: &str| match (number(&schema[least]), number(&schema[most])) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("{least} or more")),
        (None, Some(most)) => Some(format!("up to {most}")),
        (None, None) => None,
    };
    let length = between("minLength", "maxLength").map(|range| format!("{range} characters"));
    let format = schema["format"].as_str().filter(|format| {
        !format.starts_with(['i', 'u', 'd']) || matches!(*format, "uuid" | "uri" | "date" | "date-time")
    });
    let parts: Vec<String> =
        [format.map(str::to_owned), length, between("minimum", "maximum")].into_iter().flatten().collect();
    parts.join(", ")
}

/// Limits that only say how a number is kept are left out.
fn number(value: &Value) -> Option<String> {
    let number = value.as_number()?;
    let kept = [i32::MAX.into(), i32::MIN.into(), i64::from(i16::MIN), i64::from(i16::MAX)];
    (!number.as_i64().is_some_and(|number| kept.contains(&number))).then(|| number.to_string())
}

impl Type {
    fn after(self, words: &str) -> Self {
        Self { before: format!("{words}{}", self.before), ..self }
    }

    fn or_null(self) -> Self {
        let limits = match self.limits.as_str() {
            "" => "or null".to_owned(),
            limits => format!("{limits}; or null"),
        };
        Self { limits, ..self }
    }
}

fn strings(array: &Value) -> impl Iterator<Item = &str> {
    array.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// What stands between backticks is every second piece.
pub(super) fn prose(value: &Value) -> Prose {
    let pieces = value.as_str().unwrap_or_default().split('`').enumerate();
    let piece = |(at, text): (usize, &str)| match at % 2 {
        0 => Piece::Words(text.to_owned()),
        _ => Piece::Code(text.to_owned()),
    };
    pieces.map(piece).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_between_backticks_are_set_apart() {
        let words = |text: &str| Piece::Words(text.to_owned());
        let code = |text: &str| Piece::Code(text.to_owned());
        assert_eq!(prose(&json!("Needs `send`.")), [words("Needs "), code("send"), words(".")]);
        assert_eq!(prose(&json!("Plain")), [words("Plain")]);
    }

    #[test]
    fn a_schema_is_told_in_words() {
        let say = |schema: Value| {
            let Type { before, link, limits, words } = type_of(&schema);
            let link = link.map(|link| format!("<{link}>")).unwrap_or_default();
            let words = words.join("|");
            format!("{before}{link} {limits} {words}").split_whitespace().collect::<Vec<_>>().join(" ")
        };
        for (schema, words) in [
            (json!({"type": "string", "minLength": 1, "maxLength": 9}), "text 1 to 9 characters"),
            (json!({"type": ["string", "null"], "format": "date-time"}), "text date-time; or null"),
            (
                json!({"type": "array", "items": {"$ref": "#/components/schemas/Channel"}}),
                "list of <Channel>",
            ),
            (json!({"anyOf": [{"$ref": "#/x/Lane"}, {"type": "null"}]}), "<Lane> or null"),
            (json!({"type": "string", "enum": ["a", "b"]}), "text a|b"),
            (json!({"oneOf": [{"const": "a"}, {"enum": ["b"]}]}), "text a|b"),
            (
                json!({"type": "integer", "format": "uint32", "minimum": 1, "maximum": 10}),
                "whole number 1 to 10",
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "integer"}}),
                "object of whole number",
            ),
            (json!(true), "anything"),
        ] {
            assert_eq!(say(schema.clone()), words, "{schema}");
        }
    }
}
