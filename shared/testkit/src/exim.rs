//! A mail server of a test's own: Debian's Exim, unprivileged, with its ports, queue and mailboxes in one folder.
//!
//! Exim because it runs as anybody in any folder; the others want to be root, and the one queue of the machine.

use std::fs::File;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::janitor::Janitor;
use crate::ports::free_ports;
use crate::users::unprivileged;
use crate::wait_until;

const START_BOUND: Duration = Duration::from_secs(60);
const PROGRAM_VARIABLE: &str = "TOCSIN_TEST_EXIM";
/// In the first of these places there may be one.
const PROGRAMS: [&str; 3] = ["/usr/sbin/exim4", "/usr/sbin/exim", "/usr/local/sbin/exim"];
/// Whom it runs as where a test is root: its package's user, else nobody.
const USERS: [&str; 2] = ["Debian-exim", "nobody"];
const CONFIGURATION: &str = include_str!("exim.conf");
pub const LOGIN: &str = "tocsin";
pub const PASSWORD: &str = "relay-password";
/// Exim's own processes, of deliveries too, name its configuration; all go with its folder.
const CLEAN_UP: &str = r#"
    if [ -f "$1/pid" ]; then kill "$(cat "$1/pid")"; fi
    for try in 1 2 3 4 5; do rm -rf "$1" && break; sleep 1; done"#;

/// Settings of a mail server, before it is started.
#[derive(Debug, Clone, Copy)]
pub struct EximSettings<'a> {
    /// Whose mail has a mailbox, all at example.org: any other is refused.
    pub mailboxes: &'a [String],
    /// The domain of return paths: what comes to `bounce+…` there is piped to `bounce_script`, whose argument is the
    /// address.
    pub bounce_domain: &'a str,
}

/// A mail server. Its process and files go with the value, or with the test's process, however that ends.
#[derive(Debug)]
pub struct Exim {
    /// `smtps://localhost:<port>`.
    pub url: String,
    /// The authority of its certificate.
    pub ca_file: PathBuf,
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    owner: Option<(u32, u32)>,
    server: Option<Child>,
    _janitor: Janitor,
}

impl Exim {
    /// Lays it out, with addresses that can be told to others before it runs.
    pub fn prepare(settings: EximSettings<'_>) -> Result<Self> {
        let program = program()?;
        let owner = match rustix::process::geteuid().is_root() {
            true => Some(unprivileged(&USERS)?),
            false => None,
        };
        let folder = TempDir::with_prefix("tocsin-exim-")?.keep();
        let janitor = Janitor::engage(CLEAN_UP, &[folder.as_os_str()])?;
        let [relay, server] = free_ports()?;
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let (user, group) = owner
            .unwrap_or_else(|| (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()));
        let configuration = [
            ("@FOLDER@", folder.display().to_string()),
            ("@USER@", user.to_string()),
            ("@GROUP@", group.to_string()),
            ("@RELAY@", relay.to_string()),
            ("@SERVER@", server.to_string()),
            ("@BOUNCES@", settings.bounce_domain.to_owned()),
            ("@PASSWORD@", PASSWORD.to_owned()),
        ]
        .iter()
        .fold(CONFIGURATION.to_owned(), |text, (name, value)| text.replace(name, value));
        let mailboxes: String = settings.mailboxes.iter().map(|name| format!("{name}: {name}\n")).collect();
        let exim = Self {
            url: format!("smtps://localhost:{relay}"),
            ca_file: folder.join("certificate.pem"),
            program,
            folder,
            port: relay,
            owner,
            server: None,
            _janitor: janitor,
        };
        exim.own(&exim.folder)?;
        for (name, text) in [
            ("exim.conf", configuration),
            ("mailboxes", mailboxes),
            ("certificate.pem", made.cert.pem()),
            ("key.pem", made.signing_key.serialize_pem()),
        ] {
            exim.write(name, &text)?;
        }
        Ok(exim)
    }

    /// Starts it, with the script that bounces are piped to and the files that this script reads.
    pub async fn start(&mut self, bounce_script: &str, files: &[(&str, String)]) -> Result<()> {
        self.write("bounce", bounce_script)?;
        std::fs::set_permissions(self.folder.join("bounce"), Permissions::from_mode(0o755))?;
        for (name, text) in files {
            self.write(name, text)?;
        }
        let log = File::options().create(true).append(true).open(self.folder.join("output"))?;
        let mut command = Command::new(&self.program);
        command
            .arg("-C")
            .arg(self.folder.join("exim.conf"))
            // In the foreground, trying again what was put off.
            .args(["-bdf", "-q2s"])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        self.server =
            Some(command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?);
        let port = self.port;
        let listens = async || TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        wait_until("the mail server to listen", START_BOUND, listens).await.with_context(|| self.last_words())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The mails in a mailbox, as they lie there.
    pub fn mails(&self, mailbox: &str) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.join("mail").join(mailbox).join("new"));
        let paths = files.into_iter().flatten().flatten().map(|file| file.path());
        paths.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }

    /// What it logged last, for an error.
    pub fn last_words(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let all = [read("output"), read("paniclog"), read("mainlog")].concat();
        let lines: Vec<_> = all.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        self.own(&path)
    }

    fn own(&self, path: &Path) -> Result<()> {
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group)).context("cannot give a file to the mail server's user")?;
        }
        Ok(())
    }
}

fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(PROGRAM_VARIABLE) {
        return Ok(named.into());
    }
    match PROGRAMS.iter().map(Path::new).find(|program| program.is_file()) {
        Some(program) => Ok(program.to_owned()),
        None => bail!(
            "no Exim found: install Debian's exim4-daemon-light, name its program in {PROGRAM_VARIABLE}, or run the \
             tests by `make test`, which does so where it may"
        ),
    }
}
