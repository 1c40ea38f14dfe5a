//! What is true in Tocsin: identities, states, outcomes and the decisions over them.
//!
//! Nothing here reads a clock, draws a random number or does I/O: every function takes values and
//! returns small values, so that each rule can be tested alone and told to a user in words.

pub mod address;
pub mod attachment;
pub mod audience;
pub mod backoff;
pub mod channel;
pub mod consent;
pub mod content;
pub mod counters;
pub mod dedupe;
pub mod failover;
pub mod fair;
pub mod forecast;
pub mod host;
pub mod ids;
pub mod lane;
pub mod lease;
pub mod limits;
pub mod message_type;
pub mod network;
pub mod outcome;
pub mod password;
pub mod policy;
pub mod receipt;
pub mod recovery;
pub mod recurrence;
pub mod rights;
pub mod route;
pub mod scaling;
pub mod second_person;
pub mod segments;
pub mod sender;
pub mod settlement;
pub mod state;
pub mod suppression;
pub mod trace;
pub mod wait;
pub mod webhook;
pub mod why;
pub mod window;

pub use channel::Channel;
pub use ids::{AccountId, AttemptKey, CampaignId, DistrictId, Generation, JobKey, SeriesId, WorkerId};
pub use lane::Lane;
pub use message_type::MessageType;
pub use outcome::{AttemptResult, Outcome, OutcomeSet};
pub use state::{AttemptState, CampaignState, JobState, WaitReason};
