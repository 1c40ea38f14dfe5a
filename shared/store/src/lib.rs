//! All SQL of Tocsin: schema, migrations, row-level security and one method per statement.
//!
//! Concrete on purpose: PostgreSQL decides here, and a storage trait would hide what it decides.
//! Methods on [`Store`] serve planner, workers and collector and see every district; what the api may do
//! is on [`Tenant`], which sees one.

pub mod accounts;
mod alone;
pub mod approval_mails;
pub mod attachments;
pub mod audit;
pub mod budgets;
pub mod callers;
pub mod campaigns;
pub mod claim;
pub mod close;
pub mod consents;
pub mod directory;
pub mod districts;
mod error;
pub mod events;
pub mod expand;
mod expand_receipt;
pub mod expire;
pub mod forget;
pub mod inbox;
pub mod issuers;
pub mod kept;
pub mod leadership;
pub mod leases;
pub mod look_up;
mod migrations;
pub mod observe;
pub mod others;
#[doc(hidden)]
pub mod plans;
mod pool;
pub mod processes;
pub mod progress;
pub mod pruning;
mod receipt;
pub mod recount;
pub mod recovery;
pub mod release;
pub mod rematch;
pub mod reminders;
pub mod retention;
mod row;
pub mod scaling;
pub mod series;
pub mod settle;
mod standing;
pub mod status;
pub mod stops;
pub mod suppressions;
pub mod survey;
pub mod sweep;
pub mod tallies;
pub mod tenant;
mod unhurried;
pub mod webhooks;

pub use error::StoreError;
pub use migrations::{fingerprint as migrations_fingerprint, migrate, migrate_embedded, schema_version};
pub use pool::{Access, Store, redacted};
pub use tenant::Tenant;
