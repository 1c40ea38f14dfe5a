//! Shapes that requests share: texts of a length, times of day, names out of a list.
//!
//! The body of a request is read member by member, so that one answer names all its faults. What is read so has no type of
//! its own that serde knows; shapes say what it may be, with the limits that its reader has. A member that is not required
//! may be null, which is as if it were left out. tests/api/openapi.rs holds their names to what the readers know.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use tocsin_domain::MessageType;
use tocsin_domain::policy::Machines;
use tocsin_domain::rights::Right;

/// A text that says something, in at most so many characters.
#[allow(dead_code, reason = "nothing has it but the schema")]
pub(crate) struct Text<const CHARS_MAX: usize>;

impl<const CHARS_MAX: usize> JsonSchema for Text<CHARS_MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("Text<{CHARS_MAX}>").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": CHARS_MAX, "pattern": r"\S" })
    }
}

macro_rules! shapes {
    ($($(#[doc = $doc:literal])* $name:ident = $schema:expr;)*) => {
        $($(#[doc = $doc])*
        #[allow(dead_code, reason = "nothing has it but the schema")]
        pub(crate) struct $name;

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::Schema::try_from($schema).unwrap_or_default()
            }
        })*
    };
}

pub(crate) use shapes;

/// One of these.
pub(crate) fn words(words: impl IntoIterator<Item = &'static str>) -> Value {
    json!({ "type": "string", "enum": words.into_iter().collect::<Vec<_>>() })
}

shapes! {
    EmailText = json!({ "type": "string", "minLength": 3, "maxLength": 254, "format": "email" });
    MessageTypeName = words(MessageType::ALL.map(MessageType::as_str));
    RightName = words(Right::ALL.iter().map(|right| right.as_str()));
    MachinesName = words(Machines::ALL.map(Machines::as_str));
    /// A day without its time.
    Day = json!({ "type": "string", "format": "date", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" });
    /// A time of a day.
    Clock = json!({ "type": "string", "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]$" });
    /// The same, with the end of the day.
    ClockOrMidnight = json!({ "type": "string", "pattern": r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$" });
    /// An https address.
    HttpsAddress = json!({ "type": "string", "format": "uri", "pattern": "^https://" });
}

/// The shape of `T` without some members.
pub(crate) struct Varied(Schema);

impl Varied {
    pub fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Self {
        Self(T::json_schema(generator))
    }

    pub fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            if let Some(properties) = self.0.get_mut("properties").and_then(Value::as_object_mut) {
                properties.remove(*name);
            }
        }
        self.optional(names)
    }

    /// What may be left out is required no more, and may be null.
    pub fn optional(mut self, names: &[&str]) -> Self {
        self.require(|required| required.retain(|known| !names.iter().any(|name| known == name)));
        let properties = self.0.get_mut("properties").and_then(Value::as_object_mut);
        for (name, property) in properties.into_iter().flatten() {
            if names.contains(&name.as_str()) {
                nullable(property);
            }
        }
        self
    }

    /// Nothing is required.
    pub fn partial(mut self) -> Self {
        self.require(Vec::clear);
        self.0.remove("anyOf");
        let properties = self.0.get_mut("properties").and_then(Value::as_object_mut);
        for property in properties.into_iter().flat_map(|properties| properties.values_mut()) {
            nullable(property);
        }
        self
    }

    /// With all members of `T`, too.
    pub fn with<T: JsonSchema>(mut self, generator: &mut SchemaGenerator) -> Schema {
        let own = T::json_schema(generator);
        let members = own.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(properties) = self.0.get_mut("properties").and_then(Value::as_object_mut) {
            properties.extend(members);
        }
        let needed = own.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        self.require(|required| required.extend(needed));
        if let Some(description) = own.get("description") {
            self.0.insert("description".to_owned(), description.clone());
        }
        self.0
    }

    fn require(&mut self, change: impl FnOnce(&mut Vec<Value>)) {
        let mut required =
            self.0.remove("required").and_then(|it| it.as_array().cloned()).unwrap_or_default();
        change(&mut required);
        if !required.is_empty() {
            self.0.insert("required".to_owned(), Value::Array(required));
        }
    }
}

/// Null is taken for what is left out.
fn nullable(property: &mut Value) {
    let allows = |value: &Value| match value {
        Value::String(kind) => kind == "null",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "null"),
        _ => false,
    };
    match property.get("type") {
        Some(kind) if allows(kind) => {}
        Some(Value::String(kind)) => {
            let kinds = json!([kind, "null"]);
            property["type"] = kinds;
            if let Some(words) = property.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
        }
        _ if property.get("anyOf").is_some() => {}
        _ => *property = json!({ "anyOf": [property.take(), { "type": "null" }] }),
    }
}

/// A request, or the parameters of a query: nothing has its members but the schema.
macro_rules! shape {
    ($($item:tt)*) => {
        #[derive(schemars::JsonSchema)]
        #[allow(dead_code, reason = "tells what is read member by member")]
        #[schemars(deny_unknown_fields)]
        $($item)*
    };
}

pub(crate) use shape;

/// A request that is another one's, varied.
macro_rules! varied {
    ($name:ident, $schema:expr) => {
        #[allow(dead_code, reason = "nothing has it but the schema")]
        pub(crate) struct $name;

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema = $schema;
                schema(generator)
            }
        }
    };
}

pub(crate) use varied;
