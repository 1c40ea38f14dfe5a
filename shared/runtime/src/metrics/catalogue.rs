//! Every metric of Tocsin. Names, labels and help are what dashboards and rules are written against: they stay.

use super::cell::{Counter, Gauge, Histogram};
use super::family::{About, By, Family, Kind, Metric};

/// From a request inside a data centre to one that runs into its deadline.
const REQUEST: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];
const TICK: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];
const WAIT: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const LAG: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];
/// Recalls and requests that are open may take their time.
const CANCEL: &[f64] = &[0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0];

macro_rules! kind {
    (counter) => {
        Counter
    };
    (gauge) => {
        Gauge
    };
    (histogram) => {
        Histogram
    };
    (name counter) => {
        Kind::Counter
    };
    (name gauge) => {
        Kind::Gauge
    };
    (name histogram) => {
        Kind::Histogram
    };
}

macro_rules! bounds {
    () => {
        &[]
    };
    ($bounds:ident) => {
        $bounds
    };
}

/// A static for each metric, and the list of them all, so that none is left out of it.
macro_rules! catalogue {
    ($($kind:ident $metric:ident = $name:literal [$($label:literal),*] $by:ident: $help:literal $(in $bounds:ident)?;)*) => {
        $(
            #[doc = $help]
            pub static $metric: Family<kind!($kind), { <[&str]>::len(&[$($label),*]) }> = Family::new(About {
                name: $name,
                kind: kind!(name $kind),
                labels: &[$($label),*],
                by: By::$by,
                help: $help,
                bounds: bounds!($($bounds)?),
            });
        )*

        /// In the order of docs/METRICS.md.
        pub static CATALOGUE: &[&dyn Metric] = &[$(&$metric),*];
    };
}

catalogue! {
    gauge BUILD_INFO = "tocsin_build_info" ["version", "role"] Every:
        "Always 1: which release runs, and as what.";
    gauge DRAINING = "tocsin_draining" [] Every:
        "1 from SIGTERM on: the process takes nothing more, finishes what it has and leaves.";
    gauge DEPENDENCY_UP = "tocsin_dependency_up" ["dependency"] Every:
        "Whether the process reaches what it depends on (store, broker): the checks of /readyz, made at each scrape.";
    histogram TICK_SECONDS = "tocsin_tick_seconds" ["tick"] Every:
        "How long the runs of a loop took." in TICK;
    counter TICK_FAILURES = "tocsin_tick_failures_total" ["tick"] Every:
        "Runs of a loop that failed; each is tried again.";
    counter TRACE_SPANS_DROPPED = "tocsin_trace_spans_dropped_total" [] Every:
        "Spans that could not be exported in time and were dropped.";

    gauge DUE_JOBS = "tocsin_due_jobs" ["channel", "lane"] Planner:
        "Jobs that are due and not released, of campaigns that may be sent. Of a campaign with more than 5,000 of them: its devices without an outcome.";
    gauge DUE_AGE = "tocsin_due_age_seconds" ["channel", "lane"] Planner:
        "How long the job that has been due longest has been so; 0 where none is.";
    gauge QUEUED_JOBS = "tocsin_queued_jobs" ["channel", "lane"] Planner:
        "Jobs that are released and not claimed: on the queue, or with a worker that has no permit for them yet.";
    gauge QUEUE_AGE = "tocsin_queue_age_seconds" ["channel", "lane"] Planner:
        "How long ago the oldest of the queued jobs was released, by the order of releases; 0 where none is queued.";
    gauge STALLED_CAMPAIGNS = "tocsin_stalled_campaigns" ["lane"] Planner:
        "Campaigns that have been sending for 60 s with work that is due or queued, and without an attempt all this time.";
    gauge UNKNOWN_ATTEMPTS = "tocsin_unknown_attempts" ["channel", "lane"] Planner:
        "Attempts in doubt: asked, and nobody knows whether the provider took them. Counted once a minute.";
    counter RELEASED_JOBS = "tocsin_released_jobs_total" ["channel", "lane"] Planner:
        "Jobs put on the queue and confirmed by the broker.";
    counter COUNTER_DRIFT = "tocsin_counter_drift_total" [] Planner:
        "Counters that the auditor found not to be what the rows say, and corrected. Any is a fault.";
    histogram CANCEL_SECONDS = "tocsin_cancel_seconds" [] Planner:
        "From a cancel to its answer: no attempt is being asked, and every recall is answered or past its time." in CANCEL;
    counter WEBHOOK_DELIVERIES = "tocsin_webhook_deliveries_total" ["result"] Planner:
        "Webhooks by result: delivered, again (will be tried again), failed, gone.";

    gauge ACCOUNT_STOPPED = "tocsin_account_stopped" ["account", "channel"] Planner:
        "1: the account is stopped, by an operator or because its provider refuses it.";
    gauge ACCOUNT_LIMIT = "tocsin_account_limit_per_second" ["account", "channel"] Planner:
        "What may be sent over the account at the moment, slowed where the provider asked for it, in its unit. None without a rate.";
    gauge ACCOUNT_HEADROOM = "tocsin_account_headroom_per_second" ["account", "channel"] Planner:
        "The limit less what workers sent lately.";
    gauge ACCOUNT_SHARED = "tocsin_account_shared_per_second" ["account", "channel"] Planner:
        "What is shared out to workers of the account's rate.";
    gauge ACCOUNT_LEASES = "tocsin_account_leases" ["account", "channel"] Planner:
        "Workers that have a lease of the account.";
    gauge HELD_ATTEMPTS = "tocsin_held_attempts" ["account", "channel"] Planner:
        "Attempts that the provider is asked for or holds: sent, and not reported as ended.";
    gauge HELD_WORK = "tocsin_held_work_seconds" ["account", "channel"] Planner:
        "How long the account takes for what its provider holds, at the limit or, without one, at the pace of late. None where neither is known.";

    gauge STATUS_QUEUE_MESSAGES = "tocsin_status_queue_messages" ["lane"] Planner:
        "Messages of callbacks that wait to be applied.";
    gauge DEAD_LETTERS = "tocsin_dead_letters" [] Planner:
        "Messages that nobody could read, or that lost their consumer too often. Each wants to be looked at.";
    gauge BROKER_ALARM = "tocsin_broker_alarm" [] Planner:
        "1: the broker takes no messages, for it is short of memory or disk.";
    gauge UNMATCHED_CALLBACKS = "tocsin_unmatched_callbacks" [] Planner:
        "Reports of the last 24 hours whose attempt is not there, up to 10,000. They are tried again.";
    gauge WAITING_APPROVALS = "tocsin_waiting_approvals" [] Planner:
        "Emergencies to a whole district that wait for a second person.";
    gauge STOPS = "tocsin_stops" [] Planner:
        "Stops in force, of a district or of all: nothing of theirs is sent until an operator lets it go on.";

    gauge PARTITIONS_AHEAD = "tocsin_partitions_ahead_days" [] Planner:
        "How many days from now on have their partitions, of the table with the fewest.";
    gauge OLDEST_SNAPSHOT = "tocsin_oldest_snapshot_seconds" [] Planner:
        "Age of the oldest transaction that keeps dead rows from being removed, of those that the schema's owner may see.";
    gauge DATABASE_BYTES = "tocsin_database_bytes" [] Planner:
        "What the database takes on its disk.";
    gauge DATABASE_SIZE_MAX = "tocsin_database_size_max_bytes" [] Planner:
        "What it may take: metrics.database_size_max_bytes. Absent where that is not set.";
    gauge DESIRED_REPLICAS = "tocsin_desired_replicas" ["channel"] Planner:
        "Workers of the channel that the work at hand is enough for.";

    counter CLAIMS = "tocsin_claims_total" ["channel", "lane", "verdict"] Worker:
        "Jobs claimed, by verdict: granted, stale, canceled, late, stopped, no_lease, barred.";
    histogram PERMIT_WAIT = "tocsin_permit_wait_seconds" ["channel", "lane"] Worker:
        "How long jobs waited in the worker for a permit: a token and a place of their account, a place of the process." in WAIT;
    histogram PROVIDER_REQUEST = "tocsin_provider_request_seconds" ["account", "channel"] Worker:
        "How long providers took to answer. The exemplar's trace is the attempt's." in REQUEST;
    counter REQUESTS = "tocsin_requests_total" ["account", "channel", "answer"] Worker:
        "Messages that providers were asked to send, by answer: accepted, refused, throttled, not_sent, lost, not_started.";
    counter OUTCOMES = "tocsin_outcomes_total" ["channel", "outcome"] Every:
        "Attempts that came to a terminal outcome (docs/STATUS_CODES.md), by the process that wrote it. One that rises later counts again.";

    counter CALLBACKS = "tocsin_callbacks_total" ["account", "result"] Collector:
        "Callbacks, texts and clicks by what ingress answered (taken, repeated, unknown_account, malformed_token, forged_token, unreadable, unverified, unavailable) and what apply made of them (applied, unparsed, unmapped, unmatched, rematched, dead_letter). No account where none is known by that name.";
    histogram CALLBACK_LAG = "tocsin_callback_lag_seconds" ["lane"] Collector:
        "From the receipt of a callback until it is applied." in LAG;
}
