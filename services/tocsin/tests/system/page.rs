//! The console in a real browser: it moves by itself, cancels, is reached by keyboard, fits a phone, and the
//! browser has nothing to complain about.

mod accessible;
mod browser;
mod compose;
mod gallery;
mod hall;
mod walk;

use anyhow::{Result, ensure};
use serde_json::Value;
use tocsin::system::ChannelLimits;
use tocsin_domain::{CampaignId, Channel};
use tocsin_testkit::simulator::Scenario;
use tocsin_testkit::wait_until;

use crate::district::message;
use crate::facts::{WITHIN, closed};
use crate::journeys::stage::{BrokerKind, Stage};
use browser::{Browser, Scheme};
use gallery::Gallery;
use hall::{EMAIL, Hall, at_localhost};

const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";
/// A small phone.
const PHONE: (u32, u32) = (360, 740);
const DESKTOP: (u32, u32) = (1280, 900);

/// A system that takes its time, so that there is something to watch and to cancel.
async fn stage() -> Result<Stage> {
    let slow =
        |channel| ChannelLimits { channel, rate_per_second: Some(2.0), burst: Some(1), concurrency: None };
    Stage::set(BrokerKind::Memory, Scenario::default(), Channel::ALL.map(slow).to_vec()).await
}

async fn percent(browser: &Browser) -> Result<i64> {
    Ok(browser.text(".overall-percent").await?.trim_end_matches('%').trim().parse()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_moves_and_a_cancel_shows_its_receipt() -> Result<()> {
    let stage = stage().await?;
    let campaign = stage.client.send(&message("general", &Channel::ALL)).await?;
    let browser = Browser::start().await?;
    browser.look(DESKTOP.0, DESKTOP.1, Scheme::Light).await?;
    browser.open(&stage.system.api_url).await?;
    ensure!(browser.text("h1").await? == "Campaigns", "the first page is not the list");
    wait_until("the list says that it is sending", WITHIN, async || {
        browser.text(".badge").await.is_ok_and(|state| state == "Sending")
    })
    .await?;
    browser.picture("list-running").await?;

    browser.click(".campaigns .title").await?;
    ensure!(browser.text("h1").await? == "School is closed", "the list does not lead to the campaign");
    wait_until("progress", WITHIN, async || percent(&browser).await.is_ok_and(|percent| percent > 0)).await?;
    let before = percent(&browser).await?;
    // A mark that only the page as it was loaded has: what moves must move without loading it again.
    browser.run("document.body.dataset.loaded = 'once'").await?;
    wait_until("more progress on the same page", WITHIN, async || {
        percent(&browser).await.is_ok_and(|percent| percent > before)
    })
    .await?;
    ensure!(browser.has("body[data-loaded]").await?, "the page was loaded again");
    browser.picture("campaign-running").await?;

    browser.click("#cancel-button").await?;
    ensure!(browser.has("dialog[open]").await?, "cancel does not ask");
    browser.type_into("dialog textarea", "the wrong day").await?;
    browser.picture("cancel").await?;
    browser.click("dialog .danger").await?;
    // The stream may show it before the form has led to it: between the two there is no page.
    wait_until("the receipt", WITHIN, async || {
        let receipt = browser.text("#receipt").await.unwrap_or_default();
        ["By page", "the wrong day", "Contacted", "In flight or unknown", "Recalled", "Never tried"]
            .iter()
            .all(|part| receipt.contains(part))
    })
    .await?;
    wait_until("the page that the form leads to", WITHIN, async || {
        let loaded = browser.has("body[data-loaded]").await.unwrap_or(true);
        !loaded && browser.has("#receipt").await.unwrap_or(false)
    })
    .await?;
    ensure!(!browser.has("#cancel-button").await?, "a canceled campaign can be canceled");
    closed(&stage.system.store, campaign).await?;
    wait_until("the end, on the same page", WITHIN, async || {
        browser.text("#receipt-title").await.is_ok_and(|title| title == "Canceled")
    })
    .await?;
    shows_what_the_api_says(&browser, &stage, campaign).await?;
    browser.picture("campaign-canceled").await?;
    corrects_from_the_receipt(&browser).await?;
    ensure!(browser.complaints().await?.is_empty(), "{:?}", browser.complaints().await?);
    browser.close().await?;
    stage.strike().await
}

/// From a part's list back to the receipt, and from there through the form to the correction.
async fn corrects_from_the_receipt(browser: &Browser) -> Result<()> {
    // A click does not wait for the page that it leads to.
    let shows = async |selector: &str| {
        wait_until(selector, WITHIN, async || browser.has(selector).await.unwrap_or(false)).await
    };
    browser.click(".tile a[href$=contacted]").await?;
    shows(".parts-nav [aria-current]").await?;
    ensure!(browser.text("[aria-current=page]").await?.starts_with("Contacted"), "no list of the contacted");
    ensure!(browser.has("tbody tr").await?, "nobody is listed as contacted");
    browser.picture("receipt-list").await?;
    browser.click(".tabs a").await?;
    shows("#correction-button").await?;
    browser.click("#correction-button").await?;
    shows("#body").await?;
    browser.type_into("#body", "School is open after all.").await?;
    browser.picture("correction").await?;
    browser.click("#send-button").await?;
    wait_until("the correction's own page", WITHIN, async || {
        browser.text("h1").await.is_ok_and(|title| title == "Correction: School is closed")
    })
    .await?;
    ensure!(browser.text(".facts").await?.contains("corrects a canceled message"), "it says not what it is");
    Ok(())
}

/// The four tiles are the API's receipt.
async fn shows_what_the_api_says(browser: &Browser, stage: &Stage, campaign: CampaignId) -> Result<()> {
    let receipt = stage.client.receipt(campaign).await?;
    let parts = ["contacted", "in_flight_or_unknown", "recalled", "never_tried"].map(|part| &receipt[part]);
    let tiles =
        "return [...document.querySelectorAll('.tile dd:nth-of-type(1)')].map(it => Number(it.innerText))";
    wait_until("the page's receipt to be the API's", WITHIN, async || {
        browser
            .run(tiles)
            .await
            .is_ok_and(|tiles| tiles.as_array().is_some_and(|tiles| tiles.iter().eq(parts)))
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_reached_by_keyboard() -> Result<()> {
    let stage = stage().await?;
    let campaign = stage.client.send(&message("general", &Channel::ALL)).await?;
    let browser = Browser::start().await?;
    browser.look(DESKTOP.0, DESKTOP.1, Scheme::Light).await?;
    browser.open(&format!("{}/campaigns/{campaign}", stage.system.api_url)).await?;
    browser.press(TAB).await?;
    ensure!(
        focused(&browser, "textContent").await? == "Skip to content",
        "the first stop is not the skip link"
    );
    let mut stops = Vec::new();
    // More than there are links beside the page.
    for _ in 0..40 {
        browser.press(TAB).await?;
        stops.push(focused(&browser, "textContent").await?);
        if focused(&browser, "id").await? == "cancel-button" {
            break;
        }
    }
    ensure!(focused(&browser, "id").await? == "cancel-button", "Tab does not reach the cancel: {stops:?}");
    let ring = browser.run("return getComputedStyle(document.activeElement).outlineStyle").await?;
    ensure!(ring == "solid", "what has the focus does not show it");
    browser.press(ENTER).await?;
    ensure!(browser.has("dialog[open]").await?, "Enter does not ask");
    browser.press(ESCAPE).await?;
    wait_until("Escape closes", WITHIN, async || !browser.has("dialog[open]").await.unwrap_or(true)).await?;
    ensure!(focused(&browser, "id").await? == "cancel-button", "the focus is lost behind the dialog");
    ensure!(browser.complaints().await?.is_empty(), "{:?}", browser.complaints().await?);
    browser.close().await?;
    stage.strike().await
}

async fn focused(browser: &Browser, property: &str) -> Result<String> {
    let found = browser.run(&format!("return document.activeElement.{property}.trim()")).await?;
    Ok(found.as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_phone_and_have_contrast_by_day_and_night() -> Result<()> {
    let gallery = Gallery::hang().await?;
    let Gallery { sent, canceled, running, .. } = gallery;
    let browser = Browser::start().await?;
    let url = &gallery.hall.system.api_url;
    for (name, path) in [
        ("list", "/campaigns".to_owned()),
        ("campaign", format!("/campaigns/{running}")),
        ("sent", format!("/campaigns/{sent}")),
        ("receipt", format!("/campaigns/{canceled}")),
        ("receipt-contacted", format!("/campaigns/{canceled}/receipt/contacted")),
        ("receipt-never-tried", format!("/campaigns/{canceled}/receipt/never_tried")),
        ("receipt-unknown", format!("/campaigns/{canceled}/receipt/in_flight_or_unknown")),
        ("correction", format!("/campaigns/{canceled}/correction")),
        ("cancel-page", format!("/campaigns/{running}/cancel")),
        ("recipients", format!("/campaigns/{running}/recipients")),
        ("filtered", format!("/campaigns/{canceled}/recipients?channel=voice&status=not_reached")),
        ("no-match", format!("/campaigns/{sent}/recipients?channel=voice")),
        ("compose", "/compose".to_owned()),
        ("emergency", "/compose?emergency=yes".to_owned()),
        ("upcoming", "/upcoming?show=all".to_owned()),
        ("in-progress", "/upcoming?tab=in-progress&show=all".to_owned()),
        ("log", "/log?show=all".to_owned()),
        ("nothing", "/campaigns/none".to_owned()),
    ] {
        for scheme in [Scheme::Light, Scheme::Dark] {
            for (width, height) in [PHONE, (390, 844), (820, 1180), DESKTOP] {
                browser.look(width, height, scheme).await?;
                browser.open(&format!("{url}{path}")).await?;
                let beyond = browser.run(BEYOND).await?;
                ensure!(
                    beyond == Value::Array(Vec::new()),
                    "{name} at {width} px goes beyond the edge: {beyond}"
                );
                let faint = browser.run(FAINT).await?;
                ensure!(faint == Value::Array(Vec::new()), "{name} in {scheme:?} is hard to read: {faint}");
                browser.picture(&format!("{name}-{width}-{scheme:?}").to_lowercase()).await?;
            }
        }
    }
    // The missing page is a complaint of the browser's own.
    let complaints = browser.complaints().await?;
    ensure!(
        complaints.iter().all(|it| it.contains("/campaigns/none") && it.contains("404")),
        "{complaints:?}"
    );
    browser.close().await?;
    gallery.hall.close().await
}

/// What makes the page wider than the window.
const BEYOND: &str = "
    const page = document.documentElement;
    if (page.scrollWidth <= page.clientWidth) return [];
    return [...document.querySelectorAll('main *')]
      .filter((it) => it.getBoundingClientRect().right > page.clientWidth + 1)
      .map((it) => it.outerHTML.slice(0, 80));";

/// Texts whose contrast with what is behind them is below WCAG's 4.5 to 1.
const FAINT: &str = "
    const rgb = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const light = (text) => {
      const [r, g, b] = rgb(text).slice(0, 3).map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (it) => {
      for (; it; it = it.parentElement) {
        const ground = getComputedStyle(it).backgroundColor;
        if ((rgb(ground)[3] ?? 1) === 1) return ground;
      }
      return 'rgb(255, 255, 255)';
    };
    const faint = [];
    for (const it of document.querySelectorAll('body *')) {
      const says = [...it.childNodes].some((child) => child.nodeType === 3 && child.nodeValue.trim());
      if (!says || it.closest('noscript, .skip, dialog:not([open])') || !it.getClientRects().length) continue;
      const [a, b] = [light(getComputedStyle(it).color), light(behind(it))].sort((x, y) => y - x);
      const contrast = (a + 0.05) / (b + 0.05);
      if (contrast < 4.5) faint.push(`${it.className || it.tagName}: ${contrast.toFixed(2)}`);
    }
    return [...new Set(faint)];";

/// Browsers send a session's cookie with no request that another site began: the way back from an issuer must not depend on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_signs_in_through_an_issuer_of_another_site_and_goes_on_where_one_wanted() -> Result<()> {
    let hall = Hall::open(Scenario::default(), Vec::new()).await?;
    hall.issuer.welcome(EMAIL);
    let browser = Browser::start().await?;
    browser.open(&format!("{}/people?q=zz", at_localhost(&hall.door))).await?;
    browser.shows("#email").await?;
    browser.picture("sign-in-issuer").await?;
    browser.click("main a[href^='/sign-in/office']").await?;
    browser.comes_to("the issuer's page", "h1", "Who are you?").await?;
    browser.click("#me").await?;
    browser.comes_to("the page that was asked for", "h1", "People").await?;
    let at = browser.run("return location.pathname + location.search").await?;
    ensure!(at == "/people?q=zz", "{at}");
    browser.click(".account button").await?;
    browser.shows("#email").await?;
    let complaints = browser.complaints().await?;
    // The issuer's own page has no icon.
    let own = |it: &&String| !it.contains("401") && !it.contains(&hall.issuer.url);
    ensure!(complaints.iter().filter(own).count() == 0, "the browser complains: {complaints:#?}");
    browser.close().await?;
    hall.close().await
}
