//! What can be broken, and how it is mended.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tocsin_domain::{Channel, Lane};
use tocsin_queue::{Broker as _, Queue, RabbitBroker};
use tocsin_testkit::simulator::{Faults, Scenario};

use super::LATENCY_MS;
use crate::scenarios::delivered_after;
use crate::stage::{Role, Stage};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    KillApi,
    KillCollector,
    KillPlanner,
    KillWorker,
    CutBroker,
    EmptyBroker,
    RestartBroker,
    KillBroker,
    CutDatabase,
    RestartDatabase,
    KillDatabase,
    ProviderDown,
    ProviderHangs,
    ProviderDropsAnswers,
}

const EVERYWHERE: [Fault; 10] = [
    Fault::KillApi,
    Fault::KillCollector,
    Fault::KillPlanner,
    Fault::KillWorker,
    Fault::CutBroker,
    Fault::EmptyBroker,
    Fault::CutDatabase,
    Fault::ProviderDown,
    Fault::ProviderHangs,
    Fault::ProviderDropsAnswers,
];
const WITH_OWN_SERVERS: [Fault; 4] =
    [Fault::RestartBroker, Fault::KillBroker, Fault::RestartDatabase, Fault::KillDatabase];

/// What may be broken here: servers that others use too are not stopped.
pub fn deck(stage: &mut Stage) -> Vec<Fault> {
    let own = stage.ground.servers().is_some();
    EVERYWHERE.into_iter().chain(WITH_OWN_SERVERS.into_iter().filter(|_| own)).collect()
}

/// One fault from its beginning to its end.
pub async fn strike(stage: &mut Stage, fault: Fault, lasting: Duration, seed: u64) -> Result<()> {
    match fault {
        Fault::KillApi => kill(stage, Role::Api, lasting).await,
        Fault::KillCollector => kill(stage, Role::Collector, lasting).await,
        Fault::KillPlanner => kill(stage, Role::Planner, lasting).await,
        Fault::KillWorker => kill(stage, Role::Worker, lasting).await,
        Fault::CutBroker | Fault::CutDatabase => {
            let wires = &stage.own_fleet()?.wires;
            let wire = if fault == Fault::CutBroker { &wires.broker } else { &wires.database };
            let wire = wire.as_ref().context("no wire")?;
            wire.cut();
            tokio::time::sleep(lasting).await;
            wire.mend();
            Ok(())
        }
        Fault::EmptyBroker => {
            let session = RabbitBroker::new(&stage.ground.amqp_url)?.connect("chaos").await?;
            session.purge(Queue::Jobs(Channel::Sms, Lane::General)).await?;
            session.close().await;
            Ok(())
        }
        Fault::RestartBroker | Fault::KillBroker | Fault::RestartDatabase | Fault::KillDatabase => {
            restart(stage, fault, lasting).await
        }
        // Whom it does not answer it tells nothing of what it took, either.
        Fault::ProviderDown => {
            let faults = Faults { server_error: 1.0, ..Faults::default() };
            ail(stage, faults.clone(), faults, lasting, seed).await
        }
        Fault::ProviderHangs => {
            let faults = Faults { hang: 0.5, ..Faults::default() };
            ail(stage, faults, Faults::default(), lasting, seed).await
        }
        Fault::ProviderDropsAnswers => {
            let faults = Faults { dropped: 0.5, ..Faults::default() };
            ail(stage, faults, Faults::default(), lasting, seed).await
        }
    }
}

async fn kill(stage: &mut Stage, role: Role, away: Duration) -> Result<()> {
    let fleet = stage.own_fleet()?;
    fleet.kill(role)?;
    tokio::time::sleep(away).await;
    fleet.add(role).await
}

/// A server is told to stop, or killed, and started again on the same data.
async fn restart(stage: &mut Stage, fault: Fault, away: Duration) -> Result<()> {
    let servers = stage.ground.servers().context("the servers are not ours to stop")?;
    match fault {
        Fault::RestartBroker => servers.rabbit.stop().await?,
        Fault::KillBroker => servers.rabbit.kill().await?,
        Fault::RestartDatabase => servers.postgres.stop().await?,
        _ => servers.postgres.kill().await?,
    }
    tokio::time::sleep(away).await;
    match fault {
        Fault::RestartBroker | Fault::KillBroker => servers.rabbit.restart().await,
        _ => servers.postgres.restart().await,
    }
}

/// Sends meet `faults`, look-ups and recalls `recall_faults`.
async fn ail(
    stage: &Stage,
    faults: Faults,
    recall_faults: Faults,
    lasting: Duration,
    seed: u64,
) -> Result<()> {
    let well = Scenario { seed, ..delivered_after(LATENCY_MS) };
    let mut ill = well.clone();
    (ill.sms.faults, ill.sms.recall_faults) = (faults, recall_faults);
    stage.simulator.set_scenario(ill)?;
    tokio::time::sleep(lasting).await;
    stage.simulator.set_scenario(well)
}
