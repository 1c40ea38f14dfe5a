//! Files of messages, read once a campaign and shared by all its mails: memory does not grow with their number.

use std::sync::{Arc, Mutex, PoisonError};

use tocsin_domain::CampaignId;
use tocsin_domain::content::attachments;
use tocsin_domain::trace::TraceId;
use tocsin_providers::File;
use tocsin_store::campaigns::CampaignBrief;
use tocsin_store::{Store, StoreError};
use tokio::sync::Semaphore;

/// Bytes of files kept at a time: those of five of the largest messages. What mails under way hold is beside it, and
/// bounded by their accounts' room.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a mail's files came to.
#[derive(Debug, Clone)]
pub enum Loaded {
    Ready(Arc<[File]>),
    /// The store was away: the mail can be asked for again.
    Unread,
    /// They are not in the store, or not as they were uploaded.
    Missing,
}

impl Default for Loaded {
    fn default() -> Self {
        Self::Ready(Arc::default())
    }
}

/// A bounded cache. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Files {
    store: Store,
    known: Arc<Mutex<Known>>,
    /// One message's are read at a time: mails of it that begin together read them once.
    reading: Arc<Semaphore>,
}

/// The one used last comes last.
#[derive(Debug, Default)]
struct Known(Vec<(CampaignId, Arc<[File]>)>);

impl Files {
    pub fn new(store: Store) -> Self {
        Self { store, known: Arc::default(), reading: Arc::new(Semaphore::new(1)) }
    }

    pub async fn get(&self, brief: &CampaignBrief) -> Loaded {
        if attachments(&brief.contents).is_empty() {
            return Loaded::default();
        }
        if let Some(files) = self.known().get(brief.id) {
            return Loaded::Ready(files);
        }
        // Never closed.
        let _turn = self.reading.acquire().await;
        if let Some(files) = self.known().get(brief.id) {
            return Loaded::Ready(files);
        }
        match self.read(brief).await {
            Ok(Some(files)) => {
                self.known().keep(brief.id, Arc::clone(&files), BYTES_MAX);
                Loaded::Ready(files)
            }
            Ok(None) => {
                tracing::error!(campaign.id = %brief.id, trace_id = %TraceId::of_campaign(brief.id),
                    "attachments of a campaign are not in the store");
                Loaded::Missing
            }
            Err(error) => {
                tracing::warn!(%error, campaign.id = %brief.id, trace_id = %TraceId::of_campaign(brief.id),
                    "attachments could not be read");
                Loaded::Unread
            }
        }
    }

    async fn read(&self, brief: &CampaignBrief) -> Result<Option<Arc<[File]>>, StoreError> {
        let mut files = Vec::new();
        for file in attachments(&brief.contents) {
            let Some(bytes) = self.store.attachment(brief.district, file).await? else { return Ok(None) };
            files.push(File {
                name: file.name.clone(),
                media_type: file.media_type.clone(),
                bytes: bytes.into(),
            });
        }
        Ok(Some(files.into()))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn get(&mut self, campaign: CampaignId) -> Option<Arc<[File]>> {
        let at = self.0.iter().position(|(known, _)| *known == campaign)?;
        let found = self.0.remove(at);
        let files = Arc::clone(&found.1);
        self.0.push(found);
        Some(files)
    }

    fn keep(&mut self, campaign: CampaignId, files: Arc<[File]>, bytes_max: usize) {
        self.0.push((campaign, files));
        while self.0.len() > 1 && self.bytes() > bytes_max {
            self.0.remove(0);
        }
    }

    fn bytes(&self) -> usize {
        self.0.iter().flat_map(|(_, files)| files.iter()).map(|file| file.bytes.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_files_unused_the_longest_go_first_and_the_bytes_are_bounded() {
        let files = |bytes: usize| -> Arc<[File]> {
            [File { name: "a".into(), media_type: "text/plain".into(), bytes: vec![0; bytes].into() }].into()
        };
        let id = |number| CampaignId(Uuid::from_u128(number));
        let mut known = Known::default();
        for number in 1..=3 {
            known.keep(id(number), files(30), 100);
        }
        assert!(known.get(id(1)).is_some());
        known.keep(id(4), files(30), 100);
        let kept: Vec<bool> = (1..=4).map(|number| known.get(id(number)).is_some()).collect();
        assert_eq!((kept, known.bytes()), (vec![true, false, true, true], 90));
        // One that is larger than all is kept alone: its mails are under way.
        known.keep(id(5), files(500), 100);
        assert!(known.get(id(5)).is_some() && known.bytes() == 500);
    }
}
