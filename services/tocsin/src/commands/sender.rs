//! `tocsin sender`: what the provider accounts send from, each number with limits of its own.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use tocsin_domain::sender::check;
use tocsin_runtime::{Clock, Config, SystemClock};
use tocsin_store::Store;
use tocsin_store::accounts::{Account, SenderLimits};

use super::account::{Change, change, known};
use super::operator::{DataPath, which_there_are, with_store};
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
    /// Add a sender to an account, which from then on sends from its senders only.
    #[command(after_long_help = "\
Examples:
  tocsin sender add main-text +15005550006 --rate 1
  tocsin sender add main-text MG0123456789abcdef0123456789abcdef --rate 100 --burst 100
  tocsin sender add main-voice +15005550007 --concurrency 10")]
    Add {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        limits: Limits,
    },
    /// List the senders with their limits, and which of them are stopped, and why.
    #[command(after_long_help = "\
Examples:
  tocsin sender list
  tocsin sender list --account main-text")]
    List {
        /// Only of this account.
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
    /// Stop a sender: nothing more is sent from it, its jobs go out from others.
    #[command(after_long_help = "\
Examples:
  tocsin sender stop main-text +15005550006 --reason \"registration is being renewed\"")]
    Stop {
        #[command(flatten)]
        which: Which,
        /// Shown by `tocsin sender list`.
        #[arg(long)]
        reason: String,
    },
    /// Let a stopped sender send again.
    #[command(after_long_help = "\
Examples:
  tocsin sender resume main-text +15005550006")]
    Resume {
        #[command(flatten)]
        which: Which,
    },
    /// Replace the limits of a sender; what is not named has none any more.
    #[command(after_long_help = "\
Examples:
  tocsin sender limit main-text +15005550006 --rate 3.75
  tocsin sender limit main-text +15005550006")]
    Limit {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        limits: Limits,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The account, as configured.
    account: String,
    /// A number in E.164, a short code, a messaging service, or a mail address.
    #[arg(allow_hyphen_values = true)]
    sender: String,
}

/// In the unit that the provider counts. None: only the account's own limits hold.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Limits {
    /// Calls, text segments or messages a second.
    #[arg(long, value_name = "PER_SECOND", allow_hyphen_values = true)]
    rate: Option<f64>,
    /// How many of them at once, after a pause.
    #[arg(long, value_name = "TOKENS", allow_hyphen_values = true)]
    burst: Option<i32>,
    /// Requests open at once; of voice, calls until they end.
    #[arg(long, value_name = "CALLS", allow_hyphen_values = true)]
    concurrency: Option<i32>,
}

impl Limits {
    /// The store's, or every fault with its remedy.
    fn checked(self) -> Result<SenderLimits> {
        let Self { rate, burst, concurrency } = self;
        let mut faults = Vec::new();
        if let Some(rate) = rate.filter(|rate| !rate.is_finite() || *rate <= 0.0) {
            faults.push(format!("--rate is {rate}: give a number above 0, or leave it out for no limit"));
        }
        for (name, value) in [("--burst", burst), ("--concurrency", concurrency)] {
            if let Some(value) = value.filter(|value| *value < 1) {
                faults.push(format!("{name} is {value}: give 1 or more, or leave it out for no limit"));
            }
        }
        if burst.is_some() && rate.is_none() {
            faults.push("--burst without --rate limits nothing: give --rate, too".to_owned());
        }
        match faults.is_empty() {
            true => Ok(SenderLimits { rate_per_second: rate, burst, concurrency }),
            false => Err(Failure::usage(faults.join("\n")).into()),
        }
    }
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| run_on(args, store).await).await
}

async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    let clock = &SystemClock;
    let (which, change, state) = match args.action {
        Action::List { account } => {
            list(store, account.as_deref(), args.json).await?;
            return Ok(Exit::Done.into());
        }
        Action::Add { which, limits } => {
            let change = add(store, &which, limits, clock).await?;
            (which, change, "added")
        }
        Action::Stop { which, reason } => {
            let sender = find(store, &which).await?;
            (which, change(store.stop_account(sender.id, &reason, clock.now()).await?), "stopped")
        }
        Action::Resume { which } => {
            let sender = find(store, &which).await?;
            (which, change(store.resume_account(&sender.limits.name, clock.now()).await?), "resumed")
        }
        Action::Limit { which, limits } => {
            let limits = limits.checked()?;
            let sender = find(store, &which).await?;
            (which, change(store.limit_sender(sender.id, &limits, clock.now()).await?), "limited")
        }
    };
    if args.json {
        let changed = change == Change::Made;
        print_json(
            &json!({ "account": which.account, "sender": which.sender, "state": state, "changed": changed }),
        )?;
    } else {
        let already = if change == Change::Standing { ", as it was before" } else { "" };
        print(format_args!("sender {} of account {:?} is {state}{already}\n", which.sender, which.account))?;
    }
    Ok(Exit::Done.into())
}

async fn add(store: &Store, which: &Which, limits: Limits, clock: &dyn Clock) -> Result<Change> {
    let limits = limits.checked()?;
    let account = known(store, &which.account).await?;
    check(account.limits.channel, &which.sender)
        .map_err(|fault| Failure::usage(format!("sender {:?} {fault}", which.sender)))?;
    let added = store.add_sender(account.id, &which.sender, &limits, clock.now()).await?;
    Ok(change(added.is_some()))
}

/// The sender, or which ones there are.
async fn find(store: &Store, which: &Which) -> Result<Account> {
    let account = known(store, &which.account).await?;
    let senders = of_account(store.accounts().await?, Some(&account));
    if let Some(sender) = senders.iter().find(|sender| address(sender) == which.sender) {
        return Ok(sender.clone());
    }
    let addresses: Vec<&str> = senders.iter().map(address).collect();
    let there = which_there_are(&which.sender, &addresses);
    let what = format!("account {:?} has no sender {:?} ({there})", which.account, which.sender);
    Err(Failure::refused(what).into())
}

async fn list(store: &Store, account: Option<&str>, as_json: bool) -> Result<()> {
    let account = match account {
        Some(name) => Some(known(store, name).await?),
        None => None,
    };
    let accounts = store.accounts().await?;
    let senders = of_account(accounts.clone(), account.as_ref());
    let name_of = |sender: &Account| -> String {
        let parent = accounts.iter().find(|account| Some(account.id) == sender.parent());
        parent.map(|account| account.limits.name.clone()).unwrap_or_default()
    };
    if as_json {
        let senders: Vec<Value> = senders.iter().map(|sender| json_of(sender, &name_of(sender))).collect();
        return print_json(&json!({ "senders": senders }));
    }
    if senders.is_empty() {
        say(
            "no senders: each account sends from what its configuration names; add some with `tocsin sender add`",
        );
        return Ok(());
    }
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let row = |sender: &Account| {
        let limits = &sender.limits;
        let stopped =
            sender.stopped.then(|| sender.stop_reason.clone().unwrap_or_else(|| "stopped".to_owned()));
        [
            name_of(sender),
            address(sender).to_owned(),
            or_none(limits.rate_per_second.map(|rate| rate.to_string())),
            or_none(limits.burst.map(|burst| burst.to_string())),
            or_none(limits.concurrency.map(|concurrency| concurrency.to_string())),
            or_none(stopped),
        ]
    };
    let rows: Vec<[String; 6]> = senders.iter().map(row).collect();
    print(table(["Account", "Sender", "Per second", "Burst", "At once", "Stopped"], &rows))
}

/// The senders of one account, or all.
fn of_account(accounts: Vec<Account>, account: Option<&Account>) -> Vec<Account> {
    let is_of = |sender: &Account| match (sender.parent(), account) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(parent), Some(account)) => parent == account.id,
    };
    accounts.into_iter().filter(is_of).collect()
}

fn address(sender: &Account) -> &str {
    sender.sender.as_ref().map_or("", |sender| &sender.address)
}

fn json_of(sender: &Account, account: &str) -> Value {
    let limits = &sender.limits;
    json!({
        "account": account,
        "sender": address(sender),
        "channel": limits.channel,
        "rate_per_second": limits.rate_per_second,
        "burst": limits.burst,
        "concurrency": limits.concurrency,
        "stopped": sender.stopped,
        "stop_reason": sender.stop_reason,
    })
}

#[cfg(test)]
mod tests {
    use tocsin_store::Access;
    use tocsin_testkit::TestDatabase;
    use tocsin_testkit::fixture::{Fixture, account_name};

    use super::*;

    const NUMBER: &str = "+15005550006";
    const NONE: Limits = Limits { rate: None, burst: None, concurrency: None };

    fn which(account: &str, sender: &str) -> Which {
        Which { account: account.to_owned(), sender: sender.to_owned() }
    }

    #[tokio::test]
    async fn a_sender_is_added_once_limited_stopped_and_resumed() {
        let database = TestDatabase::create().await.unwrap();
        let _fixture = Fixture::new(&database).await.unwrap();
        let store = Store::open(&database.url, 1, Access::Engine).unwrap();
        let texts = account_name(tocsin_domain::Channel::Sms);
        let which = which(&texts, NUMBER);
        let limits = Limits { rate: Some(1.5), burst: Some(2), concurrency: None };
        assert_eq!(add(&store, &which, limits, &SystemClock).await.unwrap(), Change::Made);
        assert_eq!(add(&store, &which, NONE, &SystemClock).await.unwrap(), Change::Standing);
        let sender = find(&store, &which).await.unwrap();
        let shown = json_of(&sender, &texts);
        assert_eq!(
            (&shown["rate_per_second"], &shown["burst"], &shown["sender"]),
            (&json!(1.5), &json!(2), &json!(NUMBER))
        );
        let args = |action| Args { json: true, action };
        run_on(args(Action::Limit { which: self::which(&texts, NUMBER), limits: NONE }), &store)
            .await
            .unwrap();
        assert_eq!(find(&store, &which).await.unwrap().limits.rate_per_second, None);
        let stop = Action::Stop { which: self::which(&texts, NUMBER), reason: "renewed".to_owned() };
        run_on(args(stop), &store).await.unwrap();
        assert_eq!(find(&store, &which).await.unwrap().stop_reason.as_deref(), Some("renewed"));
        assert!(!known(&store, &texts).await.unwrap().stopped, "its account is not");
        run_on(args(Action::Resume { which: self::which(&texts, NUMBER) }), &store).await.unwrap();
        assert!(!find(&store, &which).await.unwrap().stopped);
    }

    #[tokio::test]
    async fn bad_senders_are_refused_with_fault_and_remedy() {
        let database = TestDatabase::create().await.unwrap();
        let _fixture = Fixture::new(&database).await.unwrap();
        let store = Store::open(&database.url, 1, Access::Engine).unwrap();
        let texts = account_name(tocsin_domain::Channel::Sms);
        let zero = |rate, burst, concurrency| Limits { rate, burst, concurrency };
        let table = [
            (&*texts, "5005550006 ", NONE, Exit::Usage, "is no number in E.164"),
            (&*texts, NUMBER, zero(Some(0.0), None, None), Exit::Usage, "--rate is 0: give"),
            (&*texts, NUMBER, zero(Some(-1.0), Some(0), None), Exit::Usage, "--burst is 0: give"),
            (&*texts, NUMBER, zero(None, None, Some(0)), Exit::Usage, "--concurrency is 0: give"),
            (&*texts, NUMBER, zero(None, Some(1), None), Exit::Usage, "without --rate"),
            ("sms-2", NUMBER, NONE, Exit::Refused, "did you mean \"sms-1\"?"),
        ];
        for (account, sender, limits, exit, fault) in table {
            let error = add(&store, &which(account, sender), limits, &SystemClock).await.unwrap_err();
            assert_eq!(Exit::of(&error), exit, "{error}");
            assert!(error.to_string().contains(fault), "{error}");
        }
        let error = find(&store, &which(&texts, NUMBER)).await.unwrap_err();
        assert!(error.to_string().contains("there is none yet"), "{error}");
    }
}
