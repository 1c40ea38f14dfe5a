//! Files that mails carry, and how much memory mails that carry some may take.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A file of a mail. Its bytes are shared by all mails of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Harmless in a header: see `tocsin_domain::attachment`.
    pub name: String,
    pub media_type: String,
    pub bytes: Bytes,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A mail is written out whole before it is sent: its files are copied for each, but not for more mails at once than
/// this has room for.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// Of one account.
const ROOM_KIB: u32 = 192 * 1024;

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_KIB as usize)))
    }
}

impl Room {
    /// Room for a mail with these files, of which `copies` are in memory while it is sent. None: there was none in time.
    /// Without files it is no question.
    pub async fn take(
        &self,
        files: &[File],
        copies: usize,
        within: Duration,
    ) -> Option<OwnedSemaphorePermit> {
        let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
        let kib =
            u32::try_from(bytes.saturating_mul(copies).div_ceil(1024)).unwrap_or(u32::MAX).min(ROOM_KIB);
        timeout(within, Arc::clone(&self.0).acquire_many_owned(kib)).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kib: usize) -> File {
        File { name: "a.txt".into(), media_type: "text/plain".into(), bytes: vec![0; kib * 1024].into() }
    }

    #[tokio::test]
    async fn mails_with_files_wait_for_room_and_others_do_not() {
        let (room, soon) = (Room::default(), Duration::from_millis(20));
        let large = [file(60 * 1024)];
        let first = room.take(&large, 2, soon).await.unwrap();
        assert!(room.take(&large, 2, soon).await.is_none());
        assert!(room.take(&[], 2, Duration::ZERO).await.is_some());
        drop(first);
        assert!(room.take(&large, 2, soon).await.is_some());
        // One that is larger than all room there is takes all of it.
        assert!(room.take(&large, 9, soon).await.is_some());
    }
}
