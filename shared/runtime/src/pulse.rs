//! Signs of life of a part of a process, for `/readyz`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When something last went well: a loop that must not stand still. Clones are the same pulse.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// # Errors
    /// It has not beaten for longer than that, or never.
    pub fn within(&self, at_most: Duration) -> Result<(), String> {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(last) if last.elapsed() <= at_most => Ok(()),
            Some(last) => Err(format!("nothing for {} s", last.elapsed().as_secs())),
            None => Err("not yet".to_owned()),
        }
    }
}

/// Is a connection there? Clones are the same link; it is up while a [`LinkUp`] of it is held.
#[derive(Debug, Clone, Default)]
pub struct Link(Arc<AtomicUsize>);

#[derive(Debug)]
pub struct LinkUp(Link);

impl Link {
    pub fn up(&self) -> LinkUp {
        self.0.fetch_add(1, Ordering::Relaxed);
        LinkUp(self.clone())
    }

    /// # Errors
    /// Nobody holds it up.
    pub fn check(&self) -> Result<(), String> {
        match self.0.load(Ordering::Relaxed) {
            0 => Err("no session".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Drop for LinkUp {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_pulse_that_stopped_or_never_began_is_none() {
        let pulse = Pulse::default();
        assert!(pulse.within(WITHIN).is_err());
        pulse.clone().beat();
        tokio::time::advance(WITHIN).await;
        assert_eq!(pulse.within(WITHIN), Ok(()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pulse.within(WITHIN), Err("nothing for 11 s".to_owned()));
    }

    #[test]
    fn a_link_is_up_while_it_is_held() {
        let link = Link::default();
        assert!(link.check().is_err());
        let (one, other) = (link.up(), link.up());
        drop(one);
        assert_eq!(link.check(), Ok(()));
        drop(other);
        assert!(link.check().is_err());
    }
}
