//! What a handler's type tells of its answers.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::problem::Problem;

/// What comes with a success.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Of its JSON; None: it has no body, or is a file.
    pub body: Option<Schema>,
    /// Of the JSON that comes with 202, where that is another thing's.
    pub waiting: Option<Schema>,
    pub place: Place,
}

/// Does the header `Location` say where the thing is?
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    #[default]
    Untold,
    InHeader,
}

/// A thing that was made, or begun, with where it is.
#[derive(Debug)]
pub(crate) struct Placed<T> {
    pub status: StatusCode,
    pub location: String,
    pub view: T,
}

impl<T: Serialize> IntoResponse for Placed<T> {
    fn into_response(self) -> Response {
        (self.status, [(LOCATION, self.location)], Json(self.view)).into_response()
    }
}

/// What is not made yet, with where it waits.
#[derive(Debug)]
pub(crate) struct Waiting<W> {
    pub location: String,
    pub view: W,
}

/// A thing that was made, or with 202 another that waits in its place.
#[derive(Debug)]
pub(crate) enum PlacedOrWaits<T, W> {
    Made(Box<Placed<T>>),
    Waits(Waiting<W>),
}

impl<T: Serialize, W: Serialize> IntoResponse for PlacedOrWaits<T, W> {
    fn into_response(self) -> Response {
        match self {
            Self::Made(placed) => placed.into_response(),
            Self::Waits(Waiting { location, view }) => {
                Placed { status: StatusCode::ACCEPTED, location, view }.into_response()
            }
        }
    }
}

/// What may be answered with.
pub(crate) trait Answer {
    fn told(generator: &mut SchemaGenerator) -> Told;
}

impl<T: Answer> Answer for Result<T, Problem> {
    fn told(generator: &mut SchemaGenerator) -> Told {
        T::told(generator)
    }
}

impl<T: JsonSchema> Answer for Json<T> {
    fn told(generator: &mut SchemaGenerator) -> Told {
        Told { body: Some(generator.subschema_for::<T>()), ..Told::default() }
    }
}

impl<T: JsonSchema> Answer for Placed<T> {
    fn told(generator: &mut SchemaGenerator) -> Told {
        Told { body: Some(generator.subschema_for::<T>()), place: Place::InHeader, waiting: None }
    }
}

impl<T: JsonSchema, W: JsonSchema> Answer for PlacedOrWaits<T, W> {
    fn told(generator: &mut SchemaGenerator) -> Told {
        Told { waiting: Some(generator.subschema_for::<W>()), ..Placed::<T>::told(generator) }
    }
}

impl<T: Answer> Answer for (StatusCode, T) {
    fn told(generator: &mut SchemaGenerator) -> Told {
        T::told(generator)
    }
}

impl Answer for StatusCode {
    fn told(_: &mut SchemaGenerator) -> Told {
        Told::default()
    }
}

/// A file.
impl Answer for Response {
    fn told(_: &mut SchemaGenerator) -> Told {
        Told::default()
    }
}

/// A handler whose type says what it answers with. `T` are its arguments, as axum's `Handler` has them.
pub(crate) trait Answering<T> {
    fn told(generator: &mut SchemaGenerator) -> Told;
}

impl<F, Answered, Given> Answering<((),)> for F
where
    F: FnOnce() -> Answered,
    Answered: Future<Output = Given>,
    Given: Answer,
{
    fn told(generator: &mut SchemaGenerator) -> Told {
        Given::told(generator)
    }
}

macro_rules! answering {
    ($(($($argument:ident)+))*) => {
        $(impl<F, Answered, Given, M, $($argument),+> Answering<(M, $($argument,)+)> for F
        where
            F: FnOnce($($argument),+) -> Answered,
            Answered: Future<Output = Given>,
            Given: Answer,
        {
            fn told(generator: &mut SchemaGenerator) -> Told {
                Given::told(generator)
            }
        })*
    };
}

answering! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) (A B C D E G H) }
