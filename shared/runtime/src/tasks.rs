//! Tracked tasks: whoever spawns can be asked to stop, waited for, and named when it does not.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// A group of tasks with one shutdown token. Clones are the same group.
///
/// A group may have children (one role in a process of several, one worker in a test). Stopping a group stops what is
/// below it. A task that panics, or an essential one that ends in an error, fails the whole tree: the root's token is
/// cancelled, so that the process leaves in order instead of limping on without a part.
#[derive(Debug, Clone)]
pub struct Tasks {
    group: Arc<Group>,
}

/// Why the process is coming down although nobody asked it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub task: &'static str,
    pub why: String,
}

/// What [`Tasks::stop`] came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stopped {
    /// Names of the tasks that were still running at the deadline, sorted.
    pub unfinished: Vec<&'static str>,
    /// The first failure in the tree, when there was one: the process should then exit with an error.
    pub failure: Option<Failure>,
}

#[derive(Debug)]
struct Group {
    stopping: CancellationToken,
    /// This group's tasks and those of its descendants.
    running: Mutex<BTreeMap<u64, Running>>,
    /// Told whenever `running` becomes empty.
    empty: Notify,
    parent: Option<Tasks>,
    root: Arc<Root>,
}

/// What all groups of a tree share.
#[derive(Debug, Default)]
struct Root {
    /// Cancelled before `stopping` where the process goes on for a while with what it is still sent.
    leaving: CancellationToken,
    stopping: CancellationToken,
    next_id: AtomicU64,
    failure: OnceLock<Failure>,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    abort: Option<AbortHandle>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    pub fn new() -> Self {
        let root = Arc::new(Root::default());
        Self::group(root.stopping.clone(), None, root)
    }

    /// A group below this one: its own token and tracking, stopped with this one or by itself.
    pub fn child(&self) -> Self {
        let stopping = self.group.stopping.child_token();
        Self::group(stopping, Some(self.clone()), Arc::clone(&self.group.root))
    }

    fn group(stopping: CancellationToken, parent: Option<Self>, root: Arc<Root>) -> Self {
        let group = Group { stopping, running: Mutex::default(), empty: Notify::new(), parent, root };
        Self { group: Arc::new(group) }
    }

    /// Cancelled when the tasks of this group are asked to stop.
    pub fn stopping(&self) -> &CancellationToken {
        &self.group.stopping
    }

    /// Tells that the process will be asked to stop: `/readyz` says so from here on, and nothing else changes.
    pub fn leave(&self) {
        self.group.root.leaving.cancel();
    }

    pub fn are_leaving(&self) -> bool {
        self.group.root.leaving.is_cancelled() || self.group.stopping.is_cancelled()
    }

    /// Resolves when the group was asked to stop, and none of its tasks runs any more.
    pub async fn drained(&self) {
        self.group.stopping.cancelled().await;
        self.group.until_empty().await;
    }

    /// Spawns a task that nobody waits for, because it is of use until all others have left. An error fails the tree.
    pub(crate) fn spawn_to_the_end<E: Display>(
        &self,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let tasks = self.clone();
        spawn_untracked(async move {
            if let Err(error) = future.await {
                tasks.fail(name, error.to_string());
            }
        });
    }

    /// Spawns a task that is expected to end by itself once [`Tasks::stopping`] is cancelled. A panic fails the tree.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let tracked = Tracked::enter(self, name);
        let id = tracked.id;
        let handle = spawn_untracked(async move {
            let _tracked = tracked;
            future.await;
        });
        for group in self.ancestry() {
            if let Some(running) = group.running().get_mut(&id) {
                running.abort = Some(handle.clone());
            }
        }
    }

    /// As [`Tasks::spawn`], for a task that the process cannot do without: an error fails the tree, as a panic does.
    pub fn spawn_essential<E: Display>(
        &self,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let tasks = self.clone();
        self.spawn(name, async move {
            if let Err(error) = future.await {
                tasks.fail(name, error.to_string());
            }
        });
    }

    /// The first failure in the tree, if there was one.
    pub fn failure(&self) -> Option<Failure> {
        self.group.root.failure.get().cloned()
    }

    /// Asks all tasks of the group to stop, and waits for them up to `deadline`. Those that are still running then go
    /// on running; [`Tasks::abort`] ends them where they stand.
    pub async fn stop(&self, deadline: Duration) -> Stopped {
        self.group.stopping.cancel();
        // A timeout is an answer here: the names are read below.
        let _ = tokio::time::timeout(deadline, self.group.until_empty()).await;
        let mut unfinished: Vec<_> = self.group.running().values().map(|running| running.name).collect();
        unfinished.sort_unstable();
        Stopped { unfinished, failure: self.failure() }
    }

    /// Ends all tasks of the group at their next await, without their doing anything more: what a kill does to a
    /// process.
    pub fn abort(&self) {
        self.group.stopping.cancel();
        let handles: Vec<_> = self.group.running().values().filter_map(|task| task.abort.clone()).collect();
        for handle in handles {
            handle.abort();
        }
    }

    fn fail(&self, task: &'static str, why: String) {
        tracing::error!(task, error = %why, "essential task failed: stopping the process");
        // Only the first failure is kept: those after it mostly follow from it.
        let _ = self.group.root.failure.set(Failure { task, why });
        self.group.root.stopping.cancel();
    }

    fn ancestry(&self) -> impl Iterator<Item = &Group> {
        std::iter::successors(Some(&*self.group), |group| group.parent.as_ref().map(|parent| &*parent.group))
    }
}

impl Group {
    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        // The map is whole between statements, so a panic elsewhere while it was held has not broken it.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until_empty(&self) {
        loop {
            let emptied = self.empty.notified();
            tokio::pin!(emptied);
            // Enabled before the look, or an end between the look and the wait would be missed.
            emptied.as_mut().enable();
            if self.running().is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

/// A task's entry in its group and in those above. Dropped with the task however it ends: done, aborted or panicking.
struct Tracked {
    tasks: Tasks,
    name: &'static str,
    id: u64,
}

impl Tracked {
    fn enter(tasks: &Tasks, name: &'static str) -> Self {
        let id = tasks.group.root.next_id.fetch_add(1, Ordering::Relaxed);
        for group in tasks.ancestry() {
            group.running().insert(id, Running { name, abort: None });
        }
        Self { tasks: tasks.clone(), name, id }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tasks.fail(self.name, "panicked".to_owned());
        }
        for group in self.tasks.ancestry() {
            let mut running = group.running();
            running.remove(&self.id);
            if running.is_empty() {
                group.empty.notify_waiters();
            }
        }
    }
}

/// Spawns without tracking: for [`Tasks`] itself, and for the one task that must outlive the drain (the signals).
#[allow(clippy::disallowed_methods, reason = "this is where tasks become tracked")]
pub(crate) fn spawn_untracked(future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(future).abort_handle()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn waits_for_stop(tasks: &Tasks) -> impl Future<Output = ()> + Send + 'static {
        let stopping = tasks.stopping().clone();
        async move { stopping.cancelled().await }
    }

    #[tokio::test]
    async fn stop_waits_for_the_groups_own_tasks_and_those_below() {
        let tasks = Tasks::new();
        let child = tasks.child();
        tasks.spawn("above", waits_for_stop(&tasks));
        child.spawn("below", waits_for_stop(&child));
        assert_eq!(tasks.stop(SOON).await, Stopped::default());
        assert!(child.stopping().is_cancelled());
    }

    #[tokio::test]
    async fn stopping_a_child_leaves_the_parent_running() {
        let tasks = Tasks::new();
        let child = tasks.child();
        child.spawn("below", waits_for_stop(&child));
        tasks.spawn("above", waits_for_stop(&tasks));
        assert_eq!(child.stop(SOON).await, Stopped::default());
        assert!(!tasks.stopping().is_cancelled());
        assert_eq!(tasks.stop(SOON).await, Stopped::default());
    }

    #[tokio::test(start_paused = true)]
    async fn stop_names_the_tasks_that_did_not_stop() {
        let tasks = Tasks::new();
        tasks.spawn("obedient", waits_for_stop(&tasks));
        tasks.spawn("stubborn", std::future::pending());
        tasks.child().spawn("deaf", std::future::pending());
        assert_eq!(tasks.stop(SOON).await.unfinished, ["deaf", "stubborn"]);
    }

    #[tokio::test]
    async fn abort_ends_what_did_not_stop() {
        let tasks = Tasks::new();
        tasks.spawn("stubborn", std::future::pending());
        tasks.abort();
        assert_eq!(tasks.stop(SOON).await, Stopped::default());
    }

    #[tokio::test]
    async fn a_panic_brings_the_whole_tree_down() {
        let tasks = Tasks::new();
        let child = tasks.child();
        tasks.spawn("bystander", waits_for_stop(&tasks));
        child.spawn("faulty", async { panic!("a fault that the test makes") });
        tasks.stopping().cancelled().await;
        let stopped = tasks.stop(SOON).await;
        assert_eq!(stopped.unfinished, Vec::<&str>::new());
        assert_eq!(stopped.failure, Some(Failure { task: "faulty", why: "panicked".to_owned() }));
    }

    #[tokio::test]
    async fn an_essential_tasks_error_brings_the_whole_tree_down() {
        let tasks = Tasks::new();
        tasks.child().spawn_essential("listener", async { Err("address in use") });
        tasks.stopping().cancelled().await;
        let failure = Some(Failure { task: "listener", why: "address in use".to_owned() });
        assert_eq!(tasks.stop(SOON).await.failure, failure);
    }

    #[tokio::test]
    async fn an_essential_task_may_end_well() {
        let tasks = Tasks::new();
        tasks.spawn_essential("once", async { Ok::<(), String>(()) });
        assert_eq!(tasks.stop(SOON).await, Stopped::default());
    }
}
