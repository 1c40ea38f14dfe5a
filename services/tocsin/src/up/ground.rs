//! What everything stands on: the store and the broker, each embedded or a real server.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use tocsin_queue::{Broker, MemoryBroker, RabbitBroker};
use tocsin_runtime::{Clock as _, Config, SystemClock};

use crate::embedded::{DataDirectory, Embedded};
use crate::exit::Failure;
use crate::roles::refuse_restored;
use crate::system::Stores;

pub fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// The servers that the configuration names, reached.
#[derive(Debug)]
pub struct Servers {
    stores: Option<Stores>,
    broker: Option<Arc<dyn Broker>>,
}

impl Servers {
    /// Fails when one of them cannot be used: there is no falling back to the embedded half, for what was
    /// sent would then be in two places.
    pub async fn reach(config: &Config) -> Result<Self> {
        let stores = match &config.database_url {
            None => None,
            Some(_) => Some(reach_stores(config).await?),
        };
        let broker = match &config.amqp_url {
            None => None,
            Some(_) => Some(reach_broker(config).await?),
        };
        Ok(Self { stores, broker })
    }
}

async fn reach_stores(config: &Config) -> Result<Stores> {
    let url = config.require_database_url()?;
    let stores = Stores::open(url, config.database_pool)?;
    stores.engine.check().await.with_context(|| {
        format!(
            "DATABASE_URL {} cannot be used: start that server, mend the address, or unset DATABASE_URL for the \
             embedded store",
            tocsin_store::redacted(url)
        )
    })?;
    refuse_restored(&stores.engine).await?;
    Ok(stores)
}

async fn reach_broker(config: &Config) -> Result<Arc<dyn Broker>> {
    let url = config.require_amqp_url()?;
    let broker = RabbitBroker::new(url)?;
    let session = broker.connect("tocsin up").await.with_context(|| {
        Failure::unreachable(format!(
            "AMQP_URL {} cannot be used: start that broker, mend the address, or unset AMQP_URL for the broker in \
             memory",
            tocsin_store::redacted(url)
        ))
    })?;
    session.close().await;
    Ok(Arc::new(broker))
}

/// A store and a broker, ready.
#[derive(Debug)]
pub struct Ground {
    pub stores: Stores,
    pub broker: Arc<dyn Broker>,
    /// The same broker, where it is the one in memory.
    pub memory: Option<MemoryBroker>,
    pub embedded: Option<Embedded>,
}

impl Ground {
    pub async fn open(servers: Servers, directory: &mut DataDirectory) -> Result<Self> {
        let (broker, memory) = match servers.broker {
            Some(broker) => (broker, None),
            None => {
                let memory = MemoryBroker::new();
                (Arc::new(memory.clone()) as Arc<dyn Broker>, Some(memory))
            }
        };
        let (stores, embedded) = match servers.stores {
            Some(stores) => (stores, None),
            None => {
                let embedded = Embedded::start(directory).await?;
                (Stores::one(embedded.store.clone()), Some(embedded))
            }
        };
        if memory.is_some() {
            stores.engine.forget_messages(now()).await?;
        }
        Ok(Self { stores, broker, memory, embedded })
    }

    pub async fn close(self) {
        let Self { stores, embedded, .. } = self;
        stores.close();
        if let Some(embedded) = embedded {
            embedded.stop().await;
        }
    }
}
