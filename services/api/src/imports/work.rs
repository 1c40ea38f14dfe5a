//! Reading, comparing and applying a delivery, beside the requests that ask for it: a large district takes longer than a
//! request may.

use chrono::NaiveDate;
use serde_json::{Value, json};
use tocsin_roster::{ReadOptions, Roster, RosterError, write_problems};
use tocsin_store::{StoreError, Tenant};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::directory_of;
use crate::server::Api;

/// A delivery is held in memory while it is worked on: one at a time.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// Why nothing will become of a delivery.
struct Refused {
    reason: String,
    roster: Option<Box<Roster>>,
}

enum Failed {
    Refused(Refused),
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RosterError> for Failed {
    fn from(error: RosterError) -> Self {
        Self::Refused(Refused { reason: told(&error), roster: None })
    }
}

/// Reads the zip and says what it would change.
pub(super) fn compare(api: &Api, tenant: &Tenant, id: Uuid, zip: Vec<u8>, strict: bool) {
    let (api, tenant) = (api.clone(), tenant.clone());
    let tasks = api.tasks.clone();
    tasks.spawn("compare a delivery", async move {
        let Ok(_turn) = ONE_AT_A_TIME.acquire().await else { return };
        let compared = compared(&api, &tenant, id, zip, strict).await;
        settle(&tenant, id, compared).await;
    });
}

/// Applies what waits, as it was compared.
pub(super) fn apply(api: &Api, tenant: &Tenant, id: Uuid, actor: String) {
    let (api, tenant) = (api.clone(), tenant.clone());
    let tasks = api.tasks.clone();
    tasks.spawn("apply a delivery", async move {
        let Ok(_turn) = ONE_AT_A_TIME.acquire().await else { return };
        let applied = applied(&api, &tenant, id, &actor).await;
        settle(&tenant, id, applied).await;
    });
}

async fn compared(api: &Api, tenant: &Tenant, id: Uuid, zip: Vec<u8>, strict: bool) -> Result<(), Failed> {
    let roster = read(api, tenant, zip).await?;
    let refusal = if strict && roster.counts.errors > 0 {
        Some(format!(
            "{} rows have faults and the delivery is strict: mend them, or send it without strict",
            roster.counts.errors
        ))
    } else if roster.empties_the_district() {
        let reason = "users.csv is bulk and holds nobody, which would make everybody inactive: deliver it whole, or as delta";
        Some(reason.to_owned())
    } else {
        None
    };
    if let Some(reason) = refusal {
        return Err(Failed::Refused(Refused { reason, roster: Some(Box::new(roster)) }));
    }
    let preview = tenant.compare_import(&directory_of(&roster)).await?;
    let mut summary = files_of(&roster);
    if let Some(members) = summary.as_object_mut() {
        members.insert("tables".to_owned(), json!(preview.report));
        members.insert("samples".to_owned(), json!(preview.samples));
    }
    let problems = problems_of(&roster);
    tenant.import_compared(id, &summary, &problems, preview.directory_version).await?;
    Ok(())
}

async fn applied(api: &Api, tenant: &Tenant, id: Uuid, actor: &str) -> Result<(), Failed> {
    let gone = || {
        Failed::Refused(Refused {
            reason: "the delivery is not there any more: send it again".to_owned(),
            roster: None,
        })
    };
    let zip = tenant.import_zip(id).await?.ok_or_else(gone)?;
    let version = tenant.compared_version(id).await?.ok_or_else(gone)?;
    let roster = read(api, tenant, zip).await?;
    let now = api.clock.now();
    match tenant.apply_import(id, &directory_of(&roster), version, actor, now).await {
        Ok(preview) => {
            tracing::info!(import.id = %id, changes = preview.report.changes(), "delivery applied");
            Ok(())
        }
        Err(StoreError::DirectoryMoved) => {
            let reason = "the directory changed before its turn came, and nothing was applied: send the delivery again";
            Err(Failed::Refused(Refused { reason: reason.to_owned(), roster: None }))
        }
        Err(error) => Err(error.into()),
    }
}

/// On a thread of its own, as the work is blocking.
async fn read(api: &Api, tenant: &Tenant, zip: Vec<u8>) -> Result<Roster, Failed> {
    let today = today(api, tenant).await?;
    let options = ReadOptions { default_region: tenant.default_region().await?, today: Some(today) };
    let read = tokio::task::spawn_blocking(move || tocsin_roster::read_zip(zip, &options)).await;
    let broken = || {
        Failed::Refused(Refused {
            reason: "the delivery could not be read by a fault of ours".to_owned(),
            roster: None,
        })
    };
    Ok(read.map_err(|_| broken())??)
}

/// The district's local date; UTC's where the district has no zone.
async fn today(api: &Api, tenant: &Tenant) -> Result<NaiveDate, StoreError> {
    let now = api.clock.now();
    Ok(match tenant.time_zone().await? {
        Some(zone) => now.with_timezone(&zone).date_naive(),
        None => now.date_naive(),
    })
}

async fn settle(tenant: &Tenant, id: Uuid, came_to: Result<(), Failed>) {
    let refused = match came_to {
        Ok(()) => return,
        Err(Failed::Refused(refused)) => refused,
        Err(Failed::Store(error)) => {
            tracing::error!(import.id = %id, %error, "delivery not worked on");
            Refused {
                reason: "the store failed, and nothing was applied: send the delivery again".to_owned(),
                roster: None,
            }
        }
    };
    let summary = refused.roster.as_deref().map(files_of);
    let problems = refused.roster.as_deref().map(problems_of);
    let kept = tenant.refuse_import(id, &refused.reason, summary.as_ref(), problems.as_deref()).await;
    if let Err(error) = kept {
        // It is shown as broken off after a while.
        tracing::error!(import.id = %id, %error, "delivery not marked as refused");
    }
}

fn files_of(roster: &Roster) -> Value {
    json!({
        "version": roster.version,
        "files": roster.files,
        "errors": roster.counts.errors,
        "warnings": roster.counts.warnings,
    })
}

fn problems_of(roster: &Roster) -> String {
    let mut csv = Vec::new();
    // Writing to memory does not fail, and what is written is text.
    let _ = write_problems(&roster.problems, &mut csv);
    String::from_utf8(csv).unwrap_or_default()
}

/// The fault with its causes.
fn told(error: &RosterError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!(" ({source})"));
        cause = source.source();
    }
    text
}
