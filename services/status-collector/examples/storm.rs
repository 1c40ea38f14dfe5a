//! Serves the ingress for a load generator and writes the request to /tmp/storm.lua.
#![allow(clippy::unwrap_used, missing_docs)]
use std::sync::Arc;
use tocsin_domain::*;
use tocsin_providers::twilio::form::Form;
use tocsin_providers::*;
use tocsin_queue::*;
use tocsin_runtime::*;
use tocsin_status_collector::Collector;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let broker: Arc<dyn Broker> = match std::env::args().nth(1) {
        Some(url) => Arc::new(RabbitBroker::new(&url).unwrap()),
        None => Arc::new(MemoryBroker::new()),
    };
    let account = AccountSettings {
        name: "sms-1".into(), channel: Channel::Sms, kind: ProviderKind::Twilio,
        base_url: "http://127.0.0.1:9".into(), user: "AC00000000000000000000000000000001".into(),
        secret: Secret::new("auth"), signing_keys: vec![], sender: "+15005550006".into(), domain: None,
    };
    let collector = Collector {
        store: tocsin_store::Store::open("postgres://x@127.0.0.1:1/x", 1, tocsin_store::Access::Engine).unwrap(),
        broker: broker.clone(), clock: Arc::new(SystemClock),
        registry: Arc::new(Registry::build(vec![account]).unwrap()),
        token_keys: TokenKeys::new(&Secret::new("k"), None),
        public_url: "https://bell.example.org".into(), counts: Arc::default(),
    };
    let attempt = AttemptKey { job: JobKey { campaign: CampaignId(uuid::Uuid::now_v7()), job: 7 }, number: 1 };
    let token = collector.token_keys.mint(attempt, Lane::General);
    let path = format!("/callbacks/sms-1/{token}");
    let fields = [("MessageSid", "SM0123456789abcdef0123456789abcdef"), ("SmsSid", "SM0123456789abcdef0123456789abcdef"),
        ("MessageStatus", "delivered"), ("SmsStatus", "delivered"), ("AccountSid", "AC00000000000000000000000000000001"),
        ("From", "+15005550006"), ("To", "+13125550100"), ("ApiVersion", "2010-04-01")];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let signature = twilio::signature::SignatureKeys::new(&[Secret::new("auth")])
        .sign(&format!("https://bell.example.org{path}"), &Form::from_pairs(&fields)).unwrap();
    std::fs::write("/tmp/storm.lua", format!(
        "wrk.method='POST'\nwrk.path='{path}'\nwrk.body='{body}'\nwrk.headers['Content-Type']='application/x-www-form-urlencoded; charset=utf-8'\nwrk.headers['X-Twilio-Signature']='{signature}'\nwrk.headers['I-Twilio-Idempotency-Token']='a3c5b1e0-4d8f-4a44-9c1e-000000000000'\nwrk.headers['User-Agent']='TwilioProxy/1.1'\n")).unwrap();
    let tasks = Tasks::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8099").await.unwrap();
    collector.start_ingress(listener, &tasks);
    let session = broker.connect("drain").await.unwrap();
    let mut consumer = session.consume(Queue::Status(Lane::General), 1000).await.unwrap();
    println!("ready");
    let mut drained = 0usize;
    while let Some(batch) = consumer.next_batch(500).await {
        let tags: Vec<_> = batch.iter().map(|d| d.tag).collect();
        drained += tags.len();
        consumer.acker().ack(&tags).await.unwrap();
        if drained % 20_000 < tags.len() { println!("drained {drained} taken {}", collector.counts.taken.get()); }
    }
}
