//! What operators do from a terminal, on real processes: stop and go, status, dead letters, ticks by hand.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tocsin_domain::{Channel, Lane};
use tocsin_queue::{Broker as _, Destination, Message, Published, Queue, RabbitBroker};
use tocsin_testkit::simulator::{ChannelScenario, Delay, Scenario};
use tocsin_testkit::{TestVhost, wait_until};

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::WITHIN;
use crate::fleet::{Fleet, Settings, free_ports};
use crate::held::CONTENTS;

const PHONES: usize = DEVICES - SHARED_PHONES;
const SENT_BEFORE_STOP: usize = 5;

fn slow() -> Settings {
    let sms = ChannelScenario { latency: Delay::Fixed(50), ..ChannelScenario::default() };
    let scenario = Scenario { sms, ..Scenario::default() };
    Settings { scenario, rate_per_second: Some(4.0), in_flight_max: None }
}

/// Promise 3 of an operator's stop: after it no request starts, and after `go` nobody is missing and nobody has it twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_means_stop_and_nothing_is_lost_when_it_goes_on() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, slow()).await?;
    let _planner = fleet.planner().await?;
    let _workers = [fleet.worker(&[Channel::Sms]).await?, fleet.worker(&[Channel::Sms]).await?];
    let campaign = fleet.client.send(&message("general", &[Channel::Sms])).await?;
    fleet.sends_reach(SENT_BEFORE_STOP).await?;
    let stopped = fleet.tocsin_json(&["stop", "--district", "Springfield", "--reason", "wrong list"])?;
    ensure!(
        stopped
            == json!({ "district": "Springfield", "state": "stopped", "changed": true, "workers_told": true }),
        "{stopped}"
    );
    let at_stop = fleet.ask("select count(*) from attempts").await?.context("no count")?;

    fleet.until("what was released to wait again", "count(*) = 0 from jobs where state = 2").await?;
    // What had been claimed before may still be asked, until `send_by`; what is claimed no more is nothing.
    let claimed_since = "count(*) > 0 from attempts where claimed_at > (select stopped_at from stops)";
    let status = fleet.tocsin_json(&["status"])?;
    ensure!(status["stops"][0]["reason"] == "wrong list", "{status}");
    ensure!(status["campaigns"]["open"][0]["state"] == "sending", "{status}");
    let rows = fleet.client.recipients(campaign).await?;
    let waits: Vec<&Value> = rows.iter().filter(|row| row["state"] == "waiting").collect();
    ensure!(!waits.is_empty(), "{rows:?}");
    for row in waits {
        ensure!(row["wait"]["words"] == "sending is stopped: wrong list", "{row}");
    }
    let none_since = fleet.ask(&format!("select {claimed_since}")).await?;
    ensure!(none_since.as_deref() == Some("f"), "claims after the stop; {at_stop} before");
    let refused = fleet.tocsin(&["stop", "--district", "Springfeild", "--reason", "x"])?;
    ensure!(refused.status.code() == Some(3), "{refused:?}");

    fleet.tocsin_json(&["go", "--district", "Springfield"])?;
    fleet.ends_well(campaign).await?;
    ensure!(fleet.simulator.sends().len() == PHONES, "{} sends", fleet.simulator.sends().len());
    Ok(())
}

/// What a worker has claimed and not begun to send when it hears of the stop is given back, and sent once it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_claimed_before_a_stop_is_withheld_and_sent_when_it_goes_on() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let mut worker = fleet.worker(&[Channel::Sms]).await?;
    let campaign = fleet.client.send(&message("general", &[Channel::Sms])).await?;
    // Between the claim's commit and the last look.
    let stop_meanwhile = async || {
        let planner = fleet.planner().await?;
        CONTENTS.reached(&fleet).await?;
        let stopped = fleet.tocsin_json(&["stop", "--reason", "wrong list"])?;
        ensure!(stopped["workers_told"] == true, "{stopped}");
        worker.process.logged("stop heard").await?;
        Ok(planner)
    };
    let _planner = CONTENTS.held(&fleet, stop_meanwhile).await?;
    let settled = "count(*) = 0 from attempts where state = 1";
    fleet.until("what was claimed to be recorded", settled).await?;
    let count = async |of: &str| fleet.ask(&format!("select count(*) from {of}")).await;
    let claimed = count("attempts").await?.context("no count")?;
    ensure!(claimed != "0", "nothing was claimed");
    let not_asked = count("attempts where outcome = 10").await?;
    ensure!(not_asked.as_deref() == Some(claimed.as_str()), "{not_asked:?} of {claimed} were not asked");
    ensure!(fleet.simulator.sends().is_empty(), "{} sends after the stop", fleet.simulator.sends().len());

    fleet.tocsin_json(&["go"])?;
    fleet.ends_well(campaign).await?;
    ensure!(fleet.simulator.sends().len() == PHONES, "{} sends", fleet.simulator.sends().len());
    Ok(())
}

/// The stop is the store's: a broker that cannot be told costs two seconds and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_holds_without_a_broker_and_says_who_was_not_told() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let mut fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let [nobody] = free_ports()?;
    fleet.set("AMQP_URL", &format!("amqp://127.0.0.1:{nobody}"));
    let stopped = fleet.tocsin(&["stop", "--reason", "wrong list", "--json"])?;
    let (out, said) = (String::from_utf8(stopped.stdout)?, String::from_utf8_lossy(&stopped.stderr));
    ensure!(stopped.status.success() && out.contains("\"workers_told\": false"), "{out}{said}");
    ensure!(said.contains("workers could not be told"), "{said}");
    ensure!(fleet.ask("select reason from stops").await?.as_deref() == Some("wrong list"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_shows_the_roles_that_run() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let mut planner = fleet.planner().await?;
    let _worker = fleet.worker(&[Channel::Sms, Channel::Email]).await?;
    let mut status = Value::Null;
    let mut roles_are = async |expected: &[&str]| {
        wait_until(&format!("{expected:?} to run"), WITHIN, async || {
            status = fleet.tocsin_json(&["status"]).unwrap_or_default();
            let processes = status["processes"].as_array().cloned().unwrap_or_default();
            let alive = processes.iter().filter(|process| process["alive"] == true);
            let roles: Vec<&str> = alive.filter_map(|process| process["role"].as_str()).collect();
            roles == expected
        })
        .await
        .with_context(|| status.to_string())
    };
    roles_are(&["api", "planner", "status-collector", "worker sms email"]).await?;
    planner.ask_to_leave()?;
    planner.left().await?;
    roles_are(&["api", "status-collector", "worker sms email"]).await?;
    ensure!(status["broker"]["ready"]["dead-letters"] == 0, "{status}");
    let accounts = status["accounts"].as_array().context("no accounts")?;
    ensure!(accounts.len() == Channel::ALL.len(), "{status}");
    let page = fleet.tocsin(&["status"])?;
    let page = String::from_utf8(page.stdout)?;
    for part in ["Roles", "Accounts", "Queues", "Campaigns", "status-collector"] {
        ensure!(page.contains(part), "no {part} in\n{page}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_shown_put_back_and_thrown_away() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let session = RabbitBroker::new(&vhost.amqp_url)?.connect("test").await?;
    let general = Queue::Status(Lane::General);
    let nonsense = |body: &'static [u8]| Message {
        to: Destination::Queue(general),
        body: body.into(),
        headers: Vec::new(),
        persistent: true,
    };
    // The collector cannot read them.
    let sent = session.publish(vec![nonsense(b"\xff\xff1"), nonsense(b"\xff\xff2 +15005550006")]).await?;
    ensure!(sent == [Published::Confirmed; 2], "{sent:?}");
    wait_until("both to be dead letters", WITHIN, async || {
        session.depth(Queue::DeadLetters).await.is_ok_and(|depth| depth == 2)
    })
    .await?;
    let listed = fleet.tocsin_json(&["dead", "list"])?;
    let letters = listed["letters"].as_array().context("no letters")?.clone();
    ensure!(letters.len() == 2 && letters.iter().all(|letter| letter["queue"] == general.name()), "{listed}");
    let [first, second] = [0, 1].map(|at| letters[at]["id"].as_str().unwrap_or_default().to_owned());
    let shown = fleet.tocsin(&["dead", "show", &second])?;
    let shown = String::from_utf8(shown.stdout)?;
    ensure!(shown.contains("unreadable: true") && !shown.contains("5550006"), "{shown}");
    let unconfirmed = fleet.tocsin(&["dead", "drop", &first])?;
    ensure!(unconfirmed.status.code() == Some(2), "{unconfirmed:?}");
    let unknown = fleet.tocsin(&["dead", "show", "0000000000000000"])?;
    ensure!(unknown.status.code() == Some(3), "{unknown:?}");
    ensure!(fleet.tocsin_json(&["dead", "drop", &first, "--yes"])? == json!({ "dropped": 1 }));
    // The collector buries it again: the same letter.
    ensure!(fleet.tocsin_json(&["dead", "requeue", &second])? == json!({ "requeued": 1 }));
    wait_until("it to be a dead letter again", Duration::from_secs(30), async || {
        let listed = fleet.tocsin_json(&["dead", "list"]).unwrap_or_default();
        listed["letters"].as_array().is_some_and(|letters| letters.len() == 1 && letters[0]["id"] == second)
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_is_brought_to_its_queue_by_ticks_by_hand_alone() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let mut fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    // Accounts are stored by the roles that need them: a worker that comes and goes.
    let mut worker = fleet.worker(&[Channel::Sms]).await?;
    worker.process.ask_to_leave()?;
    worker.process.left().await?;
    fleet.client.send(&message("general", &[Channel::Sms])).await?;
    fleet.tocsin_json(&["tick", "expand", "--drain"])?;
    fleet.until("the jobs to be made", "count(*) > 0 from jobs where state = 1").await?;
    fleet.tocsin_json(&["tick", "release", "--drain"])?;
    fleet.until("the jobs to be queued", "count(*) > 0 from jobs where state = 2").await?;
    for tick in ["sweep", "expire", "close", "housekeeping", "recount", "audit", "recur", "remind", "tell"] {
        let ran = fleet.tocsin_json(&["tick", tick])?;
        ensure!(ran == json!({ "tick": tick, "ran": 1 }), "{ran}");
    }
    let unset = fleet.tocsin(&["tick", "retain"])?;
    let said = String::from_utf8_lossy(&unset.stderr);
    ensure!(unset.status.code() == Some(2) && said.contains("set retention.months"), "{said}");
    fleet.set("TOCSIN_RETENTION__MONTHS", "12");
    let ran = fleet.tocsin_json(&["tick", "retain"])?;
    ensure!(ran == json!({ "tick": "retain", "ran": 1 }), "{ran}");
    let _planner = fleet.planner().await?;
    fleet
        .until(
            "the planner to have every duty",
            "count(*) = 12 from planner_leases where expires_at > now() and duty like 'release.%'",
        )
        .await?;
    let refused = fleet.tocsin(&["tick", "release"])?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        refused.status.code() == Some(3) && said.contains("other planners have every release duty"),
        "{said}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_limited_by_hand_over_the_start_of_roles_and_a_person_is_forgotten() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet =
        Fleet::start(&vhost.amqp_url, Settings { rate_per_second: Some(50.0), ..Settings::default() })
            .await?;
    let _worker = fleet.worker(&[Channel::Sms]).await?;
    let limited = fleet.tocsin_json(&["account", "limit", "sms", "--rate", "20"])?;
    ensure!(limited["changed"] == true, "{limited}");
    let _another = fleet.worker(&[Channel::Sms]).await?;
    let sms = |fleet: &Fleet| -> Result<Value> {
        let listed = fleet.tocsin_json(&["account", "list"])?;
        let accounts = listed["accounts"].as_array().context("no accounts")?.clone();
        accounts.into_iter().find(|account| account["name"] == "sms").context("no account for texts")
    };
    let shown = sms(&fleet)?;
    ensure!(shown["rate_per_second"] == 20.0, "{shown}");
    ensure!(shown["limited_by_hand"]["configured"]["rate_per_second"] == 50.0, "{shown}");
    for faulty in [&["--rate", "0"][..], &[], &["--rate", "1", "--reset"]] {
        let refused = fleet.tocsin(&[&["account", "limit", "sms"][..], faulty].concat())?;
        ensure!(refused.status.code() == Some(2), "{faulty:?}: {refused:?}");
    }
    fleet.tocsin_json(&["account", "limit", "sms", "--reset"])?;
    ensure!(sms(&fleet)?["rate_per_second"] == 50.0);
    ensure!(fleet.tocsin_json(&["account", "pause", "sms", "--reason", "x"])?["state"] == "stopped");
    ensure!(fleet.tocsin_json(&["account", "resume", "sms"])?["changed"] == true);

    let _planner = fleet.planner().await?;
    let campaign = fleet.client.send(&message("general", &[Channel::Sms])).await?;
    fleet.ends_well(campaign).await?;
    let before = fleet.client.detail(campaign).await?;
    let forget = ["forget", "guardian-0", "--district", "Springfield"];
    ensure!(fleet.tocsin(&forget)?.status.code() == Some(2), "it asks for --yes");
    let forgotten = fleet.tocsin_json(&[&forget[..], &["--yes"]].concat())?;
    ensure!(forgotten == json!({ "campaigns": 1, "recipients": 1, "open": 0 }), "{forgotten}");
    let again = fleet.tocsin_json(&[&forget[..], &["--yes"]].concat())?;
    ensure!(again == json!({ "campaigns": 0, "recipients": 0, "open": 0 }), "{again}");
    let unknown = fleet.tocsin(&["forget", "nobody", "--district", "Springfield", "--yes"])?;
    ensure!(unknown.status.code() == Some(3), "{unknown:?}");
    let after = fleet.client.detail(campaign).await?;
    ensure!(after["totals"] == before["totals"] && after["recipients"] == before["recipients"], "{after}");
    ensure!(fleet.tocsin(&["audit", "--campaign", &campaign.to_string()])?.status.success());

    ensure!(fleet.tocsin(&["retain"])?.status.code() == Some(2), "it asks for --yes");
    let months = fleet.tocsin_json(&["retain", "--older-than", "400d", "--dry-run"])?;
    ensure!(months["months"] == json!([]) && months["dropped"] == false, "{months}");
    Ok(())
}
