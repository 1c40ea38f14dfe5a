//! Webhooks from a campaign that runs in the store to a receiver that listens.

mod delivering;
mod receiver;
mod stage;
mod telling;
