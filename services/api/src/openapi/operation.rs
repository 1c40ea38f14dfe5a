//! An endpoint: a route of the REST API with what the document says of it. What an operation gives stands in its
//! handler's type, so that the two cannot part; what it takes is read member by member and so has a shape of its own.

use axum::handler::Handler;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::answers::{Answering, Told};
use crate::needs::Needs;
use crate::problem::Kind;
use crate::routes::{self, Route};
use crate::server::Api;

/// The schema of a type, by a name that other schemas refer to, or whole.
pub(crate) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// One line of the REST API's table.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub route: Route,
    pub operation: Operation,
    pub gives: fn(&mut SchemaGenerator) -> Told,
}

/// What the types do not tell. It stands beside the handler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub id: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
    pub body: Body,
    /// A body that is taken, as JSON; empty: none is shown.
    pub example: &'static str,
    pub query: Option<Shape>,
    pub keyed: Keyed,
    /// Statuses of success, and what each says; none: 200.
    pub answers: &'static [(u16, &'static str)],
    /// Media types of the file that it gives.
    pub files: &'static [&'static str],
    /// Problems of its own. Those that follow from its key, query, body and path come by themselves.
    pub refuses: &'static [Kind],
}

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body {
    Nothing,
    Json(Shape),
    JsonOrNothing(Shape),
    /// A file of one of these media types, in place of JSON.
    File(&'static [&'static str]),
}

/// Is there an `Idempotency-Key`?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyed {
    Yes,
    No,
}

impl Operation {
    pub const fn new(id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            description: "",
            body: Body::Nothing,
            example: "",
            query: None,
            keyed: Keyed::No,
            answers: &[],
            files: &[],
            refuses: &[],
        }
    }

    pub const fn telling(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    pub const fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Body::Json(named::<T>), ..self }
    }

    pub const fn may_take<T: JsonSchema>(self) -> Self {
        Self { body: Body::JsonOrNothing(named::<T>), ..self }
    }

    pub const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    pub const fn takes_file(self, media_types: &'static [&'static str]) -> Self {
        Self { body: Body::File(media_types), ..self }
    }

    /// The parameters of its query, as members of a shape.
    pub const fn asks<T: JsonSchema>(self) -> Self {
        Self { query: Some(whole::<T>), ..self }
    }

    pub const fn keyed(self) -> Self {
        Self { keyed: Keyed::Yes, ..self }
    }

    pub const fn answers(self, answers: &'static [(u16, &'static str)]) -> Self {
        Self { answers, ..self }
    }

    pub const fn gives_file(self, files: &'static [&'static str]) -> Self {
        Self { files, ..self }
    }

    pub const fn refuses(self, refuses: &'static [Kind]) -> Self {
        Self { refuses, ..self }
    }
}

fn named<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn whole<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

macro_rules! endpoints {
    ($($name:ident)*) => {
        $(pub(crate) fn $name<H, T>(
            path: &'static str,
            needs: Needs,
            handler: H,
            operation: Operation,
        ) -> Endpoint
        where
            H: Handler<T, Api> + Answering<T>,
            T: 'static,
        {
            let gives = <H as Answering<T>>::told;
            Endpoint { route: routes::$name(path, needs, handler), operation, gives }
        })*
    };
}

endpoints! { get post put patch delete }
