//! `tocsin dead`: the dead letters, which nobody could read or whose consumers died of them.

mod letter;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::{Value, json};
use tocsin_queue::Queue;
use tocsin_queue::dead_letters::{DeadLetters, Letter};
use tocsin_runtime::Config;

use self::letter::contents;
use super::operator::confirmed;
use crate::exit::{Exit, Failure};
use crate::roles::broker;
use crate::terminal::{print, print_json, table};

/// So many are looked at, the oldest first.
const LETTERS_MAX: u16 = 10_000;

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
    /// List the dead letters. They stay where they are.
    #[command(after_long_help = "\
Examples:
  tocsin dead list")]
    List,
    /// Show what a dead letter holds: ids and sizes, never a body.
    #[command(after_long_help = "\
Examples:
  tocsin dead show 9c1f0a63b2d4e857")]
    Show { id: String },
    /// Put dead letters back into the queue that they came from.
    #[command(after_long_help = "\
Examples:
  tocsin dead requeue 9c1f0a63b2d4e857
  tocsin dead requeue --all")]
    Requeue {
        #[command(flatten)]
        which: Which,
        /// Into this queue, where nobody wrote down which it came from.
        #[arg(long, value_name = "QUEUE")]
        to: Option<String>,
    },
    /// Throw dead letters away. A job's is no loss, for its row carries the job; a callback's is.
    #[command(after_long_help = "\
Examples:
  tocsin dead drop 9c1f0a63b2d4e857 --yes")]
    Drop {
        #[command(flatten)]
        which: Which,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// As listed.
    id: Option<String>,
    /// Every dead letter.
    #[arg(long)]
    all: bool,
}

impl Which {
    fn of<'a>(&self, held: &'a DeadLetters) -> Result<Vec<&'a Letter>> {
        match &self.id {
            None => Ok(held.letters().iter().collect()),
            Some(id) => found(held, id),
        }
    }
}

pub async fn run(args: Args, config: &Config) -> Result<ExitCode> {
    if let Action::Drop { yes, .. } = &args.action {
        confirmed(*yes, "what is thrown away is gone")?;
    }
    let session = broker(config)?.connect("tocsin dead").await.map_err(unreachable)?;
    let held = DeadLetters::hold(session, LETTERS_MAX).await.map_err(unreachable)?;
    let done = act(&args, &held).await;
    held.let_go().await;
    done
}

async fn act(args: &Args, held: &DeadLetters) -> Result<ExitCode> {
    match &args.action {
        Action::List => list(held, args.json)?,
        Action::Show { id } => show(held, id, args.json)?,
        Action::Requeue { which, to } => requeue(held, which, to.as_deref(), args.json).await?,
        Action::Drop { which, .. } => {
            let letters = which.of(held)?;
            for letter in &letters {
                held.discard(letter).await?;
            }
            told("dropped", letters.len(), args.json)?;
        }
    }
    Ok(Exit::Done.into())
}

fn list(held: &DeadLetters, as_json: bool) -> Result<()> {
    if as_json {
        let letters: Vec<Value> = held.letters().iter().map(summary).collect();
        return print_json(&json!({ "dead_letters": held.all, "letters": letters }));
    }
    if held.letters().is_empty() {
        return print("no dead letters\n");
    }
    let row = |letter: &Letter| {
        [
            letter.id.clone(),
            letter.origin.clone().unwrap_or_else(|| "?".to_owned()),
            letter.body.len().to_string(),
            letter.reason.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<[String; 4]> = held.letters().iter().map(row).collect();
    print(table(["Letter", "Queue", "Bytes", "Reason"], &rows))?;
    let more = usize::try_from(held.all).unwrap_or(usize::MAX).saturating_sub(held.letters().len());
    if more > 0 { print(format_args!("and {more} more\n")) } else { Ok(()) }
}

fn show(held: &DeadLetters, id: &str, as_json: bool) -> Result<()> {
    let letters = found(held, id)?;
    let Some(letter) = letters.first() else { return Ok(()) };
    let mut shown = summary(letter);
    shown["alike"] = json!(letters.len());
    shown["headers"] = letter.headers().map(|(name, value)| (name.clone(), json!(value))).collect();
    shown["contents"] = contents(letter);
    if as_json { print_json(&shown) } else { print(text(&shown, 0)) }
}

async fn requeue(held: &DeadLetters, which: &Which, to: Option<&str>, as_json: bool) -> Result<()> {
    let to = to.map(queue_named).transpose()?;
    let letters = which.of(held)?;
    // All of them are looked at before any is moved.
    let mut moves = Vec::with_capacity(letters.len());
    for letter in letters {
        let queue = letter.queue().or(to).ok_or_else(|| {
            Failure::refused(format!(
                "nobody wrote down which queue letter {} came from: say it with --to, as --to status.general",
                letter.id
            ))
        })?;
        moves.push((letter, queue));
    }
    for (letter, queue) in &moves {
        held.requeue(letter, *queue).await.with_context(|| format!("letter {}", letter.id))?;
    }
    told("requeued", moves.len(), as_json)
}

fn queue_named(name: &str) -> Result<Queue> {
    Queue::named(name).filter(|queue| *queue != Queue::DeadLetters).ok_or_else(|| {
        let known: Vec<String> =
            Queue::all().filter(|queue| *queue != Queue::DeadLetters).map(Queue::name).collect();
        Failure::usage(format!("--to: there is no queue {name:?}: use one of {}", known.join(", "))).into()
    })
}

/// The letters of that id: more than one, if they are alike.
fn found<'a>(held: &'a DeadLetters, id: &str) -> Result<Vec<&'a Letter>> {
    let letters: Vec<&Letter> = held.letters().iter().filter(|letter| letter.id == id).collect();
    if letters.is_empty() {
        return Err(Failure::refused(format!("no dead letter {id:?}: see `tocsin dead list`")).into());
    }
    Ok(letters)
}

fn summary(letter: &Letter) -> Value {
    json!({ "id": letter.id, "queue": letter.origin, "reason": letter.reason, "bytes": letter.body.len() })
}

fn told(what: &str, letters: usize, as_json: bool) -> Result<()> {
    if as_json {
        print_json(&json!({ what: letters }))
    } else {
        print(format_args!("{letters} dead letters {what}\n"))
    }
}

/// `key: value`, a line each, deeper ones indented.
fn text(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let line = |name: &str, value: &Value| match value {
        Value::Object(_) | Value::Array(_) => format!("{pad}{name}:\n{}", text(value, indent + 2)),
        Value::String(word) => format!("{pad}{name}: {word}\n"),
        other => format!("{pad}{name}: {other}\n"),
    };
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| line(name, value)).collect(),
        Value::Array(items) => items.iter().map(|item| line("-", item)).collect(),
        other => format!("{pad}{other}\n"),
    }
}

fn unreachable(error: tocsin_queue::QueueError) -> anyhow::Error {
    let what = "the broker of AMQP_URL cannot be used";
    anyhow::Error::from(error).context(Failure::unreachable(what))
}
