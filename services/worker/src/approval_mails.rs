//! Mails to those who may approve: an emergency waits for a second person (docs/adr/0053-approval-mails.md).
//!
//! They pass the queue by: a campaign would have to be expanded, released and approved first, and would be in every list.
//! There are a handful, and each is sent once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use tocsin_domain::address::Email;
use tocsin_domain::policy::{REQUEST_DEADLINE, SEND_BY};
use tocsin_domain::window::Zone;
use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey, Lane};
use tocsin_providers::{Answer, RefusalClass, SendRequest, callback_url};
use tocsin_runtime::{Progress, Tasks, run_ticker};
use tocsin_store::approval_mails::{DueMail, MailEnd};
use tokio::sync::Notify;

use crate::{Worker, WorkerError};

/// Whoever is asked has half an hour.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Requests that are open at once.
const AT_ONCE: i64 = 16;
/// The first pause after a mail that was not sent; each one after is twice as long, up to the last.
const PAUSE: TimeDelta = TimeDelta::seconds(5);
const PAUSE_MAX: TimeDelta = TimeDelta::seconds(60);
/// What Mailgun's statistics sort them by.
const TAG: &str = "approval";

/// Begins to look for mails, where this worker serves email.
pub fn start(worker: &Worker, tasks: &Tasks) {
    if !worker.settings.channels.contains(&Channel::Email) {
        return;
    }
    let (worker, stopping) = (worker.clone(), tasks.stopping().clone());
    tasks.spawn("worker approval mails", async move {
        let tick = async move || tell(&worker).await;
        run_ticker("worker.approval_mails", LOOK_EVERY, &Notify::new(), &stopping, tick).await;
    });
}

/// Sends what is due.
pub async fn tell(worker: &Worker) -> Result<Progress, WorkerError> {
    let now = worker.store.now().await?;
    let mails = worker.store.take_approval_mails(&worker.registry.names(), AT_ONCE, now).await?;
    let progress = if mails.is_empty() { Progress::Idle } else { Progress::More };
    for recorded in join_all(mails.iter().map(|mail| tell_one(worker, mail))).await {
        recorded?;
    }
    Ok(progress)
}

async fn tell_one(worker: &Worker, mail: &DueMail) -> Result<(), WorkerError> {
    let end = match (worker.registry.get(&mail.account), Email::parse(&mail.address)) {
        (_, Err(_)) => MailEnd::Failed("the user's login is no email address".to_owned()),
        (None, Ok(_)) => again(mail, worker.store.now().await?, "the account is not configured here"),
        (Some(provider), Ok(address)) => {
            let answer = provider.send(&request(worker, mail, address.as_str())).await;
            ended(mail, answer, worker.store.now().await?)
        }
    };
    let (district, approval, user) = (mail.district, mail.approval, mail.user);
    match &end {
        MailEnd::Sent => {
            tracing::info!(district.id = %district, approval.id = %approval, user.id = %user, "told that an approval waits");
        }
        MailEnd::Unknown(why) | MailEnd::Failed(why) | MailEnd::Again { code: why, .. } => {
            tracing::warn!(district.id = %district, approval.id = %approval, user.id = %user, account = mail.account, why,
                "not told, or not for sure, that an approval waits");
        }
    }
    Ok(worker.store.record_approval_mail(mail, &end, worker.store.now().await?).await?)
}

/// What may have been sent is not sent again. A fault of the account is no reason to leave somebody untold.
fn ended(mail: &DueMail, answer: Answer, now: DateTime<Utc>) -> MailEnd {
    let code = |code: Option<String>| code.unwrap_or_else(|| "refused".to_owned());
    match answer {
        Answer::Accepted { .. } => MailEnd::Sent,
        Answer::Refused { class: RefusalClass::Permanent | RefusalClass::OptOut, provider_code, .. } => {
            MailEnd::Failed(code(provider_code))
        }
        Answer::Refused { provider_code, .. }
        | Answer::RefusedTogether { provider_code }
        | Answer::Throttled { provider_code, .. } => again(mail, now, &code(provider_code)),
        Answer::NotStarted => again(mail, now, "no place for the request"),
        Answer::NotSent { why } => again(mail, now, &why),
        Answer::Lost { why } => MailEnd::Unknown(why),
    }
}

fn again(mail: &DueMail, now: DateTime<Utc>, why: &str) -> MailEnd {
    let doubled = u32::try_from(mail.tries.clamp(1, 8) - 1).unwrap_or_default();
    let pause = (PAUSE * 2_i32.pow(doubled)).min(PAUSE_MAX);
    MailEnd::Again { due_at: now + pause, code: why.to_owned() }
}

fn request(worker: &Worker, mail: &DueMail, address: &str) -> SendRequest {
    // No job has it: what providers report of it is kept as a report without an attempt.
    let job = JobKey { campaign: CampaignId(mail.approval), job: mail.ordinal };
    let attempt = AttemptKey { job, number: mail.tries };
    let token = worker.settings.token_keys.mint(attempt, Lane::General);
    SendRequest {
        attempt,
        from: None,
        to: address.to_owned(),
        extension: None,
        language: None,
        subject: Some(format!("Waits for your approval: {}", mail.subject)),
        body: body(mail),
        files: Default::default(),
        audio_url: None,
        call_url: None,
        confirm: false,
        unsubscribe_url: None,
        tag: Some(TAG.to_owned()),
        detection: None,
        callback_url: callback_url(&worker.settings.public_url, &mail.account, &token),
        valid_for: VALID_FOR,
        start_within: SEND_BY,
        deadline: REQUEST_DEADLINE,
    }
}

/// An approval lasts half an hour, and a mail after that would only mislead.
const VALID_FOR: Duration = Duration::from_secs(30 * 60);

fn body(mail: &DueMail) -> String {
    let zone = mail.zone.unwrap_or(Zone::UTC);
    let until = mail.expires_at.with_timezone(&zone).format("%H:%M");
    let way = match &mail.page_url {
        Some(url) => format!("Look at it and decide here:\n{url}\n"),
        None => "Sign in to Tocsin and open Approvals to look at it and decide.\n".to_owned(),
    };
    format!(
        "{asked_by} asks for a second person. An emergency to the whole district waits: nobody gets it before somebody who \
         may send emergencies has said yes.\n\nTitle: {subject}\nUntil: {until} ({zone})\n\n{way}",
        asked_by = mail.asked_by,
        subject = mail.subject,
        zone = zone.name(),
    )
}
