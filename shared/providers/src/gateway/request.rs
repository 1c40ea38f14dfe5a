//! From a profile's request to one that can be sent.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde_json::{Map, Value};
use tocsin_domain::{AttemptKey, Channel};

use super::profile::{Body, Node, RequestTemplate};
use super::template::{Field, Lookup, Part, Template, percent_encoded};
use crate::http::{self, NoReply, Reply, Within};
use crate::{AccountClient, File, LookUpQuery, SendRequest, token_of_url};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// What every request of an account has in common.
pub(super) struct Endpoint {
    pub client: AccountClient,
    pub channel: Channel,
    /// Without the slash at its end.
    pub base_url: String,
    pub authorization: Option<HeaderValue>,
    pub user: String,
    pub secret: String,
    pub sender: String,
}

/// Why a request cannot be made of these values. The words hold none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    Path,
    Header,
}

impl Unfit {
    pub fn why(self) -> &'static str {
        match self {
            Self::Path => "a value does not fit the request's path",
            Self::Header => "a value does not fit a header of the request",
        }
    }
}

impl Endpoint {
    pub async fn exchange(&self, request: RequestBuilder, within: Within) -> Result<Reply, NoReply> {
        http::exchange(&self.client, request, within).await
    }

    pub fn request(&self, template: &RequestTemplate, values: &Lookup<'_>) -> Result<RequestBuilder, Unfit> {
        self.request_with(template, values, &[])
    }

    /// The same, with the files of a mail.
    pub fn request_with(
        &self,
        template: &RequestTemplate,
        values: &Lookup<'_>,
        files: &[File],
    ) -> Result<RequestBuilder, Unfit> {
        let values = |field| match field {
            Field::Channel => Some(Cow::Borrowed(self.channel.as_str())),
            Field::User => Some(Cow::Borrowed(self.user.as_str())),
            Field::Secret => Some(Cow::Borrowed(self.secret.as_str())),
            other => values(other),
        };
        let path = path(&template.path, &values)?;
        let url = Url::parse(&format!("{}{path}", self.base_url)).map_err(|_| Unfit::Path)?;
        let mut headers = HeaderMap::new();
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let body = match &template.body {
            Body::None => None,
            Body::Json(node) => {
                headers.insert(CONTENT_TYPE, JSON);
                Some(json(node, &values, files).unwrap_or(Value::Null).to_string())
            }
            Body::Form(parameters) => {
                headers.insert(CONTENT_TYPE, FORM);
                Some(form(parameters, &values))
            }
        };
        for (name, value) in &template.headers {
            let mut value = HeaderValue::try_from(value.plain(&values)).map_err(|_| Unfit::Header)?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        let request = self.client.http().request(template.method.clone(), url).headers(headers);
        Ok(match body {
            Some(body) => request.body(body),
            None => request,
        })
    }

    pub fn of_send<'a>(&'a self, request: &'a SendRequest) -> impl Fn(Field) -> Option<Cow<'a, str>> {
        let from = request.from.as_deref().unwrap_or(&self.sender);
        move |field| match field {
            Field::Body => Some(request.body.as_str().into()),
            Field::Subject => request.subject.as_deref().map(Cow::Borrowed),
            Field::Extension => request.extension.as_deref().map(Cow::Borrowed),
            Field::Language => request.language.as_deref().map(Cow::Borrowed),
            Field::ValidForSeconds => Some(request.valid_for.as_secs().to_string().into()),
            other => of_attempt(other, &request.to, from, &request.callback_url, &request.attempt),
        }
    }

    pub fn of_look_up<'a>(&'a self, query: &'a LookUpQuery) -> impl Fn(Field) -> Option<Cow<'a, str>> {
        let from = query.from.as_deref().unwrap_or(&self.sender);
        move |field| match field {
            Field::Id => query.provider_id.as_deref().map(Cow::Borrowed),
            other => of_attempt(other, &query.to, from, &query.callback_url, &query.attempt),
        }
    }
}

fn of_attempt<'a>(
    field: Field,
    to: &'a str,
    from: &'a str,
    callback_url: &'a str,
    attempt: &AttemptKey,
) -> Option<Cow<'a, str>> {
    Some(match field {
        Field::To => to.into(),
        Field::ToDigits => to.trim_start_matches('+').into(),
        Field::From => from.into(),
        Field::FromDigits => from.trim_start_matches('+').into(),
        Field::CallbackUrl => callback_url.into(),
        Field::Token => token_of_url(callback_url).into(),
        Field::Attempt => format!("{}-{}-{}", attempt.job.campaign, attempt.job.job, attempt.number).into(),
        _ => return None,
    })
}

/// Values come from outside: none may lead to another path, by being empty or dots.
fn path(template: &Template, values: &Lookup<'_>) -> Result<String, Unfit> {
    let (mut in_path, mut leads_elsewhere) = (true, false);
    template.each(|part| match part {
        Part::Text(text) => in_path &= !text.contains('?'),
        Part::Field(field) if in_path => {
            leads_elsewhere |= matches!(&*values(*field).unwrap_or_default(), "" | "." | "..");
        }
        Part::Field(_) => {}
    });
    if leads_elsewhere { Err(Unfit::Path) } else { Ok(template.render(values, percent_encoded)) }
}

/// None: a text whose only field this message does not have.
fn json(node: &Node, values: &Lookup<'_>, files: &[File]) -> Option<Value> {
    Some(match node {
        Node::Fixed(value) => value.clone(),
        Node::Text(template) => match template.only_field() {
            Some(Field::ValidForSeconds) => {
                values(Field::ValidForSeconds)?.parse::<u64>().map_or(Value::Null, Value::from)
            }
            Some(field) => Value::String(values(field)?.into_owned()),
            None => Value::String(template.plain(values)),
        },
        Node::List(nodes) => {
            Value::Array(nodes.iter().filter_map(|node| json(node, values, files)).collect())
        }
        Node::Object(members) => {
            let members =
                members.iter().filter_map(|(name, node)| Some((name.clone(), json(node, values, files)?)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Node::Files(_) if files.is_empty() => return None,
        Node::Files(node) => {
            let entry = |file: &File| {
                let of_file = |field| match field {
                    Field::FileName => Some(Cow::Borrowed(file.name.as_str())),
                    Field::FileType => Some(Cow::Borrowed(file.media_type.as_str())),
                    Field::FileBase64 => Some(Cow::Owned(STANDARD.encode(&file.bytes))),
                    other => values(other),
                };
                json(node, &of_file, &[])
            };
            Value::Array(files.iter().filter_map(entry).collect())
        }
    })
}

fn form(parameters: &[(String, Node)], values: &Lookup<'_>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, node) in parameters {
        let each = match node {
            Node::List(nodes) => nodes.as_slice(),
            node => std::slice::from_ref(node),
        };
        for value in each.iter().filter_map(|node| json(node, values, &[])) {
            match value {
                Value::String(text) => form.append_pair(name, &text),
                other => form.append_pair(name, &other.to_string()),
            };
        }
    }
    form.finish()
}
