//! What a gateway's API looks like: a file in TOML that an account names.
//!
//! It is checked as a whole at start: every fault is told with its key and its remedy, and nothing that can be known
//! then is found while sending.

mod reader;
mod reports;
mod request;
mod sections;

use std::collections::BTreeMap;

use tocsin_domain::suppression::AddressFact;
use tocsin_domain::{Channel, Outcome};

pub use reader::ProfileFault;
pub(super) use reader::{Faults, Section, normal};
pub(super) use reports::{ReportPointers, Reports};
pub(super) use request::{Body, Node, RequestTemplate};

use super::answer::{HttpMeanings, Meaning};
use super::document::{Format, Pointer};
use super::signature::SignedWith;
use super::template::Field;

/// Profiles that come with Tocsin, by the names that accounts know them under.
const SHIPPED: [(&str, &str); 1] = [("call-codes", include_str!("../../../profiles/call-codes.toml"))];

/// How the account is shown with each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authentication {
    Basic,
    Bearer,
    /// By a header or parameter of the profile's, or not at all.
    None,
}

#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub channels: Vec<Channel>,
    pub authentication: Authentication,
    pub send: Send,
    /// The gateway's words and codes, normalised.
    pub statuses: BTreeMap<String, Outcome>,
    /// Of these, what some tell of the address itself.
    pub addresses: BTreeMap<String, AddressFact>,
    pub callback: Option<Callback>,
    pub recall: Option<Recall>,
    pub look_up: Option<LookUp>,
    pub inbound: Option<Inbound>,
}

#[derive(Debug, Clone)]
pub(super) struct Send {
    pub request: RequestTemplate,
    pub id: Option<Pointer>,
    pub status: Option<Pointer>,
    /// Where a refusal has its code.
    pub code: Option<Pointer>,
    pub http: HttpMeanings,
    /// Of codes, before the HTTP status is asked.
    pub errors: BTreeMap<String, Meaning>,
}

#[derive(Debug, Clone)]
pub(super) struct Callback {
    pub format: Format,
    pub reports: Reports,
    pub verify: SignedWith,
}

#[derive(Debug, Clone)]
pub(super) struct Recall {
    pub request: RequestTemplate,
    /// None: a success says that it was stopped.
    pub status: Option<Pointer>,
}

#[derive(Debug, Clone)]
pub(super) struct LookUp {
    pub request: RequestTemplate,
    pub reports: Reports,
}

/// Texts to our numbers, which come as callbacks do.
#[derive(Debug, Clone)]
pub(super) struct Inbound {
    pub format: Format,
    pub id: Pointer,
    pub from: Pointer,
    pub text: Pointer,
    /// Is the body of our answer texted back?
    pub answer_is_texted: bool,
}

impl Profile {
    /// The text of the profile that an account names: one that comes with Tocsin, or a file.
    pub fn source(name: &str) -> std::io::Result<String> {
        match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            Some((_, text)) => Ok((*text).to_owned()),
            None => std::fs::read_to_string(name),
        }
    }

    /// Every fault of a profile, or none.
    pub fn parse(text: &str) -> Result<Self, Vec<ProfileFault>> {
        let mut faults = Faults::default();
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
                let fault = error.message().replace('\n', ", ");
                faults.add(format!("line {line}"), fault, "mend the TOML there");
                return faults.or(None);
            }
        };
        let read = sections::read(Section::root(table), &mut faults);
        faults.or(read)
    }

    /// The outcome of one of the gateway's words; None: nobody has mapped it.
    pub fn outcome(&self, word: &str) -> Option<Outcome> {
        self.statuses.get(&normal(word)).copied()
    }

    pub fn names(&self, field: Field) -> bool {
        let recall = self.recall.iter().map(|recall| &recall.request);
        let look_up = self.look_up.iter().map(|look_up| &look_up.request);
        [&self.send.request].into_iter().chain(recall).chain(look_up).any(|request| request.names(field))
    }
}
