//! Files that a district uploads for its messages.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::attachment::Attachment;
use tocsin_domain::content::{Content, attachments};
use uuid::Uuid;

use super::Tenant;
use crate::StoreError;

/// Bytes of one row of a file.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// So long a file that no message uses is kept, for whoever still writes one.
const UNUSED_FOR: TimeDelta = TimeDelta::hours(24);
/// Of those, so many of one district at most: the oldest go first.
const UNUSED_MAX: i64 = 200;

/// A file whose bytes are on their way.
#[derive(Debug, Clone, Copy)]
pub struct NewAttachment<'a> {
    pub id: Uuid,
    pub name: &'a str,
    pub media_type: &'a str,
    pub actor: &'a str,
}

impl Tenant {
    /// Begins a file. Others that were never used go.
    pub async fn begin_attachment(
        &self,
        new: NewAttachment<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let unused_since = now - UNUSED_FOR;
        self.rows(
            "begin_attachment",
            BEGIN_ATTACHMENT,
            &[
                &self.district.0,
                &new.id,
                &new.name,
                &new.media_type,
                &new.actor,
                &now,
                &unused_since,
                &UNUSED_MAX,
            ],
        )
        .await?;
        Ok(())
    }

    pub async fn add_attachment_chunk(&self, id: Uuid, ordinal: i32, bytes: &[u8]) -> Result<(), StoreError> {
        let sql = "-- store.add_attachment_chunk
                   insert into attachment_chunks (district_id, attachment_id, ordinal, bytes) values ($1, $2, $3, $4)";
        self.rows("add_attachment_chunk", sql, &[&self.district.0, &id, &ordinal, &bytes]).await?;
        Ok(())
    }

    /// All of its bytes are there. From now on messages may use it.
    pub async fn finish_attachment(&self, id: Uuid, bytes: u32, digest: &[u8]) -> Result<(), StoreError> {
        let sql = "-- store.finish_attachment
                   update attachments set byte_count = $3, digest = $4 where district_id = $1 and id = $2";
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        self.rows("finish_attachment", sql, &[&self.district.0, &id, &bytes, &digest]).await?;
        Ok(())
    }

    /// It broke off, or is not what it was said to be.
    pub async fn drop_attachment(&self, id: Uuid) -> Result<(), StoreError> {
        let sql = "-- store.drop_attachment
                   delete from attachments where district_id = $1 and id = $2 and used_at is null";
        self.rows("drop_attachment", sql, &[&self.district.0, &id]).await?;
        Ok(())
    }

    /// Those of these that are whole, in no order.
    pub async fn attachments(&self, ids: &[Uuid]) -> Result<Vec<Attachment>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = "-- store.attachments
                   select id, name, media_type, byte_count from attachments
                   where district_id = $1 and id = any($2) and digest is not null";
        let rows = self.rows("attachments", sql, &[&self.district.0, &ids]).await?;
        Ok(rows.iter().map(read).collect())
    }

    /// A part of a file; None: it has no such part.
    pub async fn attachment_chunk(&self, id: Uuid, ordinal: i32) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.rows("attachment_chunk", CHUNK, &[&self.district.0, &id, &ordinal]).await?;
        Ok(rows.first().map(|found| found.get(0)))
    }

    /// Says that a message has them, before it is made: what is used stays. A message that is not made after all leaves
    /// them, and does no harm.
    pub async fn use_attachments(&self, contents: &[Content], now: DateTime<Utc>) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = attachments(contents).iter().map(|file| file.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let sql = "-- store.use_attachments
                   update attachments set used_at = $3
                   where district_id = $1 and id = any($2) and used_at is null and digest is not null";
        self.rows("use_attachments", sql, &[&self.district.0, &ids, &now]).await?;
        Ok(())
    }
}

fn read(found: &tokio_postgres::Row) -> Attachment {
    Attachment {
        id: found.get("id"),
        name: found.get("name"),
        media_type: found.get("media_type"),
        bytes: found.get::<_, i32>("byte_count").unsigned_abs(),
    }
}

const BEGIN_ATTACHMENT: &str = "-- store.begin_attachment
with unused as (
  delete from attachments where district_id = $1 and id in (
    select id from attachments where district_id = $1 and used_at is null and created_at <= $7
    union all
    (select id from attachments where district_id = $1 and used_at is null order by created_at desc offset $8))
)
insert into attachments (district_id, id, name, media_type, created_at, created_by)
values ($1, $2, $3, $4, $6, $5)";

const CHUNK: &str = "-- store.attachment_chunk
select bytes from attachment_chunks where district_id = $1 and attachment_id = $2 and ordinal = $3";
