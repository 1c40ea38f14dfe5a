//! What a password must be. Length counts (NIST SP 800-63B): no kinds of letters are asked for, and none expires.

pub const PASSWORD_CHARS_MIN: usize = 12;
/// More is taken by no browser's form of ours, and hashing it costs nothing more.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// So many different characters at least: `aaaaaaaaaaaa` has one.
const DIFFERENT_MIN: usize = 5;
/// What is tried first of what is long enough.
const COMMON: [&str; 10] = [
    "password1234",
    "passwordpassword",
    "password12345",
    "123456789012",
    "1234567890123",
    "qwertyuiopasdf",
    "administrator",
    "changemechangeme",
    "iloveyouiloveyou",
    "tocsintocsin",
];

/// Can it be the password of whoever signs in as `login`? Else why not, after the name of the field.
pub fn check_password(password: &str, login: &str) -> Result<(), String> {
    let is = password.chars().count();
    if is < PASSWORD_CHARS_MIN {
        return Err(format!("has {is} characters: use {PASSWORD_CHARS_MIN} at least, such as four words"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(format!("is longer than {PASSWORD_BYTES_MAX} bytes: use a shorter one"));
    }
    let lower = password.to_lowercase();
    let different = lower.chars().collect::<std::collections::BTreeSet<_>>().len();
    if different < DIFFERENT_MIN || COMMON.contains(&lower.as_str()) {
        return Err("is one that is guessed first: use another".to_owned());
    }
    let name = login.split('@').next().unwrap_or_default().to_lowercase();
    if lower == login.to_lowercase() || (name.len() >= PASSWORD_CHARS_MIN && lower.contains(&name)) {
        return Err("is the email address that one signs in with: use another".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_passwords_are_taken_and_those_that_are_guessed_first_are_not() {
        for (password, taken) in [
            ("correct horse battery", true),
            ("ünïcödé-wörds", true),
            ("short", false),
            ("aaaaaaaaaaaaaaaa", false),
            ("Password1234", false),
            ("ana.garcia@north.example", false),
            ("x-ana.garcia-y-but-longer", true),
        ] {
            assert_eq!(check_password(password, "ana.garcia@north.example").is_ok(), taken, "{password}");
        }
        assert!(check_password(&"abcde ".repeat(200), "a@b.example").is_err());
    }
}
