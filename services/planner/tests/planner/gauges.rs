//! What a planner shows of the store. The gauges are of the whole process, so one test looks at them.

use tocsin_domain::{Channel, Lane};
use tocsin_planner::{Observer, observe_slowly};
use tocsin_runtime::metrics::{self, Family, Gauge};
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_testkit::fixture::account_name;

use crate::stage::{Planning, Stage};

const TEXTS: [&str; 2] = ["sms", "general"];

async fn observed(observer: &mut Observer, planning: &Planning) {
    observer.tick(&planning.planner).await.unwrap();
}

fn shown(gauge: &Family<Gauge, 2>) -> f64 {
    gauge.of(TEXTS).get()
}

fn shown_of_account(gauge: &Family<Gauge, 2>) -> f64 {
    gauge.of([&account_name(Channel::Sms), "sms"]).get()
}

#[tokio::test]
async fn gauges_say_what_is_due_what_is_queued_how_old_it_is_and_what_is_stopped() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let (planning, mut observer) = (stage.leading().await, Observer::default());
    stage.shift_clock(40).await;
    observed(&mut observer, &planning).await;
    assert_eq!((shown(&metrics::DUE_JOBS), shown(&metrics::QUEUED_JOBS)), (5.0, 0.0));
    assert!((40.0..3_600.0).contains(&shown(&metrics::DUE_AGE)), "{}", shown(&metrics::DUE_AGE));
    assert_eq!(metrics::DUE_JOBS.of(["voice", "general"]).get(), 0.0, "zero is an answer");

    let store = stage.fixture.store();
    store.stop_sending(None, "ops", "wrong list").await.unwrap();
    observed(&mut observer, &planning).await;
    assert_eq!((shown(&metrics::DUE_JOBS), shown(&metrics::DUE_AGE)), (0.0, 0.0), "an operator stopped it");
    store.resume_sending(None, "ops").await.unwrap();

    planning.release(Channel::Sms).await;
    stage.shift_clock(70).await;
    observed(&mut observer, &planning).await;
    assert_eq!((shown(&metrics::DUE_JOBS), shown(&metrics::QUEUED_JOBS)), (0.0, 5.0));
    assert!((30.0..3_600.0).contains(&shown(&metrics::QUEUE_AGE)), "{}", shown(&metrics::QUEUE_AGE));

    assert_eq!(stage.claim(Lane::General, 3).await, 3);
    observed(&mut observer, &planning).await;
    assert_eq!(shown(&metrics::QUEUED_JOBS), 2.0);
    observe_slowly(&planning.planner).await.unwrap();
    assert_eq!(shown(&metrics::UNKNOWN_ATTEMPTS), 0.0);
    stage.run("update attempts set state = 4").await;
    observe_slowly(&planning.planner).await.unwrap();
    assert_eq!(shown(&metrics::UNKNOWN_ATTEMPTS), 3.0);

    assert_eq!(shown_of_account(&metrics::ACCOUNT_STOPPED), 0.0);
    let account = stage.fixture.account(Channel::Sms).unwrap();
    store.stop_account(account, "suspended", SystemClock.now()).await.unwrap();
    observed(&mut observer, &planning).await;
    assert_eq!(shown_of_account(&metrics::ACCOUNT_STOPPED), 1.0);
}
