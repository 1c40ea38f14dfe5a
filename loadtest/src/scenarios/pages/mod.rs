//! `pages`: what the lists, the counts and the reports of a large district take.

mod asked;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use tocsin::commands::district::add;
use tocsin::commands::keys::add_key;
use tocsin_domain::DistrictId;
use tocsin_providers::http_client;
use tocsin_runtime::{Stopwatch, Tasks};
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::district::NAME_PREFIX;
use crate::findings::Findings;
use crate::options::{Options, positive};
use crate::stage::{Setup, Stage};
use crate::stats::percentiles;
use crate::usage::Usage;

const FILL: &str = include_str!("fill.sql");
/// No page is waited for longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The slowest file.
const FILE_WITHIN: Duration = Duration::from_secs(300);
const EMAIL: &str = "pages@example.org";
const PASSWORD: &str = "a password for pages";
/// An exact count of a large audience is asked for so often at most until it is there.
const COUNTS_MAX: usize = 200;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// People of the district: about two and a half times as many devices.
    #[arg(long, default_value_t = 40_000, default_value_if("full", "true", "400000"), value_name = "N")]
    people: u32,
    /// Campaigns that its lists have.
    #[arg(long, default_value_t = 4_000, default_value_if("full", "true", "20000"), value_name = "N")]
    campaigns: u32,
    /// Rows of the reports.
    #[arg(long, default_value_t = 20_000, default_value_if("full", "true", "100000"), value_name = "N")]
    rows: u32,
    /// How often each page is asked for.
    #[arg(long, default_value_t = 20, value_name = "N")]
    rounds: u32,
    /// The sizes that the targets speak of: 400,000 people, 20,000 campaigns, reports of 100,000 rows.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    pub options: Options,
}

/// What one page took.
#[derive(Debug, Serialize)]
struct Took {
    p50_ms: f64,
    p95_ms: f64,
}

/// Who asks, and for what there is to ask.
struct Reader {
    http: reqwest::Client,
    url: String,
    key: String,
    cookie: String,
}

pub async fn run(args: &Args) -> Result<Findings> {
    for (flag, value) in [("--people", args.people), ("--campaigns", args.campaigns), ("--rows", args.rows)] {
        positive(flag, f64::from(value))?;
    }
    positive("--rounds", f64::from(args.rounds))?;
    args.options.target.own_only("pages")?;
    let stage = Stage::start(&args.options, Setup { in_flight: 1, ..Setup::default() }).await?;
    let name = format!("{NAME_PREFIX}{}", Uuid::now_v7());
    let district = add(&stage.store, name, Some(chrono_tz::Tz::America__Chicago), "US".to_owned()).await?;
    let reported = Uuid::now_v7();
    let filling = Stopwatch::start();
    fill(&stage, district.id, reported, args).await?;
    let fill_seconds = filling.elapsed().as_secs_f64();
    let key = add_key(&stage.store, &district, "load test").await?;
    let reader = Reader::sign_in(&stage.api_url, key).await?;
    let usage = Usage::begin(&stage);
    let mut findings = Findings::new("pages");
    let mut pages = serde_json::Map::new();
    let mut slowest = 0.0_f64;
    for (name, path) in asked::pages(&reported.to_string()) {
        let took = took(args.rounds, async || reader.get(&path, ANSWER_WITHIN).await.map(drop)).await;
        let took = took.with_context(|| format!("{name}: {path}"))?;
        slowest = slowest.max(took.p95_ms);
        pages.insert(name.to_owned(), json!(took));
    }
    for (name, audience) in asked::audiences() {
        let body = json!({ "audience": audience });
        let first = reader.count(&body).await?;
        let took = took(args.rounds, async || reader.count(&body).await.map(drop)).await?;
        slowest = slowest.max(took.p95_ms);
        pages.insert(format!("count of {name}"), json!(took));
        let exact = reader.exact(&body).await?;
        findings.violations(wrong(name, &first, &exact));
    }
    let mut reports = serde_json::Map::new();
    for format in ["csv", "pdf", "docx"] {
        let since = Stopwatch::start();
        let path = format!("/v1/campaigns/{reported}/report?format={format}");
        let bytes = reader.get(&path, FILE_WITHIN).await?;
        ensure!(!bytes.is_empty(), "an empty {format} report");
        let seconds = since.elapsed().as_secs_f64();
        reports
            .insert(format.to_owned(), json!({ "seconds": seconds, "megabytes": bytes.len() as f64 / 1e6 }));
    }
    let used = usage.end();
    findings
        .figure("people", args.people)
        .figure("campaigns", args.campaigns)
        .figure("report_rows", args.rows)
        .figure("fill_seconds", fill_seconds)
        .figure("slowest_p95_ms", slowest)
        .figure("pages", pages)
        .figure("reports", reports)
        .figure("rss_mb", &used.rss_mb);
    stage.stop().await;
    Ok(findings)
}

/// The rows, by the database's owner: what a district gathers in years is not to be waited for.
async fn fill(stage: &Stage, district: DistrictId, reported: Uuid, args: &Args) -> Result<()> {
    let (client, connection) =
        tokio_postgres::connect(&stage.ground.database_url, NoTls).await.context("the database")?;
    let tasks = Tasks::new();
    tasks.spawn("filling", async move { drop(connection.await) });
    let sql = FILL
        .replace("DISTRICT", &district.to_string())
        .replace("REPORTED", &reported.to_string())
        .replace("PEOPLE", &args.people.to_string())
        .replace("CAMPAIGNS", &args.campaigns.to_string())
        .replace("ROWS", &args.rows.to_string());
    let filled = client.batch_execute(&sql).await.context("the district could not be filled");
    drop(client);
    tasks.abort();
    filled
}

/// Once to warm up, then so often.
async fn took(rounds: u32, ask: impl AsyncFn() -> Result<()>) -> Result<Took> {
    ask().await?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let since = Stopwatch::start();
        ask().await?;
        times.push(since.elapsed().as_secs_f64() * 1_000.0);
    }
    let [p50_ms, p95_ms] = percentiles(times, [0.50, 0.95]).context("nothing was asked")?;
    Ok(Took { p50_ms, p95_ms })
}

/// A count that says it is exact is, and one that does not is near.
fn wrong(name: &str, first: &Value, exact: &Value) -> Option<String> {
    let number = |of: &Value| of["recipients"].as_f64().unwrap_or(-1.0);
    let (said, is) = (number(first), number(exact));
    let far = if first["exact"] == true { 0.0 } else { (is * 0.15).max(50.0) };
    ((said - is).abs() > far).then(|| format!("{name} was counted as {first}, and is {exact}"))
}

impl Reader {
    /// A user is made with the key, and signs in as people do.
    async fn sign_in(url: &str, key: String) -> Result<Self> {
        let http = http_client()?;
        let user =
            json!({ "email": EMAIL, "name": "Pages", "password": PASSWORD, "roles": ["administrator"] });
        let made = http.post(format!("{url}/v1/users")).bearer_auth(&key).json(&user).send().await?;
        ensure!(made.status().is_success(), "no user could be made: {}", made.text().await?);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("email", EMAIL)
            .append_pair("password", PASSWORD)
            .finish();
        let answer = http
            .post(format!("{url}/sign-in"))
            .header("origin", url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await?;
        let cookie = answer.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        let cookie = cookie.with_context(|| format!("no sign-in: {}", answer.status()))?;
        Ok(Self { http, url: url.to_owned(), key, cookie })
    }

    /// Of the API with the key, of the console with the cookie.
    async fn get(&self, path: &str, within: Duration) -> Result<Vec<u8>> {
        let request = self.http.get(format!("{}{path}", self.url)).timeout(within);
        let request = match path.starts_with("/v1/") {
            true => request.bearer_auth(&self.key),
            false => request.header("cookie", &self.cookie).header("accept", "text/html"),
        };
        let answer = request.send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?.to_vec();
        ensure!(status == 200, "{path} answered {status}: {}", String::from_utf8_lossy(&bytes));
        Ok(bytes)
    }

    async fn count(&self, body: &Value) -> Result<Value> {
        let request =
            self.http.post(format!("{}/v1/audience/count", self.url)).bearer_auth(&self.key).json(body);
        let answer = request.timeout(ANSWER_WITHIN).send().await?;
        ensure!(answer.status() == 200, "a count answered {}", answer.status());
        Ok(answer.json().await?)
    }

    async fn exact(&self, body: &Value) -> Result<Value> {
        let mut body = body.clone();
        body["exact"] = json!(true);
        for _ in 0..COUNTS_MAX {
            let counted = self.count(&body).await?;
            if counted["exact"] == true {
                return Ok(counted);
            }
        }
        bail!("no exact count of {body}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_is_far_off_or_falsely_exact_is_told() {
        let count = |recipients: u32, exact: bool| json!({ "recipients": recipients, "exact": exact });
        let is = count(10_000, true);
        for (first, told) in [
            (count(10_000, true), false),
            (count(10_001, true), true),
            (count(11_000, false), false),
            (count(12_000, false), true),
        ] {
            assert_eq!(wrong("x", &first, &is).is_some(), told, "{first}");
        }
    }
}
