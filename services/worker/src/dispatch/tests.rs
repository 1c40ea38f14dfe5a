//! Which of the waiting jobs gets the next permit (promise 5).

use futures::FutureExt;
use tocsin_domain::lease::Share;
use tocsin_domain::{AccountId, CampaignId, Generation, JobKey, WorkerId};
use tocsin_proto::Envelope;
use tocsin_proto::v1::control::Command;
use tocsin_proto::v1::{Control, Jobs, Take};
use tocsin_providers::{Registry, Secret, TokenKeys};
use tocsin_queue::{Broker as _, Destination, MemoryBroker, Message, Queue, Tag};
use tocsin_runtime::{Clock as _, SharedClock, Stopwatch, SystemClock};
use tocsin_store::leases::{Lease, LeasedHealth};
use tocsin_store::{Access, Store};
use uuid::Uuid;

use super::*;
use crate::WorkerSettings;
use crate::bundle::{Bundle, Part};
use crate::test_clock::TestClock;
use crate::told::Told;

const ONE: AccountId = AccountId(1);
const OTHER: AccountId = AccountId(2);

/// A process that serves voice and texts, with jobs that wait in it. It never speaks with a store.
struct Process {
    worker: Worker,
    /// Of a message that stands for all.
    acker: Acker,
    tag: Tag,
    jobs: i32,
    broker: Arc<MemoryBroker>,
}

impl Process {
    async fn new(in_flight_max: usize) -> Self {
        Self::by(in_flight_max, Arc::new(SystemClock)).await
    }

    async fn by(in_flight_max: usize, clock: SharedClock) -> Self {
        let store = Store::open("postgres://nobody@127.0.0.1:1/none", 1, Access::Engine).unwrap();
        let broker = Arc::new(MemoryBroker::new());
        let session = broker.connect("test").await.unwrap();
        let queue = Queue::Jobs(Channel::Sms, Lane::General);
        let (to, body) = (Destination::Queue(queue), "a job".into());
        session.publish(vec![Message { to, body, headers: vec![], persistent: false }]).await.unwrap();
        let mut consumer = session.consume(queue, 1).await.unwrap();
        let tag = consumer.next_batch(1).await.unwrap()[0].tag;
        let acker = consumer.acker();
        let settings = WorkerSettings {
            channels: vec![Channel::Voice, Channel::Sms],
            prefetch: [10; 3],
            in_flight_max,
            public_url: "https://bell.example.org".to_owned(),
            token_keys: TokenKeys::new(&Secret::new("key"), None),
        };
        let registry = Arc::new(Registry::build(vec![]).unwrap());
        let worker = Worker::new(WorkerId(Uuid::nil()), store, broker.clone(), clock, registry, settings);
        Self { worker, acker, tag, jobs: 0, broker }
    }

    fn dispatch(&self, channel: Channel) -> Dispatch {
        let (outcomes, _) = mpsc::channel(1);
        Dispatch::new(self.worker.clone(), channel, TaskTracker::new(), outcomes, CancellationToken::new())
    }

    fn waits(&mut self, dispatch: &mut Dispatch, lane: Lane, account: AccountId) {
        self.jobs += 1;
        dispatch.waiting.push(self.message(self.jobs, 1, lane, account));
    }

    fn message(&self, job: i32, generation: i32, lane: Lane, account: AccountId) -> Pending {
        Pending {
            key: JobKey { campaign: CampaignId(Uuid::nil()), job },
            generation: Generation(generation),
            lane,
            account,
            message: Some(Part::of(&Arc::new(Bundle::of(self.acker.clone(), self.tag, 1).unwrap()), 0)),
            arrived: Stopwatch::start(),
            trace: None,
        }
    }

    /// A share of `account` from now on: what it had before is spent.
    fn share(&self, account: AccountId, rate_per_second: Option<f64>, concurrency: Option<u32>) {
        self.worker.shares.grant(Lease {
            account,
            name: format!("account-{}", account.0),
            sender: None,
            share: Share { rate_per_second, burst: None, concurrency, general: concurrency },
            expires_at: SystemClock.now(),
            epoch: 1,
            calls: 0,
            seated: None,
            health: LeasedHealth::SOUND,
        });
    }
}

fn lanes(permitted: &[Permitted]) -> Vec<(Lane, AccountId)> {
    permitted.iter().map(|permitted| (permitted.job.lane, permitted.job.account)).collect()
}

#[tokio::test]
async fn emergencies_get_their_permits_before_all_others() {
    let mut process = Process::new(4).await;
    process.share(ONE, None, None);
    let mut sms = process.dispatch(Channel::Sms);
    for lane in [Lane::General, Lane::Priority, Lane::Emergency, Lane::General, Lane::Emergency] {
        process.waits(&mut sms, lane, ONE);
    }
    let (permitted, _) = sms.permits();
    let expected = [Lane::Emergency, Lane::Emergency, Lane::Priority, Lane::General].map(|lane| (lane, ONE));
    assert_eq!(lanes(&permitted), expected);
}

#[tokio::test]
async fn an_emergency_takes_the_next_token_and_the_next_place_of_its_account() {
    let no_token = (Some(0.000_1), None);
    let no_place = (None, Some(0));
    for (rate, concurrency) in [no_token, no_place] {
        let mut process = Process::new(10).await;
        process.share(ONE, rate, concurrency);
        process.share(OTHER, None, None);
        let mut sms = process.dispatch(Channel::Sms);
        process.waits(&mut sms, Lane::General, ONE);
        process.waits(&mut sms, Lane::Emergency, ONE);
        process.waits(&mut sms, Lane::General, OTHER);
        let (permitted, _) = sms.permits();
        assert_eq!(lanes(&permitted), [(Lane::General, OTHER)], "what no emergency waits for");
        process.share(ONE, None, Some(1));
        let (first, _) = sms.permits();
        assert_eq!(lanes(&first), [(Lane::Emergency, ONE)]);
        assert_eq!(lanes(&sms.permits().0), [], "the only place is taken");
        drop(first);
        assert_eq!(lanes(&sms.permits().0), [(Lane::General, ONE)]);
    }
}

#[tokio::test]
async fn an_emergency_takes_the_next_place_of_the_process() {
    let mut process = Process::new(1).await;
    process.share(ONE, None, None);
    process.share(OTHER, None, None);
    let (mut voice, mut sms) = (process.dispatch(Channel::Voice), process.dispatch(Channel::Sms));
    process.waits(&mut voice, Lane::General, OTHER);
    let (held, _) = voice.permits();
    assert_eq!(held.len(), 1);
    for lane in [Lane::General, Lane::Priority] {
        process.waits(&mut voice, lane, OTHER);
        process.waits(&mut sms, lane, ONE);
    }
    process.waits(&mut sms, Lane::Emergency, ONE);
    assert_eq!((lanes(&sms.permits().0), lanes(&voice.permits().0)), (vec![], vec![]));
    drop(held);
    assert_eq!(lanes(&voice.permits().0), [], "it is an emergency's, although another channel's");
    let (emergency, _) = sms.permits();
    assert_eq!(lanes(&emergency), [(Lane::Emergency, ONE)]);
    drop(emergency);
    let (next, _) = voice.permits();
    assert_eq!(lanes(&next), [(Lane::Priority, OTHER)]);
}

/// An emergency without a token does not keep the process's places from others.
#[tokio::test]
async fn what_an_emergency_does_not_wait_for_is_free_to_all() {
    let mut process = Process::new(1).await;
    process.share(ONE, Some(0.000_1), None);
    process.share(OTHER, None, None);
    let (mut voice, mut sms) = (process.dispatch(Channel::Voice), process.dispatch(Channel::Sms));
    process.waits(&mut sms, Lane::Emergency, ONE);
    process.waits(&mut voice, Lane::General, OTHER);
    assert_eq!(lanes(&sms.permits().0), []);
    assert_eq!(lanes(&voice.permits().0), [(Lane::General, OTHER)]);
}

/// What was on the queue before waits no less than what is on its row.
#[tokio::test]
async fn where_an_emergency_begins_other_lanes_of_its_channel_wait_a_moment() {
    let clock = Arc::new(TestClock::default());
    let mut process = Process::by(10, clock.clone()).await;
    process.share(ONE, None, None);
    let (mut voice, mut sms) = (process.dispatch(Channel::Voice), process.dispatch(Channel::Sms));
    process.worker.gives_way.heard(Channel::Sms);
    for lane in [Lane::General, Lane::Priority] {
        process.waits(&mut sms, lane, ONE);
    }
    process.waits(&mut voice, Lane::General, ONE);
    clock.advance(900);
    let (permitted, pause) = sms.permits();
    assert_eq!((lanes(&permitted), pause), (vec![], Duration::from_millis(100)), "it is not here yet");
    assert_eq!(lanes(&voice.permits().0), [(Lane::General, ONE)], "another channel");
    process.waits(&mut sms, Lane::Emergency, ONE);
    assert_eq!(lanes(&sms.permits().0), [(Lane::Emergency, ONE)]);
    clock.advance(100);
    assert_eq!(lanes(&sms.permits().0), [(Lane::Priority, ONE), (Lane::General, ONE)]);
}

#[tokio::test]
async fn an_emergency_waits_for_no_other_lanes_claims() {
    let mut process = Process::new(10).await;
    process.share(ONE, None, None);
    let mut sms = process.dispatch(Channel::Sms);
    let turns: Vec<_> = std::iter::from_fn(|| sms.turn()).map(|(turn, _)| turn).collect();
    assert_eq!(turns.len(), CLAIMS_AT_ONCE, "those of other lanes are all under way");
    process.waits(&mut sms, Lane::General, ONE);
    assert!(sms.turn().is_none());
    process.waits(&mut sms, Lane::Emergency, ONE);
    let (_turn, of) = sms.turn().unwrap();
    assert_eq!(lanes(&sms.permits_of(of).0), [(Lane::Emergency, ONE)]);
}

/// Where this worker may not send and another may, that one is told of the jobs, and their messages stay here.
#[tokio::test]
async fn a_worker_that_may_not_send_tells_one_that_may() {
    let mut process = Process::new(4).await;
    let other = WorkerId(Uuid::from_u128(7));
    let lease = |seated| Lease {
        account: ONE,
        name: "account-1".to_owned(),
        sender: None,
        share: Share::NOTHING,
        expires_at: SystemClock.now(),
        epoch: 1,
        calls: 0,
        seated,
        health: LeasedHealth::SOUND,
    };
    let session = process.broker.connect("another worker").await.unwrap();
    let mut control = session.control().await.unwrap();
    let mut sms = process.dispatch(Channel::Sms);
    process.waits(&mut sms, Lane::General, ONE);
    process.waits(&mut sms, Lane::Emergency, ONE);
    process.worker.shares.grant(lease(None));
    assert_eq!(lanes(&sms.permits().0), []);
    assert_eq!(sms.told.len(), 0, "nobody may");
    process.worker.shares.grant(lease(Some(other)));
    assert_eq!(lanes(&sms.permits().0), []);
    assert!(sms.waiting.is_empty());
    assert_eq!(sms.told.iter().filter(|job| job.message.is_some()).count(), 2);
    let heard = control.next_batch(1).await.unwrap().remove(0);
    let told = Told::new(process.worker.clock.clone());
    let Command::Take(take) = Envelope::<Control>::decode(heard.body).unwrap().message.command.unwrap()
    else {
        panic!("no job is told of")
    };
    told.hear(other, &take);
    let jobs: Vec<i32> = told.take(Channel::Sms).iter().map(|job| job.key.job).collect();
    assert_eq!(jobs, [2, 1], "emergencies first");

    // The seat is this one's now: the emergency that it told of goes before what comes.
    process.waits(&mut sms, Lane::General, ONE);
    process.share(ONE, None, Some(1));
    assert_eq!(lanes(&sms.permits().0), [(Lane::Emergency, ONE)]);
}

#[tokio::test]
async fn a_job_that_was_told_of_is_sent_once_and_is_nobodys_message_here() {
    let mut process = Process::new(4).await;
    process.share(ONE, None, None);
    let mut sms = process.dispatch(Channel::Sms);
    process.waits(&mut sms, Lane::General, ONE);
    let own = sms.waiting.extract(|_| true);
    let take = |jobs: &[Pending]| Take {
        worker_id: process.worker.id.0.as_bytes().to_vec().into(),
        jobs: jobs.iter().map(|job| job.tell(Channel::Sms)).collect(),
    };
    for _ in 0..2 {
        process.worker.told.hear(process.worker.id, &take(&own));
        sms.take_in_told();
    }
    let (permitted, _) = sms.permits();
    assert_eq!(lanes(&permitted), [(Lane::General, ONE)]);
    assert!(permitted[0].job.message.is_none());
    // Without a share here, either, it is dropped: its message is elsewhere.
    process.worker.shares.grant(Lease {
        account: OTHER,
        name: "account-2".to_owned(),
        sender: None,
        share: Share::NOTHING,
        expires_at: SystemClock.now(),
        epoch: 1,
        calls: 0,
        seated: Some(WorkerId(Uuid::from_u128(7))),
        health: LeasedHealth::SOUND,
    });
    let elsewhere: Vec<Pending> = own.into_iter().map(|job| Pending { account: OTHER, ..job }).collect();
    process.worker.told.hear(process.worker.id, &take(&elsewhere));
    sms.take_in_told();
    assert_eq!(lanes(&sms.permits().0), []);
    assert!(sms.waiting.is_empty() && sms.told.is_empty());
}

#[tokio::test]
async fn a_later_message_of_a_job_takes_the_place_of_the_one_that_waits() {
    let process = Process::new(10).await;
    let mut dispatch = process.dispatch(Channel::Sms);
    let message = |job, generation| process.message(job, generation, Lane::Emergency, ONE);
    let void = [(1, 1), (2, 1), (1, 2), (1, 1), (1, 2)].map(|(job, generation)| {
        dispatch.waiting.push(message(job, generation)).map(|void| void.generation.0)
    });
    assert_eq!(void, [None, None, Some(1), Some(1), Some(2)]);
    let waiting: Vec<_> = dispatch.waiting().map(|job| (job.key.job, job.generation.0)).collect();
    assert_eq!(waiting, [(1, 2), (2, 1)]);

    process.share(ONE, None, None);
    assert_eq!(dispatch.permits().0.len(), 2);
    assert!(dispatch.waiting.push(message(1, 3)).is_none(), "those before it have left");
}

/// Its message was with whoever told of it, and comes here when that one has lost it.
#[tokio::test]
async fn a_message_of_a_job_that_was_told_of_is_kept() {
    let process = Process::new(10).await;
    process.share(ONE, None, None);
    let mut dispatch = process.dispatch(Channel::Sms);
    let message = || process.message(1, 1, Lane::General, ONE);
    dispatch.waiting.push_told(Pending { message: None, ..message() });
    assert!(dispatch.waiting.push(message()).is_none(), "it is nobody else's any more");
    assert!(dispatch.waiting.push(message()).is_some(), "another one is void");
    let (permitted, _) = dispatch.permits();
    assert_eq!(permitted.len(), 1);
    assert!(permitted[0].job.message.is_some());
}

/// There is always something to do here that comes before a pause.
#[tokio::test]
async fn a_job_without_a_permit_goes_back_also_where_the_worker_never_pauses() {
    let clock = Arc::new(TestClock::default());
    let process = Process::by(10, clock.clone()).await;
    let queue = Queue::Jobs(Channel::Sms, Lane::Priority);
    let job = process.message(1, 1, Lane::Priority, ONE).tell(Channel::Sms);
    let (to, body) = (Destination::Queue(queue), Envelope::new(Jobs { jobs: vec![job] }).into_bytes());
    let session = process.broker.connect("this worker").await.unwrap();
    session.publish(vec![Message { to, body, headers: vec![], persistent: false }]).await.unwrap();
    let consume = |lane| session.consume(Queue::Jobs(Channel::Sms, lane), 10);
    let lanes = Lanes {
        emergency: consume(Lane::Emergency).await.unwrap(),
        priority: consume(Lane::Priority).await.unwrap(),
        general: consume(Lane::General).await.unwrap(),
    };
    let cancels = process.worker.cancels.clone();
    let busy = async {
        loop {
            clock.advance(1);
            cancels.insert(CampaignId(Uuid::from_u128(7)));
            tokio::task::yield_now().await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(20), process.broker.drained(queue));
    let settled = tokio::select! {
        () = process.dispatch(Channel::Sms).run(lanes) => false,
        () = busy => false,
        settled = settled => settled.is_ok(),
    };
    assert!(settled, "its message is here still");
}

#[tokio::test]
async fn claims_of_a_busy_stream_begin_on_a_beat_and_emergencies_at_once() {
    let clock = Arc::new(TestClock::default());
    let mut process = Process::by(10, clock.clone()).await;
    let mut dispatch = process.dispatch(Channel::Sms);
    process.waits(&mut dispatch, Lane::General, ONE);
    assert_eq!(dispatch.until_the_beat(), Duration::ZERO, "nothing was claimed");
    let begun: SharedClock = clock.clone();
    dispatch.claimed = Some((Stopwatch::start_by(&begun), BUSY - 1));
    assert_eq!(dispatch.until_the_beat(), Duration::ZERO, "ones and twos");
    dispatch.claimed = Some((Stopwatch::start_by(&begun), BUSY));
    assert_eq!(dispatch.until_the_beat(), CLAIM_BEAT);
    process.waits(&mut dispatch, Lane::Emergency, ONE);
    assert_eq!(dispatch.until_the_beat(), Duration::ZERO, "an emergency");
    dispatch.waiting.lane(Lane::Emergency).clear();
    clock.advance(15);
    assert_eq!(dispatch.until_the_beat(), Duration::ZERO, "the beat");
}

#[tokio::test]
async fn a_message_is_settled_when_all_its_jobs_are() {
    let process = Process::new(10).await;
    let queue = Queue::Jobs(Channel::Sms, Lane::Priority);
    let session = process.broker.connect("this worker").await.unwrap();
    let job = |job| process.message(job, 1, Lane::Priority, ONE).tell(Channel::Sms);
    let body = Envelope::new(Jobs { jobs: (1..=3).map(job).collect() }).into_bytes();
    let to = Destination::Queue(queue);
    session.publish(vec![Message { to, body, headers: vec![], persistent: false }]).await.unwrap();
    let mut consumer = session.consume(queue, 10).await.unwrap();
    let mut dispatch = process.dispatch(Channel::Sms);
    let batch = consumer.next_batch(10).await.unwrap();
    dispatch.take_in(Lane::Priority, batch, consumer.acker()).await;
    let jobs: Vec<Pending> = dispatch.waiting().cloned().collect();
    assert_eq!(jobs.iter().map(|job| job.key.job).collect::<Vec<_>>(), [1, 2, 3]);
    let drained = || process.broker.drained(queue).now_or_never().is_some();
    // One of them twice, as nobody keeps count.
    for settled in [&jobs[1..2], &jobs[1..2], &jobs[..1]] {
        acknowledge(settled).await;
        assert!(!drained());
    }
    acknowledge(&jobs[2..]).await;
    assert!(drained());
}

#[tokio::test]
async fn a_message_without_jobs_or_with_too_many_is_a_dead_letter() {
    let process = Process::new(10).await;
    let queue = Queue::Jobs(Channel::Sms, Lane::General);
    let session = process.broker.connect("this worker").await.unwrap();
    let job = process.message(1, 1, Lane::General, ONE).tell(Channel::Sms);
    let mut dispatch = process.dispatch(Channel::Sms);
    let mut consumer = session.consume(queue, 10).await.unwrap();
    for jobs in [0, tocsin_proto::JOBS_MAX + 1] {
        let body = Envelope::new(Jobs { jobs: vec![job.clone(); jobs] }).into_bytes();
        let to = Destination::Queue(queue);
        session.publish(vec![Message { to, body, headers: vec![], persistent: false }]).await.unwrap();
        let batch = consumer.next_batch(10).await.unwrap();
        dispatch.take_in(Lane::General, batch, consumer.acker()).await;
    }
    assert_eq!(session.depth(Queue::DeadLetters).await.unwrap(), 2);
    assert_eq!(dispatch.waiting().count(), 0);
}

#[test]
fn a_job_goes_back_before_its_message_is_taken_for_lost() {
    for lane in Lane::ALL {
        let lost = tocsin_domain::policy::requeue_after(lane, 1);
        assert!(permit_wait(lane) + LOOK_AGAIN < lost, "{lane}");
        assert!(told_wait(lane) + LOOK_AGAIN < lost, "{lane}, told of elsewhere");
    }
}

/// Nothing waits here for an account whose work another does, or that is stopped: it goes back to its row at once.
#[tokio::test]
async fn jobs_of_an_account_that_rests_or_is_stopped_are_out_and_others_wait() {
    let mut process = Process::new(4).await;
    process.share(ONE, None, Some(0));
    process.share(OTHER, None, None);
    let mut sms = process.dispatch(Channel::Sms);
    process.waits(&mut sms, Lane::General, ONE);
    process.waits(&mut sms, Lane::General, OTHER);
    let shares = process.worker.shares.clone();
    assert!(!shares.is_out(ONE) && !shares.is_out(OTHER));
    shares.grant(Lease {
        health: LeasedHealth { rests: true, ..LeasedHealth::SOUND },
        account: ONE,
        name: "account-1".to_owned(),
        sender: None,
        share: Share::default(),
        expires_at: SystemClock.now(),
        epoch: 2,
        calls: 0,
        seated: None,
    });
    assert_eq!(shares.permit(ONE, Lane::General).unwrap_err(), NoPermit::Rests);
    assert!(shares.is_out(ONE) && !shares.is_out(OTHER));
    shares.stopped(OTHER);
    assert!(shares.is_out(OTHER));
    assert!(sms.permits().0.is_empty());
}
