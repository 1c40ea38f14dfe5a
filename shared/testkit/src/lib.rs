//! What tests, the demo and the load test stand on: databases, vhosts and brokers of their own, a clock they set, a
//! bounded wait, and the provider simulator. No role links it.

mod address;
mod clock;
mod database;
pub mod exim;
pub mod fixture;
pub mod issuer;
mod janitor;
pub mod otlp;
mod ports;
mod postgres;
pub mod promises;
mod rabbit;
pub mod simulator;
mod stalls;
mod users;
mod vhost;
mod wait;

pub use clock::ManualClock;
pub use database::TestDatabase;
pub use ports::free_ports;
pub use postgres::PrivatePostgres;
pub use rabbit::PrivateRabbit;
pub use stalls::Stalls;
pub use vhost::TestVhost;
pub use wait::{NotReached, wait_until};
