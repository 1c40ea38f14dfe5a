//! Every page that there is, by the table that the router is built of, at desktop and phone width, by day and by night: axe
//! finds nothing that WCAG 2.1 A and AA forbid, nothing goes beyond the edge, and the browser has nothing to complain about.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tocsin_api::Needs;
use tocsin_api::routes::{Door, table};

use super::browser::{Browser, Scheme};
use super::gallery::Gallery;
use super::hall::Hall;
use super::{BEYOND, DESKTOP, PHONE};

/// What is served under these is no page: a style sheet, a stream, files.
const NO_PAGES: [&str; 9] = [
    "/assets/{name}",
    "/attachments/{attachment}",
    "/campaigns/{id}/attachments/{attachment}",
    "/campaigns/{id}/events",
    "/campaigns/{id}/report/file",
    "/consents.csv",
    "/imports/{id}/problems",
    // These lead to an issuer and back; what they show is the sign-in page.
    "/sign-in/{issuer}",
    "/sign-in/{issuer}/return",
];

/// The same pages in other states, and what is shown where there is none.
fn more(things: &Things) -> Vec<(&'static str, String)> {
    let Gallery { sent, canceled, running, scheduled, .. } = &things.gallery;
    vec![
        ("campaign-sent", format!("/campaigns/{sent}")),
        ("campaign-canceled", format!("/campaigns/{canceled}")),
        ("campaign-scheduled", format!("/campaigns/{scheduled}")),
        ("campaign-running-cancel", format!("/campaigns/{running}/cancel")),
        ("recipients-filtered", format!("/campaigns/{canceled}/recipients?channel=voice&status=not_reached")),
        ("recipients-no-match", format!("/campaigns/{sent}/recipients?channel=voice")),
        ("receipt-never-tried", format!("/campaigns/{canceled}/receipt/never_tried")),
        ("receipt-unknown", format!("/campaigns/{canceled}/receipt/in_flight_or_unknown")),
        ("compose-emergency", "/compose?emergency=yes".to_owned()),
        ("compose-template", format!("/compose?template={}", things.template)),
        ("upcoming-mine", "/upcoming".to_owned()),
        ("upcoming-all", "/upcoming?show=all".to_owned()),
        ("upcoming-in-progress", "/upcoming?tab=in-progress&show=all".to_owned()),
        ("log-all", "/log?show=all".to_owned()),
        ("log-faults", "/log?number=x&from=2026-03-02&to=2026-03-01".to_owned()),
        ("people-nobody", "/people?q=nobody-of-this-name".to_owned()),
        ("no-page", "/campaigns/none".to_owned()),
    ]
}

/// What the placeholders of paths stand for.
pub struct Things {
    gallery: Gallery,
    series: String,
    template: String,
    import: String,
    webhook: String,
    approval: String,
    user: String,
    key: String,
    person: String,
    /// Of the sent message.
    recipient: String,
}

impl Things {
    async fn make() -> Result<Self> {
        let gallery = Gallery::hang().await?;
        let hall = &gallery.hall;
        let key =
            made(hall, "/v1/api-keys", &json!({ "name": "Student system", "roles": ["secretary"] })).await?;
        hall.client
            .ask_put("/v1/roles/nurse", &json!({ "rights": ["send"], "message_types": ["attendance"] }))
            .await?;
        let series = json!({
            "subject": "Lunch menu of the week",
            "channels": ["email", "inbox"],
            "audience": { "all": true },
            "body": "The menu is on the school's page.",
            "recurrence": { "frequency": "weekly", "weekdays": ["mo"], "starts_on": "2026-01-05", "at": "07:30" },
        });
        let series = made(hall, "/v1/series", &series).await?;
        let template = json!({
            "name": "Snow day",
            "subject": "School is closed",
            "message_type": "priority",
            "channels": ["sms", "email"],
            "contents": [
                { "body": "School is closed today because of the snow." },
                { "language": "es", "body": "Hoy no hay clases por la nieve." },
            ],
        });
        let template = made(hall, "/v1/templates", &template).await?;
        let import = hall.import().await?;
        let webhook = json!({
            "url": "https://hooks.cedar-valley.example/tocsin",
            "description": "The student system",
            "events": ["campaign.closed", "device.outcome"],
        });
        let webhook = made(hall, "/v1/webhooks", &webhook).await?;
        hall.client.ask_post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).await?;
        // What waits for a second person is told on every page.
        hall.client
            .ask_put("/v1/sending-policy", &json!({ "undo_seconds": 0, "second_person": true }))
            .await?;
        let emergency = json!({
            "subject": "Lockdown",
            "message_type": "emergency",
            "channels": ["sms"],
            "audience": { "all": true },
            "body": "Stay away from all schools.",
        });
        let approval = made(hall, "/v1/campaigns", &emergency).await?;
        let user =
            hall.user("lee@cedar-valley.example", "Robin Lee", &["secretary", "nurse"]).await?.to_string();
        let rows =
            hall.client.ask_get(&format!("/v1/campaigns/{}/recipients?limit=50", gallery.sent)).await?;
        let mut rows = rows["recipients"].as_array().into_iter().flatten();
        let recipient = rows.find(|row| !row["device_id"].is_null()).context("nobody has a device")?;
        let recipient = recipient["recipient_id"].to_string();
        let people = hall.client.ask_get("/v1/people?role=guardian&limit=1").await?;
        let person =
            people["people"][0]["source_id"].as_str().context("nobody is in the directory")?.to_owned();
        Ok(Self { series, template, import, webhook, approval, user, key, person, recipient, gallery })
    }

    /// The page of that pattern. A placeholder that nothing stands for fails the test.
    fn path(&self, pattern: &str) -> Result<String> {
        let Gallery { sent, canceled, running, scheduled, .. } = &self.gallery;
        let id = match pattern {
            it if it.starts_with("/series/") => self.series.clone(),
            it if it.starts_with("/templates/") => self.template.clone(),
            it if it.starts_with("/imports/") => self.import.clone(),
            it if it.starts_with("/webhooks/") => self.webhook.clone(),
            it if it.starts_with("/approvals/") => self.approval.clone(),
            it if it.ends_with("/edit") => scheduled.to_string(),
            it if it.contains("/receipt/") || it.ends_with("/correction") => canceled.to_string(),
            it if it.ends_with("/{recipient}") => sent.to_string(),
            _ => running.to_string(),
        };
        let path = [
            ("{id}", id.as_str()),
            ("{campaign}", &sent.to_string()),
            ("{recipient}", &self.recipient),
            ("{user}", &self.user),
            ("{key}", &self.key),
            ("{role}", "nurse"),
            ("{person}", &self.person),
            ("{part}", "contacted"),
            ("{message_type}", "general"),
        ]
        .iter()
        .fold(pattern.to_owned(), |path, (placeholder, value)| path.replace(placeholder, value));
        ensure!(!path.contains('{'), "nothing stands for what is in {pattern}");
        Ok(path)
    }

    /// Every page that is shown to those who signed in, with a name for its pictures.
    fn pages(&self) -> Result<Vec<(String, String)>> {
        let mut pages = Vec::new();
        for (pattern, _) in patterns().filter(|(_, needs)| *needs != Needs::Nothing) {
            pages.push((name_of(pattern), self.path(pattern)?));
        }
        let more = more(self).into_iter().map(|(name, path)| (name.to_owned(), path));
        Ok(pages.into_iter().chain(more).collect())
    }

    /// Those of whom nobody has to know. Whoever is signed in is led on from some.
    fn open_pages(&self) -> Vec<(String, String)> {
        let hall = &self.gallery.hall;
        let open = patterns().filter(|(_, needs)| *needs == Needs::Nothing);
        open.map(|(pattern, _)| {
            // It is shown where nobody signs in.
            let door = if pattern == "/districts" { &hall.system.api_url } else { &hall.door };
            (name_of(pattern), format!("{door}{pattern}"))
        })
        .collect()
    }
}

/// Each page of the table, and what it needs.
fn patterns() -> impl Iterator<Item = (&'static str, Needs)> {
    table().into_iter().filter_map(|(method, path, needs, door)| {
        ((method, door) == ("GET", Door::Page) && !NO_PAGES.contains(&path)).then_some((path, needs))
    })
}

fn name_of(pattern: &str) -> String {
    let name = pattern.trim_matches('/').replace(['{', '}'], "").replace('/', "-");
    if name.is_empty() { "front".to_owned() } else { name }
}

async fn made(hall: &Hall, path: &str, body: &Value) -> Result<String> {
    let made = hall.client.ask_post(path, body).await?;
    Ok(made["id"].as_str().context("an answer without an id")?.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_accessible_at_every_width_by_day_and_by_night() -> Result<()> {
    let things = Things::make().await?;
    let hall = &things.gallery.hall;
    let browser = Browser::start().await?;
    let mut inspector = Inspector::new(&browser)?;
    for (name, url) in things.open_pages() {
        inspector.look_at(&name, &url).await?;
    }
    hall.sign_in(&browser).await?;
    let pages = things.pages()?;
    ensure!(pages.len() > 40, "the table has lost its pages: {pages:?}");
    for (name, path) in pages {
        inspector.look_at(&name, &format!("{}{path}", hall.door)).await?;
    }
    let faults = inspector.faults;
    ensure!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    browser.close().await?;
    things.gallery.hall.close().await
}

/// Looks at pages, and collects what is wrong with them, so that one run finds all.
struct Inspector<'a> {
    browser: &'a Browser,
    axe: String,
    faults: Vec<String>,
}

impl<'a> Inspector<'a> {
    fn new(browser: &'a Browser) -> Result<Self> {
        let axe = std::env::var_os("TOCSIN_TEST_AXE")
            .context("TOCSIN_TEST_AXE names no axe.min.js: run the tests by `make test`, which fetches it")?;
        Ok(Self { browser, axe: std::fs::read_to_string(axe)?, faults: Vec::new() })
    }

    /// One page in all its looks.
    async fn look_at(&mut self, name: &str, url: &str) -> Result<()> {
        for scheme in [Scheme::Light, Scheme::Dark] {
            for (width, height) in [PHONE, DESKTOP] {
                self.browser.look(width, height, scheme).await?;
                self.browser.open(url).await?;
                let look = format!("{name} at {width} px, {scheme:?}");
                self.browser.run(UNFOLD).await?;
                let axe = format!("{};{RUN_AXE}", self.axe);
                for (what, script) in [("axe", axe.as_str()), ("beyond the edge", BEYOND)] {
                    let found = self.browser.run(script).await.with_context(|| look.clone())?;
                    let found = found.as_array().cloned().unwrap_or_else(|| vec![found]);
                    self.faults.extend(found.iter().map(|fault| format!("{look}: {what}: {fault}")));
                }
                self.browser.picture(&format!("{name}-{width}-{scheme:?}").to_lowercase()).await?;
            }
        }
        for complaint in self.browser.complaints().await? {
            // That there is no such page, or that the filter has faults, is a complaint of the browser's own.
            let own = [("no-page", "404"), ("log-faults", "422")];
            if !own.iter().any(|(page, status)| name == *page && complaint.contains(status)) {
                self.faults.push(format!("{name}: the browser says {complaint}"));
            }
        }
        Ok(())
    }
}

/// What is folded away is looked at, too; of the hundreds of the API's description, which are all drawn alike, every tenth.
const UNFOLD: &str = "
    const folds = [...document.querySelectorAll('details')];
    folds.forEach((it, at) => { it.open ||= folds.length < 30 || at % 10 === 0; });";

const RUN_AXE: &str = "
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
    return axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] }).then((found) =>
      found.violations.flatMap((it) => it.nodes.map((node) =>
        `${it.id}: ${node.html.slice(0, 160)} (${node.failureSummary.split('\\n').slice(1).join(';').slice(0, 200)})`)));";
