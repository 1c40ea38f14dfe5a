//! What the api may do: every statement in the tenant's role, with one district set.

pub mod accounts;
pub mod approvals;
pub mod attachments;
pub mod audience;
pub mod audit;
pub mod campaigns;
pub mod cancel;
pub mod communications;
pub mod consents;
pub mod directory;
pub mod forecast;
pub mod imports;
pub mod inbox;
pub mod keys;
pub mod limits;
pub mod matching;
pub mod messages;
pub mod plot;
pub mod policies;
pub mod progress;
pub mod receipt;
pub mod recipients;
pub mod refresh;
pub mod report;
pub mod roles;
pub mod schools;
pub mod sending;
pub mod series;
pub mod sessions;
pub mod suppressions;
pub mod templates;
pub mod unsubscribes;
pub mod upcoming;
pub mod users;
pub mod visitor;
pub mod webhooks;
pub mod why;

use std::sync::Arc;

use tocsin_domain::DistrictId;
use tocsin_domain::rights::{Actor, Outlook, Right};
use tocsin_domain::trace::Context;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{Store, StoreError};

/// One district's view of the store, and for whom it is looked at.
#[derive(Debug, Clone)]
pub struct Tenant {
    store: Store,
    district: DistrictId,
    actor: Option<Arc<Actor>>,
    /// Of the request that is served, for what it makes.
    trace: Option<Context>,
}

/// Who does what nobody is named for: an operator at the command line.
const OPERATOR: &str = "operator";

impl Store {
    pub fn tenant(&self, district: DistrictId) -> Tenant {
        Tenant { store: self.clone(), district, actor: None, trace: None }
    }
}

impl Tenant {
    pub fn district(&self) -> DistrictId {
        self.district
    }

    /// The same for `actor`: what is made and audited from now on is theirs.
    #[must_use]
    pub fn acting_as(self, actor: Arc<Actor>) -> Self {
        Self { actor: Some(actor), ..self }
    }

    /// The same within a request's trace: campaigns that are made from now on lead to it.
    #[must_use]
    pub fn within(self, trace: Option<Context>) -> Self {
        Self { trace, ..self }
    }

    /// None: whoever looks is no caller of the api.
    pub fn actor(&self) -> Option<&Actor> {
        self.actor.as_deref()
    }

    /// Nobody in particular may do nothing.
    pub fn may(&self, right: Right) -> bool {
        self.actor.as_ref().is_some_and(|actor| actor.may(right))
    }

    /// Under which name the audit keeps what is done.
    pub fn acts_as(&self) -> &str {
        self.actor.as_ref().map_or(OPERATOR, |actor| &actor.name)
    }

    /// What a transaction for the actor begins with. Ids are UUIDs, a trace is hexadecimal: nothing to quote.
    pub(crate) fn enter(&self) -> String {
        let mut enter = format!(
            "set local role tocsin_app; select set_config('tocsin.district', '{}', true), \
             set_config('tocsin.actor', '{}', true)",
            self.district,
            self.me().map(|id| id.to_string()).unwrap_or_default()
        );
        if let Some(trace) = &self.trace {
            enter.push_str(&format!(", set_config('tocsin.traceparent', '{trace}', true)"));
        }
        enter
    }

    /// The user or key whose messages are "my messages"; None: those that nobody signed in for.
    pub(crate) fn me(&self) -> Option<Uuid> {
        self.actor.as_ref().and_then(|actor| actor.id)
    }

    /// Whose messages lists show. Who is no caller of the api looks at all of them.
    pub(crate) fn outlook(&self) -> Outlook {
        self.actor().map_or(Outlook::All, Actor::outlook)
    }

    /// Runs one statement in a transaction of its own, as `tocsin_app` with the district set. All of it is sent at
    /// once: with the first poll, so that a caller who goes away leaves no transaction open. After a statement that
    /// failed the commit rolls back.
    pub(crate) async fn rows(
        &self,
        statement: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let client = self.store.client().await?;
        let prepared = client.prepare_cached(sql).await.map_err(StoreError::statement(statement))?;
        let enter = format!("begin; {}", self.enter());
        let (entered, rows, committed) = futures::join!(
            client.batch_execute(&enter),
            client.query(&prepared, parameters),
            client.batch_execute("commit")
        );
        entered.and(rows).and_then(|rows| committed.map(|()| rows)).map_err(StoreError::statement(statement))
    }

    /// A page of a list of the district's in the order of two columns: its statement takes the district, what it goes on
    /// after and how many rows at most.
    async fn page<T>(
        &self,
        statement: &'static str,
        sql: &str,
        after: [&(dyn ToSql + Sync); 2],
        rows_max: u32,
        read: impl Fn(&tokio_postgres::Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let [first, second] = after;
        let rows =
            self.rows(statement, sql, &[&self.district.0, first, second, &i64::from(rows_max)]).await?;
        rows.iter().map(read).collect()
    }
}

fn to_json<T: serde::Serialize>(statement: &'static str, value: &T) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(value).map_err(|fault| StoreError::Unreadable {
        statement,
        what: "a value that is no JSON",
        value: fault.to_string(),
    })
}
