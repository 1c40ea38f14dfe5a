//! How many requests may be open at once: in the process, and per account by the worker's share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A counted limit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    taken: AtomicUsize,
    most: AtomicUsize,
    freed: Notify,
}

/// A place that is free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    inner: Arc<Inner>,
    used: bool,
}

impl Slots {
    pub fn new(most: usize) -> Self {
        let inner = Inner { taken: AtomicUsize::new(0), most: AtomicUsize::new(most), freed: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Changes the limit. Slots taken beyond a smaller one are not recalled.
    pub fn set_most(&self, most: usize) {
        self.inner.most.store(most, Ordering::Release);
        self.inner.freed.notify_waiters();
    }

    pub fn take(&self) -> Option<Slot> {
        self.take_within(usize::MAX)
    }

    /// Takes a slot only while fewer than `within` are taken.
    pub fn take_within(&self, within: usize) -> Option<Slot> {
        let most = self.inner.most.load(Ordering::Acquire).min(within);
        self.inner
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < most).then_some(taken + 1))
            .ok()
            .map(|_| Slot { inner: Arc::clone(&self.inner), used: true })
    }

    /// Resolves when a slot was freed. A free slot that nobody waited for is remembered once.
    pub async fn freed(&self) {
        self.inner.freed.notified().await;
    }
}

impl Slot {
    /// Gives back a place that was not used. Wakes nobody: whoever waits for a place has just looked, and
    /// would look again for ever.
    pub fn put_back(mut self) {
        self.used = false;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.inner.taken.fetch_sub(1, Ordering::AcqRel);
        if self.used {
            self.inner.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn only_a_place_that_was_used_wakes_who_waits_when_it_is_free_again() {
        let slots = Slots::new(1);
        slots.take().unwrap().put_back();
        assert!(slots.freed().now_or_never().is_none());
        drop(slots.take().unwrap());
        assert!(slots.freed().now_or_never().is_some());
        assert!(slots.take().is_some());
    }

    #[test]
    fn a_slot_is_free_again_when_it_is_dropped() {
        let slots = Slots::new(2);
        let first = slots.take().unwrap();
        let _second = slots.take().unwrap();
        assert!(slots.take().is_none());
        drop(first);
        assert!(slots.take().is_some());
    }

    #[tokio::test]
    async fn a_place_that_was_not_used_wakes_nobody() {
        let slots = Slots::new(1);
        slots.take().unwrap().put_back();
        let woken = tokio::time::timeout(std::time::Duration::ZERO, slots.freed()).await;
        assert!(woken.is_err());
        assert!(slots.take().is_some());
    }

    #[test]
    fn a_smaller_limit_holds_from_then_on() {
        let slots = Slots::new(3);
        let held = [slots.take().unwrap(), slots.take().unwrap()];
        slots.set_most(1);
        assert!(slots.take().is_none());
        drop(held);
        assert!(slots.take().is_some());
        assert_eq!(slots.inner.taken.load(Ordering::Acquire), 0);
    }
}
