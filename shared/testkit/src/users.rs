//! Whom a server runs as that refuses to be root, where a test is.

use std::path::Path;

use anyhow::{Context as _, Result};

/// User and group of the first of `names` that there is.
pub(crate) fn unprivileged(names: &[&str]) -> Result<(u32, u32)> {
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).context("who is there is not known")?;
    let first = names.iter().find_map(|name| ids(&users, name));
    first.with_context(|| format!("a server refuses to be root, and there is no user {}", names.join(" or ")))
}

/// A user's numbers in a table such as `/etc/passwd`.
fn ids(users: &str, user: &str) -> Option<(u32, u32)> {
    let mut fields = users
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(user)).then_some(fields))?;
    let (user, group) = (fields.nth(1)?, fields.next()?);
    Some((user.parse().ok()?, group.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_from_their_table() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgres:x:107:115::/:/bin/sh\n";
        assert_eq!(ids(users, "postgres"), Some((107, 115)));
        assert_eq!(ids(users, "nobody"), None);
    }
}
