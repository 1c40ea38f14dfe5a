//! Files: kept once, in parts, and read whole and as they were uploaded, or not at all.

use tocsin_domain::attachment::Attachment;
use tocsin_store::tenant::attachments::NewAttachment;
use uuid::Uuid;

use crate::fixture::Setting;

/// What `sha256sum` says of `menu and more`.
const DIGEST: &str = "encode(sha256('menu and more'::bytea), 'hex')";

async fn uploaded(setting: &Setting) -> Attachment {
    let (now, tenant, id) = (setting.now().await, setting.tenant(), Uuid::now_v7());
    let new = NewAttachment { id, name: "menu.txt", media_type: "text/plain", actor: "ana" };
    tenant.begin_attachment(new, now).await.unwrap();
    assert_eq!(tenant.attachments(&[id]).await.unwrap(), [], "it is not whole yet");
    for (ordinal, bytes) in [(1, &b"and more"[..]), (0, &b"menu "[..])] {
        tenant.add_attachment_chunk(id, ordinal, bytes).await.unwrap();
    }
    let digest: Vec<u8> =
        setting.owner.query_one(&format!("select decode({DIGEST}, 'hex')"), &[]).await.unwrap().get(0);
    tenant.finish_attachment(id, 13, &digest).await.unwrap();
    let found = tenant.attachments(&[id, Uuid::now_v7()]).await.unwrap();
    let file = Attachment { id, name: "menu.txt".into(), media_type: "text/plain".into(), bytes: 13 };
    assert_eq!(found, std::slice::from_ref(&file));
    file
}

#[tokio::test]
async fn a_file_is_read_in_its_order_and_not_at_all_if_it_is_another_one() {
    let setting = Setting::new().await;
    let file = uploaded(&setting).await;
    let read = setting.store.attachment(setting.district, &file).await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"menu and more"[..]));
    setting.run("update attachment_chunks set bytes = 'Menu ' where ordinal = 0").await;
    assert_eq!(setting.store.attachment(setting.district, &file).await.unwrap(), None);
    setting.run("delete from attachments").await;
    assert_eq!(setting.store.attachment(setting.district, &file).await.unwrap(), None);
    assert_eq!(setting.number("select count(*) from attachment_chunks").await, 0, "its parts go with it");
}

#[tokio::test]
async fn what_a_message_uses_is_never_removed() {
    let setting = Setting::new().await;
    let (used, unused) = (uploaded(&setting).await, uploaded(&setting).await);
    let campaign = setting.campaign(|new| new.contents[0].attachments = vec![used.clone()]).await;
    let tenant = setting.tenant();
    assert_eq!(tenant.contents(campaign).await.unwrap()[0].attachments, std::slice::from_ref(&used));
    for file in [&used, &unused] {
        tenant.drop_attachment(file.id).await.unwrap();
    }
    let left = tenant.attachments(&[used.id, unused.id]).await.unwrap();
    assert_eq!(left, [used]);
}

/// Whoever uploads and never sends fills nobody's disk.
#[tokio::test]
async fn of_files_that_no_message_uses_a_district_has_two_hundred_and_the_oldest_go() {
    let setting = Setting::new().await;
    let used = uploaded(&setting).await;
    setting.campaign(|new| new.contents[0].attachments = vec![used.clone()]).await;
    setting
        .run(&format!(
            "insert into attachments (district_id, id, name, media_type, created_at, created_by)
             select '{}', gen_random_uuid(), n || '.txt', 'text/plain', now() - n * interval '1 minute', 'ana'
             from generate_series(1, 250) n",
            setting.district
        ))
        .await;
    let now = uploaded(&setting).await;
    assert_eq!(setting.number("select count(*) from attachments where used_at is null").await, 201);
    let oldest = "select max(split_part(name, '.', 1)::int) from attachments where name ~ '^[0-9]'";
    assert_eq!(setting.number(oldest).await, 200);
    let tenant = setting.tenant();
    assert_eq!(tenant.attachments(&[used.id, now.id]).await.unwrap().len(), 2, "what is used is not counted");
}
