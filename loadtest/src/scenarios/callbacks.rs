//! `callbacks`: the reports of a whole mailing at once, some twice, some in the wrong order, some forged.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tocsin_domain::Outcome;
use tocsin_providers::twilio::form::Form;
use tocsin_providers::twilio::signature::{HEADER, SignatureKeys};
use tocsin_providers::{Secret, callback_url, http_client};
use tocsin_runtime::{Clock as _, Stopwatch, SystemClock};
use tocsin_testkit::simulator::{Callbacks, ChannelScenario, Record, SENDER, Scenario};

use crate::campaign::{self, Kind};
use crate::checker;
use crate::findings::Findings;
use crate::options::{Options, Sizes, positive};
use crate::probe::Probe;
use crate::report::{Line, Plot};
use crate::stage::{Setup, Stage, Wait, Workers};
use crate::stats::spread;

const IN_FLIGHT: usize = 400;
const ACCOUNT: &str = "sms";
const ACCEPTED_WITHIN: Duration = Duration::from_secs(600);
/// A vendor gives up after 15 s (wire A.5).
const POST_DEADLINE: Duration = Duration::from_secs(15);
const DUPLICATE: f64 = 0.2;
const REORDERED: f64 = 0.2;
const FORGED: f64 = 0.01;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Attempts that wait for their report.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    jobs: usize,
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,
    /// Posts under way at once.
    #[arg(long, default_value_t = 200, value_name = "N")]
    posts: usize,
    #[command(flatten)]
    pub options: Options,
}

/// One request to the collector.
#[derive(Debug)]
struct Post {
    url: String,
    body: String,
    signature: String,
    forged: bool,
}

/// What came of one.
struct Answered {
    status: Option<u16>,
    forged: bool,
    milliseconds: f64,
}

pub async fn run(args: &Args) -> Result<Findings> {
    Sizes { jobs: args.jobs, workers: args.workers, in_flight: IN_FLIGHT }.check()?;
    positive("--posts", args.posts as f64)?;
    args.options.target.own_only("callbacks")?;
    // The provider itself reports nothing.
    let silent = Callbacks { lost: 1.0, ..Callbacks::default() };
    let sms = ChannelScenario { callbacks: silent, ..ChannelScenario::default() };
    let setup = Setup {
        scenario: Scenario { sms, ..Scenario::default() },
        workers: Workers::of(args.workers),
        in_flight: IN_FLIGHT,
        ..Setup::default()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    let district = stage.district(args.jobs).await?;
    let campaign = campaign::send(&district, Kind::General).await?;
    stage.requests_reach(args.jobs as u64, ACCEPTED_WITHIN).await?;
    probe.accepted_reach(campaign, args.jobs, ACCEPTED_WITHIN).await?;

    let public_url = stage.own_fleet()?.public_url.clone();
    let posts = storm(&stage.simulator.sends(), &public_url, args.options.seed)?;
    let (total, forged) = (posts.len(), posts.iter().filter(|post| post.forged).count());
    let (began_at, began) = (SystemClock.now(), Stopwatch::start());
    let answers = post_all(posts, args.posts).await?;
    let (ended_at, seconds) = (SystemClock.now(), began.elapsed().as_secs_f64());
    stage.closed("callbacks", &[campaign], Wait::for_requests(args.jobs)).await?;
    let last_settled = probe.attempts(campaign).await?.last_settled;

    let mut findings = Findings::new("callbacks");
    findings.violations(checker::check(&stage, &[campaign]).await?);
    findings.violations(wrong(&answers));
    let delivered = stage.store.job_facts(campaign).await?;
    let lost = delivered.iter().filter(|job| job.outcome != Some(Outcome::Delivered)).count();
    if lost > 0 {
        findings.violations([format!("{lost} jobs are not delivered although the provider reported it")]);
    }
    let accepted = answers.iter().filter(|answer| !answer.forged && answer.status == Some(200)).count();
    let applied_seconds = (last_settled - began_at).as_seconds_f64();
    findings
        .figure("jobs", args.jobs)
        .figure("callbacks", total)
        .figure("forged", forged)
        .figure("accepted", accepted)
        .figure("accepted_per_second", accepted as f64 / seconds)
        .figure("applied_per_second", accepted as f64 / applied_seconds)
        .figure("drained_seconds", (last_settled - ended_at).as_seconds_f64().max(0.0));
    findings.plot(Plot {
        title: "From a posted callback to its answer",
        x: "milliseconds",
        y: "percent of callbacks",
        lines: vec![Line::percentiles(
            "callbacks",
            answers.iter().map(|answer| answer.milliseconds).collect(),
        )],
        limit: None,
    });
    if let Some(spread) = spread(answers.iter().map(|answer| answer.milliseconds).collect()) {
        findings
            .figure("ack_p50_ms", spread.p50)
            .figure("ack_p99_ms", spread.p99)
            .figure("ack_max_ms", spread.max);
    }
    stage.stop().await;
    Ok(findings)
}

/// A delivery report for each send, in no order; a fifth of them twice, a fifth followed by the earlier *sent*, and one
/// in a hundred beside a forged *failed*.
fn storm(sends: &[Record], public_url: &str, seed: u64) -> Result<Vec<Post>> {
    let credentials = Scenario::default().credentials;
    let genuine = SignatureKeys::new(std::slice::from_ref(&credentials.twilio_token));
    let forger = SignatureKeys::new(&[Secret::new("not the account's token")]);
    let mut random = StdRng::seed_from_u64(seed);
    let mut of_each = Vec::with_capacity(sends.len());
    for send in sends {
        let report = |word, keys, forged| report(send, public_url, word, keys, forged);
        let mut posts = vec![report("delivered", &genuine, false)?];
        if random.random_bool(DUPLICATE) {
            posts.push(report("delivered", &genuine, false)?);
        }
        if random.random_bool(REORDERED) {
            posts.push(report("sent", &genuine, false)?);
        }
        if random.random_bool(FORGED) {
            posts.insert(0, report("failed", &forger, true)?);
        }
        of_each.push(posts);
    }
    of_each.shuffle(&mut random);
    Ok(of_each.into_iter().flatten().collect())
}

fn report(send: &Record, public_url: &str, word: &str, keys: &SignatureKeys, forged: bool) -> Result<Post> {
    let account = Scenario::default().credentials.twilio_account;
    let provider_id = send.provider_id.as_deref().unwrap_or_default();
    let fields = [
        ("MessageSid", provider_id),
        ("SmsSid", provider_id),
        ("MessageStatus", word),
        ("SmsStatus", word),
        ("AccountSid", account.as_str()),
        ("From", SENDER),
        ("To", send.to.as_deref().unwrap_or_default()),
        ("ApiVersion", "2010-04-01"),
    ];
    let url = callback_url(public_url, ACCOUNT, send.token.as_deref().unwrap_or_default());
    let signature = keys.sign(&url, &Form::from_pairs(&fields)).context("nothing to sign with")?;
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    Ok(Post { url, body, signature, forged })
}

async fn post_all(posts: Vec<Post>, at_once: usize) -> Result<Vec<Answered>> {
    let client = http_client()?;
    let answers = futures::stream::iter(posts).map(|post| {
        let client = client.clone();
        async move {
            let started = Stopwatch::start();
            let request = client
                .post(&post.url)
                .timeout(POST_DEADLINE)
                .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
                .header(HEADER, post.signature)
                .body(post.body);
            let status = request.send().await.ok().map(|response| response.status().as_u16());
            Answered { status, forged: post.forged, milliseconds: started.elapsed().as_secs_f64() * 1_000.0 }
        }
    });
    Ok(answers.buffer_unordered(at_once).collect().await)
}

/// A genuine report has to be taken, a forged one refused.
fn wrong(answers: &[Answered]) -> Vec<String> {
    let refused = answers.iter().filter(|answer| !answer.forged && answer.status != Some(200)).count();
    let believed = answers.iter().filter(|answer| answer.forged && answer.status == Some(200)).count();
    let counted = [(refused, "genuine callbacks were not taken"), (believed, "forged callbacks were taken")];
    let wrong = counted.into_iter().filter(|(count, _)| *count > 0);
    wrong.map(|(count, what)| format!("{count} {what}")).collect()
}

#[cfg(test)]
mod tests {
    use tocsin_domain::Channel;
    use tocsin_testkit::simulator::Kind as RequestKind;

    use super::*;

    #[test]
    fn the_storm_has_its_shares_of_duplicates_reordered_and_forged() {
        let send = Record {
            arrived_at: chrono::DateTime::default(),
            channel: Channel::Sms,
            kind: RequestKind::Send,
            token: Some("token".to_owned()),
            to: Some("+12025550100".to_owned()),
            from: None,
            provider_id: Some("SM1".to_owned()),
            answered: 201,
        };
        let sends = vec![send; 5_000];
        let posts = storm(&sends, "http://x", 7).unwrap();
        let of = |word: &str| {
            posts.iter().filter(|post| post.body.contains(&format!("MessageStatus={word}"))).count()
        };
        assert!((5_800..=6_200).contains(&of("delivered")), "{}", of("delivered"));
        assert!((800..=1_200).contains(&of("sent")), "{}", of("sent"));
        let forged = posts.iter().filter(|post| post.forged).count();
        assert_eq!(forged, of("failed"));
        assert!((20..=90).contains(&forged), "{forged}");
        assert_eq!(storm(&sends, "http://x", 7).unwrap().len(), posts.len(), "the same seed, the same storm");
    }

    #[test]
    fn a_forgery_that_is_believed_and_a_report_that_is_not_are_told() {
        let answered = |status, forged| Answered { status, forged, milliseconds: 0.0 };
        assert_eq!(wrong(&[answered(Some(200), false), answered(Some(403), true)]), Vec::<String>::new());
        let wrong = wrong(&[answered(Some(503), false), answered(None, false), answered(Some(200), true)]);
        assert_eq!(wrong, ["2 genuine callbacks were not taken", "1 forged callbacks were taken"]);
    }
}
