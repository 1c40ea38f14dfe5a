//! `GET` and `PUT /log-filter`: which lines are written, changed while the process runs.
//!
//! Served with health alone, which belongs behind a network policy: whoever reaches it can make a process write much.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tracing_subscriber::EnvFilter;

use super::parse_filter;
use crate::tasks::spawn_untracked;

/// A filter is a line.
const FILTER_BYTES_MAX: usize = 4_096;
/// A filter may hold for a day at most before it goes back by itself.
const FOR_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Puts another filter in place. False: nobody logs any more.
pub(super) type Change = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// Of this process: there is one subscriber.
static ACTIVE: OnceLock<Active> = OnceLock::new();

struct Active {
    /// As configured: what a filter for a time gives way to.
    configured: String,
    change: Change,
    now: Mutex<Now>,
}

struct Now {
    filter: String,
    /// Counts changes, so that the end of an earlier one undoes no later one.
    changes: u64,
}

pub(super) fn started(filter: &str, change: Change) {
    let now = Mutex::new(Now { filter: filter.to_owned(), changes: 0 });
    // Set once, by whoever started the log.
    let _ = ACTIVE.set(Active { configured: filter.to_owned(), change, now });
}

/// To be served beside [`crate::health::Health::router`] where nobody from outside comes.
pub fn router() -> Router {
    Router::new().route("/log-filter", get(show).put(put))
}

async fn show() -> Response {
    match ACTIVE.get() {
        Some(active) => format!("{}\n", active.now().filter).into_response(),
        None => not_started(),
    }
}

/// `?for=10m`: goes back to the configured filter after that time.
async fn put(RawQuery(query): RawQuery, body: String) -> Response {
    let Some(active) = ACTIVE.get() else { return not_started() };
    let lasts = match lasts(query.as_deref().unwrap_or_default()) {
        Ok(lasts) => lasts,
        Err(why) => return refused(&why),
    };
    let filter = body.trim();
    let change = match asked(filter).map(|parsed| active.put(filter, parsed)) {
        Ok(Some(change)) => change,
        Ok(None) => return not_started(),
        Err(why) => return refused(&why),
    };
    tracing::info!(filter, for_seconds = lasts.map(|lasts| lasts.as_secs()), "log filter changed");
    if let Some(lasts) = lasts {
        spawn_untracked(async move {
            tokio::time::sleep(lasts).await;
            active.go_back(change);
        });
    }
    format!("{filter}\n").into_response()
}

fn asked(filter: &str) -> Result<EnvFilter, String> {
    if filter.is_empty() {
        return Err("the body is empty: write directives such as info,tocsin_worker=debug".to_owned());
    }
    if filter.len() > FILTER_BYTES_MAX {
        return Err(format!("the filter has {} bytes: give at most {FILTER_BYTES_MAX}", filter.len()));
    }
    parse_filter(filter).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("the filter cannot be read: {source}; write directives such as info,tocsin_worker=debug")
    })
}

/// How long it is to hold: a number and s, m or h. None: until it is changed again.
fn lasts(query: &str) -> Result<Option<Duration>, String> {
    if query.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("{query:?} is not understood: write ?for=10m, with s, m or h, and at most 24h");
    let text = query.strip_prefix("for=").ok_or_else(wrong)?;
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let lasts = Duration::from_secs(number.checked_mul(unit).ok_or_else(wrong)?);
    if lasts.is_zero() || lasts > FOR_MAX { Err(wrong()) } else { Ok(Some(lasts)) }
}

impl Active {
    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the change.
    fn put(&self, filter: &str, parsed: EnvFilter) -> Option<u64> {
        let mut now = self.now();
        if !(self.change)(parsed) {
            return None;
        }
        filter.clone_into(&mut now.filter);
        now.changes += 1;
        Some(now.changes)
    }

    fn go_back(&self, change: u64) {
        if self.now().changes != change {
            return;
        }
        let Ok(parsed) = parse_filter(&self.configured) else { return };
        if self.put(&self.configured, parsed).is_some() {
            tracing::info!(filter = self.configured, "log filter went back to what is configured");
        }
    }
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
}

fn not_started() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "this process does not log\n").into_response()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::Tasks;
    use crate::health::{Health, serve};
    use crate::{LogFormat, init_telemetry};

    #[test]
    fn a_time_is_a_number_and_a_unit_within_a_day() {
        let table = [
            ("", Ok(None)),
            ("for=90s", Ok(Some(Duration::from_secs(90)))),
            ("for=10m", Ok(Some(Duration::from_secs(600)))),
            ("for=24h", Ok(Some(FOR_MAX))),
        ];
        for (query, expected) in table {
            assert_eq!(lasts(query), expected, "{query}");
        }
        for query in ["for=", "for=10", "for=m", "for=0s", "for=25h", "for=-1m", "until=10m", "for=1é"] {
            let why = lasts(query).unwrap_err();
            assert!(why.contains("?for=10m"), "{query}: {why}");
        }
    }

    #[test]
    fn the_end_of_an_earlier_change_undoes_no_later_one() {
        let changes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&changes);
        let change: Change = Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        });
        let now = Mutex::new(Now { filter: "info".to_owned(), changes: 0 });
        let active = Active { configured: "info".to_owned(), change, now };
        let first = active.put("debug", parse_filter("debug").unwrap()).unwrap();
        let second = active.put("trace", parse_filter("trace").unwrap()).unwrap();
        active.go_back(first);
        assert_eq!((active.now().filter.as_str(), changes.load(Ordering::Relaxed)), ("trace", 2));
        active.go_back(second);
        assert_eq!((active.now().filter.as_str(), changes.load(Ordering::Relaxed)), ("info", 3));
    }

    #[tokio::test]
    async fn the_filter_is_shown_and_changed_and_a_bad_one_is_refused() {
        // Whichever test is first starts it.
        init_telemetry(LogFormat::Json, "warn").unwrap();
        let tasks = Tasks::new();
        let health = Health::new(&tasks);
        let address = serve((Ipv4Addr::LOCALHOST, 0).into(), health, &tasks).await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (client, url) =
            (reqwest::Client::builder().build().unwrap(), format!("http://{address}/log-filter"));
        let put = async |query: &str, filter: &'static str| {
            let asked = client.put(format!("{url}{query}")).body(filter).send().await.unwrap();
            (asked.status().as_u16(), asked.text().await.unwrap())
        };
        assert_eq!(put("", "warn,tocsin_worker=debug").await.0, 200);
        let shown = client.get(&url).send().await.unwrap().text().await.unwrap();
        assert_eq!(shown, "warn,tocsin_worker=debug\n");
        for (query, filter, says) in
            [("", "tocsin=loudly", "cannot be read"), ("", " ", "empty"), ("?for=ever", "info", "?for=10m")]
        {
            let (status, why) = put(query, filter).await;
            assert!(status == 400 && why.contains(says), "{filter}: {status} {why}");
        }
        let shown = client.get(&url).send().await.unwrap().text().await.unwrap();
        assert_eq!(shown, "warn,tocsin_worker=debug\n", "what was refused changed nothing");
    }
}
