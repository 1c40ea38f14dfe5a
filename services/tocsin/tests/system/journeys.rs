//! The three journeys of a campaign, in one process over either broker: a campaign to its end, callbacks in every
//! order, a cancel with its receipt.

mod callback;
mod campaign;
mod cancel;
mod confirm;
mod look_up;
mod machines;
pub mod stage;
mod traces;

/// Makes a test of a journey over the broker in memory, and another over RabbitMQ.
macro_rules! over_both_brokers {
    ($journey:ident) => {
        mod $journey {
            use crate::journeys::stage::BrokerKind;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_memory() -> anyhow::Result<()> {
                super::$journey(BrokerKind::Memory).await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_rabbitmq() -> anyhow::Result<()> {
                super::$journey(BrokerKind::RabbitMq).await
            }
        }
    };
}
use over_both_brokers;
