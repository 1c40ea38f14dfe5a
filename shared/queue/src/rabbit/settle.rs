//! Writing the settlements of one consumer: one task, so that the frames keep their order.
//!
//! Order matters: "all up to 7" written before "5 goes back" would acknowledge 5.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::ledger::Ledger;
use super::link::Link;
use super::publishing::Publishing;
use crate::consumer::Settle;
use crate::error::QueueError;
use crate::message::{Destination, Message, Published, Queue, Tag};
use crate::topology::{QUEUE_HEADER, REASON_HEADER};

/// How long an acknowledgement waits for the ones before it, to go out in one frame with them.
/// Longer than batches overtake each other by; short against what a held tag costs, which is a
/// place in the prefetch and a harmless redelivery after a crash.
const HOLD: Duration = Duration::from_millis(50);

/// Settlements handed over and not yet written.
const COMMANDS_MAX: usize = 1024;

enum Command {
    Ack(Vec<Tag>),
    GiveBack(Vec<Tag>),
}

/// The consumer's side.
pub(super) struct Settler {
    link: Arc<Link>,
    publishing: Arc<Publishing>,
    queue: String,
    commands: mpsc::Sender<Command>,
}

impl Settler {
    pub(super) fn new(
        link: Arc<Link>,
        publishing: Arc<Publishing>,
        queue: String,
        channel: Channel,
    ) -> (Self, Writer) {
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let writer = Writer { link: link.clone(), channel, commands: received, ledger: Ledger::default() };
        (Self { link, publishing, queue, commands }, writer)
    }

    async fn hand_over(&self, command: Command) -> Result<(), QueueError> {
        self.link.life.check()?;
        let sent = self.link.within("settling messages", self.commands.send(command)).await?;
        sent.map_err(|_| QueueError::Lost { reason: "it is being closed".to_owned() })
    }
}

#[async_trait]
impl Settle for Settler {
    async fn ack(&self, tags: &[Tag]) -> Result<(), QueueError> {
        self.hand_over(Command::Ack(tags.to_vec())).await
    }

    async fn give_back(&self, tags: &[Tag]) -> Result<(), QueueError> {
        self.hand_over(Command::GiveBack(tags.to_vec())).await
    }

    async fn bury(&self, body: Bytes, headers: &[(String, String)], reason: &str) -> Result<(), QueueError> {
        let mut headers = headers.to_vec();
        headers.push((REASON_HEADER.to_owned(), reason.to_owned()));
        headers.push((QUEUE_HEADER.to_owned(), self.queue.clone()));
        let letter = Message { to: Destination::Queue(Queue::DeadLetters), body, headers, persistent: true };
        match self.publishing.publish(vec![letter]).await?.as_slice() {
            [Published::Confirmed] => Ok(()),
            _ => Err(QueueError::NotDeadLettered),
        }
    }
}

/// The task's side. It ends when the consumer and all its ackers are gone, or the session is; the
/// channel closes with it, and the broker takes back what is unsettled.
pub(super) struct Writer {
    link: Arc<Link>,
    channel: Channel,
    commands: mpsc::Receiver<Command>,
    ledger: Ledger,
}

impl Writer {
    pub(super) async fn run(mut self) {
        // Whoever waits for the session's end tells of it; the first reason given is the one told.
        if let Err(error) = self.write_all().await {
            self.link.fatal(error);
        }
    }

    async fn write_all(&mut self) -> Result<(), QueueError> {
        let link = self.link.clone();
        let mut hold_until = None;
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.note(command).await?,
                    None => break,
                },
                () = sleep_until(hold_until.unwrap_or_else(Instant::now)), if hold_until.is_some() => {
                    self.release_held().await?;
                }
                () = link.closing.cancelled() => break,
                error = link.life.lost() => return Err(error),
            }
            // What was handed over meanwhile shares the frame.
            while let Ok(command) = self.commands.try_recv() {
                self.note(command).await?;
            }
            self.write_multiple().await?;
            hold_until = self.ledger.holds_any().then(|| hold_until.unwrap_or_else(|| Instant::now() + HOLD));
        }
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.note(command).await?;
        }
        self.write_the_last().await
    }

    /// The channel is about to close and what is open goes back with it. A quorum queue's client in
    /// the broker keeps back what comes in too many frames, and forgets it with the channel, so
    /// where it takes fewer frames the open ones are given back first and one covers the rest.
    async fn write_the_last(&mut self) -> Result<(), QueueError> {
        self.write_multiple().await?;
        let gaps = self.ledger.gaps();
        if gaps.len() >= self.ledger.held().len() {
            return self.release_held().await;
        }
        for tag in gaps {
            self.give_back(tag).await?;
        }
        self.write_multiple().await
    }

    async fn note(&mut self, command: Command) -> Result<(), QueueError> {
        match command {
            Command::Ack(tags) => self.ledger.ack(tags.into_iter().map(|tag| tag.0)),
            Command::GiveBack(tags) => {
                for Tag(tag) in tags {
                    self.give_back(tag).await?;
                }
            }
        }
        Ok(())
    }

    async fn give_back(&mut self, tag: u64) -> Result<(), QueueError> {
        if !self.ledger.is_open(tag) {
            return Ok(());
        }
        let options = BasicNackOptions { requeue: true, multiple: false };
        self.link.answer("giving a message back", self.channel.basic_nack(tag, options)).await?;
        self.ledger.told(tag);
        Ok(())
    }

    async fn write_multiple(&mut self) -> Result<(), QueueError> {
        match self.ledger.rise() {
            Some(tag) => self.write_ack(tag, BasicAckOptions { multiple: true }).await,
            None => Ok(()),
        }
    }

    async fn release_held(&mut self) -> Result<(), QueueError> {
        for tag in self.ledger.held() {
            self.write_ack(tag, BasicAckOptions { multiple: false }).await?;
            self.ledger.told(tag);
        }
        Ok(())
    }

    async fn write_ack(&self, tag: u64, options: BasicAckOptions) -> Result<(), QueueError> {
        self.link.answer("acknowledging messages", self.channel.basic_ack(tag, options)).await
    }
}
