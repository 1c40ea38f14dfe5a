//! What can be wrong with the accounts and the client before anything is sent.

use crate::gateway::ProfileFault;

/// Found at start, or when an account is changed: never while sending.
#[derive(Debug, thiserror::Error)]
pub enum ProvidersError {
    /// `key` is the setting's name in the account; its value is not repeated, for it may be a secret.
    #[error("provider account {account:?}: {key}: {fault}")]
    Account { account: String, key: &'static str, fault: &'static str },
    /// Every fault of the profile, a line each.
    #[error("provider account {account:?}: profile {profile:?} cannot be used:{}", lines(faults))]
    Profile { account: String, profile: String, faults: Vec<ProfileFault> },
    #[error("provider account {0:?} is configured twice")]
    DuplicateAccount(String),
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
}

fn lines(faults: &[ProfileFault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}
