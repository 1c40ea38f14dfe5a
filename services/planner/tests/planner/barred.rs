//! What the log says of emergency texts that are barred when their jobs are made.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tocsin_domain::{Channel, Lane};
use tocsin_planner::Expander;
use tocsin_runtime::{Clock as _, SystemClock};

use crate::stage::Stage;

const PHONE: &str = "+13125550100";
const OTHER_PHONE: &str = "+13125550101";

/// What is logged, an object a line.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Of two people whose texts are barred one has a call as well. In an emergency it is said, and nobody's number with it.
#[tokio::test]
async fn barred_texts_of_an_emergency_are_told_with_what_is_left_of_their_people() {
    let stage = Stage::new().await;
    let store = stage.fixture.store();
    for phone in [PHONE, OTHER_PHONE] {
        store.opt_out(stage.fixture.district(), phone, "test", SystemClock.now()).await.unwrap();
    }
    stage.fixture.guardian(&[(Channel::Voice, PHONE), (Channel::Sms, PHONE)]).await.unwrap();
    stage.fixture.guardian(&[(Channel::Sms, OTHER_PHONE)]).await.unwrap();
    let planning = stage.leading().await;
    for (lane, lines) in [(Lane::General, 0), (Lane::Emergency, 1)] {
        let campaign = stage.fixture.campaign(lane, &[Channel::Voice, Channel::Sms]).await.unwrap();
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        let logged = tracing::subscriber::set_default(subscriber);
        Expander::default().tick(&planning.planner).await.unwrap();
        drop(logged);
        let said: Vec<Value> = log
            .lines()
            .into_iter()
            .filter(|line| line["message"].as_str().unwrap().contains("barred"))
            .collect();
        assert_eq!(said.len(), lines, "{lane}: {said:?}");
        for line in said {
            let counts = (&line["texts"], &line["other_devices"], &line["people_without_other_device"]);
            assert_eq!(counts, (&2.into(), &1.into(), &1.into()), "{line}");
            assert_eq!(line["campaign.id"], campaign.to_string());
            assert!(!line.to_string().contains("312555"), "{line}");
        }
    }
}
