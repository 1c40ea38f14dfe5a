//! Mails to those who may approve: what they say, and what is done about each answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::{Channel, Outcome};
use tocsin_providers::{
    Answer, CallbackReport, Capabilities, LookUpAnswer, LookUpQuery, ParseError, Provider, RawRequest,
    RecallAnswer, RefusalClass, Registry, SendRequest, VerifyError, Whose,
};
use tocsin_queue::MemoryBroker;
use tocsin_store::tenant::approvals::{NewApproval, NewsOfApproval, Told};
use tocsin_testkit::fixture::account_name;
use tocsin_worker::approval_mails::tell;
use uuid::Uuid;

use crate::stage::Stage;

/// Gives its answers in turn, then takes everything.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<Vec<Answer>>,
    sent: Mutex<Vec<SendRequest>>,
}

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { recall: false, look_up: false, batch_max: 1 }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        self.sent.lock().unwrap().push(request.clone());
        let next = self.answers.lock().unwrap().pop();
        next.unwrap_or(Answer::Accepted { provider_id: None, outcome: None })
    }

    async fn recall(&self, _provider_id: &str) -> RecallAnswer {
        RecallAnswer::Unsupported
    }

    async fn look_up(&self, _query: &LookUpQuery) -> LookUpAnswer {
        LookUpAnswer::Unsupported
    }

    fn verify(&self, _raw: &RawRequest, _now: DateTime<Utc>) -> Result<(), VerifyError> {
        Ok(())
    }

    fn parse(&self, _raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
        Ok(Vec::new())
    }

    fn redact(&self, _raw: &RawRequest) -> String {
        String::new()
    }
}

async fn stage_with(logins: &[&str]) -> Stage {
    let stage = Stage::new(Arc::new(MemoryBroker::new())).await;
    for login in logins {
        let sql = "insert into users (district_id, id, login, display_name, password_hash, roles, created_at, created_by,
                     changed_at, changed_by, password_changed_at)
                   values ($1, gen_random_uuid(), $2, 'x', 'x', '{administrator}', now(), 'a', now(), 'a', now())";
        stage.client.execute(sql, &[&stage.fixture.district().0, login]).await.unwrap();
    }
    stage
}

async fn ask(stage: &Stage, page_url: Option<&str>) -> Uuid {
    let store = stage.fixture.store();
    let now = store.now().await.unwrap();
    let new = NewApproval {
        id: Uuid::now_v7(),
        client_key: Uuid::now_v7().to_string(),
        request_hash: vec![0; 32],
        request: Default::default(),
        subject: "Lockdown at all schools".to_owned(),
        asked_by: "Ana Lee".to_owned(),
        asked_at: now,
        expires_at: now + TimeDelta::minutes(30),
        event: NewsOfApproval { id: Uuid::now_v7(), event: "approval.requested", body: "{}".to_owned() },
        page_url: page_url.map(str::to_owned),
        approving_roles: vec!["administrator"],
    };
    store.tenant(stage.fixture.district()).ask_approval(&new).await.unwrap().id
}

async fn told(stage: &Stage, id: Uuid) -> Told {
    stage.fixture.store().tenant(stage.fixture.district()).approval_told(id).await.unwrap()
}

fn over(provider: &Arc<Scripted>) -> Registry {
    let provider: Arc<dyn Provider> = Arc::clone(provider) as Arc<dyn Provider>;
    Registry::from_iter([(account_name(Channel::Email), provider)])
}

#[tokio::test]
async fn the_mail_says_who_asks_for_what_and_where_to_decide_and_comes_once() {
    let stage = stage_with(&["ben@example.org", "no address"]).await;
    let url = "https://tocsin.example.org/approvals/7";
    let id = ask(&stage, Some(url)).await;
    let provider = Arc::new(Scripted::default());
    let worker = stage.worker_of(Channel::Email, over(&provider));
    let (one, other) = (tell(&worker), tell(&worker));
    let (one, other) = tokio::join!(one, other);
    one.and(other).unwrap();
    tell(&worker).await.unwrap();
    let sent = provider.sent.lock().unwrap().clone();
    let [mail] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((mail.to.as_str(), mail.attempt.job.campaign.0), ("ben@example.org", id));
    assert_eq!(mail.subject.as_deref(), Some("Waits for your approval: Lockdown at all schools"));
    for said in
        ["Ana Lee asks for a second person", "Title: Lockdown at all schools", url, "(America/Chicago)"]
    {
        assert!(mail.body.contains(said), "no {said} in {}", mail.body);
    }
    assert!(mail.unsubscribe_url.is_none() && mail.files.is_empty());
    assert!(mail.valid_for <= Duration::from_secs(1800));
    // One who has no address is not forgotten silently.
    assert_eq!(told(&stage, id).await, Told { sent: 1, waiting: 0, failed: 1 });

    ask(&stage, None).await;
    tell(&worker).await.unwrap();
    let last = provider.sent.lock().unwrap().last().unwrap().clone();
    assert!(last.body.contains("Sign in to Tocsin and open Approvals"), "{}", last.body);
}

/// Whatever the provider does, the request stands, and what may have been sent is not sent again.
#[tokio::test]
async fn an_answer_that_leaves_no_doubt_is_tried_again_and_no_other() {
    let refused = |class| Answer::Refused {
        outcome: Outcome::ProviderRejected,
        provider_code: Some("550".to_owned()),
        class,
    };
    let whose = Whose::Account;
    let why = || "the connection broke".to_owned();
    let once = Told { sent: 0, waiting: 0, failed: 1 };
    let again = Told { sent: 0, waiting: 1, failed: 0 };
    let table = [
        (Answer::Accepted { provider_id: None, outcome: None }, Told { sent: 1, waiting: 0, failed: 0 }),
        (refused(RefusalClass::Permanent), once),
        (refused(RefusalClass::OptOut), once),
        (Answer::Lost { why: why() }, once),
        (refused(RefusalClass::Configuration), again),
        (refused(RefusalClass::Sender), again),
        (Answer::Throttled { provider_code: None, retry_after: None, whose }, again),
        (Answer::NotStarted, again),
        (Answer::NotSent { why: why() }, again),
    ];
    let stage = stage_with(&["ben@example.org"]).await;
    for (answer, expected) in table {
        let id = ask(&stage, None).await;
        let provider =
            Arc::new(Scripted { answers: Mutex::new(vec![answer.clone()]), ..Scripted::default() });
        let worker = stage.worker_of(Channel::Email, over(&provider));
        tell(&worker).await.unwrap();
        assert_eq!(told(&stage, id).await, expected, "{answer:?}");
        let waits =
            "select count(*) from approvals where id = $1 and decision is null and expires_at > now()";
        assert_eq!(stage.client.query_one(waits, &[&id]).await.unwrap().get::<_, i64>(0), 1, "{answer:?}");
        // Not at once, and then it comes.
        tell(&worker).await.unwrap();
        assert_eq!(provider.sent.lock().unwrap().len(), 1, "{answer:?}");
        let due = "update approval_mails set due_at = now() where approval_id = $1";
        stage.client.execute(due, &[&id]).await.unwrap();
        tell(&worker).await.unwrap();
        let tries = if expected == again { 2 } else { 1 };
        assert_eq!(provider.sent.lock().unwrap().len(), tries, "{answer:?}");
        assert_eq!(told(&stage, id).await.waiting, 0, "{answer:?}");
    }
}

/// A worker looks by itself, and only one that serves email does.
#[tokio::test]
async fn a_worker_of_email_tells_by_itself() {
    let stage = stage_with(&["ben@example.org"]).await;
    ask(&stage, None).await;
    let provider = Arc::new(Scripted::default());
    let others = Arc::new(Scripted::default());
    stage.worker_of(Channel::Inbox, over(&others)).start(&stage.tasks);
    stage.worker_of(Channel::Email, over(&provider)).start(&stage.tasks);
    stage.reaches("select count(*) from approval_mails where state = 3", 1).await.unwrap();
    assert_eq!((provider.sent.lock().unwrap().len(), others.sent.lock().unwrap().len()), (1, 0));
}
