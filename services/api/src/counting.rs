//! Counts of audiences while filters change: exact where that is quick or known, else about, and exact when asked again
//! (docs/adr/0050-counts-of-audiences.md).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tocsin_domain::Channel;
use tocsin_domain::audience::Audience;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_store::tenant::audience::{Size, SizeQuery};
use tocsin_store::{StoreError, Tenant};
use tokio::sync::{Semaphore, oneshot};

use crate::MessageType;
use crate::server::Api;

/// So long an exact count is waited for before a part of the people answers for all.
const EXACT_WAIT: Duration = Duration::from_millis(40);
/// Large counts under way in this process: each takes a processor of the database's for seconds.
const COUNTS_MAX: usize = 2;
/// Of fewer people the whole is not told: then the audience is a small one, and its exact count is not far.
const MET_MIN: u64 = 100;
/// Figures of a number that is about so much.
const FIGURES: u32 = 2;

/// What is counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub audience: Audience,
    pub channels: Vec<Channel>,
    pub mode: DedupeMode,
    pub message_type: MessageType,
}

/// A count, and whether it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub size: Size,
    /// False: it is about so many.
    pub exact: bool,
}

/// The exact counts under way. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Counting {
    places: Arc<Semaphore>,
    under_way: Arc<Mutex<HashSet<String>>>,
}

impl Default for Counting {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(COUNTS_MAX)), under_way: Arc::default() }
    }
}

impl Wanted {
    fn query(&self) -> SizeQuery<'_> {
        SizeQuery {
            audience: &self.audience,
            channels: &self.channels,
            mode: self.mode,
            message_type: self.message_type.as_str(),
        }
    }
}

impl Counting {
    /// The exact count, however long it takes.
    pub async fn exact(&self, api: &Api, tenant: &Tenant, wanted: &Wanted) -> Result<Counted, StoreError> {
        let query = wanted.query();
        let size = match tenant.kept_audience_size(&query).await? {
            Some(known) => known,
            None => tenant.keep_audience_size(&query, api.clock.now()).await?,
        };
        Ok(Counted { size, exact: true })
    }

    /// The best that can be said soon.
    pub async fn soon(&self, api: &Api, tenant: &Tenant, wanted: &Wanted) -> Result<Counted, StoreError> {
        if let Some(size) = tenant.kept_audience_size(&wanted.query()).await? {
            return Ok(Counted { size, exact: true });
        }
        let mut begun = self.begin(api, tenant, wanted);
        if let Some(receiver) = &mut begun {
            match tokio::time::timeout(EXACT_WAIT, receiver).await {
                Ok(Ok(size)) => return size.map(|size| Counted { size, exact: true }),
                // The task ends without a word where the process stops.
                Ok(Err(_)) => begun = None,
                Err(_) => {}
            }
        }
        let estimate = tenant.audience_estimate(&wanted.query()).await?;
        if estimate.exact || estimate.met >= MET_MIN {
            let size = if estimate.exact { estimate.size } else { about(estimate.size) };
            return Ok(Counted { size, exact: estimate.exact });
        }
        match begun {
            Some(begun) => match begun.await {
                Ok(size) => size.map(|size| Counted { size, exact: true }),
                Err(_) => self.exact(api, tenant, wanted).await,
            },
            None => self.exact(api, tenant, wanted).await,
        }
    }

    /// Counts beside the request, which may end before. None: the same is being counted, or enough is.
    fn begin(
        &self,
        api: &Api,
        tenant: &Tenant,
        wanted: &Wanted,
    ) -> Option<oneshot::Receiver<Result<Size, StoreError>>> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let name = format!("{} {wanted:?}", tenant.district());
        let mark = Mark::set(&self.under_way, name)?;
        let (told, result) = oneshot::channel();
        let (tenant, wanted, now) = (tenant.clone(), wanted.clone(), api.clock.now());
        let stopping = api.tasks.stopping().clone();
        api.tasks.spawn("audience count", async move {
            let _held = (place, mark);
            let query = wanted.query();
            let counted = tokio::select! {
                counted = tenant.keep_audience_size(&query, now) => counted,
                () = stopping.cancelled() => return,
            };
            if let Err(Err(error)) = told.send(counted) {
                tracing::warn!(%error, "an audience could not be counted");
            }
        });
        Some(result)
    }
}

/// That something is being counted, until it is dropped.
struct Mark {
    under_way: Arc<Mutex<HashSet<String>>>,
    name: String,
}

impl Mark {
    fn set(under_way: &Arc<Mutex<HashSet<String>>>, name: String) -> Option<Self> {
        let new = under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        new.then(|| Self { under_way: Arc::clone(under_way), name })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// With as many figures as it is worth.
fn about(size: Size) -> Size {
    Size {
        recipients: rounded(size.recipients),
        no_device: rounded(size.no_device),
        devices: size.devices.into_iter().map(|(channel, count)| (channel, rounded(count))).collect(),
    }
}

fn rounded(count: u64) -> u64 {
    let digits = count.checked_ilog10().unwrap_or_default() + 1;
    let unit = 10_u64.pow(digits.saturating_sub(FIGURES));
    (count + unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_so_many_has_two_figures() {
        let table =
            [(0, 0), (7, 7), (99, 99), (104, 100), (105, 110), (267_932, 270_000), (995_000, 1_000_000)];
        for (count, about) in table {
            assert_eq!(rounded(count), about, "{count}");
        }
    }

    #[test]
    fn what_is_being_counted_is_not_counted_beside() {
        let under_way = Arc::default();
        let first = Mark::set(&under_way, "a".to_owned());
        assert!(first.is_some());
        assert!(Mark::set(&under_way, "a".to_owned()).is_none());
        assert!(Mark::set(&under_way, "b".to_owned()).is_some());
        drop(first);
        assert!(Mark::set(&under_way, "a".to_owned()).is_some());
    }
}
