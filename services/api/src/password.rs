//! Passwords as the store keeps them: Argon2id, by what OWASP recommends, on threads that may take their time.

use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::secret;

/// OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// Each takes [`MEMORY_KIB`] and a core for some tens of milliseconds: what all sign-ins together may take.
static AT_ONCE: Semaphore = Semaphore::const_new(4);
const WAIT: Duration = Duration::from_secs(10);

/// What an unknown user's password is compared with, so that it takes as long as a known one's. No password has it.
pub(crate) const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IG9mIHRvY3Npbg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[derive(Debug, thiserror::Error)]
pub enum HashError {
    #[error("too many passwords are compared at once: try again")]
    Busy,
    #[error("the system gives no random bytes")]
    NoRandomness,
    #[error("the password cannot be hashed: {0}")]
    Failed(argon2::password_hash::Error),
}

/// What is kept of a password.
pub async fn hash(password: String) -> Result<String, HashError> {
    let salt = secret::bytes::<SALT_BYTES>().map_err(|_| HashError::NoRandomness)?;
    on_its_own_thread(move || {
        let salt = SaltString::encode_b64(&salt)?;
        hasher()?.hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
    })
    .await
}

/// Is it the password that was hashed?
pub(crate) async fn is_right(password: String, hash: String) -> Result<bool, HashError> {
    on_its_own_thread(move || {
        let hash = PasswordHash::new(&hash)?;
        match hasher()?.verify_password(password.as_bytes(), &hash) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::Password) => Ok(false),
            Err(error) => Err(error),
        }
    })
    .await
}

fn hasher() -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

async fn on_its_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
) -> Result<T, HashError> {
    let permit = match tokio::time::timeout(WAIT, AT_ONCE.acquire()).await {
        Ok(Ok(permit)) => permit,
        Ok(Err(_)) | Err(_) => return Err(HashError::Busy),
    };
    let working = tokio::task::spawn_blocking(move || {
        // Held by the work itself: a caller who goes away does not make room for the next.
        let _permit = permit;
        work()
    });
    match working.await {
        Ok(done) => done.map_err(HashError::Failed),
        Err(_) => Err(HashError::Busy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_compared_with_its_own_hash_and_no_two_are_alike() {
        let (one, two) =
            (hash("a password".to_owned()).await.unwrap(), hash("a password".to_owned()).await.unwrap());
        assert_ne!(one, two);
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert!(is_right("a password".to_owned(), one.clone()).await.unwrap());
        assert!(!is_right("a Password".to_owned(), one).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_users_password_costs_what_a_known_ones_does() {
        let (parameters, nobodys) = (hasher().unwrap(), PasswordHash::new(NOBODYS).unwrap());
        let is = Params::try_from(&nobodys).unwrap();
        let ours = parameters.params();
        assert_eq!((is.m_cost(), is.t_cost(), is.p_cost()), (ours.m_cost(), ours.t_cost(), ours.p_cost()));
        assert_eq!(nobodys.hash.unwrap().len(), 32);
        assert!(!is_right(String::new(), NOBODYS.to_owned()).await.unwrap());
    }
}
