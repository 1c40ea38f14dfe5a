//! Posting the reports: each when it is due, many at a time, again when it was not taken.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::callbacks::{Due, Post};
use super::record::Snapshot;
use super::{Shared, clock, report};

/// Posts under way at once; more wait for their turn.
const POSTS_MAX: usize = 256;
const POST_DEADLINE: Duration = Duration::from_secs(15);

/// Runs until the simulator stops.
pub(super) async fn deliver_all(shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(POSTS_MAX));
    let posts = TaskTracker::new();
    shared.stop.run_until_cancelled(deliver_due(&shared, &slots, &posts)).await;
    posts.close();
    posts.wait().await;
}

async fn deliver_due(shared: &Arc<Shared>, slots: &Arc<Semaphore>, posts: &TaskTracker) {
    loop {
        let due = match shared.callbacks.pop() {
            Ok(due) => due,
            Err(next) => {
                shared.callbacks.wait(next).await;
                continue;
            }
        };
        let Some(message) = shared.ledger.advance(due.message, due.step).filter(|_| due.post) else {
            shared.callbacks.passed();
            continue;
        };
        // The semaphore is never closed.
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        posts.spawn(deliver(shared.clone(), due, message, slot));
    }
}

async fn deliver(shared: Arc<Shared>, due: Due, message: Snapshot, _slot: OwnedSemaphorePermit) {
    let post = shared.stop.run_until_cancelled(post(&shared, &due, &message)).await;
    shared.callbacks.posted(due, post.unwrap_or(Post::Refused));
}

async fn post(shared: &Shared, due: &Due, message: &Snapshot) -> Post {
    let Some(report) = report::of(&shared.scenario(), message, due, clock::now()) else {
        return Post::Refused;
    };
    let mut request = shared.client.post(report.url).timeout(POST_DEADLINE).body(report.body);
    for (name, value) in report.headers {
        request = request.header(name, value);
    }
    match request.send().await {
        Ok(response) => (report.verdict)(response.status().as_u16()),
        Err(_) => Post::Again,
    }
}
