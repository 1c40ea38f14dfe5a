//! The stream of a campaign's progress.

use std::time::Duration;

use reqwest::Response;

use super::{Visitor, get};
use crate::stage::{SOON, Stage};

async fn open(stage: &Stage, visitor: &Visitor<'_>, id: &str) -> Response {
    let url = format!("{}/campaigns/{id}/events", stage.address);
    let answer = stage.client.get(url).header("cookie", &visitor.cookie).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(!answer.headers().contains_key("content-encoding"));
    answer
}

/// Reads on until the stream has said `what`; what was read is kept in `read`.
async fn hear(stream: &mut Response, read: &mut String, what: &str) {
    let heard = tokio::time::timeout(SOON, async {
        while !read.contains(what) {
            let chunk =
                stream.chunk().await.unwrap().unwrap_or_else(|| panic!("ended before {what}: {read}"));
            read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    });
    heard.await.unwrap_or_else(|_| panic!("no {what} in: {read}"));
}

#[tokio::test]
async fn a_stream_tells_progress_to_all_who_watch_and_ends_with_the_campaign() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(2, "+15551230001"), (4, "ana")]).await;
    let id = stage.campaign("watched").await;
    stage.expand_all().await;
    stage.change("update campaigns set state = 3, started_at = now() where id = $1", &id).await;
    let mut streams = [open(&stage, &visitor, &id).await, open(&stage, &visitor, &id).await];
    let mut read = [String::new(), String::new()];
    for (stream, read) in streams.iter_mut().zip(&mut read) {
        hear(stream, read, "<strong>0</strong> of 2 devices").await;
        assert!(read.contains("retry: 2000") && read.contains("event: progress"), "{read}");
    }
    stage
        .change(
            "insert into tallies (campaign_id, district_id, channel, open, attempts, successful)
             select id, district_id, 2, -1, 1, 1 from campaigns where id = $1",
            &id,
        )
        .await;
    for (stream, read) in streams.iter_mut().zip(&mut read) {
        hear(stream, read, "<strong>1</strong> of 2 devices").await;
    }
    stage
        .change("update campaigns set state = 5, ended_at = now(), closed_at = now() where id = $1", &id)
        .await;
    for (stream, read) in streams.iter_mut().zip(&mut read) {
        hear(stream, read, "event: end").await;
        assert_eq!(stream.chunk().await.unwrap(), None, "the stream goes on after its end");
    }
}

#[tokio::test]
async fn open_streams_do_not_hold_up_a_stop() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = stage.campaign("stopped").await;
    let mut stream = open(&stage, &visitor, &id).await;
    hear(&mut stream, &mut String::new(), "event: progress").await;
    let stopped = stage.tasks.stop(Duration::from_secs(10)).await;
    assert!(stopped.unfinished.is_empty(), "{stopped:?}");
    while stream.chunk().await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_stream_is_for_those_who_signed_in() {
    let stage = Stage::start().await;
    let id = stage.campaign("closed").await;
    assert_eq!(get(&stage, &format!("/campaigns/{id}/events"), "").await.status, 401);
}
