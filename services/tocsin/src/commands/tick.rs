//! `tocsin tick`: one tick of the planner by hand.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;
use tocsin_domain::Channel;
use tocsin_planner::{Deliverer, Duties, Expander, Of, Planner, Releaser, Retainer, Sweeper, Teller};
use tocsin_queue::{Broker, MemoryBroker};
use tocsin_runtime::{Config, Progress, SystemClock};
use tocsin_store::Store;
use uuid::Uuid;

use super::operator::{DataPath, with_store};
use crate::exit::{Exit, Failure};
use crate::roles::{broker, outbound, webhooks};
use crate::terminal::{print, print_json};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which.
    #[arg(value_enum)]
    name: Name,
    /// As often as there is more to do, and not once.
    #[arg(long)]
    drain: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Audiences into recipients and jobs.
    Expand,
    /// Due jobs into the queues; needs the release duties, which it takes where nobody has them.
    Release,
    /// Ends what is unclaimed of canceled and expired campaigns.
    Sweep,
    /// Looks after lost messages and attempts that nobody answered for.
    Expire,
    /// Brings cancels and campaigns to their end.
    Close,
    /// Folds counters, takes samples of progress, makes partitions.
    Housekeeping,
    /// Counts anew what providers hold, forgets old budgets.
    Recount,
    /// Audits the campaign that has waited longest.
    Audit,
    /// Makes campaigns of the occurrences of series.
    Recur,
    /// Reminds people of the question whether to opt in.
    Remind,
    /// Has providers asked about campaigns that somebody wants to know of.
    Refresh,
    /// Drops the months of which everything is closed for longer than retention.months.
    Retain,
    /// Puts what happened on its way to webhooks.
    Tell,
    /// Sends what is due to webhooks.
    Deliver,
}

impl Name {
    /// Does it publish? Without a broker that would be lost.
    fn needs_broker(self) -> bool {
        matches!(self, Self::Expand | Self::Release | Self::Sweep | Self::Expire | Self::Refresh)
    }
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    let broker: Arc<dyn Broker> = match &config.amqp_url {
        Some(_) => broker(config)?,
        None if args.name.needs_broker() => {
            return Err(Failure::usage("this tick publishes: set AMQP_URL to the broker").into());
        }
        None => Arc::new(MemoryBroker::new()),
    };
    with_store(config, data, async |store| {
        let mut planner = Planner::new(store.clone(), broker, Arc::new(SystemClock), Uuid::now_v7());
        planner.webhooks = webhooks(config).map(outbound).transpose()?;
        planner.retain_months = config.retention.kept();
        let mut ran = 1;
        while Box::pin(tick(args.name, &planner, store)).await? == Progress::More && args.drain {
            ran += 1;
        }
        let name = args.name.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        if args.json {
            print_json(&json!({ "tick": name, "ran": ran }))?;
        } else {
            print(format_args!("{name}: ran {ran} times\n"))?;
        }
        Ok(Exit::Done.into())
    })
    .await
}

async fn tick(name: Name, planner: &Planner, store: &Store) -> Result<Progress> {
    Ok(match name {
        Name::Expand => {
            let emergencies = Expander::of(Of::Emergencies).tick(planner).await?;
            either(emergencies, Expander::of(Of::Others).tick(planner).await?)
        }
        Name::Release => release(planner, store).await?,
        Name::Sweep => Sweeper::default().tick(planner).await?,
        Name::Expire => tocsin_planner::expire(planner).await?,
        Name::Close => tocsin_planner::close(planner).await?,
        Name::Housekeeping => planner.keep_house().await?,
        Name::Recount => planner.recount().await?,
        Name::Audit => tocsin_planner::audit(planner).await?,
        Name::Recur => tocsin_planner::recur(planner).await?,
        Name::Remind => tocsin_planner::remind(planner).await?,
        Name::Refresh => tocsin_planner::refresh(planner).await?,
        Name::Retain if planner.retain_months.is_none() => {
            let what = "nothing is ever dropped: set retention.months, or use `tocsin retain`";
            return Err(Failure::usage(what).into());
        }
        Name::Retain => Retainer::default().tick(planner).await?,
        Name::Tell => Teller::default().tick(planner).await?,
        Name::Deliver => {
            let Some(outbound) = &planner.webhooks else {
                let what = "no key is configured to sign webhooks with: set webhooks.secret";
                return Err(Failure::usage(what).into());
            };
            let turns = Deliverer::new(planner.clone(), outbound.clone()).deliver().await?;
            if turns > 0 { Progress::More } else { Progress::Idle }
        }
    })
}

/// Under the duties that are free. Where a planner has them all there is nothing to do by hand: it does it.
async fn release(planner: &Planner, store: &Store) -> Result<Progress> {
    let duties = Duties::default();
    duties.tick(planner).await?;
    let held = store.duties().await?;
    let others: Vec<String> = held
        .iter()
        .filter(|duty| duty.holder != planner.id)
        .map(|duty| {
            format!("{} (planner {} until {})", duty.name, duty.holder, duty.until.format("%H:%M:%S UTC"))
        })
        .collect();
    if others.len() == held.len() {
        let what = format!("other planners have every release duty: {}", others.join(", "));
        return Err(Failure::refused(what).into());
    }
    let mut progress = Progress::Idle;
    for channel in Channel::ALL {
        progress = either(progress, Releaser::new(channel, duties.clone()).tick(planner).await?);
    }
    store.drop_duties(planner.id).await?;
    Ok(progress)
}

fn either(one: Progress, other: Progress) -> Progress {
    if one == Progress::More { one } else { other }
}
