//! Queues, sessions and what is unsettled, without waiting and without locks.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::dead_letters::BROKERS_QUEUE_HEADER;
use crate::life::Life;
use crate::message::{Delivery, Destination, Message, Published, Queue, Tag};
use crate::topology::{CONTROL_LENGTH_MAX, DELIVERIES_MAX};

pub(super) type SessionId = u64;
pub(super) type HoldId = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Named(Queue),
    Control(SessionId),
}

struct Stored {
    body: Bytes,
    headers: Vec<(String, String)>,
    /// How often it was handed out.
    deliveries: u32,
}

/// A consumer's share: what AMQP calls a channel.
struct Hold {
    session: SessionId,
    key: Key,
    prefetch: usize,
    last_tag: u64,
    unsettled: BTreeMap<u64, Stored>,
    stopped: bool,
}

pub(super) struct State {
    pub(super) up: bool,
    pub(super) refusals: usize,
    pub(super) control_bound: bool,
    last_id: u64,
    sessions: BTreeMap<SessionId, Arc<Life>>,
    ready: HashMap<Key, VecDeque<Stored>>,
    holds: BTreeMap<HoldId, Hold>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            up: true,
            refusals: 0,
            control_bound: true,
            last_id: 0,
            sessions: BTreeMap::new(),
            ready: HashMap::new(),
            holds: BTreeMap::new(),
        }
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn begin_session(&mut self, life: Arc<Life>) -> SessionId {
        let id = self.next_id();
        self.sessions.insert(id, life);
        id
    }

    pub(super) fn end_session(&mut self, session: SessionId, reason: &str) {
        let Some(life) = self.sessions.remove(&session) else { return };
        life.end(reason);
        let held: Vec<HoldId> =
            self.holds.iter().filter(|(_, hold)| hold.session == session).map(|(id, _)| *id).collect();
        for hold in held {
            self.end_hold(hold);
        }
        self.ready.remove(&Key::Control(session));
    }

    pub(super) fn end_sessions(&mut self) {
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.end_session(session, "the broker closed it");
        }
    }

    pub(super) fn forget_messages(&mut self) {
        self.ready.values_mut().for_each(VecDeque::clear);
        self.holds.values_mut().for_each(|hold| hold.unsettled.clear());
    }

    pub(super) fn publish(&mut self, message: Message) -> Published {
        if self.refusals > 0 {
            self.refusals -= 1;
            return Published::Refused;
        }
        let stored = |message: &Message| Stored {
            body: message.body.clone(),
            headers: message.headers.clone(),
            deliveries: 0,
        };
        match message.to {
            Destination::Queue(queue) => {
                self.ready.entry(Key::Named(queue)).or_default().push_back(stored(&message));
                Published::Confirmed
            }
            Destination::Control if !self.control_bound => Published::Unroutable,
            Destination::Control => {
                let mut reached = Published::Unroutable;
                for (key, ready) in &mut self.ready {
                    if let Key::Control(_) = key {
                        ready.push_back(stored(&message));
                        if ready.len() > CONTROL_LENGTH_MAX as usize {
                            ready.pop_front();
                        }
                        reached = Published::Confirmed;
                    }
                }
                reached
            }
        }
    }

    pub(super) fn begin_hold(&mut self, session: SessionId, key: Key, prefetch: u16) -> HoldId {
        self.ready.entry(key).or_default();
        let prefetch = if prefetch == 0 { usize::MAX } else { usize::from(prefetch) };
        let hold = Hold { session, key, prefetch, last_tag: 0, unsettled: BTreeMap::new(), stopped: false };
        let id = self.next_id();
        self.holds.insert(id, hold);
        id
    }

    /// Gives back what the hold has not settled.
    pub(super) fn end_hold(&mut self, hold: HoldId) {
        if let Some(hold) = self.holds.remove(&hold) {
            for stored in hold.unsettled.into_values().rev() {
                self.put_back(hold.key, stored);
            }
        }
    }

    pub(super) fn stop_hold(&mut self, hold: HoldId) {
        if let Some(hold) = self.holds.get_mut(&hold) {
            hold.stopped = true;
        }
    }

    pub(super) fn is_stopped(&self, hold: HoldId) -> bool {
        self.holds.get(&hold).is_none_or(|hold| hold.stopped)
    }

    /// Up to `max` messages, as far as the prefetch allows.
    pub(super) fn take(&mut self, hold: HoldId, max: usize) -> Vec<Delivery> {
        let Some(hold) = self.holds.get_mut(&hold) else { return Vec::new() };
        let Some(ready) = self.ready.get_mut(&hold.key) else { return Vec::new() };
        let room = hold.prefetch.saturating_sub(hold.unsettled.len());
        let mut batch = Vec::new();
        while batch.len() < max.min(room) {
            let Some(mut stored) = ready.pop_front() else { break };
            hold.last_tag += 1;
            batch.push(Delivery {
                tag: Tag(hold.last_tag),
                body: stored.body.clone(),
                headers: stored.headers.clone(),
                redelivered: stored.deliveries > 0,
            });
            stored.deliveries += 1;
            hold.unsettled.insert(hold.last_tag, stored);
        }
        batch
    }

    pub(super) fn ack(&mut self, hold: HoldId, tags: &[Tag]) {
        if let Some(hold) = self.holds.get_mut(&hold) {
            for tag in tags {
                hold.unsettled.remove(&tag.0);
            }
        }
    }

    pub(super) fn give_back(&mut self, hold: HoldId, tags: &[Tag]) {
        let Some(hold) = self.holds.get_mut(&hold) else { return };
        let key = hold.key;
        // Latest first, so that the queue has them in their old order.
        let mut tags: Vec<u64> = tags.iter().map(|tag| tag.0).collect();
        tags.sort_unstable_by(|a, b| b.cmp(a));
        let returned: Vec<Stored> = tags.iter().filter_map(|tag| hold.unsettled.remove(tag)).collect();
        for stored in returned {
            self.put_back(key, stored);
        }
    }

    fn put_back(&mut self, key: Key, mut stored: Stored) {
        let worn_out = match key {
            Key::Named(queue) if queue != Queue::DeadLetters => {
                (stored.deliveries >= DELIVERIES_MAX).then_some(queue)
            }
            Key::Named(_) | Key::Control(_) => None,
        };
        if let Some(queue) = worn_out {
            stored.headers.push((BROKERS_QUEUE_HEADER.to_owned(), queue.name()));
            self.ready.entry(Key::Named(Queue::DeadLetters)).or_default().push_back(stored);
        } else if let Some(ready) = self.ready.get_mut(&key) {
            ready.push_front(stored);
        }
    }

    pub(super) fn depth(&self, queue: Queue) -> usize {
        self.ready.get(&Key::Named(queue)).map_or(0, VecDeque::len)
    }

    /// Is nothing of it left, neither ready nor in a consumer's hands?
    pub(super) fn is_drained(&self, queue: Queue) -> bool {
        let mut holds = self.holds.values().filter(|hold| hold.key == Key::Named(queue));
        self.depth(queue) == 0 && holds.all(|hold| hold.unsettled.is_empty())
    }

    pub(super) fn unsettled(&self) -> Vec<(Queue, Bytes)> {
        let ready = self.ready.iter().map(|(key, ready)| (*key, ready.iter().collect::<Vec<_>>()));
        let held = self.holds.values().map(|hold| (hold.key, hold.unsettled.values().collect()));
        let of_queue = |(key, stored): (Key, Vec<&Stored>)| match key {
            Key::Named(queue) => stored.iter().map(|stored| (queue, stored.body.clone())).collect(),
            Key::Control(_) => Vec::new(),
        };
        ready.chain(held).flat_map(of_queue).collect()
    }

    pub(super) fn purge(&mut self, queue: Queue) -> usize {
        self.ready.remove(&Key::Named(queue)).map_or(0, |ready| ready.len())
    }
}
