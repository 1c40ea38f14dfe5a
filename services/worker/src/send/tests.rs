//! What a claimed job costs its share, what of a batch is asked for, and what becomes of one that is refused.

use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::content::Content;
use tocsin_domain::lease::Share;
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::settlement::{AttemptView, JobView};
use tocsin_domain::{
    AccountId, AttemptKey, CampaignId, DistrictId, JobKey, JobState, Lane, Outcome, WorkerId,
};
use tocsin_providers::{
    CallbackReport, Capabilities, LookUpAnswer, LookUpQuery, ParseError, Provider, RawRequest, RecallAnswer,
    RefusalClass, Registry, Secret, TokenKeys, VerifyError, VerifyFault,
};
use tocsin_queue::MemoryBroker;
use tocsin_runtime::Stopwatch;
use tocsin_store::campaigns::CampaignBrief;
use tocsin_store::claim::Granted;
use tocsin_store::leases::{Lease, LeasedHealth};
use tocsin_store::{Access, Store};
use uuid::Uuid;

use super::batch::ALONE_AFTER;
use super::*;
use crate::WorkerSettings;
use crate::cancels::Cancels;
use crate::shares::Permit;
use crate::test_clock::TestClock;

const ACCOUNT: AccountId = AccountId(1);
const NAME: &str = "account";

/// Takes down what it is asked.
#[derive(Debug, Default)]
struct Recorder {
    /// Refuses whatever is asked for together.
    refuses_together: bool,
    /// Canceled while the request for several is under way.
    meanwhile: Option<(Cancels, CampaignId)>,
    /// How long that request takes.
    milliseconds: u64,
    clock: OnceLock<Arc<TestClock>>,
    asked: Mutex<Vec<Vec<SendRequest>>>,
}

impl Recorder {
    /// By request, the addresses in it.
    fn asked(&self) -> Vec<Vec<String>> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|requests| requests.iter().map(|request| request.to.clone()).collect()).collect()
    }

    fn take_down(&self, requests: &[SendRequest]) {
        self.asked.lock().unwrap().push(requests.to_vec());
    }
}

fn accepted(request: &SendRequest) -> Answer {
    Answer::Accepted { provider_id: Some(request.to.clone()), outcome: None }
}

#[async_trait]
impl Provider for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { recall: false, look_up: false, batch_max: 3 }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        self.take_down(std::slice::from_ref(request));
        match request.to.as_str() {
            "bad" => Answer::Refused {
                outcome: Outcome::InvalidAddress,
                provider_code: None,
                class: RefusalClass::Permanent,
            },
            "no place" => Answer::NotStarted,
            _ => accepted(request),
        }
    }

    async fn send_batch(&self, requests: &[SendRequest]) -> Vec<Answer> {
        self.take_down(requests);
        if let Some((cancels, campaign)) = &self.meanwhile {
            cancels.insert(*campaign);
        }
        if let Some(clock) = self.clock.get() {
            clock.advance(self.milliseconds);
        }
        let answer = |request: &SendRequest| match self.refuses_together {
            true => Answer::RefusedTogether { provider_code: None },
            false => accepted(request),
        };
        requests.iter().map(answer).collect()
    }

    async fn recall(&self, _provider_id: &str) -> RecallAnswer {
        RecallAnswer::Unsupported
    }

    async fn look_up(&self, _query: &LookUpQuery) -> LookUpAnswer {
        LookUpAnswer::Unsupported
    }

    fn verify(&self, _raw: &RawRequest, _now: DateTime<Utc>) -> Result<(), VerifyError> {
        Err(VerifyError { fault: VerifyFault::Missing, http_status: 404 })
    }

    fn parse(&self, _raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
        Ok(Vec::new())
    }

    fn redact(&self, _raw: &RawRequest) -> String {
        String::new()
    }
}

struct Process {
    worker: Worker,
    clock: Arc<TestClock>,
    recorder: Arc<Recorder>,
}

impl Process {
    fn new(rate_per_second: Option<f64>, recorder: impl FnOnce(Cancels) -> Recorder) -> Self {
        let store = Store::open("postgres://nobody@127.0.0.1:1/none", 1, Access::Engine).unwrap();
        let settings = WorkerSettings {
            channels: vec![Channel::Sms, Channel::Email],
            prefetch: [10; 3],
            in_flight_max: 100,
            public_url: "https://bell.example.org".to_owned(),
            token_keys: TokenKeys::new(&Secret::new("key"), None),
        };
        let clock = Arc::new(TestClock::default());
        let mut worker = Worker::new(
            WorkerId(Uuid::nil()),
            store,
            Arc::new(MemoryBroker::new()),
            clock.clone(),
            Arc::default(),
            settings,
        );
        let recorder = Arc::new(recorder(worker.cancels.clone()));
        recorder.clock.set(clock.clone()).unwrap();
        let provider: Arc<dyn Provider> = recorder.clone();
        worker.registry = Arc::new(Registry::from_iter([(NAME.to_owned(), provider)]));
        worker.shares.grant(Lease {
            account: ACCOUNT,
            name: NAME.to_owned(),
            sender: None,
            share: Share { rate_per_second, burst: None, concurrency: None, general: None },
            expires_at: DateTime::UNIX_EPOCH,
            epoch: 1,
            calls: 0,
            seated: None,
            health: LeasedHealth::SOUND,
        });
        Self { worker, clock, recorder }
    }

    fn claimed(
        &self,
        campaign: u128,
        job: i32,
        channel: Channel,
        lane: Lane,
        to: &str,
        body: &str,
    ) -> Claimed {
        let campaign = CampaignId(Uuid::from_u128(campaign));
        let attempt = AttemptKey { job: JobKey { campaign, job }, number: 1 };
        let redial = RedialPolicy::default_for(lane);
        let expires_at = DateTime::UNIX_EPOCH + TimeDelta::hours(1);
        let brief = CampaignBrief {
            id: campaign,
            district: DistrictId(Uuid::nil()),
            lane,
            message_type: "attendance".to_owned(),
            redial: redial.clone(),
            expires_at,
            asks_opt_in: false,
            contents: vec![Content {
                language: None,
                channel: None,
                subject: None,
                audio_url: None,
                attachments: Vec::new(),
                body: body.to_owned(),
            }],
        };
        let grant = Granted {
            attempt,
            account: ACCOUNT,
            tries: 1,
            outcome: None,
            address: to.to_owned(),
            extension: None,
            language: Some("es".to_owned()),
            merge_values: Default::default(),
            claimed_at: DateTime::UNIX_EPOCH,
            released_at: None,
        };
        let job = JobView {
            state: JobState::Claimed,
            attempt: 1,
            tries: 1,
            outcome: None,
            channel,
            lane,
            redial,
            expires_at,
            canceled: false,
            asks_opt_in: false,
        };
        Claimed {
            grant,
            view: AttemptView::claimed(attempt, job),
            brief: Arc::new(brief),
            files: Default::default(),
            share: self.worker.shares.get(ACCOUNT).unwrap(),
            since: Stopwatch::start_by(&self.worker.clock),
            places: Vec::new(),
            calls: Vec::new(),
            traced: None,
        }
    }

    fn mail(&self, campaign: u128, job: i32, to: &str) -> Claimed {
        self.claimed(campaign, job, Channel::Email, Lane::General, to, "x")
    }

    /// What the settled jobs came to, by their number.
    async fn send(&self, channel: Channel, claims: Vec<Claimed>) -> Vec<(i32, ReportKind)> {
        let mut all = Vec::new();
        for batch in batches(&self.worker, channel, claims) {
            all.extend(send(&self.worker, channel, batch).await.settled);
        }
        let mut all: Vec<(i32, ReportKind)> =
            all.into_iter().map(|settled| (settled.report.attempt.job.job, settled.report.kind)).collect();
        all.sort_by_key(|(job, _)| *job);
        all
    }
}

fn accepted_as(to: &str) -> ReportKind {
    ReportKind::Accepted { provider_id: Some(to.to_owned()) }
}

/// One token a second: a text of two segments costs the permits of two seconds.
#[tokio::test]
async fn a_spanish_text_with_accents_costs_as_many_tokens_as_it_has_segments() {
    let table = [
        ("School closes at noon.".to_owned(), 1),
        ("Mañana no hay clases. ¿Preguntas? Llame a la escuela. ¡Gracias!".to_owned(), 1),
        // An á turns the whole text to UCS-2: 78 units, where 70 fit.
        ("Mañana no habrá clases por la tormenta. Llame a la escuela si tiene preguntas.".to_owned(), 2),
        ("Manana no habra clases por la tormenta. Llame a la escuela si tiene preguntas.".to_owned(), 1),
        ("1".repeat(161), 2),
        ("ó".repeat(135), 3),
    ];
    for (text, segments) in table {
        let process = Process::new(Some(1.0), |_| Recorder::default());
        process.clock.advance(1_000);
        let Permit { places, .. } = process.worker.shares.permit(ACCOUNT, Lane::General).unwrap();
        let claimed = process.claimed(1, 1, Channel::Sms, Lane::General, "+13125550100", &text);
        process.send(Channel::Sms, vec![claimed]).await;
        drop(places);
        assert_eq!(process.recorder.asked().len(), 1, "{text}");
        let seconds = (1..=4).find(|_| {
            process.clock.advance(1_000);
            process.worker.shares.permit(ACCOUNT, Lane::General).is_ok()
        });
        assert_eq!(seconds, Some(segments), "{text}");
    }
}

#[tokio::test]
async fn what_stands_together_is_asked_for_together_and_no_more_than_the_provider_takes() {
    let process = Process::new(None, |_| Recorder::default());
    let claims = (1..=7).map(|job| process.mail(1, job, &format!("a{job}"))).collect();
    let said = process.send(Channel::Email, claims).await;
    let sizes: Vec<usize> = process.recorder.asked().iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 3, 1]);
    for (job, kind) in said {
        assert_eq!(kind, accepted_as(&format!("a{job}")));
    }
}

#[tokio::test]
async fn what_is_canceled_between_claim_and_request_is_left_out_of_its_batch() {
    let process = Process::new(None, |_| Recorder::default());
    let claims = vec![process.mail(1, 1, "a"), process.mail(2, 2, "b"), process.mail(1, 3, "c")];
    process.worker.cancels.insert(CampaignId(Uuid::from_u128(2)));
    let said = process.send(Channel::Email, claims).await;
    assert_eq!(process.recorder.asked(), [["a", "c"]]);
    assert_eq!(said, [(1, accepted_as("a")), (2, ReportKind::NotAsked), (3, accepted_as("c"))]);
}

/// A stop that was heard since: what is claimed later the store granted, so that it is sent.
#[tokio::test]
async fn what_was_claimed_before_a_stop_of_its_district_is_not_asked_for() {
    let process = Process::new(None, |_| Recorder::default());
    let district = |id| DistrictId(Uuid::from_u128(id));
    let of = |id, job, to| {
        let mut mail = process.mail(1, job, to);
        mail.brief = Arc::new(CampaignBrief { district: district(id), ..(*mail.brief).clone() });
        mail
    };
    let before = vec![of(1, 1, "a"), of(2, 2, "b")];
    process.clock.advance(10);
    process.worker.stops.hear(Some(district(1)));
    process.clock.advance(10);
    let after = vec![of(1, 3, "c")];
    let said = process.send(Channel::Email, before).await;
    assert_eq!(said, [(1, ReportKind::NotAsked), (2, accepted_as("b"))]);
    assert_eq!(process.send(Channel::Email, after).await, [(3, accepted_as("c"))]);
    let held = vec![of(1, 4, "d"), of(2, 5, "e")];
    process.worker.stops.hear(None);
    let said = process.send(Channel::Email, held).await;
    assert_eq!(said, [(4, ReportKind::NotAsked), (5, ReportKind::NotAsked)]);
    assert_eq!(process.recorder.asked(), [["b"], ["c"]]);
}

#[tokio::test]
async fn what_is_refused_together_is_asked_for_one_by_one() {
    let process = Process::new(None, |_| Recorder { refuses_together: true, ..Recorder::default() });
    let said = process.send(Channel::Email, vec![process.mail(1, 1, "a"), process.mail(1, 2, "bad")]).await;
    assert_eq!(process.recorder.asked(), [vec!["a", "bad"], vec!["a"], vec!["bad"]]);
    let invalid = Outcome::InvalidAddress;
    let refused = ReportKind::Status { outcome: invalid, provider_code: None, provider_id: None };
    assert_eq!(said, [(1, accepted_as("a")), (2, refused)]);
}

/// Its account had no place for it by `send_by`: nobody was asked, and it falls due again.
#[tokio::test]
async fn a_request_that_found_no_place_was_not_asked() {
    let process = Process::new(None, |_| Recorder::default());
    let said = process.send(Channel::Email, vec![process.mail(1, 1, "no place")]).await;
    assert_eq!(said, [(1, ReportKind::NotAsked)]);
}

/// What is left of `send_by` goes along with a request, with the second of one mail, too.
#[tokio::test]
async fn a_request_is_told_by_when_it_must_have_started() {
    let recorder = Recorder { refuses_together: true, milliseconds: 500, ..Recorder::default() };
    let process = Process::new(None, |_| recorder);
    let claims = vec![process.mail(1, 1, "a"), process.mail(1, 2, "b")];
    process.clock.advance(600);
    process.send(Channel::Email, claims).await;
    let asked = process.recorder.asked.lock().unwrap();
    let left = |requests: &Vec<SendRequest>| (requests.len(), requests[0].start_within.as_millis());
    assert_eq!(asked.iter().map(left).collect::<Vec<_>>(), [(2, 1_400), (1, 900), (1, 900)]);
}

#[tokio::test]
async fn a_mail_that_was_not_taken_again_and_again_is_asked_for_alone() {
    let process = Process::new(None, |_| Recorder::default());
    let mut refused = process.mail(1, 2, "b");
    refused.grant.attempt.number = refused.grant.tries + ALONE_AFTER;
    process.send(Channel::Email, vec![process.mail(1, 1, "a"), refused, process.mail(1, 3, "c")]).await;
    assert_eq!(process.recorder.asked(), [vec!["b"], vec!["a", "c"]]);
}

/// A message that was not taken before is believed for another one's sake only.
#[test]
fn a_refusal_is_the_accounts_where_another_job_met_it_before_and_nothing_was_taken_since() {
    let process = Process::new(None, |_| Recorder::default());
    let share = process.mail(1, 1, "a").share;
    let job = |job| JobKey { campaign: CampaignId(Uuid::from_u128(1)), job };
    assert_eq!([1, 1, 2, 3].map(|number| share.refused(job(number))), [false, false, true, true]);
    share.accepted();
    assert_eq!([3, 3, 1].map(|number| share.refused(job(number))), [false, false, true]);
}

#[tokio::test]
async fn a_second_request_has_a_last_look_of_its_own() {
    let campaign = CampaignId(Uuid::from_u128(1));
    let meanwhile = |cancels| Recorder {
        refuses_together: true,
        meanwhile: Some((cancels, campaign)),
        ..Recorder::default()
    };
    let process = Process::new(None, meanwhile);
    let claims = vec![process.mail(1, 1, "a"), process.mail(1, 2, "b"), process.mail(2, 3, "c")];
    let said = process.send(Channel::Email, claims).await;
    assert_eq!(process.recorder.asked(), [vec!["a", "b", "c"], vec!["c"]]);
    assert_eq!(said, [(1, ReportKind::NotAsked), (2, ReportKind::NotAsked), (3, accepted_as("c"))]);
}

#[tokio::test]
async fn a_mail_offers_to_unsubscribe_from_its_type_and_an_emergency_does_not() {
    let process = Process::new(None, |_| Recorder::default());
    for lane in Lane::ALL {
        process.send(Channel::Email, vec![process.claimed(1, 1, Channel::Email, lane, "a", "x")]).await;
    }
    process.send(Channel::Sms, vec![process.claimed(1, 2, Channel::Sms, Lane::General, "+1", "x")]).await;
    let keys = &process.worker.settings.token_keys;
    let asked = process.recorder.asked.lock().unwrap();
    let offered = |request: &SendRequest| {
        let url = request.unsubscribe_url.as_deref()?;
        keys.read_unsubscribe(url.strip_prefix("https://bell.example.org/unsubscribe/").unwrap()).ok()
    };
    for (lane, requests) in Lane::ALL.into_iter().zip(asked.iter()) {
        let expected = Some(requests[0].attempt).filter(|_| lane != Lane::Emergency);
        assert_eq!(offered(&requests[0]), expected, "{lane}");
        assert_eq!(requests[0].tag.as_deref(), Some("attendance"));
    }
    assert_eq!((offered(&asked[3][0]), &asked[3][0].tag), (None, &None), "a text");
}
