//! The bytes on the queue: what each message is written as, and what survives between releases.

#![allow(clippy::unwrap_used, reason = "the functions beside the tests are tests, too")]

use std::fmt::Debug;

use bytes::Bytes;
use prost::{Message, Name};
use tocsin_proto::v1::{
    Cancel, Control, Header, Job, Jobs, LookUp, RawCallback, RawCallbacks, Recall, Stop, Take, Wake,
    control::Command,
};
use tocsin_proto::{Envelope, ProtoError};

const ID: [u8; 16] = [0x01, 0x92, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 16];
const ID_HEX: &str = "0192030405067008800a0b0c0d0e0f10";
/// `00-ab`
const TRACE_HEX: &str = "30302d6162";
/// Name `n`, value `v`.
const HEADER_HEX: &str = "0a016e120176";

fn id() -> Bytes {
    Bytes::from_static(&ID)
}

fn job() -> Job {
    Job {
        campaign_id: id(),
        job_id: 300,
        generation: 2,
        channel: 1,
        lane: 3,
        account_id: 7,
        traceparent: "00-ab".into(),
    }
}

fn recall() -> Recall {
    Recall {
        campaign_id: id(),
        job_id: 300,
        attempt: 1,
        account_id: 7,
        provider_id: "CA1".into(),
        traceparent: "00-ab".into(),
    }
}

fn look_up() -> LookUp {
    LookUp { campaign_id: id(), job_id: 300, attempt: 1, traceparent: "00-ab".into() }
}

fn cancel() -> Control {
    Control { command: Some(Command::Cancel(Cancel { campaign_id: id(), cancel_epoch: 5 })) }
}

fn wake(emergency: bool) -> Control {
    Control { command: Some(Command::Wake(Wake { channels: vec![1, 2], emergency })) }
}

fn take() -> Control {
    Control { command: Some(Command::Take(Take { worker_id: id(), jobs: vec![job()] })) }
}

fn stop(district_id: Bytes) -> Control {
    Control { command: Some(Command::Stop(Stop { district_id })) }
}

fn callback() -> RawCallback {
    RawCallback {
        id: id(),
        received_at_ms: 1_000,
        account: "a".into(),
        method: "POST".into(),
        url: "u".into(),
        headers: vec![Header { name: "n".into(), value: "v".into() }],
        body: Bytes::from_static(&[0xff, 0x00]),
        campaign_id: id(),
        job_id: 300,
        attempt: 1,
        lane: 3,
    }
}

/// `message` is written as `golden`, and `golden` is read as `message`.
fn assert_golden<T: Message + Name + Default + Clone + PartialEq + Debug>(message: T, golden: &str) {
    assert_eq!(hex(Envelope::new(message.clone()).bytes()), golden, "{} is written otherwise", T::NAME);
    let read = Envelope::<T>::decode(unhex(golden)).unwrap();
    assert_eq!(read.message, message, "{} is read otherwise", T::NAME);
}

#[test]
fn every_message_keeps_its_bytes() {
    assert_golden(job(), &format!("0a10{ID_HEX}10ac0218022001280330073a05{TRACE_HEX}"));
    let both = Jobs { jobs: vec![job(), Job { job_id: 1, ..Job::default() }] };
    assert_golden(both, &format!("0a240a10{ID_HEX}10ac0218022001280330073a05{TRACE_HEX}0a021001"));
    assert_golden(recall(), &format!("0a10{ID_HEX}10ac02180120072a034341313205{TRACE_HEX}"));
    assert_golden(look_up(), &format!("0a10{ID_HEX}10ac0218012205{TRACE_HEX}"));
    assert_golden(cancel(), &format!("0a140a10{ID_HEX}1005"));
    assert_golden(wake(false), "12040a020102");
    assert_golden(wake(true), "12060a0201021001");
    let told = format!("0a10{ID_HEX}10ac0218022001280330073a05{TRACE_HEX}");
    assert_golden(take(), &format!("1a380a10{ID_HEX}12{:02x}{told}", told.len() / 2));
    assert_golden(stop(id()), &format!("22120a10{ID_HEX}"));
    assert_golden(stop(Bytes::new()), "2200");
    let request = format!("10e8071a01612204504f53542a01753206{HEADER_HEX}3a02ff00");
    let parts = RawCallbacks { callbacks: vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")] };
    assert_golden(parts, "0a0261620a0163");
    assert_golden(callback(), &format!("0a10{ID_HEX}{request}4210{ID_HEX}48ac0250015803"));
}

#[test]
fn a_message_of_a_newer_release_is_read_and_forwarded_byte_for_byte() {
    let mut newer = job().encode_to_vec();
    // Field 100, which no message of this release has: once as text, once as a number.
    newer.extend(unhex("a2060568656c6c6f"));
    newer.extend(unhex("a0067b"));
    let newer = Bytes::from(newer);

    let envelope = Envelope::<Job>::decode(newer.clone()).unwrap();

    assert_eq!(envelope.message, job());
    assert_ne!(
        envelope.message.encode_to_vec(),
        newer,
        "encoding anew would keep the fields: no envelope needed"
    );
    assert_eq!(envelope.bytes(), &newer);
    assert_eq!(Envelope::<Job>::decode(envelope.into_bytes()).unwrap().into_bytes(), newer);
}

#[test]
fn fields_that_an_older_release_did_not_write_read_as_absent() {
    let older = Recall { campaign_id: id(), job_id: 1, ..Recall::default() };
    let read = Envelope::<Recall>::decode(older.encode_to_vec().into()).unwrap();
    assert_eq!(read.message.provider_id, "");
    assert_eq!(read.message.attempt, 0);
}

#[test]
fn a_command_of_a_newer_release_is_no_command() {
    // Field 9 of Control, a message.
    let newer = unhex("4a020801");
    let envelope = Envelope::<Control>::decode(newer.clone()).unwrap();
    assert_eq!(envelope.message.command, None);
    assert_eq!(envelope.into_bytes(), newer);
}

#[test]
fn a_callback_without_our_token_has_no_campaign() {
    let read = Envelope::<RawCallback>::decode(Bytes::new()).unwrap();
    assert!(read.message.campaign_id.is_empty());
}

#[test]
fn a_callback_shows_neither_address_nor_headers_nor_body_in_logs() {
    let callback = RawCallback {
        url: "https://example.org/callbacks?To=%2B15551230142".into(),
        headers: vec![Header { name: "authorization".into(), value: "secret".into() }],
        body: Bytes::from_static(b"To=%2B15551230142"),
        ..callback()
    };
    let shown = format!("{callback:?}");
    for hidden in ["15551230142", "secret", "authorization"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    assert!(shown.contains("body_bytes: 17"), "{shown}");
}

#[test]
fn broken_bytes_name_the_message_they_are_not() {
    for broken in ["0a10", "0a05abcd", "ffffffff", "1a"] {
        let error = Envelope::<Job>::decode(unhex(broken)).unwrap_err();
        let ProtoError::Decode { message, .. } = &error else { panic!("{error}") };
        assert_eq!(*message, "Job");
        assert_eq!(error.to_string(), "decode Job");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
