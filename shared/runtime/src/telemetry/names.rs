//! What spans, their attributes and events are called.
//!
//! Semantic conventions of OpenTelemetry, pinned at 1.44: those of messaging may still change there, and change here when
//! somebody has looked at what reads them. What they have no name for begins with `tocsin.` or is one of the log's fields
//! (docs/LOGGING.md). No other file spells such a name.

/// The conventions that the names are from.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";
/// Who builds the spans.
pub const SCOPE: &str = "tocsin";

pub mod resource {
    pub const SERVICE_NAME: &str = "service.name";
    pub const SERVICE_VERSION: &str = "service.version";
    pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
    pub const ROLE: &str = "tocsin.role";
}

/// Attributes that the log has, too.
pub const DISTRICT: &str = "district.id";
pub const CAMPAIGN: &str = "campaign.id";
pub const JOB: &str = "job.id";
pub const ATTEMPT: &str = "attempt.id";
pub const CHANNEL: &str = "channel";
pub const LANE: &str = "lane";
pub const PROVIDER: &str = "provider";
pub const ACCOUNT: &str = "account";
pub const OUTCOME: &str = "outcome";

pub const ATTEMPT_STATE: &str = "tocsin.attempt.state";
pub const CAMPAIGN_STATE: &str = "tocsin.campaign.state";
pub const GENERATION: &str = "tocsin.release.generation";
/// Why a job waited until it fell due, and when that was or will be.
pub const WAIT_REASON: &str = "tocsin.wait.reason";
pub const WAIT_UNTIL: &str = "tocsin.wait.until";
/// Written down at the end from what the rows say, because nobody had kept it until then.
pub const RECONSTRUCTED: &str = "tocsin.reconstructed";
/// Jobs or callbacks that one statement or request was for.
pub const BATCH: &str = "tocsin.batch.count";
pub const ANSWER: &str = "tocsin.provider.answer";
pub const JOBS_MADE: &str = "tocsin.expand.jobs";
/// How a linked trace is related.
pub const LINK: &str = "tocsin.link";

pub const ERROR_TYPE: &str = "error.type";
pub const HTTP_METHOD: &str = "http.request.method";
pub const HTTP_ROUTE: &str = "http.route";
pub const HTTP_STATUS: &str = "http.response.status_code";
pub const URL_FULL: &str = "url.full";
pub const URL_SCHEME: &str = "url.scheme";
pub const SERVER_ADDRESS: &str = "server.address";
pub const SERVER_PORT: &str = "server.port";

pub const MESSAGING_SYSTEM: &str = "messaging.system";
pub const RABBITMQ: &str = "rabbitmq";
pub const MESSAGING_OPERATION: &str = "messaging.operation.name";
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
pub const MESSAGING_DESTINATION: &str = "messaging.destination.name";
pub const MESSAGING_ROUTING_KEY: &str = "messaging.rabbitmq.destination.routing_key";
pub const MESSAGING_BATCH: &str = "messaging.batch.message_count";
/// The two operations that we have.
pub const SEND: &str = "send";
pub const PUBLISH: &str = "publish";
pub const PROCESS: &str = "process";

pub mod link {
    pub const CAMPAIGN: &str = "campaign";
    pub const EARLIER_ATTEMPT: &str = "earlier attempt";
    pub const PUBLISHED_BY: &str = "published by";
    pub const CALLED_BACK_BY: &str = "called back by";
    pub const REQUESTED_BY: &str = "requested by";
}

pub mod span {
    pub const CAMPAIGN: &str = "campaign";
    pub const CREATE: &str = "create";
    pub const EXPAND: &str = "expand";
    pub const CANCEL: &str = "cancel";
    pub const SWEEP: &str = "sweep";
    pub const CLOSE: &str = "close";
    /// Before the channel's name.
    pub const ATTEMPT: &str = "attempt";
    pub const PLAN: &str = "plan";
    /// Before what is waited for.
    pub const WAIT: &str = "wait";
    pub const WAIT_TURN: &str = "wait turn";
    pub const WAIT_LIMITER: &str = "wait limiter";
    pub const CLAIM: &str = "claim";
    pub const ASK: &str = "ask";
    pub const RECORD: &str = "record";
    pub const REMATCH: &str = "re-match";
    pub const EXPIRE: &str = "expire";
    pub const RECALL: &str = "recall";
    pub const LOOK_UP: &str = "look up";
    pub const WITHDRAW: &str = "withdraw";
    pub const CALLBACK: &str = "POST /callbacks/{account}/{token}";
    pub const CALLBACK_ROUTE: &str = "/callbacks/{account}/{token}";
}
