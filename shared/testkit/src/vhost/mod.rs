//! One fresh RabbitMQ vhost for each test.

mod control;
mod management;

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use tocsin_runtime::{Clock as _, SystemClock};

use crate::address::{user, with_path};
use management::Management;

const DEFAULT_URL: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";
/// Begins the name of every test's vhost; behind it the seconds since 1970 as eight hexadecimal digits, for the sweep.
const PREFIX: &str = "tocsin-test-";
/// Older vhosts are left over from a process that was killed.
const LEFTOVER_AFTER_SECONDS: i64 = 3600;

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A vhost of this test alone, empty and with full rights for the address's user.
#[derive(Debug)]
pub struct TestVhost {
    pub amqp_url: String,
    pub name: String,
    keeper: Keeper,
}

/// Who makes vhosts, and takes them away again.
#[derive(Debug)]
enum Keeper {
    /// The HTTP interface, a request for each step.
    Management(Management),
    /// `rabbitmqctl`, which takes a second whatever it does, so several are made and taken away in one call.
    Control,
}

impl TestVhost {
    /// On the broker that `AMQP_URL` names, else on this machine's. Made by the management interface that
    /// `RABBITMQ_MANAGEMENT_URL` names, else by `rabbitmqctl`.
    pub async fn create() -> Result<Self> {
        let broker = std::env::var("AMQP_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned());
        let user = user(&broker, "guest");
        let (name, keeper) = match std::env::var("RABBITMQ_MANAGEMENT_URL") {
            Ok(address) => {
                let management = Management::new(&address)?;
                management.sweep().await?;
                let name = new_name();
                management.create(&name, user).await?;
                (name, Keeper::Management(management))
            }
            Err(_) => (control::take(user).await?, Keeper::Control),
        };
        Ok(Self { amqp_url: with_path(&broker, &name)?, name, keeper })
    }
}

impl Drop for TestVhost {
    fn drop(&mut self) {
        match &self.keeper {
            Keeper::Control => control::give_back(&self.name),
            Keeper::Management(management) => management.delete_in_drop(&self.name),
        }
    }
}

fn new_name() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}{}-{number}", PREFIX, process_mark())
}

/// The part of the names that this process's vhosts share: when and who.
fn process_mark() -> String {
    static SECONDS: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    let seconds = SECONDS.get_or_init(|| SystemClock.now().timestamp());
    format!("{seconds:08x}-{}", std::process::id())
}

/// Vhosts made before this instant, in seconds since 1970, are left over.
fn leftover_before() -> i64 {
    SystemClock.now().timestamp() - LEFTOVER_AFTER_SECONDS
}

/// When a test made this vhost, in seconds since 1970; None for any other vhost.
fn created(name: &str) -> Option<i64> {
    let (seconds, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    i64::from_str_radix(seconds, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tests_get_vhosts_of_their_own() {
        let (first, second) = tokio::try_join!(TestVhost::create(), TestVhost::create()).unwrap();
        assert_ne!(first.name, second.name);
        for vhost in [&first, &second] {
            assert!(vhost.amqp_url.ends_with(&vhost.name), "{}", vhost.name);
            assert!(created(&vhost.name).is_some(), "{}", vhost.name);
        }
    }

    #[test]
    fn only_tests_vhosts_have_an_age() {
        assert_eq!(created("tocsin-test-6b49d200-17-3"), Some(0x6b49_d200));
        for other in ["/", "tocsin", "tocsin-test-", "tocsin-test-zz-1-1"] {
            assert_eq!(created(other), None, "{other}");
        }
    }
}
