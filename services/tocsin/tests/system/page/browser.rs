//! A real Chromium, driven over the WebDriver protocol, which is JSON over HTTP.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tocsin_testkit::wait_until;
use tokio::process::{Child, Command};

use crate::facts::WITHIN;

/// A browser starts slowly on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// An inspection of a long page takes long on a busy machine.
const SCRIPT_TIMEOUT_MS: u32 = 180_000;
/// How an element is named in answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub struct Browser {
    http: reqwest::Client,
    session: String,
    // Ended with the value, then its folder goes.
    _driver: Child,
    profile: TempDir,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Browser {
    /// Starts a driver, and by it a browser with a profile of its own.
    pub async fn start() -> Result<Self> {
        let driver = program("TOCSIN_TEST_CHROMEDRIVER", &["chromedriver"])?;
        let chromium = program("TOCSIN_TEST_CHROMIUM", &["chromium", "google-chrome", "chromium-browser"])?;
        let profile = TempDir::new()?;
        let log = profile.path().join("driver.log");
        let mut child = Command::new(&driver)
            .args(["--port=0"])
            .stdout(std::fs::File::create(&log)?)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", driver.display()))?;
        let mut port = None;
        wait_until("chromedriver's port", STARTS_WITHIN, async || {
            port = std::fs::read_to_string(&log).ok().and_then(|log| port_of(&log));
            port.is_some()
        })
        .await?;
        let port = port.context("chromedriver names no port")?;
        ensure!(child.try_wait()?.is_none(), "chromedriver has ended");
        let folder = profile.path().join("profile");
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "timeouts": { "script": SCRIPT_TIMEOUT_MS },
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": chromium,
                // A PDF is a file as any other.
                "prefs": {
                    "plugins.always_open_pdf_externally": true,
                    "download.default_directory": profile.path().join("downloads"),
                    "download.prompt_for_download": false,
                },
                "args": ["--headless", "--lang=en-US", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1",
                    format!("--user-data-dir={}", folder.display())],
            },
        } } });
        let http = tocsin_providers::http_client()?;
        let answer = http
            .post(format!("http://127.0.0.1:{port}/session"))
            .timeout(STARTS_WITHIN)
            .json(&capabilities)
            .send()
            .await?;
        let made = value_of(answer).await?;
        let id = made["sessionId"].as_str().context("a session without an id")?;
        let session = format!("http://127.0.0.1:{port}/session/{id}");
        Ok(Self { http, session, _driver: child, profile })
    }

    pub async fn open(&self, url: &str) -> Result<()> {
        self.post("url", json!({ "url": url })).await.map(drop)
    }

    /// What a script returns; `return` included.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.post("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// The text of the first element that the selector finds.
    pub async fn text(&self, selector: &str) -> Result<String> {
        let script = format!("return document.querySelector({selector:?})?.innerText ?? null");
        let text = self.run(&script).await?;
        Ok(text.as_str().with_context(|| format!("the page has no {selector}"))?.to_owned())
    }

    pub async fn has(&self, selector: &str) -> Result<bool> {
        let found = self.run(&format!("return document.querySelector({selector:?}) !== null")).await?;
        Ok(found == Value::Bool(true))
    }

    /// Clicks as a pointer does: not on what is covered or out of sight. What a page that moves puts another in the place
    /// of, between the look and the click, is looked for again.
    pub async fn click(&self, selector: &str) -> Result<()> {
        loop {
            let element = self.element(selector).await?;
            match self.post(&format!("element/{element}/click"), json!({})).await {
                Err(error) if format!("{error:#}").contains("stale element reference") => {}
                clicked => return clicked.map(drop),
            }
        }
    }

    /// Chooses what has that value, of a list of them.
    pub async fn choose(&self, selector: &str, value: &str) -> Result<()> {
        self.click(&format!("{selector} option[value={value:?}]")).await
    }

    /// Fills in a date or a time, as the browser's own picker does.
    pub async fn pick(&self, selector: &str, value: &str) -> Result<()> {
        let script = format!(
            "const it = document.querySelector({selector:?}); it.value = {value:?};
             it.dispatchEvent(new Event('input', {{ bubbles: true }})); return it.value"
        );
        let is = self.run(&script).await?;
        ensure!(is == value, "{selector} takes no {value}: {is}");
        Ok(())
    }

    /// Waits until the page has that.
    pub async fn shows(&self, selector: &str) -> Result<()> {
        let shown = wait_until(selector, WITHIN, async || self.has(selector).await.unwrap_or(false)).await;
        if let Err(never) = shown {
            bail!("{never}: the page never had {selector}; {}", self.whereabouts().await);
        }
        Ok(())
    }

    /// Waits until an element of the page says that; a click does not wait for the page that it leads to.
    pub async fn comes_to(&self, what: &str, selector: &str, text: &str) -> Result<()> {
        let mut last = String::new();
        let come = wait_until(what, WITHIN, async || {
            last = self.text(selector).await.unwrap_or_default();
            last.contains(text)
        })
        .await;
        if let Err(never) = come {
            bail!("{never}: {selector} says {last:?}, not {text:?}; {}", self.whereabouts().await);
        }
        Ok(())
    }

    /// Which page it is, for whoever waited for another.
    async fn whereabouts(&self) -> String {
        let is = "const main = document.querySelector('main')?.innerText ?? '';
             const at = document.activeElement;
             return `${location.pathname} has the focus at ${at?.id || at?.tagName} and says ${main.slice(0, 600)}`";
        self.run(is).await.map_or_else(|error| format!("{error:#}"), |is| is.to_string())
    }

    /// The file that was saved under a name that ends so, once it is whole.
    pub async fn saved(&self, ending: &str) -> Result<Vec<u8>> {
        let folder = self.profile.path().join("downloads");
        let mut found = None;
        wait_until(&format!("a file {ending}"), WITHIN, async || {
            let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            // Chromium writes under another name, and makes an empty file of this one just before it moves that there.
            let mut whole = files.filter(|file| file.metadata().is_ok_and(|file| file.len() > 0));
            found = whole.find(|file| file.path().to_string_lossy().ends_with(ending));
            found.is_some()
        })
        .await?;
        Ok(std::fs::read(found.context("no file")?.path())?)
    }

    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector).await?;
        self.post(&format!("element/{element}/value"), json!({ "text": text })).await.map(drop)
    }

    /// Presses keys wherever the focus is. `\u{E004}` is Tab, `\u{E007}` Enter, `\u{E00C}` Escape.
    pub async fn press(&self, keys: &str) -> Result<()> {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
            })
            .collect();
        self.post("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }))
            .await
            .map(drop)
    }

    /// Sets the size of the page, and whether it is light or dark.
    pub async fn look(&self, width: u32, height: u32, scheme: Scheme) -> Result<()> {
        let scheme = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await?;
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await.map(drop)
    }

    async fn devtools(&self, command: &str, params: Value) -> Result<Value> {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": params })).await
    }

    /// What the console said since it was asked last: errors and warnings of scripts, policies and loads.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let log = self.post("se/log", json!({ "type": "browser" })).await?;
        let entries = log.as_array().context("a log that is no list")?;
        Ok(entries.iter().map(|entry| entry["message"].to_string()).collect())
    }

    /// A picture of the whole page, kept where `TOCSIN_TEST_SCREENSHOTS` says, if anywhere.
    pub async fn picture(&self, name: &str) -> Result<()> {
        let Some(folder) = std::env::var_os("TOCSIN_TEST_SCREENSHOTS").map(PathBuf::from) else {
            return Ok(());
        };
        let size = self.devtools("Page.getLayoutMetrics", json!({})).await?["cssContentSize"].take();
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", params).await?;
        let picture = STANDARD.decode(picture["data"].as_str().context("a picture that is no text")?)?;
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.png")), picture)?;
        Ok(())
    }

    /// Closes the browser; the driver ends with the value.
    pub async fn close(self) -> Result<()> {
        value_of(self.http.delete(&self.session).send().await?).await.map(drop)
    }

    async fn element(&self, selector: &str) -> Result<String> {
        let found = self.post("element", json!({ "using": "css selector", "value": selector })).await?;
        Ok(found[ELEMENT].as_str().with_context(|| format!("the page has no {selector}"))?.to_owned())
    }

    async fn post(&self, command: &str, body: Value) -> Result<Value> {
        let answer = self.http.post(format!("{}/{command}", self.session)).json(&body).send().await?;
        value_of(answer).await.with_context(|| format!("the browser could not do: {command} {body}"))
    }
}

async fn value_of(answer: reqwest::Response) -> Result<Value> {
    let status = answer.status();
    let mut body: Value = answer.json().await?;
    ensure!(status.is_success(), "{}: {}", body["value"]["error"], body["value"]["message"]);
    Ok(body["value"].take())
}

/// "ChromeDriver was started successfully on port 40123."
fn port_of(log: &str) -> Option<u16> {
    let (_, after) = log.split_once("successfully on port ")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    // The number may still be half written without the full stop.
    after[digits.len()..].starts_with('.').then(|| digits.parse().ok())?
}

/// The program that the variable names, else the first of `names` on the path. `make test` sets the variables.
fn program(variable: &str, names: &[&str]) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        names.iter().flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
    match found.into_iter().find(|program| program.is_file()) {
        Some(program) => Ok(program),
        None => bail!(
            "no {} on the path: install Debian's chromium and chromium-driver or Chrome and its chromedriver, or \
             run the tests by `make test`, which does so where it may",
            names.join(" or ")
        ),
    }
}
