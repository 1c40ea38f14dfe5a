//! What the form of a message tells while it is written.

use anyhow::{Context as _, Result, ensure};
use tocsin_testkit::simulator::Scenario;

use super::browser::{Browser, Scheme};
use super::hall::Hall;
use super::{DESKTOP, PHONE};

/// The next two counts fail, as where the api has no connection to spare; those after them are asked for.
const FAIL_TWICE: &str = "
    const ask = window.fetch;
    let left = 2;
    window.fetch = (path, how) =>
      path === '/compose/count' && left-- > 0 ? Promise.resolve(new Response('', { status: 503 })) : ask(path, how);";

/// Where the button stands that leads on: before anything is counted, and after.
const STANDS: &str = "
    const top = () => document.getElementById('review-button').getBoundingClientRect().top + scrollY;
    const [reach, segments] = ['reach', 'segments-body'].map((id) => document.getElementById(id));
    const kept = [reach.value, segments.value];
    reach.value = segments.value = '';
    const before = top();
    [reach.value, segments.value] = ['About 270,000 people, 12,000 without a device. ' +
      'Devices: 250,000 voice, 270,000 text, 300,000 email, 100,000 inbox. Counting…',
      'As a text: 2 segments, each is paid (special letters, 67 characters each)'];
    const after = top();
    [reach.value, segments.value] = kept;
    return after - before";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_that_fails_says_so_and_comes_by_itself_and_no_count_moves_a_button() -> Result<()> {
    let hall = Hall::open(Scenario::default(), Vec::new()).await?;
    let browser = Browser::start().await?;
    browser.look(DESKTOP.0, DESKTOP.1, Scheme::Light).await?;
    hall.sign_in(&browser).await?;
    browser.open(&format!("{}/compose", hall.door)).await?;
    browser.comes_to("nothing to count", "#reach", "Choose who gets it").await?;
    browser.run(FAIL_TWICE).await?;
    browser.click("#channel input[value=email]").await?;
    browser.comes_to("why there is no count", "#reach", "cannot be counted at the moment").await?;
    browser.comes_to("the count", "#reach", " people, ").await?;
    for (width, height) in [DESKTOP, PHONE] {
        browser.look(width, height, Scheme::Light).await?;
        let moved = browser.run(STANDS).await?;
        let moved = moved.as_f64().context("no button")?;
        ensure!(moved == 0.0, "at {width} px the button moves by {moved} px when a count comes");
    }
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    browser.close().await?;
    hall.close().await
}
