//! One connection: bytes in, replies out, before and after STARTTLS.

use std::sync::Arc;
use std::time::Duration;

use smtp_proto::Error;
use smtp_proto::request::receiver::{DataReceiver, LineReceiver, RequestReceiver};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

use super::super::Shared;
use super::HOST;
use super::reply::Reply;
use super::session::{Login, Next, Privacy, Session};

const READ_BYTES: usize = 16 * 1024;
/// As RFC 5321 has it; then the server hangs up.
const IDLE_MAX: Duration = Duration::from_secs(300);
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// How a conversation ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    /// It goes on over TLS.
    StartTls,
}

/// What the next bytes are.
enum Expected {
    Command(RequestReceiver),
    LoginLine(LineReceiver<Login>),
    Mail { receiver: DataReceiver, content: Vec<u8>, too_big: bool },
}

/// Speaks until either side hangs up, or the simulator stops. Without a place it only says so.
pub(super) async fn serve(
    mut stream: TcpStream,
    shared: Arc<Shared>,
    tls: TlsAcceptor,
    place: Option<OwnedSemaphorePermit>,
) {
    let _ = stream.set_nodelay(true);
    let speaking = async {
        if place.is_none() {
            return send(&mut stream, &Reply::new(421, "4.3.2", "too many connections")).await;
        }
        send(&mut stream, &Reply::new(220, "", format!("{HOST} ESMTP"))).await?;
        if converse(&mut stream, &shared, Privacy::Plain).await? == End::Closed {
            return Ok(());
        }
        let handshake = tokio::time::timeout(HANDSHAKE_DEADLINE, tls.accept(stream)).await;
        let mut private = handshake.map_err(std::io::Error::other)??;
        converse(&mut private, &shared, Privacy::Tls).await?;
        private.shutdown().await
    };
    // A connection that breaks is what a client may do at any time.
    if let Some(Err(error)) = shared.stop.run_until_cancelled(speaking).await {
        tracing::debug!(%error, "a mail connection broke");
    }
}

/// What comes after STARTTLS in the same bytes was not said in private, and is not heard.
async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    shared: &Shared,
    privacy: Privacy,
) -> std::io::Result<End> {
    let mut session = Session::new(shared, privacy);
    let mut expected = Expected::Command(RequestReceiver::default());
    let (mut bytes, mut out) = (vec![0; READ_BYTES], Vec::new());
    loop {
        let read = match tokio::time::timeout(IDLE_MAX, stream.read(&mut bytes)).await {
            Ok(read) => read?,
            Err(_) => {
                send(stream, &Reply::new(421, "4.4.2", "nothing was said for long")).await?;
                return Ok(End::Closed);
            }
        };
        if read == 0 {
            return Ok(End::Closed);
        }
        let mut unread = bytes[..read].iter();
        while let Some((after, next)) = step(&mut session, &mut expected, &mut unread) {
            if !after.is_zero() {
                flush(stream, &mut out).await?;
                tokio::time::sleep(after).await;
            }
            match next {
                Next::Say(reply) => reply.write(&mut out),
                Next::Offer => session.offer().write(&mut out),
                Next::ReadMail => {
                    Reply::new(354, "", "the mail, and a dot alone on a line").write(&mut out);
                    let (receiver, content) = (DataReceiver::new(), Vec::new());
                    expected = Expected::Mail { receiver, content, too_big: false };
                }
                Next::ReadLogin(reply, login) => {
                    reply.write(&mut out);
                    expected = Expected::LoginLine(LineReceiver::new(login));
                }
                Next::StartTls => {
                    Reply::new(220, "2.0.0", "go ahead").write(&mut out);
                    flush(stream, &mut out).await?;
                    return Ok(End::StartTls);
                }
                Next::Close(reply) => {
                    reply.write(&mut out);
                    flush(stream, &mut out).await?;
                    return Ok(End::Closed);
                }
                Next::Drop => return Ok(End::Closed),
                Next::Hang => {
                    flush(stream, &mut out).await?;
                    while stream.read(&mut bytes).await? > 0 {}
                    return Ok(End::Closed);
                }
            }
        }
        flush(stream, &mut out).await?;
    }
}

/// Takes one command, line or mail from the bytes, and what is to be done, after so long. None: there is no whole one.
fn step(
    session: &mut Session<'_>,
    expected: &mut Expected,
    unread: &mut std::slice::Iter<'_, u8>,
) -> Option<(Duration, Next)> {
    match expected {
        Expected::Command(receiver) => match receiver.ingest(unread) {
            Ok(request) => Some((Duration::ZERO, session.hear(request))),
            Err(Error::NeedsMoreData { .. }) => None,
            Err(fault) => Some((Duration::ZERO, session.misheard(&fault))),
        },
        Expected::LoginLine(receiver) => {
            receiver.ingest(unread).then_some(())?;
            let line = String::from_utf8_lossy(&receiver.buf).into_owned();
            let login = receiver.state.clone();
            *expected = Expected::Command(RequestReceiver::default());
            Some((Duration::ZERO, session.login_line(login, &line)))
        }
        Expected::Mail { receiver, content, too_big } => {
            let whole = receiver.ingest(unread, content);
            if content.len() > session.offer().size_max {
                *too_big = true;
                content.clear();
            }
            whole.then_some(())?;
            let content = (!*too_big).then(|| std::mem::take(content));
            *expected = Expected::Command(RequestReceiver::default());
            Some(session.mail_read(content))
        }
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> std::io::Result<()> {
    let mut out = Vec::new();
    reply.write(&mut out);
    flush(stream, &mut out).await
}

async fn flush(stream: &mut (impl AsyncWrite + Unpin), out: &mut Vec<u8>) -> std::io::Result<()> {
    if !out.is_empty() {
        stream.write_all(out).await?;
        out.clear();
    }
    stream.flush().await
}
