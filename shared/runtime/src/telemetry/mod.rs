//! Logs, and the spans of traces. Metrics are added here and nowhere else.

mod attempt;
mod campaign;
mod export;
pub mod log_filter;
mod logs;
pub mod names;
pub mod request;
mod settled;
mod span;
mod spans;

pub use self::attempt::{Part, Subject, moment};
pub use self::campaign::CampaignSpans;
pub(crate) use self::logs::parse_filter;
pub use self::logs::{LogFormat, TelemetryError, init};
pub use self::settled::{
    By, Decided, Kept, Settling, Told, attempt_name, campaign_root, mark, plan, subject, untried,
};
pub use self::span::{Kind, Span};
pub use self::spans::Spans;
