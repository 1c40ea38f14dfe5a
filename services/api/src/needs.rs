//! What a route needs of whoever asks. The table that says it of each is in `routes.rs`.

use axum::RequestExt as _;
use axum::extract::{RawPathParams, Request};
use tocsin_domain::rights::{Actor, Outlook, Right};
use tocsin_domain::{CampaignId, CampaignState, SeriesId};
use tocsin_store::{StoreError, Tenant};
use uuid::Uuid;

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
    /// To see it, and to edit it while it is scheduled: one's own, or others' (requirement 30).
    Edit,
    /// To see the series whose `{id}` is in the path. An active one is scheduled, one that is over is not.
    Series,
    /// To see it, and to edit it.
    EditSeries,
    /// To see it, and to cancel it.
    CancelSeries,
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
    UnseenSeries,
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
            Denial::UnseenSeries => Self::unknown_series(),
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
            Self::Message
            | Self::Cancel
            | Self::Edit
            | Self::Series
            | Self::EditSeries
            | Self::CancelSeries => vec![SEES],
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
            Self::Edit => seen(tenant, actor, request, Then::Edit).await,
            Self::Series => seen_series(tenant, actor, request, Then::Look).await,
            Self::EditSeries => seen_series(tenant, actor, request, Then::Edit).await,
            Self::CancelSeries => seen_series(tenant, actor, request, Then::Cancel).await,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Look,
    Edit,
    Cancel,
}

impl Then {
    /// May it be done with everybody's?
    fn with_all(self, actor: &Actor) -> bool {
        let may = match self {
            Self::Look => true,
            Self::Edit => actor.may(Right::EditAllScheduled),
            Self::Cancel => actor.may(Right::CancelAll),
        };
        may && actor.outlook() == Outlook::All
    }

    fn with(self, actor: &Actor, creator: Option<Uuid>, state: CampaignState) -> Result<(), Denial> {
        match self {
            Self::Look => Ok(()),
            Self::Edit => actor.may_edit(creator).map_err(Denial::Missing),
            Self::Cancel => actor.may_cancel(creator, state).map_err(Denial::Missing),
        }
    }
}

/// The message of the path, by who made it. Whoever may do it with every message costs no question: whether there is
/// one of that id is the handler's.
async fn seen(tenant: &Tenant, actor: &Actor, request: &mut Request, then: Then) -> Result<(), Denial> {
    if then.with_all(actor) {
        return Ok(());
    }
    let Some(id) = path_id(request).await else { return Ok(()) };
    let id: CampaignId = id.parse().map_err(|_| Denial::Unseen)?;
    let (creator, state) = tenant.made_by(id).await?.ok_or(Denial::Unseen)?;
    if !actor.sees(creator, state) {
        return Err(Denial::Unseen);
    }
    then.with(actor, creator, state)
}

/// The same of a series.
async fn seen_series(
    tenant: &Tenant,
    actor: &Actor,
    request: &mut Request,
    then: Then,
) -> Result<(), Denial> {
    if then.with_all(actor) {
        return Ok(());
    }
    let Some(id) = path_id(request).await else { return Ok(()) };
    let id: SeriesId = id.parse().map_err(|_| Denial::UnseenSeries)?;
    let (creator, active) = tenant.series_made_by(id).await?.ok_or(Denial::UnseenSeries)?;
    let state = state_of_series(active);
    if !actor.sees(creator, state) {
        return Err(Denial::UnseenSeries);
    }
    then.with(actor, creator, state)
}

/// In which state a message is that is seen, edited and canceled as a series is.
fn state_of_series(active: bool) -> CampaignState {
    if active { CampaignState::Scheduled } else { CampaignState::Sent }
}

/// Does the actor see that series? For what is no route's own.
pub(crate) async fn sees_series(tenant: &Tenant, id: SeriesId) -> Result<bool, Problem> {
    let Some(actor) = tenant.actor() else { return Ok(false) };
    let made = tenant.series_made_by(id).await?;
    Ok(made.is_some_and(|(creator, active)| actor.sees(creator, state_of_series(active))))
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

/// May the actor make a message of `before` one of `after`? What stays of its type may be edited by whoever may edit
/// everybody's; else it is sent as of today.
pub(crate) fn may_edit_to(tenant: &Tenant, before: &str, after: &str) -> Result<(), Problem> {
    if before == after && tenant.may(Right::EditAllScheduled) {
        return Ok(());
    }
    may_send(tenant, after)
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
