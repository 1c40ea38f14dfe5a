//! The store against a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail")]

mod approvals;
mod attachments;
mod attendance;
mod audiences;
mod audits;
mod budgets;
mod cancels;
mod claim;
mod communications;
mod consents;
mod corrections;
mod counters;
mod detection;
mod directory;
mod edits;
mod expand;
mod failover;
mod fixture;
mod fold;
mod forecast;
mod held;
mod large_directory;
mod leases;
mod limits;
mod list_plans;

mod limits_by_hand;
mod look_ups;
mod matching;
mod observe;
mod opt_ins;
mod others;
mod plans;
mod plot;
mod pool_of_many;
mod pool_of_one;
mod preferences;
mod pruning;
mod races;
mod receipts;
mod recovery;
mod release;
mod reminders;
mod retention;
mod scene;
mod security;
mod senders;
mod sign_in;
mod states;
mod status;
mod stops;
mod totals;
mod version;
mod webhooks;
