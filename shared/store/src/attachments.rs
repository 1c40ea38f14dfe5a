//! Files of messages, as the workers read them: once for all mails of a message.

use sha2::{Digest as _, Sha256};
use tocsin_domain::DistrictId;
use tocsin_domain::attachment::Attachment;

use crate::{Store, StoreError};

impl Store {
    /// All bytes of a file, as they were uploaded; None: they are not there, or others.
    pub async fn attachment(
        &self,
        district: DistrictId,
        file: &Attachment,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.rows("attachment", ATTACHMENT, &[&district.0, &file.id]).await?;
        let mut bytes = Vec::with_capacity(file.bytes as usize);
        for found in &rows {
            bytes.extend_from_slice(found.get("bytes"));
        }
        let digest: Option<&[u8]> = rows.first().and_then(|found| found.get("digest"));
        let same = digest.is_some_and(|digest| digest == &Sha256::digest(&bytes)[..]);
        Ok(same.then_some(bytes))
    }
}

const ATTACHMENT: &str = "-- store.attachment
select a.digest, c.bytes from attachments a
join attachment_chunks c on c.district_id = a.district_id and c.attachment_id = a.id
where a.district_id = $1 and a.id = $2 order by c.ordinal";
