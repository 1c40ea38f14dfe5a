//! Emergency first (promise 5): at expansion and at release.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tocsin_domain::{CampaignId, Channel, Lane};
use tocsin_planner::{Expander, Of, Planner, Releaser};
use tocsin_queue::{Broker, Consumer, MemoryBroker, Message, Published, Queue, QueueError, Session};
use tocsin_runtime::Progress;
use tocsin_testkit::fixture::{Fixture, account_name};

use crate::stage::Stage;

/// More emergency jobs than may be queued at once: some are due while others are on the queue.
#[tokio::test]
async fn while_an_emergency_job_is_due_or_unclaimed_nothing_else_is_released_on_its_channel() {
    let stage = Stage::new().await;
    stage.slow(Channel::Sms).await;
    stage.fixture.guardians(10, Channel::Sms).await.unwrap();
    stage.fixture.guardians(3, Channel::Email).await.unwrap();
    for lane in [Lane::General, Lane::Priority] {
        stage.fixture.campaign(lane, &[Channel::Sms, Channel::Email]).await.unwrap();
    }
    stage.fixture.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let planning = stage.leading().await;

    let mut unclaimed = 10;
    while unclaimed > 0 {
        planning.release(Channel::Sms).await;
        planning.release(Channel::Email).await;
        let queued = stage.queued(Channel::Sms, Lane::Emergency).await;
        assert_eq!(queued, unclaimed.min(4));
        for lane in [Lane::Priority, Lane::General] {
            assert_eq!(
                stage.queued(Channel::Sms, lane).await,
                0,
                "{lane}, {unclaimed} emergencies unclaimed"
            );
            assert_eq!(stage.queued(Channel::Email, lane).await, 3, "{lane}, another channel");
        }
        unclaimed -= i64::try_from(stage.claim(Lane::Emergency, 3).await).unwrap();
    }
    planning.release(Channel::Sms).await;
    for lane in [Lane::Priority, Lane::General] {
        assert_eq!(stage.queued(Channel::Sms, lane).await, 4, "{lane}");
    }
}

#[tokio::test]
async fn a_planner_without_the_duty_for_emergencies_releases_nothing_else_while_one_is_due() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let (first, second) = (stage.planning(), stage.planning());
    let emergencies = ["release.sms.emergency".to_owned()];
    stage.fixture.store().hold_duties(first.planner.id, &emergencies).await.unwrap();
    // Takes all other duties, and so the first has that one only.
    second.renew().await;

    second.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 0, "an emergency is due");
    first.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::Emergency).await, 5);
    second.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 0, "an emergency is unclaimed");
    assert_eq!(stage.claim(Lane::Emergency, 100).await, 5);
    first.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 0, "not the first's duty");
    second.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 5);
}

#[tokio::test]
async fn while_an_emergency_job_is_due_or_unclaimed_nothing_else_is_expanded_on_its_channel() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    stage.fixture.guardians(5, Channel::Email).await.unwrap();
    stage.fixture.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let both = stage.fixture.campaign(Lane::General, &[Channel::Sms, Channel::Email]).await.unwrap();
    let other = stage.fixture.campaign(Lane::Priority, &[Channel::Email]).await.unwrap();
    let planning = stage.leading().await;
    let mut expander = Expander::default();
    let mut expand = async || while expander.tick(&planning.planner).await.unwrap() == Progress::More {};

    expand().await;
    assert_eq!((stage.jobs(both).await, stage.jobs(other).await), (0, 5), "an emergency is due");
    planning.release(Channel::Sms).await;
    expand().await;
    assert_eq!(stage.jobs(both).await, 0, "an emergency is unclaimed");
    assert_eq!(stage.claim(Lane::Emergency, 100).await, 5);
    expand().await;
    assert_eq!(stage.jobs(both).await, 10);
}

#[tokio::test]
async fn an_emergency_that_no_account_may_send_holds_up_nobody() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    let other = Fixture::new(&stage.database).await.unwrap();
    other.guardians(5, Channel::Sms).await.unwrap();
    other.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    stage.account("its own", Some(other.district()), Channel::Sms, 100.0).await;
    let shared = stage.fixture.account(Channel::Sms).unwrap();
    let now = stage.fixture.store().now().await.unwrap();
    assert!(stage.fixture.store().stop_account(shared, "suspended", now).await.unwrap());
    let planning = stage.leading().await;
    planning.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 5);
    assert_eq!(stage.queued(Channel::Sms, Lane::Emergency).await, 0);

    assert!(stage.fixture.store().resume_account(&account_name(Channel::Sms), now).await.unwrap());
    planning.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::Emergency).await, 5);
}

/// One district's large emergency leaves the other's small one its part of every window.
#[tokio::test]
async fn emergencies_are_fair_among_districts() {
    let stage = Stage::new().await;
    stage.fixture.guardians(40, Channel::Sms).await.unwrap();
    let large = stage.fixture.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    let other = Fixture::new(&stage.database).await.unwrap();
    stage.slow(Channel::Sms).await;
    other.guardians(4, Channel::Sms).await.unwrap();
    let small = other.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let planning = stage.leading().await;

    let started = async |campaign: CampaignId| {
        let started =
            format!("select count(*) from jobs where campaign_id = '{}' and state <> 1", campaign.0);
        stage.numbers(&started).await
    };
    // A window is four jobs: two of each, until the small one is through.
    for windows in 1..=2 {
        planning.release(Channel::Sms).await;
        assert_eq!(started(small).await, [2 * windows], "window {windows}");
        assert_eq!(started(large).await, [2 * windows], "window {windows}");
        assert_eq!(stage.claim(Lane::Emergency, 100).await, 4);
    }
    planning.release(Channel::Sms).await;
    assert_eq!(started(large).await, [8], "the rest is the large one's");
}

/// A broker at which an emergency begins whenever a batch is published, so often.
#[derive(Debug, Clone, Default)]
struct Interrupting {
    planner: Arc<OnceLock<Planner>>,
    left: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct InterruptedSession {
    session: Arc<dyn Session>,
    by: Interrupting,
}

#[async_trait]
impl Broker for Interrupting {
    async fn connect(&self, name: &str) -> Result<Arc<dyn Session>, QueueError> {
        let session = MemoryBroker::new().connect(name).await?;
        Ok(Arc::new(InterruptedSession { session, by: self.clone() }))
    }
}

#[async_trait]
impl Session for InterruptedSession {
    async fn publish(&self, batch: Vec<Message>) -> Result<Vec<Published>, QueueError> {
        let left = self.by.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        if left.is_ok() {
            self.by.planner.get().unwrap().wakes.emergency(Channel::Sms);
        }
        self.session.publish(batch).await
    }

    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Consumer, QueueError> {
        self.session.consume(queue, prefetch).await
    }

    async fn control(&self) -> Result<Consumer, QueueError> {
        self.session.control().await
    }

    async fn depth(&self, queue: Queue) -> Result<u32, QueueError> {
        self.session.depth(queue).await
    }

    fn is_blocked(&self) -> bool {
        self.session.is_blocked()
    }

    async fn purge(&self, queue: Queue) -> Result<u32, QueueError> {
        self.session.purge(queue).await
    }

    async fn lost(&self) -> QueueError {
        self.session.lost().await
    }

    async fn close(&self) {
        self.session.close().await;
    }
}

/// A batch is 500 jobs. What was not released of those that were read is not passed over.
#[tokio::test]
async fn the_release_of_another_lane_ends_at_its_next_batch_when_an_emergency_begins() {
    let stage = Stage::new().await;
    stage.fixture.guardians(1_700, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let broker = Interrupting { left: Arc::new(AtomicUsize::new(2)), ..Interrupting::default() };
    let planning = stage.planning_over(Arc::new(broker.clone()));
    broker.planner.set(planning.planner.clone()).unwrap();
    planning.renew().await;
    let mut releaser = Releaser::new(Channel::Sms, planning.duties.clone());
    for released in [500, 1_000, 1_700] {
        assert_eq!(releaser.tick(&planning.planner).await.unwrap(), Progress::More);
        assert_eq!(stage.queued(Channel::Sms, Lane::General).await, released);
    }
}

/// Of expansions, too: one that falls due waits for one chunk and not for those of sixteen campaigns.
#[tokio::test]
async fn emergencies_and_others_are_expanded_apart() {
    let stage = Stage::new().await;
    stage.fixture.guardians(3, Channel::Sms).await.unwrap();
    let general = stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    let planning = stage.leading().await;
    let (mut emergencies, mut others) = (Expander::of(Of::Emergencies), Expander::of(Of::Others));
    assert_eq!(emergencies.tick(&planning.planner).await.unwrap(), Progress::Idle);
    let urgent = stage.fixture.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    assert_eq!(others.tick(&planning.planner).await.unwrap(), Progress::Idle, "an emergency is due");
    let begun = planning.planner.wakes.urgent.begun(Channel::Sms);
    assert_eq!(emergencies.tick(&planning.planner).await.unwrap(), Progress::More);
    assert!(planning.planner.wakes.urgent.begun(Channel::Sms) > begun, "releases give way");
    assert_eq!((stage.jobs(urgent).await, stage.jobs(general).await), (3, 0));
}

/// What workers have of other lanes waits from the first chunk of an emergency until its last job is claimed.
#[tokio::test]
async fn workers_are_told_of_an_emergency_until_it_is_claimed() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Sms, Channel::Email]).await.unwrap();
    let planning = stage.leading().await;
    let told = || planning.planner.wakes.urgent.channels();
    let mut emergencies = Expander::of(Of::Emergencies);
    assert!(told().is_empty());
    emergencies.tick(&planning.planner).await.unwrap();
    assert_eq!(told(), [i32::from(Channel::Sms.number())], "it is being expanded");
    while emergencies.tick(&planning.planner).await.unwrap() == Progress::More {}
    planning.release(Channel::Sms).await;
    planning.release(Channel::Email).await;
    assert_eq!(told(), [i32::from(Channel::Sms.number())], "it is unclaimed");
    assert_eq!(stage.claim(Lane::Emergency, 100).await, 5);
    planning.release(Channel::Sms).await;
    assert!(told().is_empty());
}
