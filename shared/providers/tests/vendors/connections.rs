//! How much of one account is open at once, over real HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tocsin_domain::Channel;
use tocsin_providers::{AccountSettings, Answer, LookUpAnswer, Registry, Secret, SendRequest};
use tocsin_testkit::simulator::Scenario;
use tocsin_testkit::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::stage::{LIMIT, Stage};

/// A vendor that answers a request only when it is told to, and closes the connection with it.
#[derive(Debug, Clone)]
struct Holding {
    address: SocketAddr,
    seen: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    open_max: Arc<AtomicUsize>,
    answers: Arc<Semaphore>,
}

impl Holding {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            open: Arc::default(),
            open_max: Arc::default(),
            answers: Arc::new(Semaphore::new(0)),
        };
        let serving = vendor.clone();
        #[allow(clippy::disallowed_methods, reason = "ends with the test")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        vendor
    }

    async fn serve(self, mut stream: TcpStream) {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.open_max.fetch_max(open, Ordering::SeqCst);
        let mut request = [0; 16 * 1024];
        let _ = stream.read(&mut request).await;
        self.seen.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        self.open.fetch_sub(1, Ordering::SeqCst);
        let body = r#"{"sid":"SM00000000000000000000000000000001","status":"queued"}"#;
        let head = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nconnection: close";
        let _ = stream
            .write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes())
            .await;
    }

    async fn sees(&self, requests: usize) {
        let seen = async || self.seen.load(Ordering::SeqCst) >= requests;
        wait_until(&format!("{requests} requests"), LIMIT, seen).await.unwrap();
    }

    fn account(&self, stage: &Stage, connections_max: usize) -> AccountSettings {
        let mut account = stage.simulator.account(Channel::Sms).unwrap();
        account.base_url = format!("http://{}", self.address);
        account.connections_max = Some(connections_max);
        account
    }
}

fn request(stage: &Stage, job: i32, start_within: Duration) -> SendRequest {
    SendRequest { start_within, deadline: LIMIT, ..stage.request(Channel::Sms, job) }
}

#[tokio::test]
async fn no_more_requests_of_an_account_are_open_than_it_may_have() {
    const MOST: usize = 3;
    const ALL: usize = 12;
    let (stage, vendor) = (Stage::set(Scenario::default()).await, Holding::start().await);
    let account = vendor.account(&stage, MOST);
    let registry = Registry::build(vec![account.clone()]).unwrap();
    let provider = registry.get(&account.name).unwrap();
    let asking = futures::future::join_all((0..ALL as i32).map(|job| {
        let (provider, request) = (Arc::clone(&provider), request(&stage, job + 1, LIMIT));
        async move { provider.send(&request).await }
    }));
    let answering = async {
        for answered in 0..ALL {
            vendor.sees((MOST + answered).min(ALL)).await;
            vendor.answers.add_permits(1);
        }
    };
    let (answers, ()) = tokio::join!(asking, answering);
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Accepted { .. })), "{answers:?}");
    assert_eq!((vendor.seen.load(Ordering::SeqCst), vendor.open_max.load(Ordering::SeqCst)), (ALL, MOST));
}

/// Nothing starts after `send_by`, and nobody is asked; whatever the place was taken for, and by the adapter that another
/// one took the place of.
#[tokio::test]
async fn a_request_without_a_place_in_time_does_not_start() {
    let (stage, vendor) = (Stage::set(Scenario::default()).await, Holding::start().await);
    let account = vendor.account(&stage, 1);
    let registry = Registry::build(vec![account.clone()]).unwrap();
    let before = registry.get(&account.name).unwrap();
    let (query, soon) = (stage.query(Channel::Sms, 1, None), Duration::from_millis(20));
    let looking = before.look_up(&query);
    let sending = async {
        vendor.sees(1).await;
        let late = before.send(&request(&stage, 2, soon)).await;
        registry.replace(&AccountSettings { secret: Secret::new("another"), ..account.clone() }).unwrap();
        let after = registry.get(&account.name).unwrap();
        let later = after.send(&request(&stage, 3, soon)).await;
        vendor.answers.add_permits(2);
        let on_time = after.send(&request(&stage, 4, LIMIT)).await;
        (late, later, on_time)
    };
    let (looked, (late, later, on_time)) = tokio::join!(looking, sending);
    assert_eq!((late, later), (Answer::NotStarted, Answer::NotStarted));
    assert!(matches!(on_time, Answer::Accepted { .. }), "{on_time:?}");
    assert!(!matches!(looked, LookUpAnswer::Unsupported), "{looked:?}");
    assert_eq!(vendor.seen.load(Ordering::SeqCst), 2, "the look-up, and the one that found a place");
}
