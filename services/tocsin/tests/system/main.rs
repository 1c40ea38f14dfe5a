//! The whole system: its journeys in one process, and what it promises when real processes are killed, frozen or
//! canceled, against the provider simulator.

mod alarm;
mod bad_input;
mod cancels;
mod charts;
mod client;
mod consent;
mod demo;
mod deploys;
mod district;
mod facts;
mod failover;
mod fleet;
mod gateway;
mod held;
mod journeys;
mod kills;
mod lifecycle;
mod limits;
mod metrics;
mod mta;
mod operators;
mod page;
mod process;
mod readme;
mod relay;
mod rest;
mod restore;
mod steps;
mod telemetry;
mod terminal;
mod up;
mod webhooks;
