//! A file that is sent while it is made: off the threads that answer requests, and few at once.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use tocsin_reports::{ConsentRow, Format, Report, ReportError};
use tocsin_runtime::CancellationToken;
use tocsin_store::tenant::report::ReportRows;
use tocsin_store::{StoreError, Tenant};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::assemble;
use crate::problem::{Kind, Problem};
use crate::server::Api;

/// Files that are made at once in this process: each takes a processor.
const RENDERS_MAX: usize = 2;
/// How long one waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(10);
/// Bytes of one chunk, and chunks that wait for the client.
const CHUNK: usize = 64 * 1024;
const CHUNKS_MAX: usize = 4;
/// A client that takes nothing for so long is gone: others wait for its place.
const STALL_MAX: Duration = Duration::from_secs(60);
/// Consents of one page.
const CONSENTS_MAX: u32 = 5_000;

const NO_SNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
/// Files hold names and addresses: no copy of them is kept.
const NO_COPY: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
/// The content type of a file in frames.
const FRAMED: HeaderValue = HeaderValue::from_static("application/x-tocsin-frames");
/// How many rows the file is made of.
const ROWS: HeaderName = HeaderName::from_static("tocsin-rows");
/// The content type of what is in the frames.
const FRAMED_TYPE: HeaderName = HeaderName::from_static("tocsin-content-type");

/// The places for files that are being made. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Renders(Arc<Semaphore>);

/// What is said of a file beside its bytes.
#[derive(Debug)]
pub(crate) struct File {
    /// ASCII without quotes.
    pub name: String,
    pub media_type: &'static str,
}

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// As they are.
    None,
    /// For the console's progress bar: before each part its length and how many rows are done, four bytes each.
    Progress,
}

impl Default for Renders {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(RENDERS_MAX)))
    }
}

impl Renders {
    pub async fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = tokio::time::timeout(TURN_WAIT, Arc::clone(&self.0).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            Problem::new(
                Kind::Unavailable,
                format!("{RENDERS_MAX} reports are being made already: try again in a moment"),
            )
        })
    }
}

/// The headers of a file, with its bytes or without.
pub(crate) fn respond(file: &File, body: Option<Body>) -> Response {
    // What a browser can show it shows; the rest is saved.
    let how = if file.media_type == Format::Pdf.media_type() { "inline" } else { "attachment" };
    let disposition = format!("{how}; filename=\"{}\"", file.name);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.media_type)),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static(how)),
        ),
        NO_SNIFF,
        NO_COPY,
    ];
    (headers, body.unwrap_or_default()).into_response()
}

pub(super) fn mark_framed(response: &mut Response, rows_total: i64) {
    let headers = response.headers_mut();
    if let Some(media_type) = headers.insert(header::CONTENT_TYPE, FRAMED) {
        headers.insert(FRAMED_TYPE, media_type);
    }
    headers.insert(ROWS, rows_total.into());
}

/// Makes a report; the place is given up when it is done.
pub(super) fn report(
    api: &Api,
    place: OwnedSemaphorePermit,
    report: Report,
    format: Format,
    mut rows: ReportRows,
    framing: Framing,
) -> Body {
    let handle = Handle::current();
    let done = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&done);
    let pages = std::iter::from_fn(move || match handle.block_on(rows.page()) {
        Err(error) => Some(Err(error)),
        Ok(page) if page.is_empty() => None,
        Ok(page) => {
            counted.fetch_add(u32::try_from(page.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
            Some(Ok(page.into_iter().map(assemble::row).collect()))
        }
    });
    spawn(api, place, framing, done, move |sink| tocsin_reports::write(&report, format, pages, sink))
}

/// The list of consents.
pub(crate) fn consents(
    api: &Api,
    place: OwnedSemaphorePermit,
    tenant: Tenant,
    zone: tocsin_domain::window::Zone,
) -> Body {
    let handle = Handle::current();
    let mut after = Some(String::new());
    let pages = std::iter::from_fn(move || {
        let from = after.take()?;
        match handle.block_on(tenant.consents(None, &from, CONSENTS_MAX)) {
            Err(error) => Some(Err(error)),
            Ok(page) => {
                after = Some(page.last()?.phone.clone());
                let row = |it: tocsin_store::tenant::consents::Consent| ConsentRow {
                    phone: it.phone,
                    state: it.state,
                    changed_at: it.changed_at,
                    source: it.source,
                };
                Some(Ok(page.into_iter().map(row).collect()))
            }
        }
    });
    let none = Arc::new(AtomicU32::new(0));
    spawn(api, place, Framing::None, none, move |sink| tocsin_reports::consents(zone, pages, sink))
}

fn spawn(
    api: &Api,
    place: OwnedSemaphorePermit,
    framing: Framing,
    done: Arc<AtomicU32>,
    make: impl FnOnce(&mut Sink) -> Result<(), ReportError<StoreError>> + Send + 'static,
) -> Body {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let mut sink = Sink {
        chunks: sender.clone(),
        chunk: Vec::with_capacity(CHUNK),
        handle: Handle::current(),
        stopping: api.tasks.stopping().clone(),
        framing,
        done,
    };
    api.tasks.spawn("report", async move {
        let _place = place;
        let made = tokio::task::spawn_blocking(move || make(&mut sink)).await;
        let failed = match made {
            Ok(Ok(())) => return,
            // Logged where it happened: the client went away, or the process stops.
            Ok(Err(ReportError::Sink(error))) => {
                tracing::debug!(%error, "report given up");
                return broken(&sender).await;
            }
            Ok(Err(ReportError::Rows(error))) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(error = failed, "report failed");
        broken(&sender).await;
    });
    let body = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    Body::from_stream(body)
}

/// A file that ended early must not look whole: its answer breaks off.
async fn broken(chunks: &mpsc::Sender<io::Result<Bytes>>) {
    let end = chunks.send(Err(io::Error::other("the report could not be finished")));
    // Whoever takes nothing learns nothing.
    let _ = tokio::time::timeout(STALL_MAX, end).await;
}

/// Passes on what is written, as fast as the client takes it.
struct Sink {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    chunk: Vec<u8>,
    handle: Handle,
    stopping: CancellationToken,
    framing: Framing,
    done: Arc<AtomicU32>,
}

impl Sink {
    fn pass_on(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        let chunk = match self.framing {
            Framing::None => chunk,
            Framing::Progress => {
                let length = u32::try_from(chunk.len()).map_err(io::Error::other)?;
                let done = self.done.load(Ordering::Relaxed);
                [&length.to_be_bytes()[..], &done.to_be_bytes()[..], &chunk].concat()
            }
        };
        let sent = tokio::time::timeout(STALL_MAX, self.chunks.send(Ok(chunk.into())));
        self.handle.block_on(async {
            tokio::select! {
                () = self.stopping.cancelled() => Err(io::Error::other("the process stops")),
                sent = sent => match sent {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(io::Error::other("the client is gone")),
                    Err(_) => Err(io::Error::other("the client takes nothing")),
                },
            }
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()
    }
}
