//! What rows of lists have in common: calendars, delivery modes, and whose they are.

use std::collections::HashMap;

use tocsin_domain::audience::Audience;
use tocsin_domain::{Channel, MessageType};
use tocsin_store::tenant::schools::School;
use tocsin_store::{StoreError, Tenant};

use super::words;

/// The schools of the district by their source ids, to choose from and to name.
#[derive(Debug)]
pub(crate) struct Schools {
    pub all: Vec<School>,
    names: HashMap<String, String>,
}

/// One of several to choose from.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub value: String,
    pub name: String,
    pub chosen: bool,
}

/// Whose messages a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Mine,
    All,
}

impl Whose {
    pub const BOTH: [Self; 2] = [Self::Mine, Self::All];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mine => "mine",
            Self::All => "all",
        }
    }
}

impl Schools {
    pub async fn read(tenant: &Tenant) -> Result<Self, StoreError> {
        let all = tenant.active_schools().await?;
        let names = all.iter().map(|school| (school.source_id.clone(), school.name.clone())).collect();
        Ok(Self { all, names })
    }

    pub fn choices(&self, chosen: &[&str]) -> Vec<Choice> {
        let choice = |school: &School| Choice {
            value: school.source_id.clone(),
            name: school.name.clone(),
            chosen: chosen.contains(&school.source_id.as_str()),
        };
        self.all.iter().map(choice).collect()
    }

    /// The calendars of an audience in words.
    pub fn of_audience(&self, audience: &Audience) -> String {
        self.named(audience.by_schools())
    }

    /// As [`Audience::by_schools`] has them.
    pub fn named(&self, schools: Option<&[String]>) -> String {
        let Some(schools) = schools else { return "Chosen people".to_owned() };
        if schools.is_empty() {
            return "All schools".to_owned();
        }
        let names: Vec<&str> =
            schools.iter().map(|id| self.names.get(id).map_or(id.as_str(), String::as_str)).collect();
        names.join(", ")
    }
}

pub(crate) fn modes(channels: &[Channel]) -> Vec<&'static str> {
    channels.iter().map(|channel| words::channel(*channel)).collect()
}

/// Those that the actor may send, and the one that is chosen (requirement 178).
pub(crate) fn message_types_of(tenant: &Tenant, chosen: &str) -> Vec<Choice> {
    let sends = |name: &str| tenant.actor().is_some_and(|actor| actor.grant.may_send(name).is_ok());
    message_types(chosen).into_iter().filter(|kind| kind.chosen || sends(&kind.value)).collect()
}

pub(crate) fn message_types(chosen: &str) -> Vec<Choice> {
    let choice = |kind: MessageType| Choice {
        value: kind.as_str().to_owned(),
        name: words::message_type(kind.as_str()),
        chosen: kind.as_str() == chosen,
    };
    MessageType::ALL.map(choice).into()
}
