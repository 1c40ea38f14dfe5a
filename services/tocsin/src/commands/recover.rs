//! `tocsin recover`: after a restore from a backup, before any role starts (docs/runbook/backup-and-restore.md).

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use tocsin_domain::recovery::Decision;
use tocsin_domain::{CampaignId, Channel, Lane};
use tocsin_queue::Queue;
use tocsin_runtime::Config;
use tocsin_store::Store;
use tocsin_store::processes::Alive;
use tocsin_store::recovery::Undecided;
use uuid::Uuid;

use super::operator::{DataPath, operator_name, with_store};
use crate::exit::{Exit, Failure};
use crate::roles::broker;
use crate::terminal::{print, print_json, say, table};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The database is one that a physical backup brought back: that it cannot tell by itself.
    #[arg(long)]
    restored: bool,
    /// The database was copied, and nothing ran on the old one since: nothing was sent meanwhile.
    #[arg(long, conflicts_with = "restored")]
    moved: bool,
    /// Also while roles seem to run.
    #[arg(long)]
    force: bool,
    /// Decide on this campaign, or on `all` of them.
    #[arg(long, value_name = "ID", requires = "decision")]
    campaign: Option<String>,
    #[command(flatten)]
    decision: Decided,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(id = "decision", multiple = false, requires = "campaign")]
struct Decided {
    /// Its unknown jobs are due again: some people may get the message twice.
    #[arg(long)]
    send_again: bool,
    /// Its unknown jobs end as unknown: some people may not get it. One that had not begun is canceled.
    #[arg(long)]
    leave: bool,
}

impl Decided {
    fn decision(&self) -> Option<Decision> {
        match (self.send_again, self.leave) {
            (true, _) => Some(Decision::SendAgain),
            (_, true) => Some(Decision::Leave),
            (false, false) => None,
        }
    }
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| run_on(args, config, store).await).await
}

async fn run_on(args: Args, config: &Config, store: &Store) -> Result<ExitCode> {
    if let (Some(campaign), Some(decision)) = (&args.campaign, args.decision.decision()) {
        return decide(store, campaign, decision, args.json).await;
    }
    let restored = args.restored || store.is_restored().await?;
    let done = if args.moved {
        refuse_while_alive(store.alive().await?, args.force)?;
        store.mark_moved().await?;
        "moved"
    } else if restored {
        refuse_while_alive(store.alive().await?, args.force)?;
        forget_messages(config).await?;
        store.recover().await?;
        "recovered"
    } else {
        "not_restored"
    };
    list(done, &store.undecided().await?, store, args.json).await
}

fn refuse_while_alive(alive: Alive, force: bool) -> Result<()> {
    if force || !alive.is_anybody() {
        return Ok(());
    }
    let what = format!(
        "roles run on this database ({} processes, {} shares of workers, {} duties of planners): stop them and try again \
         in {} s; after a restore within that time of the backup, too",
        alive.processes,
        alive.leases,
        alive.duties,
        tocsin_store::processes::PRESENCE_TERM.as_secs()
    );
    Err(Failure::refused(what).into())
}

/// Messages about jobs are hints of a time that is over. Callbacks are not: they tell what became of what was sent.
async fn forget_messages(config: &Config) -> Result<()> {
    if config.amqp_url.is_none() {
        return Ok(());
    }
    let session = match broker(config)?.connect("tocsin recover").await {
        Ok(session) => session,
        Err(error) => {
            say(format_args!(
                "the broker does not answer ({error}): what is on its job queues is void, and does no harm"
            ));
            return Ok(());
        }
    };
    for channel in Channel::ALL {
        for lane in Lane::ALL {
            session.purge(Queue::Jobs(channel, lane)).await?;
        }
    }
    session.close().await;
    Ok(())
}

async fn decide(store: &Store, which: &str, decision: Decision, as_json: bool) -> Result<ExitCode> {
    let campaigns = match which {
        "all" => store.undecided().await?.into_iter().map(|found| found.id).collect(),
        id => {
            let id = Uuid::parse_str(id).map_err(|_| {
                Failure::usage(format!("--campaign: {id:?} is no id: give a campaign's, or all"))
            })?;
            vec![CampaignId(id)]
        }
    };
    let mut decided = Vec::with_capacity(campaigns.len());
    for campaign in campaigns {
        let Some(jobs) = store.decide(campaign, decision, &operator_name()).await? else {
            let what =
                format!("--campaign: no campaign {campaign} waits for a decision: see `tocsin recover`");
            return Err(Failure::refused(what).into());
        };
        decided.push((campaign, jobs));
    }
    if as_json {
        let of = |(campaign, jobs): &(CampaignId, usize)| json!({ "campaign": campaign, "jobs": jobs });
        print_json(
            &json!({ "decision": decision.as_str(), "decided": decided.iter().map(of).collect::<Vec<_>>() }),
        )?;
    } else {
        let became = match decision {
            Decision::SendAgain => "are due again",
            Decision::Leave => "ended as unknown",
        };
        for (campaign, jobs) in &decided {
            print(format_args!("{campaign}: {jobs} jobs {became}\n"))?;
        }
    }
    Ok(Exit::Done.into())
}

async fn list(done: &str, undecided: &[Undecided], store: &Store, as_json: bool) -> Result<ExitCode> {
    let districts = store.districts().await?;
    let name = |campaign: &Undecided| {
        let known = districts.iter().find(|district| district.id == campaign.district);
        known.map_or("?", |district| district.name.as_str()).to_owned()
    };
    if as_json {
        let of = |campaign: &Undecided| -> Value {
            json!({
                "id": campaign.id, "number": campaign.number, "district": name(campaign),
                "subject": campaign.subject, "lane": campaign.lane, "state": campaign.state,
                "had_begun": !campaign.had_not_begun(), "unknown": campaign.unknown, "waiting": campaign.waiting,
            })
        };
        print_json(&json!({ "done": done, "undecided": undecided.iter().map(of).collect::<Vec<_>>() }))?;
        return Ok(Exit::Done.into());
    }
    match done {
        "moved" => print("the database was moved: roles start on it\n")?,
        "recovered" => print("recovered: roles start, and send nothing of what waits for a decision\n")?,
        _ => {
            say("this database shows no sign of a restore: after a physical backup say --restored");
        }
    }
    if undecided.is_empty() {
        print("no campaign waits for a decision\n")?;
        return Ok(Exit::Done.into());
    }
    let row = |campaign: &Undecided| {
        let begun = if campaign.had_not_begun() { "had not begun; it may have since" } else { "" };
        [
            campaign.id.to_string(),
            campaign.number.to_string(),
            name(campaign),
            campaign.subject.clone(),
            campaign.lane.to_string(),
            campaign.unknown.to_string(),
            campaign.waiting.to_string(),
            begun.to_owned(),
        ]
    };
    let rows: Vec<[String; 8]> = undecided.iter().map(row).collect();
    print(table(["Campaign", "Message ID", "District", "Subject", "Lane", "Unknown", "Waiting", ""], &rows))?;
    print(
        "\nDecide on each: tocsin recover --campaign ID --send-again, or --leave\n\
         Jobs that wait were surely not sent: they go on with either.\n",
    )?;
    Ok(Exit::Done.into())
}
