//! Vhosts by the management plugin's HTTP interface.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::{created, leftover_before};
use crate::address::{HttpAddress, http};

const DEADLINE: Duration = Duration::from_secs(30);

static SWEPT: OnceCell<()> = OnceCell::const_new();

#[derive(Debug, Clone)]
pub(super) struct Management {
    /// `host:port`.
    authority: String,
    authorization: String,
}

#[derive(Deserialize)]
struct Vhost {
    name: String,
}

impl Management {
    pub fn new(address: &str) -> Result<Self> {
        let HttpAddress { credentials, authority } = http(address).context("RABBITMQ_MANAGEMENT_URL")?;
        Ok(Self { authority, authorization: format!("Basic {}", STANDARD.encode(credentials)) })
    }

    pub async fn create(&self, name: &str, user: &str) -> Result<()> {
        self.ask("PUT", &format!("/api/vhosts/{name}"), "").await?;
        let rights = r#"{"configure":".*","write":".*","read":".*"}"#;
        self.ask("PUT", &format!("/api/permissions/{name}/{user}"), rights).await?;
        Ok(())
    }

    /// Deletes what killed processes left, once per process.
    pub async fn sweep(&self) -> Result<()> {
        SWEPT.get_or_try_init(|| self.delete_leftovers()).await?;
        Ok(())
    }

    async fn delete_leftovers(&self) -> Result<()> {
        let list = self.ask("GET", "/api/vhosts?columns=name", "").await?;
        let vhosts: Vec<Vhost> = serde_json::from_str(&list).context("unexpected list of vhosts")?;
        let oldest = leftover_before();
        for Vhost { name } in vhosts {
            if created(&name).is_some_and(|seconds| seconds < oldest) {
                self.delete(&name).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.ask("DELETE", &format!("/api/vhosts/{name}"), "").await?;
        Ok(())
    }

    /// On a thread of its own, because a drop cannot wait inside the test's runtime.
    pub fn delete_in_drop(&self, name: &str) {
        let (management, name) = (self.clone(), name.to_owned());
        let deleting = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(management.delete(&name))
        });
        match deleting.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "test vhost left for the next sweep"),
            Err(_) => tracing::warn!("test vhost left for the next sweep"),
        }
    }

    /// One request on a connection of its own. Returns the body of a 2xx answer.
    async fn ask(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let exchange = async {
            let mut stream = TcpStream::connect(&self.authority).await?;
            let request = format!(
                // HTTP/1.0, so that the answer ends with the connection and is never chunked.
                "{method} {path} HTTP/1.0\r\nhost: {}\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                self.authority,
                self.authorization,
                body.len()
            );
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let asked = || format!("{method} {path} on RabbitMQ's management interface");
        let answer =
            tokio::time::timeout(DEADLINE, exchange).await.with_context(asked)?.with_context(asked)?;
        let (head, body) = answer.split_once("\r\n\r\n").with_context(asked)?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            bail!("{}: status {status}: {body}", asked());
        }
        Ok(body.to_owned())
    }
}
