//! `tocsin account`: the provider accounts, as the store knows them.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use tocsin_domain::failover::Health;
use tocsin_runtime::{Clock, Config, SystemClock};
use tocsin_store::Store;
use tocsin_store::accounts::by_hand::ByHand;
use tocsin_store::accounts::{Account, AccountHealth, SenderLimits};
use tocsin_store::districts::District;

use super::operator::{DataPath, operator_name, which_there_are, with_store};
use crate::exit::{Exit, Failure};
use crate::terminal::{print, print_json, say, table};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the accounts with their limits, and which of them are stopped or fail, and why.
    #[command(after_long_help = "\
Examples:
  tocsin account list")]
    List,
    /// Pause an account: nothing more is sent with it, its jobs wait or go with another.
    #[command(
        visible_alias = "stop",
        after_long_help = "\
Examples:
  tocsin account pause main-voice --reason \"new auth token on its way\""
    )]
    Pause {
        name: String,
        /// Shown by `tocsin account list`.
        #[arg(long)]
        reason: String,
    },
    /// Let a paused account send again.
    #[command(after_long_help = "\
Examples:
  tocsin account resume main-voice")]
    Resume { name: String },
    /// Limit an account by hand, whatever the configuration says, until --reset.
    ///
    /// It holds for every worker within seconds, and when roles start anew. What is not given stays as it is.
    #[command(after_long_help = "\
Examples:
  tocsin account limit main-voice --rate 5
  tocsin account limit main-text --rate 10 --burst 10
  tocsin account limit main-voice --reset")]
    Limit {
        name: String,
        #[command(flatten)]
        limits: LimitArgs,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct LimitArgs {
    /// Per second, in the unit that the provider counts: calls, text segments, messages.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<f64>,
    /// At once, on top of the rate.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    burst: Option<i32>,
    /// Requests or calls open at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    concurrency: Option<i32>,
    /// The configured limits hold again.
    #[arg(long, conflicts_with_all = ["rate", "burst", "concurrency"])]
    reset: bool,
}

/// What a stop or resume came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Made,
    /// It was so already.
    Standing,
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| run_on(args, store).await).await
}

async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    let (name, change, state) = match args.action {
        Action::List => {
            list(store, args.json).await?;
            return Ok(Exit::Done.into());
        }
        Action::Pause { name, reason } => {
            let change = stop(store, &name, &reason, &SystemClock).await?;
            (name, change, "stopped")
        }
        Action::Resume { name } => {
            let change = resume(store, &name, &SystemClock).await?;
            (name, change, "resumed")
        }
        Action::Limit { name, limits } => {
            let (change, state) = limit(store, &name, &limits, &SystemClock).await?;
            (name, change, state)
        }
    };
    if args.json {
        print_json(&json!({ "account": name, "state": state, "changed": change == Change::Made }))?;
    } else {
        let already = if change == Change::Standing { ", as it was before" } else { "" };
        print(format_args!("account {name:?} is {state}{already}\n"))?;
    }
    Ok(Exit::Done.into())
}

async fn list(store: &Store, as_json: bool) -> Result<()> {
    let (mut accounts, districts) = (store.accounts().await?, store.districts().await?);
    let by_hand = store.limits_by_hand().await?;
    accounts.retain(|account| account.sender.is_none());
    if as_json {
        let accounts: Vec<Value> = accounts
            .iter()
            .map(|account| {
                let mut shown = json_of(account, district_of(account, &districts));
                shown["limited_by_hand"] = by_hand.get(&account.id).map_or(Value::Null, by_hand_json);
                shown
            })
            .collect();
        return print_json(&json!({ "accounts": accounts }));
    }
    if accounts.is_empty() {
        say("no accounts: configure them under [[accounts]]; a worker stores them when it starts");
        return Ok(());
    }
    let row = |account: &Account| {
        let limits = &account.limits;
        [
            limits.name.clone(),
            limits.channel.to_string(),
            district_of(account, &districts).unwrap_or("all").to_owned(),
            limits.rate_per_second.map_or_else(|| "-".to_owned(), |rate| rate.to_string()),
            limits.burst.map_or_else(|| "-".to_owned(), |burst| burst.to_string()),
            limits.concurrency.map_or_else(|| "-".to_owned(), |concurrency| concurrency.to_string()),
            limits.weight.to_string(),
            by_hand.get(&account.id).map_or_else(String::new, |by_hand| format!("by {}", by_hand.by)),
            standing(account),
        ]
    };
    let rows: Vec<[String; 9]> = accounts.iter().map(row).collect();
    let headings =
        ["Name", "Channel", "District", "Per second", "Burst", "At once", "Weight", "Limited", "State"];
    print(table(headings, &rows))
}

fn by_hand_json(by_hand: &ByHand) -> Value {
    let configured = &by_hand.configured;
    json!({
        "since": by_hand.since, "by": by_hand.by,
        "configured": { "rate_per_second": configured.rate_per_second, "burst": configured.burst,
            "concurrency": configured.concurrency },
    })
}

/// Whether it sends, and if not as it should, why.
pub(super) fn standing(account: &Account) -> String {
    let AccountHealth { health, gives_way, .. } = account.health;
    let reason = account.stop_reason.as_deref();
    match (account.stopped, health) {
        (true, _) => reason.map_or_else(|| "stopped".to_owned(), |reason| format!("stopped: {reason}")),
        (false, Health::Full) if account.pace.held => "held: its provider asked to be left alone".to_owned(),
        (false, Health::Full) => "sends".to_owned(),
        (false, Health::Resting) if gives_way => "fails: others do its work".to_owned(),
        (false, Health::Trial | Health::Quarter | Health::Half) if gives_way => {
            format!("failed, and comes back: {health}")
        }
        (false, _) => "fails, and stays in use: no other account of its channel is better".to_owned(),
    }
}

async fn stop(store: &Store, name: &str, reason: &str, clock: &dyn Clock) -> Result<Change> {
    let account = known(store, name).await?;
    Ok(change(store.stop_account(account.id, reason, clock.now()).await?))
}

async fn resume(store: &Store, name: &str, clock: &dyn Clock) -> Result<Change> {
    known(store, name).await?;
    Ok(change(store.resume_account(name, clock.now()).await?))
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if f64::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("give a number above 0; to send nothing, pause the account".to_owned()),
    }
}

/// An operator's limits, or the configured ones again.
async fn limit(
    store: &Store,
    name: &str,
    limits: &LimitArgs,
    clock: &dyn Clock,
) -> Result<(Change, &'static str)> {
    known(store, name).await?;
    if limits.reset {
        return Ok((change(store.reset_account_limits(name, clock.now()).await?), "limited as configured"));
    }
    let LimitArgs { rate, burst, concurrency, .. } = *limits;
    let limits = SenderLimits { rate_per_second: rate, burst, concurrency };
    let limited = store.limit_account(name, &limits, &operator_name(), clock.now()).await?;
    Ok((change(limited), "limited by hand until --reset"))
}

pub(super) fn change(made: bool) -> Change {
    if made { Change::Made } else { Change::Standing }
}

pub(super) async fn known(store: &Store, name: &str) -> Result<Account> {
    let mut accounts = store.accounts().await?;
    accounts.retain(|account| account.sender.is_none());
    if let Some(account) = accounts.iter().find(|account| account.limits.name == name) {
        return Ok(account.clone());
    }
    let names: Vec<&str> = accounts.iter().map(|account| account.limits.name.as_str()).collect();
    let which = which_there_are(name, &names);
    let what = format!("no account {name:?} ({which}): a worker stores the configured ones when it starts");
    Err(Failure::refused(what).into())
}

/// None: it serves every district.
fn district_of<'a>(account: &Account, districts: &'a [District]) -> Option<&'a str> {
    let id = account.limits.district?;
    districts.iter().find(|district| district.id == id).map(|district| district.name.as_str())
}

fn json_of(account: &Account, district: Option<&str>) -> Value {
    let limits = &account.limits;
    json!({
        "name": limits.name,
        "channel": limits.channel,
        "district": district,
        "rate_per_second": limits.rate_per_second,
        "burst": limits.burst,
        "concurrency": limits.concurrency,
        "reserve": limits.reserve,
        "depth": limits.depth,
        "weight": limits.weight,
        "stopped": account.stopped,
        "stop_reason": account.stop_reason,
        "health": account.health.health,
        "health_since": account.health.since,
        "gives_way": account.health.gives_way,
        "state": standing(account),
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tocsin_domain::Channel;
    use tocsin_store::Access;
    use tocsin_store::accounts::AccountLimits;
    use tocsin_testkit::{ManualClock, TestDatabase};

    use super::*;

    #[tokio::test]
    async fn an_account_is_stopped_with_a_reason_and_resumed() {
        let database = TestDatabase::create().await.unwrap();
        let store = Store::open(&database.url, 1, Access::Engine).unwrap();
        let clock = ManualClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let limits = AccountLimits {
            name: "main-voice".to_owned(),
            district: None,
            channel: Channel::Voice,
            rate_per_second: Some(2.5),
            burst: None,
            concurrency: None,
            reserve: 0,
            depth: None,
            weight: 1,
        };
        store.configure_accounts(&[limits], clock.now()).await.unwrap();

        assert_eq!(stop(&store, "main-voice", "new token", &clock).await.unwrap(), Change::Made);
        assert_eq!(stop(&store, "main-voice", "again", &clock).await.unwrap(), Change::Standing);
        let account = known(&store, "main-voice").await.unwrap();
        assert_eq!((account.stopped, account.stop_reason.as_deref()), (true, Some("new token")));
        assert_eq!(json_of(&account, None)["stop_reason"], "new token");
        assert_eq!(standing(&account), "stopped: new token");

        assert_eq!(resume(&store, "main-voice", &clock).await.unwrap(), Change::Made);
        assert_eq!(resume(&store, "main-voice", &clock).await.unwrap(), Change::Standing);
        let account = known(&store, "main-voice").await.unwrap();
        assert_eq!((account.stopped, account.stop_reason.clone()), (false, None));
        let of = |health, gives_way| {
            let health = AccountHealth { health, since: None, gives_way };
            standing(&Account { health, ..account.clone() })
        };
        assert_eq!(standing(&account), "sends");
        assert_eq!(of(Health::Resting, true), "fails: others do its work");
        assert_eq!(of(Health::Quarter, true), "failed, and comes back: quarter");
        assert!(of(Health::Resting, false).contains("stays in use"));

        for unknown in
            [stop(&store, "main-voise", "x", &clock).await, resume(&store, "main-voise", &clock).await]
        {
            let error = unknown.unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Refused);
            assert!(error.to_string().contains("did you mean \"main-voice\"?"), "{error}");
        }
    }
}
