//! One subscription, on an AMQP channel of its own.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use tracing::debug;

use super::link::Link;
use super::settle::Settler;
use crate::consumer::{Feed, Settle};
use crate::error::QueueError;
use crate::message::{Delivery, Tag};

pub(super) struct RabbitFeed {
    link: Arc<Link>,
    channel: Channel,
    /// None when the subscription has ended: lapin's stream would wait for ever after its end.
    stream: Option<lapin::Consumer>,
    settler: Arc<Settler>,
}

impl RabbitFeed {
    pub(super) async fn subscribe(
        link: Arc<Link>,
        channel: Channel,
        queue: &str,
        prefetch: u16,
        settler: Arc<Settler>,
    ) -> Result<Self, QueueError> {
        let bounded = channel.basic_qos(prefetch, BasicQosOptions::default());
        link.answer("setting the prefetch", bounded).await?;
        let options = BasicConsumeOptions::default();
        let subscribed = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let stream = link.answer("subscribing", subscribed).await?;
        Ok(Self { link, channel, stream: Some(stream), settler })
    }

    /// Keeps a delivery; an end of the stream is the end of the session, as a consumer that ends
    /// unasked (its queue was deleted, its channel failed) is to be rebuilt like a broken one.
    fn keep(
        &mut self,
        batch: &mut Vec<Delivery>,
        next: Option<lapin::Result<lapin::message::Delivery>>,
    ) -> bool {
        let reason = match next {
            Some(Ok(delivery)) => {
                batch.push(translate(delivery));
                return true;
            }
            Some(Err(error)) => error.to_string(),
            None => "the broker ended a consumer".to_owned(),
        };
        self.link.life.end(reason);
        self.stream = None;
        false
    }
}

#[async_trait]
impl Feed for RabbitFeed {
    async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        let mut batch = Vec::new();
        let next = tokio::select! {
            biased;
            _ = self.link.life.lost() => return None,
            next = self.stream.as_mut()?.next() => next,
        };
        let mut more = self.keep(&mut batch, next);
        while more && batch.len() < max {
            let Some(next) = self.stream.as_mut().and_then(|stream| stream.next().now_or_never()) else {
                break;
            };
            more = self.keep(&mut batch, next);
        }
        Some(batch).filter(|batch| !batch.is_empty())
    }

    async fn stop(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        let cancelled = self.channel.basic_cancel(stream.tag(), BasicCancelOptions::default());
        if let Err(error) = self.link.answer("ending a subscription", cancelled).await {
            debug!(%error, "subscription not ended in order");
            return;
        }
        // The broker has answered, so all it ever sent is in the stream.
        let mut unseen = Vec::new();
        while let Some(Some(Ok(delivery))) = stream.next().now_or_never() {
            unseen.push(Tag(delivery.delivery_tag));
        }
        if !unseen.is_empty()
            && let Err(error) = self.settler.give_back(&unseen).await
        {
            debug!(%error, "messages not given back in order");
        }
    }
}

fn translate(delivery: lapin::message::Delivery) -> Delivery {
    Delivery {
        tag: Tag(delivery.delivery_tag),
        body: Bytes::from(delivery.data),
        headers: delivery.properties.headers().as_ref().map(text_headers).unwrap_or_default(),
        redelivered: delivery.redelivered,
    }
}

/// The headers that are text. The broker adds others (counts, the history of a dead letter).
fn text_headers(table: &FieldTable) -> Vec<(String, String)> {
    let text = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    };
    table.inner().iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Others write a trace's context as either.
    #[test]
    fn long_and_short_texts_are_headers_and_numbers_are_not() {
        let mut table = FieldTable::default();
        table.insert("traceparent".into(), AMQPValue::ShortString("00-1".into()));
        table.insert("tracestate".into(), AMQPValue::LongString("a=b".into()));
        table.insert("x-delivery-count".into(), AMQPValue::LongLongInt(3));
        let mut headers = text_headers(&table);
        headers.sort();
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers, [text("traceparent", "00-1"), text("tracestate", "a=b")]);
    }
}
