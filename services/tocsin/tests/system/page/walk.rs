//! What a principal does in a day, walked through the console from the sign-in on, by clicks and keys alone. Whatever the
//! browser complains of (an error of a script, a broken policy, a request that failed) fails the walk.

use anyhow::{Context as _, Result, ensure};
use chrono::{Datelike as _, Days, NaiveDate, Weekday};
use chrono_tz::America::Chicago;
use tocsin::system::ChannelLimits;
use tocsin_domain::Channel;
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_testkit::wait_until;

use super::browser::{Browser, Scheme};
use super::gallery::scenario;
use super::hall::Hall;
use super::{DESKTOP, percent};
use crate::facts::WITHIN;

const SUBJECT: &str = "The boiler is broken";

/// Slow enough that there is something to watch and to cancel.
fn limits() -> Vec<ChannelLimits> {
    Channel::ALL
        .map(|channel| ChannelLimits {
            channel,
            rate_per_second: Some(6.0),
            burst: Some(2),
            concurrency: None,
        })
        .to_vec()
}

/// A browser that has signed in to the console.
async fn signed_in(hall: &Hall) -> Result<Browser> {
    let browser = Browser::start().await?;
    browser.look(DESKTOP.0, DESKTOP.1, Scheme::Light).await?;
    hall.sign_in(&browser).await?;
    Ok(browser)
}

async fn leave(browser: Browser, hall: Hall) -> Result<()> {
    browser.click(".account form button").await?;
    browser.comes_to("the end of the sign-in", "h1", "Sign in").await?;
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    browser.close().await?;
    hall.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_a_school_is_written_watched_canceled_corrected_found_and_reported() -> Result<()> {
    let hall = Hall::open(scenario(), limits()).await?;
    let browser = signed_in(&hall).await?;
    let school = composes_to_a_school(&browser).await?;
    watches_progress(&browser).await?;
    cancels(&browser).await?;
    let address = reads_the_receipt(&browser).await?;
    sends_the_correction(&browser).await?;
    finds_it_in_the_log(&browser, &school).await?;
    builds_all_three_reports(&browser).await?;
    reads_a_contacts_history(&browser, &address).await?;
    leave(browser, hall).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weekly_message_is_scheduled_edited_skipped_and_canceled() -> Result<()> {
    let hall = Hall::open(scenario(), limits()).await?;
    let browser = signed_in(&hall).await?;
    let monday = schedules_weekly(&browser).await?;
    edits_the_series(&browser).await?;
    skips_one_and_takes_it_back(&browser, monday).await?;
    moves_the_start(&browser, monday).await?;
    cancels_the_series(&browser).await?;
    leave(browser, hall).await
}

/// Returns the school's name.
async fn composes_to_a_school(browser: &Browser) -> Result<String> {
    browser.click(".nav a[href='/compose']").await?;
    browser.comes_to("the form", "h1", "Compose a message").await?;
    browser.click("#who-some").await?;
    let school = browser.text("#school .option:nth-of-type(1)").await?.trim().to_owned();
    browser.click("#school .option:nth-of-type(1) input").await?;
    for channel in Channel::ALL {
        browser.click(&format!("#channel input[value={channel}]")).await?;
    }
    browser.type_into("#subject", SUBJECT).await?;
    browser
        .type_into("#body", "Dear {{ given_name }}, the boiler is broken and school ends at noon.")
        .await?;
    browser.comes_to("what a text costs", "#segments-body", "1 segment").await?;
    browser.comes_to("whom it reaches", "#reach", "people").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("plan.pdf");
    std::fs::write(&file, b"%PDF-1.7 the plan")?;
    browser.type_into("#file", file.to_str().context("a folder whose name is no text")?).await?;
    browser.click("#attach-button").await?;
    browser.comes_to("the file", "#attached", "plan.pdf").await?;
    browser.click("#review-button").await?;
    browser.comes_to("the review", "#send-button", "Send to").await?;
    let review = browser.text("main").await?;
    ensure!(review.contains(&school), "the review does not name {school}: {review}");
    ensure!(review.contains("plan.pdf"), "the review does not show the file: {review}");
    browser.click("#send-button").await?;
    browser.comes_to("the campaign's page", "h1", SUBJECT).await?;
    Ok(school)
}

async fn watches_progress(browser: &Browser) -> Result<()> {
    browser.shows("#live").await?;
    browser.run("document.body.dataset.loaded = 'once'").await?;
    wait_until("progress", WITHIN, async || percent(browser).await.is_ok_and(|percent| percent > 0)).await?;
    let before = percent(browser).await?;
    wait_until("more progress", WITHIN, async || {
        percent(browser).await.is_ok_and(|percent| percent > before)
    })
    .await?;
    ensure!(browser.has("body[data-loaded]").await?, "the page was loaded again");
    Ok(())
}

async fn cancels(browser: &Browser) -> Result<()> {
    browser.click("#cancel-button").await?;
    browser.shows("dialog[open]").await?;
    browser.type_into("dialog textarea", "the boiler works again").await?;
    browser.click("dialog .danger").await?;
    browser.comes_to("the receipt", "#receipt", "the boiler works again").await?;
    browser.comes_to("the end of the cancel", "#receipt-title", "Canceled").await?;
    browser.comes_to("the state", ".head .badge", "Canceled").await
}

/// Returns an email address that was contacted.
async fn reads_the_receipt(browser: &Browser) -> Result<String> {
    let receipt = browser.text("#receipt").await?;
    for part in ["By Principal Ortiz", "Contacted", "In flight or unknown", "Recalled", "Never tried"] {
        ensure!(receipt.contains(part), "the receipt does not say {part}: {receipt}");
    }
    browser.click(".tile a[href$=contacted]").await?;
    browser.comes_to("the contacted", ".parts-nav [aria-current]", "Contacted").await?;
    let found = browser
        .run(
            "return [...document.querySelectorAll('tbody .address')].map((it) => it.innerText.trim())
               .find((it) => it.includes('@')) ?? null",
        )
        .await?;
    browser.click(".tabs a").await?;
    browser.shows("#correction-button").await?;
    Ok(found.as_str().context("nobody was contacted by email")?.trim_end_matches('†').to_owned())
}

async fn sends_the_correction(browser: &Browser) -> Result<()> {
    browser.click("#correction-button").await?;
    browser.comes_to("the form", "h1", "Correct").await?;
    browser.type_into("#body", "The boiler works again, school goes on.").await?;
    browser.click("#send-button").await?;
    browser.comes_to("the correction's own page", "h1", &format!("Correction: {SUBJECT}")).await?;
    browser.click(".facts a[href^='/campaigns/']").await?;
    browser.comes_to("the message that it corrects", ".head .badge", "Canceled").await
}

async fn finds_it_in_the_log(browser: &Browser, school: &str) -> Result<()> {
    browser.click(".nav a[href='/log']").await?;
    browser.comes_to("the log", "h1", "Sent message log").await?;
    browser.type_into("[name=subject]", "boiler").await?;
    browser.click(".filters button").await?;
    browser.shows(".filters a.plain").await?;
    browser.comes_to("the canceled message", ".log tbody", SUBJECT).await?;
    let row = browser
        .run(&format!(
            "return [...document.querySelectorAll('.log tbody tr')].map((it) => it.innerText)
               .find((it) => it.includes({SUBJECT:?}) && !it.includes('Correction')) ?? null"
        ))
        .await?;
    let row = row.as_str().context("the log has no row of it")?;
    ensure!(row.contains("Canceled") && row.contains(school), "the row says {row}");
    browser
        .run(&format!(
            "const rows = [...document.querySelectorAll('.log .title')];
             rows.find((it) => it.innerText === {SUBJECT:?}).id = 'found'"
        ))
        .await?;
    browser.click("#found").await?;
    browser.comes_to("the message", "h1", SUBJECT).await
}

async fn builds_all_three_reports(browser: &Browser) -> Result<()> {
    browser.click("#report-button").await?;
    browser.comes_to("the form", "#report-title", "Build report").await?;
    for (format, begins) in [("pdf", "%PDF-".as_bytes()), ("csv", b""), ("docx", b"PK\x03\x04")] {
        browser.click(&format!("input[name=format][value={format}]")).await?;
        browser.click("#build-button").await?;
        let file = browser.saved(&format!(".{format}")).await?;
        ensure!(file.starts_with(begins) && file.len() > 500, "{format} of {} bytes", file.len());
        if format == "csv" {
            let text = String::from_utf8(file)?;
            ensure!(text.contains(SUBJECT) && text.contains("Principal Ortiz"), "{text:.400}");
        }
    }
    Ok(())
}

async fn reads_a_contacts_history(browser: &Browser, address: &str) -> Result<()> {
    browser.click(".nav a[href='/people']").await?;
    browser.comes_to("the directory", "h1", "People").await?;
    browser.type_into("[name=q]", address).await?;
    browser.click(".filters .button").await?;
    browser.shows(".filters a.plain").await?;
    browser.click(".people .title").await?;
    browser.shows(".tabs a[href$=communications]").await?;
    browser.click(".tabs a[href$=communications]").await?;
    browser.comes_to("what they were sent", "tbody", SUBJECT).await?;
    browser.choose("[name=mode]", "email").await?;
    browser.click(".filters .button").await?;
    browser.shows(".tags li").await?;
    browser.comes_to("their emails", "tbody", SUBJECT).await?;
    browser
        .run(&format!(
            "const rows = [...document.querySelectorAll('tbody .title')];
             rows.find((it) => it.innerText === {SUBJECT:?}).id = 'found'"
        ))
        .await?;
    browser.click("#found").await?;
    browser.comes_to("the email as it was sent", "main", "the boiler is broken and school ends at noon").await
}

/// Returns the first Monday that is more than a week ahead.
async fn schedules_weekly(browser: &Browser) -> Result<NaiveDate> {
    let today = SystemClock.now().with_timezone(&Chicago).date_naive();
    let monday = (today + Days::new(8)).iter_days().find(|day| day.weekday() == Weekday::Mon);
    let monday = monday.context("a week without Monday")?;
    browser.click(".nav a[href='/compose']").await?;
    browser.comes_to("the form", "h1", "Compose a message").await?;
    browser.click("#channel input[value=email]").await?;
    browser.type_into("#subject", "Lunch menu of the week").await?;
    browser.type_into("#body", "The menu is on the school's page.").await?;
    browser.click("#when-recurring").await?;
    browser.click("#weekday input[value=mo]").await?;
    browser.pick("#series_time", "07:30").await?;
    browser.pick("#starts_on", &monday.to_string()).await?;
    browser.click("#review-button").await?;
    browser.comes_to("the review", "#send-button", "Start the series").await?;
    browser.click("#send-button").await?;
    browser.comes_to("the series", "h1", "Lunch menu of the week").await?;
    let words = browser.text(".facts-list").await?;
    ensure!(words.contains("every week on Monday at 7:30 AM"), "it recurs {words}");
    Ok(monday)
}

async fn edits_the_series(browser: &Browser) -> Result<()> {
    browser.click("#edit-button").await?;
    browser.comes_to("the form", "h1", "Edit the series").await?;
    browser.type_into("#body", " Enjoy it.").await?;
    browser.pick("#series_time", "06:45").await?;
    browser.click("#review-button").await?;
    browser.comes_to("the review", "#send-button", "Update the series").await?;
    browser.click("#send-button").await?;
    browser.comes_to("the series", ".facts-list", "at 6:45 AM").await?;
    let (facts, texts) = (browser.text(".facts").await?, browser.text(".texts").await?);
    ensure!(facts.contains("modified by Principal Ortiz"), "who edited it is not said: {facts}");
    ensure!(texts.contains("page. Enjoy it."), "the text is {texts}");
    Ok(())
}

async fn skips_one_and_takes_it_back(browser: &Browser, monday: NaiveDate) -> Result<()> {
    let second = monday + Days::new(7);
    let is_coming = async |day: NaiveDate| browser.has(&format!("form[action$=skip] [value='{day}']")).await;
    ensure!(is_coming(second).await?, "the second Monday is not among what comes");
    browser.click(&format!("form[action$=skip] [value='{second}']")).await?;
    browser.shows(&format!("form[action$=restore] [value='{second}']")).await?;
    ensure!(!is_coming(second).await? && is_coming(monday).await?, "the wrong day is skipped");
    let words = browser.text(".facts-list").await?;
    ensure!(words.contains(&format!("but not on {}", second.format("%B %-d, %Y"))), "it recurs {words}");
    browser.click(&format!("form[action$=restore] [value='{second}']")).await?;
    browser.shows(&format!("form[action$=skip] [value='{second}']")).await?;
    ensure!(!browser.has("form[action$=restore]").await?, "a day is still skipped");
    Ok(())
}

/// Requirement 35: a later start skips all that would come before.
async fn moves_the_start(browser: &Browser, monday: NaiveDate) -> Result<()> {
    let third = monday + Days::new(14);
    browser.click("#edit-button").await?;
    browser.comes_to("the form", "h1", "Edit the series").await?;
    browser.pick("#starts_on", &third.to_string()).await?;
    browser.click("#review-button").await?;
    browser.comes_to("the review", "#send-button", "Update the series").await?;
    browser.click("#send-button").await?;
    browser.comes_to("the series", "#coming li", &third.format("%B %-d, %Y").to_string()).await
}

async fn cancels_the_series(browser: &Browser) -> Result<()> {
    browser.click(".nav a[href='/upcoming']").await?;
    browser.comes_to("what is to come", "h1", "Upcoming messages").await?;
    browser.click(".campaigns .title").await?;
    browser.shows("#cancel-button").await?;
    browser.click("#cancel-button").await?;
    browser.shows("dialog[open]").await?;
    browser.click("dialog .danger").await?;
    browser.comes_to("the end of the series", "#receipt-title", "Canceled").await?;
    ensure!(!browser.has("form[action$=skip]").await?, "something still comes");
    Ok(())
}
