//! `tocsin campaign`: over the REST API, as any other client.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use tocsin_domain::Channel;
use uuid::Uuid;

use super::store::DataPath;
use crate::embedded::ApiKey;

/// How often a watched campaign is asked for.
const WATCH_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the API is.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8080", global = true)]
    url: String,
    /// The district's key, from `tocsin api-key add`.
    #[arg(long, env = "TOCSIN_API_KEY", hide_env_values = true, global = true)]
    api_key: Option<String>,
    /// Print the API's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a message.
    Send(SendArgs),
    /// List campaigns, newest first.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show a campaign and its delivery information.
    Show { id: Uuid },
    /// Cancel a campaign and show what the cancel reached.
    Cancel {
        id: Uuid,
        /// Kept with the cancel.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Follow a campaign until it has ended.
    Watch { id: Uuid },
}

#[derive(Debug, clap::Args)]
struct SendArgs {
    #[arg(long)]
    subject: String,
    /// The message. Merge fields: {{ student_name }}, {{ given_name | family }}.
    #[arg(long)]
    body: String,
    /// voice, sms, email or inbox. May be given several times.
    #[arg(long = "channel", required = true)]
    channels: Vec<Channel>,
    /// emergency, priority, general, attendance, behavior, …
    #[arg(long = "type", default_value = "general")]
    message_type: String,
    /// Everybody: all guardians of active students.
    #[arg(long, conflicts_with_all = ["schools", "grades"])]
    all: bool,
    /// Source id of a school. May be given several times.
    #[arg(long = "school")]
    schools: Vec<String>,
    /// A grade. May be given several times.
    #[arg(long = "grade")]
    grades: Vec<String>,
    /// When to send, RFC 3339. Default: at once.
    #[arg(long)]
    at: Option<String>,
    /// Posting twice with the same key makes one campaign. Default: a new one.
    #[arg(long)]
    key: Option<String>,
}

/// Runs one action against the API.
pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    // `tocsin up` keeps one in its data directory.
    let kept = || data().ok().and_then(|path| ApiKey::of(&path).read().transpose()).transpose();
    let Some(key) = args.api_key.map_or_else(kept, |key| Ok(Some(key)))? else {
        bail!(
            "no API key: set TOCSIN_API_KEY, name the data directory of `tocsin up` with --data, or make a key \
             with `tocsin api-key add --district NAME --name LABEL`"
        );
    };
    let api = Client { http: tocsin_providers::http_client()?, url: args.url, key };
    let answer = match args.action {
        Action::Send(send) => {
            let body = json!({
                "subject": send.subject, "body": send.body, "channels": send.channels,
                "message_type": send.message_type, "scheduled_at": send.at, "created_by": "cli",
                "audience": {"all": send.all, "schools": send.schools, "grades": send.grades},
            });
            api.post("/v1/campaigns", &body, send.key.unwrap_or_else(|| Uuid::now_v7().to_string())).await?
        }
        Action::List { limit } => api.get(&format!("/v1/campaigns?limit={limit}")).await?,
        Action::Show { id } => api.get(&format!("/v1/campaigns/{id}")).await?,
        Action::Cancel { id, reason } => {
            api.post(
                &format!("/v1/campaigns/{id}/cancel"),
                &json!({"reason": reason, "by": "cli"}),
                String::new(),
            )
            .await?
        }
        Action::Watch { id } => return watch(&api, id).await,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{answer:#}")?;
    } else {
        write!(out, "{}", describe(&answer))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn watch(api: &Client, id: Uuid) -> Result<ExitCode> {
    loop {
        let answer = api.get(&format!("/v1/campaigns/{id}")).await?;
        println!("{}", progress(&answer));
        if !answer["ended_at"].is_null() {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// One line: state and how far each channel is.
fn progress(campaign: &Value) -> String {
    let mut line = format!("{:<10}", text(&campaign["state"]));
    for (channel, counts) in campaign["by_channel"].as_object().into_iter().flatten() {
        let (devices, open) = (count(counts, "devices"), count(counts, "open"));
        line.push_str(&format!("  {channel} {}/{devices}", devices - open));
    }
    line
}

/// An answer for people: a campaign, a list of them, or a receipt.
fn describe(answer: &Value) -> String {
    if let Some(campaigns) = answer["campaigns"].as_array() {
        return campaigns.iter().map(summary).collect();
    }
    if answer.get("never_tried").is_some() {
        return format!(
            "{}: contacted {}, in flight or unknown {}, recalled {}, never tried {}\n",
            text(&answer["state"]),
            count(answer, "contacted"),
            count(answer, "in_flight_or_unknown"),
            count(answer, "recalled"),
            count(answer, "never_tried")
        );
    }
    let mut page = summary(answer);
    for (channel, counts) in answer["by_channel"].as_object().into_iter().flatten() {
        page.push_str(&format!(
            "  {channel:<6} devices {:>7}  attempts {:>7}  successful {:>7}  error {:>6}  canceled {:>6}\n",
            count(counts, "devices"),
            count(counts, "attempts"),
            count(counts, "successful"),
            count(counts, "error"),
            count(counts, "canceled")
        ));
    }
    page
}

fn summary(campaign: &Value) -> String {
    format!(
        "{}  #{}  {:<10}  {:<10}  {}\n",
        text(&campaign["id"]),
        campaign["number"],
        text(&campaign["state"]),
        text(&campaign["message_type"]),
        text(&campaign["subject"])
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn count(counts: &Value, name: &str) -> i64 {
    counts[name].as_i64().unwrap_or_default()
}

struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    async fn get(&self, path: &str) -> Result<Value> {
        let request = self.http.get(format!("{}{path}", self.url));
        self.ask(request).await
    }

    async fn post(&self, path: &str, body: &Value, idempotency_key: String) -> Result<Value> {
        let mut request = self.http.post(format!("{}{path}", self.url)).json(body);
        if !idempotency_key.is_empty() {
            request = request.header("idempotency-key", idempotency_key);
        }
        self.ask(request).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request
            .bearer_auth(&self.key)
            .send()
            .await
            .with_context(|| format!("no answer from {}: is `tocsin api` running there?", self.url))?;
        let status = answer.status();
        let body: Value = answer.json().await.context("the API's answer is no JSON")?;
        if !status.is_success() {
            bail!("{}", problem(&body, status.as_u16()));
        }
        Ok(body)
    }
}

/// A problem-details answer in one line, with its fields.
fn problem(body: &Value, status: u16) -> String {
    let mut line = format!("{} ({status})", text(&body["title"]));
    if let Some(detail) = body["detail"].as_str() {
        line.push_str(&format!(": {detail}"));
    }
    for fault in body["errors"].as_array().into_iter().flatten() {
        line.push_str(&format!("\n  {}: {}", text(&fault["field"]), text(&fault["reason"])));
    }
    line
}
