//! What a route needs of whoever asks. The table that says it of each is in `routes.rs`.

use axum::RequestExt as _;
use axum::extract::{RawPathParams, Request};
use tocsin_domain::CampaignId;
use tocsin_domain::rights::{Actor, Outlook, Right};
use tocsin_store::{StoreError, Tenant};

use crate::problem::{Kind, Problem};

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nobody is asked who they are: signing in, style sheets.
    Nothing,
    /// Any caller whom we know.
    Caller,
    Right(Right),
    OneOf(&'static [Right]),
    /// To see messages, and the one whose `{id}` is in the path, if there is one: one's own, or all (requirement 46).
    Message,
    /// The same, and this right.
    MessageAnd(Right),
    /// The same, and to send: of which type is checked with the request.
    MessageAndSend,
    /// To see it, and to cancel it: one's own, or others' (decision D5).
    Cancel,
}

/// Rights of which each lets one see some messages.
const SEES: &[Right] = &[Right::OwnMessages, Right::ViewAllScheduled, Right::AllMessages];
pub(crate) const SENDS: &[Right] = &[Right::Send, Right::SendEmergency];

/// Why a caller may not go on.
#[derive(Debug)]
pub(crate) enum Denial {
    Missing(Right),
    /// Of what others made nothing is told, not even that it is there.
    Unseen,
    Store(StoreError),
}

impl From<StoreError> for Denial {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Missing(right) => Self::missing(right),
            Denial::Unseen => Self::unknown_campaign(),
            Denial::Store(error) => error.into(),
        }
    }
}

impl Needs {
    /// The rights of which one must be there whatever is asked for; empty: none.
    pub fn rights(self) -> Vec<&'static [Right]> {
        match self {
            Self::Nothing | Self::Caller => vec![],
            Self::Right(right) | Self::MessageAnd(right) => {
                let own = Right::ALL.iter().position(|known| *known == right);
                let own = own.and_then(|at| Right::ALL.get(at..=at)).unwrap_or_default();
                if matches!(self, Self::Right(_)) { vec![own] } else { vec![SEES, own] }
            }
            Self::OneOf(rights) => vec![rights],
            Self::Message | Self::Cancel => vec![SEES],
            Self::MessageAndSend => vec![SEES, SENDS],
        }
    }

    /// May `tenant`'s actor go on with this request?
    pub(crate) async fn check(self, tenant: &Tenant, request: &mut Request) -> Result<(), Denial> {
        let Some(actor) = tenant.actor() else { return Err(Denial::Unseen) };
        for rights in self.rights() {
            if !rights.iter().any(|right| actor.may(*right)) {
                return Err(Denial::Missing(rights.first().copied().unwrap_or(Right::Administration)));
            }
        }
        match self {
            Self::Nothing | Self::Caller | Self::Right(_) | Self::OneOf(_) => Ok(()),
            Self::Message | Self::MessageAnd(_) | Self::MessageAndSend => {
                seen(tenant, actor, request, Then::Look).await
            }
            Self::Cancel => seen(tenant, actor, request, Then::Cancel).await,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Look,
    Cancel,
}

/// The message of the path, by who made it. Whoever may do it with every message costs no question: whether there is
/// one of that id is the handler's.
async fn seen(tenant: &Tenant, actor: &Actor, request: &mut Request, then: Then) -> Result<(), Denial> {
    let sees_all = actor.outlook() == Outlook::All;
    if sees_all && (then == Then::Look || actor.may(Right::CancelAll)) {
        return Ok(());
    }
    let Some(id) = path_id(request).await else { return Ok(()) };
    let id: CampaignId = id.parse().map_err(|_| Denial::Unseen)?;
    let (creator, state) = tenant.made_by(id).await?.ok_or(Denial::Unseen)?;
    if !actor.sees(creator, state) {
        return Err(Denial::Unseen);
    }
    match then {
        Then::Look => Ok(()),
        Then::Cancel => actor.may_cancel(creator, state).map_err(Denial::Missing),
    }
}

/// None: the route names no message, but all.
async fn path_id(request: &mut Request) -> Option<String> {
    match request.extract_parts::<RawPathParams>().await {
        Ok(parameters) => {
            parameters.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned())
        }
        // What is no text is no id.
        Err(_) => Some(String::new()),
    }
}

/// Does the actor see that campaign? For what is no route's own message.
pub(crate) async fn sees(tenant: &Tenant, id: CampaignId) -> Result<bool, Problem> {
    let Some(actor) = tenant.actor() else { return Ok(false) };
    if actor.outlook() == Outlook::All {
        return Ok(true);
    }
    let made = tenant.made_by(id).await?;
    Ok(made.is_some_and(|(creator, state)| actor.sees(creator, state)))
}

/// May the actor send messages of that type (requirements 39, 178 and 186)?
pub(crate) fn may_send(tenant: &Tenant, message_type: &str) -> Result<(), Problem> {
    match tenant.actor() {
        None => Err(Problem::missing(Right::Send)),
        Some(actor) => actor.grant.may_send(message_type).map_err(|right| {
            let type_only = actor.may(right);
            let problem = Problem::missing(right);
            if !type_only {
                return problem;
            }
            problem.saying(format!(
                "the right {right} that you have is not for messages of the type {message_type}: ask an \
                 administrator of the district for it, or choose another type"
            ))
        }),
    }
}

/// For handlers that nothing stands before.
pub(crate) fn unnamed() -> Problem {
    tracing::error!("a route is in no table of rights: nobody may use it");
    Problem::new(Kind::Internal, "this route has a fault of ours, which was logged")
}
