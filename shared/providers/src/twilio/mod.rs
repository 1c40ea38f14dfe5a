//! Twilio: calls and messages over its 2010-04-01 API (wire A).

mod account;
pub mod form;
mod look_up;
mod redaction;
mod refusal;
mod resource;
pub mod signature;
mod sms;
mod voice;

pub use sms::TwilioSms;
pub use voice::TwilioVoice;
