//! The same bytes without the engine: publish, consume, POST, batched insert, acknowledge; and a callback each.
//!
//! A process of its own, so that it is measured as the roles are. It promises nothing: no claim before the request, no
//! lanes, no limits, no cancel, and a callback is answered before it is kept.

mod reports;
mod sends;
mod table;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use tocsin::exit::Failure;
use tocsin::terminal::print_json;
use tocsin_domain::{Channel, Lane};
use tocsin_queue::{Broker, Destination, Message, Published, Queue, RabbitBroker, Session};
use tocsin_runtime::{Stopwatch, Tasks};
use tocsin_testkit::simulator::{Scenario, Simulator, SimulatorConfig};
use tokio::sync::mpsc;

use self::table::Table;
use crate::stage::Stage;

/// A queue like that of the texts, which no worker of the load test consumes.
const QUEUE: Queue = Queue::Jobs(Channel::Voice, Lane::General);
/// Jobs of one publish, one insert and one update.
const BATCH: usize = 500;
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the simulator listens.
    #[arg(long)]
    provider: String,
    #[arg(long)]
    jobs: usize,
    #[arg(long)]
    in_flight: usize,
}

/// What one pass came to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Pass {
    /// From the first publish to the last callback's commit.
    pub seconds: f64,
}

/// One pass of the pipeline on the stage's servers, with a simulator of its own: its requests are none of the engine's.
pub async fn measure(stage: &Stage, args: PassArgs<'_>) -> Result<Pass> {
    let scenario = args.scenario.clone();
    let simulator = Simulator::start(SimulatorConfig { listen: None, scenario }).await?;
    let (jobs, in_flight) = (args.jobs.to_string(), args.in_flight.to_string());
    let words = ["pipeline", "--provider", &simulator.base_url, "--jobs", &jobs, "--in-flight", &in_flight];
    let process = stage.process(&words)?;
    if let Some(usage) = args.usage {
        usage.watch("pipeline", process.id());
    }
    let within = Duration::from_secs(60 + args.jobs as u64 / 200);
    let said = process.output(within).await?;
    let requests = simulator.sends().len();
    anyhow::ensure!(requests == args.jobs, "{requests} requests of the ceiling, expected {}", args.jobs);
    simulator.stop().await;
    serde_json::from_str(&said).with_context(|| format!("the pipeline said {said:?}"))
}

#[derive(Debug, Clone, Copy)]
pub struct PassArgs<'a> {
    /// How the provider behaves.
    pub scenario: &'a Scenario,
    pub jobs: usize,
    pub in_flight: usize,
    pub usage: Option<&'a crate::usage::Usage>,
}

/// The process itself. DATABASE_URL and AMQP_URL name an empty database and vhost.
pub async fn run(args: Args) -> Result<()> {
    let variable = |name| std::env::var(name).map_err(|_| Failure::usage(format!("{name} is not set")));
    let (database, amqp) = (variable("DATABASE_URL")?, variable("AMQP_URL")?);
    let tasks = Tasks::new();
    let answers_table = Table::open(&database, &tasks).await?;
    answers_table.make().await?;
    let reports_table = Table::open(&database, &tasks).await?;
    let broker = RabbitBroker::new(&amqp)?;
    let publishing = broker.connect("ceiling publish").await?;
    let consuming = broker.connect("ceiling consume").await?;
    consuming.purge(QUEUE).await?;
    let (reports, to_apply) = mpsc::channel(4 * BATCH);
    let callbacks_url = reports::listen(reports, &tasks).await?;

    let started = Stopwatch::start();
    let sender = sends::Sender::new(&args.provider, callbacks_url, args.in_flight)?;
    tasks.spawn_essential("publish", publish(publishing, args.jobs));
    tasks.spawn_essential("send", sends::run(consuming, sender, answers_table, args.jobs));
    let applied = reports::apply(reports_table, to_apply, args.jobs);
    tokio::select! {
        applied = applied => applied?,
        () = tasks.stopping().cancelled() => bail!("{:?}", tasks.failure()),
    }
    let pass = Pass { seconds: started.elapsed().as_secs_f64() };
    tasks.abort();
    tasks.stop(LEAVE_WITHIN).await;
    print_json(&serde_json::to_value(pass)?)
}

async fn publish(session: Arc<dyn Session>, jobs: usize) -> Result<()> {
    let numbers: Vec<usize> = (0..jobs).collect();
    for batch in numbers.chunks(BATCH) {
        let messages = batch.iter().map(|number| message(*number)).collect();
        let answers = session.publish(messages).await?;
        anyhow::ensure!(answers.iter().all(|answer| *answer == Published::Confirmed), "not confirmed");
    }
    Ok(())
}

fn message(number: usize) -> Message {
    Message {
        to: Destination::Queue(QUEUE),
        body: sends::body(number),
        headers: Vec::new(),
        persistent: true,
    }
}
