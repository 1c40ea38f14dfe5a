//! A request as a profile describes it.

use reqwest::Method;
use reqwest::header::HeaderName;
use toml::Value;

use super::reader::{Faults, Section, word, wrong_type};
use crate::gateway::template::{Field, Template};

/// Headers hold no line breaks and little but ASCII: what people write and are called by does not go there.
const HEADER_FIELDS: [Field; 6] =
    [Field::User, Field::Secret, Field::Token, Field::Attempt, Field::CallbackUrl, Field::Id];

#[derive(Debug, Clone)]
pub(in crate::gateway) struct RequestTemplate {
    pub method: Method,
    /// Path and query, behind the account's `base_url`.
    pub path: Template,
    pub headers: Vec<(HeaderName, Template)>,
    pub body: Body,
}

#[derive(Debug, Clone)]
pub(in crate::gateway) enum Body {
    None,
    Json(Node),
    /// Each parameter with its value; a list repeats it.
    Form(Vec<(String, Node)>),
}

/// A value of a body. A text whose only field a message does not have is left out with its key.
#[derive(Debug, Clone)]
pub(in crate::gateway) enum Node {
    Text(Template),
    Fixed(serde_json::Value),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
    /// A list with one entry for each file of the mail; left out where it has none.
    Files(Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Json,
    Form,
}

impl RequestTemplate {
    /// `allowed` are the fields that there are for this request.
    pub fn read(section: &mut Section, allowed: &[Field], faults: &mut Faults) -> Option<Self> {
        let methods = [
            ("GET", Method::GET),
            ("POST", Method::POST),
            ("PUT", Method::PUT),
            ("PATCH", Method::PATCH),
            ("DELETE", Method::DELETE),
        ];
        let method = section.parsed("method", faults, |text| {
            let numbered: Vec<_> = methods.iter().map(|(name, _)| *name).zip(0..).collect();
            word(text, &numbered).map(|at: usize| methods[at].1.clone())
        });
        let remedy = "set it to the path behind the account's base_url, as /v1/calls";
        let plain: Vec<Field> =
            allowed.iter().copied().filter(|field| !Field::OF_FILE.contains(field)).collect();
        let path = section.required("path", remedy, faults, |text| path(text, &plain));
        let encoding = section.one_of(
            "encoding",
            &[("json", Encoding::Json), ("form", Encoding::Form)],
            Encoding::Json,
            faults,
        );
        let headers = headers(section, allowed, faults);
        let body = body(section, encoding, allowed, faults);
        Some(Self { method: method.unwrap_or(Method::POST), path: path?, headers, body })
    }

    /// Is there a place for a mail's files?
    pub fn carries_files(&self) -> bool {
        self.names(Field::FileBase64)
    }

    pub fn names(&self, field: Field) -> bool {
        self.path.names(field)
            || self.headers.iter().any(|(_, value)| value.names(field))
            || match &self.body {
                Body::None => false,
                Body::Json(node) => node.names(field),
                Body::Form(parameters) => parameters.iter().any(|(_, node)| node.names(field)),
            }
    }
}

impl Node {
    fn names(&self, field: Field) -> bool {
        match self {
            Self::Text(text) => text.names(field),
            Self::Fixed(_) => false,
            Self::List(nodes) => nodes.iter().any(|node| node.names(field)),
            Self::Object(members) => members.iter().any(|(_, node)| node.names(field)),
            Self::Files(node) => node.names(field),
        }
    }

    fn names_a_file(&self) -> bool {
        Field::OF_FILE.into_iter().any(|field| self.names(field))
    }

    /// Outside a list of files there is no file whose name or bytes a text could have.
    fn has_a_file_astray(&self) -> bool {
        match self {
            Self::Files(_) | Self::Fixed(_) => false,
            Self::Text(_) => self.names_a_file(),
            Self::List(nodes) => nodes.iter().any(Self::has_a_file_astray),
            Self::Object(members) => members.iter().any(|(_, node)| node.has_a_file_astray()),
        }
    }
}

fn path(text: &str, allowed: &[Field]) -> Result<Template, (String, String)> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\';
    if !text.starts_with('/') || text.starts_with("//") || !text.bytes().all(plain) {
        let remedy = "begin it with one slash and write what is no plain character as %20".to_owned();
        return Err((format!("{text:?} is no path"), remedy));
    }
    Template::parse(text, allowed)
}

fn headers(section: &mut Section, allowed: &[Field], faults: &mut Faults) -> Vec<(HeaderName, Template)> {
    let path = section.key("headers");
    let fields: Vec<Field> = HEADER_FIELDS.into_iter().filter(|field| allowed.contains(field)).collect();
    let Some(value) = section.take("headers") else { return Vec::new() };
    let Value::Table(table) = value else {
        return wrong_type(faults, path, &value, "a table").unwrap_or_default();
    };
    let mut headers = Vec::with_capacity(table.len());
    for (name, value) in table {
        let key = format!("{path}.{name}");
        let Value::String(text) = value else {
            wrong_type::<()>(faults, key, &value, "a text in quotes");
            continue;
        };
        let Ok(header) = HeaderName::try_from(&name) else {
            faults.add(key, "is no name of a header", "use letters, digits and hyphens");
            continue;
        };
        if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
            faults.add(key, "holds a character that no header can have", "use plain ASCII");
            continue;
        }
        if let Some(template) = faults.keep(&key, Template::parse(&text, &fields)) {
            headers.push((header, template));
        }
    }
    headers
}

fn body(section: &mut Section, encoding: Encoding, allowed: &[Field], faults: &mut Faults) -> Body {
    let key = section.key("body");
    let Some(value) = section.take("body") else { return Body::None };
    if !matches!(value, Value::Table(_)) {
        wrong_type::<()>(faults, key, &value, "a table of what is sent");
        return Body::None;
    }
    let node = node(&key, value, allowed, faults);
    if node.has_a_file_astray() {
        let remedy = "put {file_name}, {file_type} and {file_base64} into a list of one table, which is repeated for each file";
        faults.add(&key, "names a file outside a list of files", remedy);
    }
    match (encoding, node) {
        (Encoding::Json, node) => Body::Json(node),
        (Encoding::Form, Node::Object(members)) => {
            for (name, node) in &members {
                let flat = |node: &Node| matches!(node, Node::Text(_) | Node::Fixed(_));
                let fits = match node {
                    Node::List(nodes) => nodes.iter().all(flat),
                    node => flat(node),
                };
                if !fits {
                    let remedy = "give a text, a number or a list of these, or set encoding to json";
                    faults.add(format!("{key}.{name}"), "does not fit a form", remedy);
                }
            }
            Body::Form(members)
        }
        (Encoding::Form, _) => Body::None,
    }
}

fn node(key: &str, value: Value, allowed: &[Field], faults: &mut Faults) -> Node {
    match value {
        Value::String(text) => match faults.keep(key, Template::parse(&text, allowed)) {
            Some(template) => Node::Text(template),
            None => Node::Fixed(serde_json::Value::Null),
        },
        Value::Integer(number) => Node::Fixed(number.into()),
        Value::Float(number) => Node::Fixed(number.into()),
        Value::Boolean(value) => Node::Fixed(value.into()),
        Value::Datetime(at) => Node::Fixed(at.to_string().into()),
        Value::Array(values) => {
            let entry = |(at, value)| node(&format!("{key}[{at}]"), value, allowed, faults);
            let nodes = values.into_iter().enumerate().map(entry).collect();
            list(key, nodes, faults)
        }
        Value::Table(table) => Node::Object(
            table
                .into_iter()
                .map(|(name, value)| {
                    let node = node(&format!("{key}.{name}"), value, allowed, faults);
                    (name, node)
                })
                .collect(),
        ),
    }
}

/// A list whose only entry names a file has one for each file.
fn list(key: &str, mut nodes: Vec<Node>, faults: &mut Faults) -> Node {
    let of_files = nodes.first().is_some_and(Node::names_a_file);
    if nodes.len() != 1 || !of_files {
        return Node::List(nodes);
    }
    let entry = nodes.remove(0);
    if !entry.names(Field::FileBase64) {
        faults.add(key, "names a file and not its bytes", "put {file_base64} beside {file_name}");
    }
    Node::Files(Box::new(entry))
}
