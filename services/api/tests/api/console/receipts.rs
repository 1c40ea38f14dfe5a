//! The receipt's lists and the form that corrects.

use super::{Visitor, text_of};
use crate::receipts::{PARTS, canceled};
use crate::stage::Stage;

#[tokio::test]
async fn each_part_of_the_receipt_leads_to_its_list() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = canceled(&stage).await;
    let campaign = visitor.page(&format!("/campaigns/{id}")).await;
    for (part, rows, says) in [
        (PARTS[0], 2, "ana Lee"),
        (PARTS[1], 1, "too late"),
        (PARTS[2], 1, "stopped"),
        (PARTS[3], 5, "No device on file"),
    ] {
        let path = format!("/campaigns/{id}/receipt/{part}");
        assert!(campaign.contains(&format!("href=\"{path}\"")), "{part}: {campaign}");
        let page = visitor.page(&path).await;
        assert_eq!(page.matches("<tr>").count() - 1, rows, "{part}: {page}");
        assert!(page.contains(says) && page.contains("canceled by ana"), "{part}: {page}");
    }
    assert_eq!(visitor.get(&format!("/campaigns/{id}/receipt/lost")).await.status, 404);
    assert_eq!(visitor.get(&format!("/campaigns/{id}/receipt/recalled?cursor=x")).await.status, 400);
    let running = stage.campaign("running").await;
    assert_eq!(visitor.get(&format!("/campaigns/{running}/receipt/recalled")).await.status, 409);
}

#[tokio::test]
async fn a_row_is_named_by_its_recipient_and_shows_the_providers_own_word() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = canceled(&stage).await;
    stage
        .change("update attempts set provider_code = '30003' where campaign_id = $1 and job_id = 1", &id)
        .await;
    for list in ["recipients", "receipt/contacted"] {
        let page = visitor.page(&format!("/campaigns/{id}/{list}")).await;
        let (_, row) = page
            .split_once(&format!("<a class=\"title\" href=\"/campaigns/{id}/recipients/1\">ana Lee</a>"))
            .unwrap();
        let (row, _) = row.split_once("</tr>").unwrap();
        assert!(row.contains(">provider: 30003</span>"), "{list}: {row}");
    }
}

#[tokio::test]
async fn a_long_part_has_pages() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    for number in 0..70 {
        stage.staff(&format!("p{number:03}"), &[(2, &format!("+1555123{number:04}"))]).await;
        stage.staff(&format!("q{number:03}"), &[]).await;
    }
    let id = stage.campaign("many").await;
    stage.expand_all().await;
    stage.post(&format!("/v1/campaigns/{id}/cancel"), "{}").await;
    let (mut query, mut names) = (String::new(), Vec::new());
    loop {
        let page = visitor.page(&format!("/campaigns/{id}/receipt/never_tried{query}")).await;
        let cells = page.split("class=\"title\"").skip(1);
        names.extend(cells.map(|cell| cell.split(['>', '<']).nth(1).unwrap().to_owned()));
        let Some((_, after)) = page.split_once(r#"rel="next" href=""#) else { break };
        query = after.split('"').next().unwrap().to_owned();
    }
    let shown = names.len();
    names.sort();
    names.dedup();
    assert_eq!((shown, names.len()), (140, 140));
}

#[tokio::test]
async fn the_form_corrects_once_however_often_it_is_pressed() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = canceled(&stage).await;
    let path = format!("/campaigns/{id}/correction");
    assert!(visitor.page(&format!("/campaigns/{id}")).await.contains("Send a correction…"));
    let form = visitor.page(&path).await;
    assert!(form.contains("<strong>2</strong> contacted and <strong>1</strong>"), "{form}");
    assert!(form.contains("value=\"Correction: Early dismissal\""), "{form}");
    assert!(form.contains("<strong>General</strong>, in the general lane, over Voice, Text"), "{form}");
    assert!(
        form.contains("(1600 characters at most)") && form.contains("(255 characters at most)"),
        "{form}"
    );
    let (_, after) = form.split_once("name=\"key\" value=\"").unwrap();
    let key = after.split('"').next().unwrap();

    let typed = format!("key={key}&subject=Sorry&body=It+was+a+mistake.%0D%0AReally.");
    let long = "x".repeat(1601);
    for (more, field, says) in [
        (format!("&sms={long}"), "sms", "Text has 1601 characters"),
        ("&voice=%7B%7B+shoe_size+%7D%7D".to_owned(), "voice", "Voice has the unknown merge field"),
    ] {
        let refused = visitor.post(&path, &format!("{typed}{more}")).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        let page = text_of(&refused);
        assert!(page.contains(&format!("role=\"alert\" id=\"fault-0\">{says}")), "{says}: {page}");
        let (_, field) = page.split_once(&format!("id=\"{field}\"")).unwrap();
        let (field, _) = field.split_once('>').unwrap();
        assert!(field.contains("aria-invalid=\"true\" aria-describedby=\"fault-0\""), "{says}: {field}");
        assert_eq!(page.matches("aria-invalid").count(), 1, "{page}");
        assert!(page.contains("It was a mistake."), "{page}");
    }
    let mut made = Vec::new();
    for _ in 0..2 {
        let pressed = visitor.post(&path, &format!("{typed}&voice=Listen.&sms=")).await;
        assert_eq!(pressed.status, 303, "{pressed:?}");
        made.push(pressed.headers["location"].to_str().unwrap().to_owned());
    }
    assert_eq!(made[0], made[1]);
    let page = visitor.page(&made[0]).await;
    assert!(page.contains("corrects a canceled message") && page.contains("Listen."), "{page}");
    let shown = stage.get(&format!("/v1{}", made[0])).await.body;
    assert_eq!((&shown["corrects"], &shown["created_by"]), (&id.into(), &"test".into()));
    assert_eq!(shown["contents"][0]["body"], "It was a mistake.\nReally.");
}

#[tokio::test]
async fn what_cannot_be_corrected_says_why_and_foreign_posts_are_refused() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let running = stage.campaign("running").await;
    let refused = visitor.get(&format!("/campaigns/{running}/correction")).await;
    assert!(refused.status == 409 && text_of(&refused).contains("canceled one"), "{refused:?}");
    let id = canceled(&stage).await;
    let path = format!("/campaigns/{id}/correction");
    let foreign = [("origin", "https://elsewhere.example")];
    let answer = super::post_from(&stage, &path, &foreign, "subject=s&body=b").await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(super::get(&stage, &path, "").await.status, 401);
}
