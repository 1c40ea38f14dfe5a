//! Publishing batches with confirms, over a few channels.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::Semaphore;

use super::link::Link;
use crate::error::QueueError;
use crate::message::{Message, Published};

/// How many channels publish at a time.
const CHANNELS_MAX: usize = 4;

/// How many messages of a channel wait for their confirm. More gains nothing and costs memory.
const OUTSTANDING_MAX: usize = 1000;

/// The channels of a session that publish. Each serves one batch at a time: the broker returns an
/// unroutable message before it confirms it, but lapin hands the returned one out with whichever
/// confirm it resolves next, so returns are told apart by their number in the batch, and batches
/// must not share a channel.
pub(super) struct Publishing {
    link: Arc<Link>,
    connection: Arc<Connection>,
    idle: Mutex<Vec<Channel>>,
    turns: Semaphore,
}

impl Publishing {
    pub(super) fn new(link: Arc<Link>, connection: Arc<Connection>) -> Self {
        Self { link, connection, idle: Mutex::new(Vec::new()), turns: Semaphore::new(CHANNELS_MAX) }
    }

    pub(super) async fn publish(&self, batch: Vec<Message>) -> Result<Vec<Published>, QueueError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let letters = batch.into_iter().enumerate().map(letter).collect::<Result<Vec<_>, _>>()?;
        let answers = self.link.within("publishing", self.publish_on_a_channel(letters)).await?;
        answers.map_err(|error| self.link.fatal(error))
    }

    async fn publish_on_a_channel(&self, letters: Vec<Letter>) -> Result<Vec<Published>, QueueError> {
        // Never closed, so there is always a turn to wait for.
        let _turn = self.turns.acquire().await;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let channel = match idle {
            Some(channel) => channel,
            None => self.open().await?,
        };
        let confirmations: Vec<Confirmation> = stream::iter(letters)
            .map(|letter| publish_one(&channel, letter))
            .buffered(OUTSTANDING_MAX)
            .try_collect()
            .await
            .map_err(|source| QueueError::Operation { doing: "publishing", source })?;
        // Only a channel without open confirms serves again; one dropped on the way here closes.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
        Ok(answers(confirmations))
    }

    async fn open(&self) -> Result<Channel, QueueError> {
        let channel = self.link.answer("opening a channel", self.connection.create_channel()).await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        self.link.answer("asking for confirms", confirming).await?;
        Ok(channel)
    }
}

/// A message as AMQP has it.
struct Letter {
    exchange: ShortString,
    key: ShortString,
    properties: BasicProperties,
    body: Bytes,
}

/// The message's number in the batch goes with it as its id, to know it by if it is returned.
fn letter((number, message): (usize, Message)) -> Result<Letter, QueueError> {
    let mut headers = FieldTable::default();
    for (name, value) in message.headers {
        let name = ShortString::try_new(name).map_err(|_| QueueError::HeaderName)?;
        headers.insert(name, AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_delivery_mode(if message.persistent { 2 } else { 1 })
        .with_message_id(number.to_string().into());
    let (exchange, key) = message.to.route();
    Ok(Letter { exchange: exchange.into(), key: key.into(), properties, body: message.body })
}

async fn publish_one(channel: &Channel, letter: Letter) -> lapin::Result<Confirmation> {
    let Letter { exchange, key, properties, body } = letter;
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    channel.basic_publish(exchange, key, options, &body, properties).await?.await
}

fn answers(confirmations: Vec<Confirmation>) -> Vec<Published> {
    let mut answers: Vec<Published> = confirmations
        .iter()
        .map(|confirmation| if confirmation.is_ack() { Published::Confirmed } else { Published::Refused })
        .collect();
    for returned in confirmations.into_iter().filter_map(Confirmation::take_message) {
        let number =
            returned.delivery.properties.message_id().as_ref().and_then(|id| id.as_str().parse().ok());
        if let Some(answer) = number.and_then(|number: usize| answers.get_mut(number)) {
            *answer = Published::Unroutable;
        }
    }
    answers
}
