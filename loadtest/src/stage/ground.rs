//! What the roles stand on: a database and a vhost.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tocsin::exit::Failure;
use tocsin_store::{Access, Store, redacted};
use tocsin_testkit::{PrivatePostgres, PrivateRabbit, TestDatabase, TestVhost};

use crate::district::NAME_PREFIX;
use crate::options::Target;

const CHECK_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Ground {
    pub database_url: String,
    /// Empty where a deployment's is not known here.
    pub amqp_url: String,
    own: Option<Own>,
    /// Why the run has no servers of its own, although it wanted them.
    pub shared_because: Option<String>,
}

/// Made here, to go with the value.
#[derive(Debug)]
enum Own {
    /// On servers that others may use too. Held until they may go.
    Shared {
        _database: TestDatabase,
        _vhost: TestVhost,
    },
    Servers(Box<Servers>),
}

/// Of this run alone: they can be stopped, killed and started again.
#[derive(Debug)]
pub struct Servers {
    pub postgres: PrivatePostgres,
    pub rabbit: PrivateRabbit,
}

impl Servers {
    async fn start() -> Result<Self> {
        let (postgres, rabbit) = tokio::try_join!(PrivatePostgres::start(), PrivateRabbit::start())?;
        Ok(Self { postgres, rabbit })
    }
}

impl Ground {
    /// Makes both, on the servers that DATABASE_URL and AMQP_URL name. They go with the value.
    pub async fn make() -> Result<Self> {
        let database = TestDatabase::create()
            .await
            .context(Failure::unreachable("no database can be made where DATABASE_URL points"))?;
        let vhost = TestVhost::create()
            .await
            .context(Failure::unreachable("no vhost can be made on the broker that AMQP_URL names"))?;
        Ok(Self {
            database_url: database.url.clone(),
            amqp_url: vhost.amqp_url.clone(),
            own: Some(Own::Shared { _database: database, _vhost: vhost }),
            shared_because: None,
        })
    }

    /// Starts a server of each kind for this run alone. Where that cannot be, it is as [`Ground::make`] has it.
    pub async fn with_servers() -> Result<Self> {
        let servers = match Servers::start().await {
            Ok(servers) => servers,
            Err(error) => {
                return Ok(Self { shared_because: Some(format!("{error:#}")), ..Self::make().await? });
            }
        };
        // The server's first database will do: nobody else is there.
        let database_url = servers.postgres.url.clone();
        tocsin_store::migrate(&database_url).await?;
        Ok(Self {
            database_url,
            amqp_url: servers.rabbit.amqp_url.clone(),
            own: Some(Own::Servers(Box::new(servers))),
            shared_because: None,
        })
    }

    /// None: the servers are not of this run alone.
    pub fn servers(&mut self) -> Option<&mut Servers> {
        match &mut self.own {
            Some(Own::Servers(servers)) => Some(servers),
            Some(Own::Shared { .. }) | None => None,
        }
    }

    /// A deployment's: refused when it holds campaigns that no load test made, unless its name was given.
    pub async fn given(target: &Target) -> Result<Self> {
        let url = std::env::var("DATABASE_URL")
            .map_err(|_| Failure::usage("--api needs DATABASE_URL: the database of that deployment"))?;
        let shown = redacted(&url);
        let store = Store::open(&url, 1, Access::Engine)?;
        let checked = tokio::time::timeout(CHECK_WITHIN, store.check()).await;
        checked
            .map_err(anyhow::Error::from)
            .and_then(|answer| answer.map_err(anyhow::Error::from))
            .with_context(|| Failure::unreachable(format!("the database at {shown} cannot be used")))?;
        let others = store.campaigns_of_others(NAME_PREFIX).await?;
        store.close();
        let name = url.rsplit('/').next().unwrap_or_default();
        let name = name.split('?').next().unwrap_or_default();
        if others > 0 && target.force_database.as_deref() != Some(name) {
            return Err(Failure::refused(format!(
                "the database {name} holds {others} campaigns that no load test made: nothing was sent. Take another, \
                 or say --force-database {name}"
            ))
            .into());
        }
        let amqp_url = std::env::var("AMQP_URL").unwrap_or_default();
        Ok(Self { database_url: url, amqp_url, own: None, shared_because: None })
    }

    /// Made here, and so used by nobody else.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    pub fn database_name(&self) -> &str {
        let name = self.database_url.rsplit('/').next().unwrap_or_default();
        name.split('?').next().unwrap_or_default()
    }
}

pub fn callback_secret(target: &Target) -> Result<&str> {
    let missing = || {
        Failure::usage("--api needs --callback-secret: the deployment's own, to read its callback addresses")
    };
    Ok(target.callback_secret.as_deref().ok_or_else(missing)?)
}
