//! A relay that answers each command as it is told to, and writes down what it was told.

use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What follows a command.
#[derive(Debug, Clone, Copy)]
pub enum Says {
    /// This line; a 421 is followed by the end of the connection.
    Line(&'static str),
    HangUp,
    Nothing,
}

use Says::Line;

#[derive(Debug, Clone, Copy)]
pub struct Script {
    pub greeting: Says,
    pub hello: Says,
    pub auth: Says,
    pub mail: Says,
    pub rcpt: Says,
    pub data: Says,
    pub content: Says,
    pub reset: Says,
    /// Mails after which the relay says 421 to the next MAIL.
    pub mails_max: usize,
    pub tls: Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    None,
    AtOnce,
    /// After STARTTLS.
    OnDemand,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            greeting: Line("220 relay.example ESMTP"),
            hello: Line("250-relay.example\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME"),
            auth: Line("235 2.7.0 welcome"),
            mail: Line("250 2.1.0 Ok"),
            rcpt: Line("250 2.1.5 Ok"),
            data: Line("354 go on"),
            content: Line("250 2.0.0 Ok: queued"),
            reset: Line("250 2.0.0 Ok"),
            mails_max: usize::MAX,
            tls: Tls::None,
        }
    }
}

/// The lines of each connection, in order. A mail is one entry, with its dots as they came.
pub type Heard = Vec<Vec<String>>;

pub struct Relay {
    pub port: u16,
    heard: Arc<Mutex<Heard>>,
    pub authority: NamedTempFile,
    _serving: JoinSet<()>,
}

impl Relay {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Heard::new()));
        let (acceptor, authority) = certificate();
        let written = Arc::clone(&heard);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = {
                    let mut heard = written.lock().unwrap();
                    heard.push(vec![]);
                    heard.len() - 1
                };
                let connection =
                    Connection { script, number, heard: Arc::clone(&written), acceptor: acceptor.clone() };
                connections.spawn(connection.serve(stream));
            }
        });
        Self { port, heard, authority, _serving: serving }
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    pub fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }

    /// The mails as they were transmitted, over all connections.
    pub fn mails(&self) -> Vec<String> {
        self.heard().into_iter().flatten().filter(|line| line.contains("\r\n")).collect()
    }
}

/// A server's certificate for `localhost` and its own authority.
fn certificate() -> (TlsAcceptor, NamedTempFile) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

struct Connection {
    script: Script,
    number: usize,
    heard: Arc<Mutex<Heard>>,
    acceptor: TlsAcceptor,
}

/// How a conversation ended.
enum Ended {
    Closed,
    /// The client is about to encrypt.
    StartTls,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        match self.script.tls {
            Tls::None => {
                self.converse(&mut BufReader::new(stream), self.script.greeting).await;
            }
            Tls::AtOnce => {
                let Ok(stream) = self.acceptor.accept(stream).await else { return };
                self.converse(&mut BufReader::new(stream), self.script.greeting).await;
            }
            Tls::OnDemand => {
                let mut stream = BufReader::new(stream);
                let Ended::StartTls = self.converse(&mut stream, self.script.greeting).await else { return };
                let Ok(stream) = self.acceptor.accept(stream.into_inner()).await else { return };
                self.write_down("(encrypted)".into());
                self.converse(&mut BufReader::new(stream), Says::Nothing).await;
            }
        }
    }

    fn write_down(&self, line: String) {
        self.heard.lock().unwrap()[self.number].push(line);
    }

    async fn converse<S>(&self, stream: &mut BufReader<S>, greeting: Says) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut mails = 0;
        if say(stream, greeting).await.is_none() {
            return Ended::Closed;
        }
        loop {
            let mut line = String::new();
            if !stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
                return Ended::Closed;
            }
            let line = line.trim_end().to_owned();
            self.write_down(line.clone());
            let verb = line.split([' ', ':']).next().unwrap_or_default();
            let script = &self.script;
            let says = match verb {
                "EHLO" => script.hello,
                "STARTTLS" => Line("220 ready"),
                "AUTH" => script.auth,
                "MAIL" if mails >= script.mails_max => Line("421 4.7.0 too many mails, good bye"),
                "MAIL" => script.mail,
                "RCPT" => script.rcpt,
                "DATA" => script.data,
                "RSET" => script.reset,
                _ => Line("221 2.0.0 bye"),
            };
            let Some(said) = say(stream, says).await else { return Ended::Closed };
            if verb == "STARTTLS" {
                return Ended::StartTls;
            }
            if said.starts_with("354") {
                let Some(mail) = read_mail(stream).await else { return Ended::Closed };
                self.write_down(mail);
                mails += 1;
                if say(stream, script.content).await.is_none() {
                    return Ended::Closed;
                }
            }
        }
    }
}

/// None: the connection is over.
async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    says: Says,
) -> Option<&'static str> {
    match says {
        Line(line) => {
            stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
            stream.get_mut().flush().await.ok()?;
            (!line.starts_with("421")).then_some(line)
        }
        Says::HangUp => None,
        Says::Nothing => Some(""),
    }
}

async fn read_mail<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut mail = String::new();
    loop {
        let start = mail.len();
        if stream.read_line(&mut mail).await.ok()? == 0 {
            return None;
        }
        if &mail[start..] == ".\r\n" {
            return Some(mail);
        }
    }
}
