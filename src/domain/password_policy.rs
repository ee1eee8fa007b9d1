//! Which passwords people may choose (NIST SP 800-63B section 3.1.1: length, not rules).

/// The longest password that is taken, in bytes: hashing more would be a way to keep the
/// server busy.
pub const MAX_BYTES: usize = 1024;

/// Checks a new password. `names` are the account's own words, which it may not be.
///
/// # Errors
/// An instruction for the person who typed it; never the password.
pub fn check(password: &str, minimum_chars: usize, names: &[&str]) -> Result<(), String> {
    let length = password.chars().count();
    if length < minimum_chars {
        return Err(format!(
            "Use at least {minimum_chars} characters. Four words make a good one."
        ));
    }
    if password.len() > MAX_BYTES {
        return Err(format!("Use at most {MAX_BYTES} bytes."));
    }
    let folded = password.to_lowercase();
    if names.iter().any(|name| !name.is_empty() && folded == name.to_lowercase()) {
        return Err("Choose something other than your name or email address.".into());
    }
    let mut letters: Vec<char> = folded.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    if letters.len() < 4 {
        return Err("Use more than three different characters.".into());
    }
    if COMMON.iter().any(|common| {
        folded.trim_end_matches(|c: char| c.is_ascii_digit()) == *common || folded == *common
    }) {
        return Err("This is one of the passwords that are guessed first. Choose another.".into());
    }
    Ok(())
}

/// Twelve characters and more, and guessed first all the same.
const COMMON: &[&str] = &[
    "passwordpassword",
    "password1234",
    "administrator",
    "123456789012",
    "1234567890123",
    "qwertyuiopas",
    "qwertyqwerty",
    "qwertyuiop[]",
    "1q2w3e4r5t6y",
    "iloveyouiloveyou",
    "letmeinletmein",
    "changemechangeme",
    "welcomewelcome",
    "abcdefghijkl",
    "correct horse battery staple",
    "correcthorsebatterystaple",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_decides_and_the_obvious_is_refused() {
        assert!(check("winter garden gate 7", 12, &["ada"]).is_ok());
        for bad in ["short", "aaaaaaaaaaaaaaaa", "Administrator1", "ada@northfield.example"] {
            assert!(check(bad, 12, &["ada@northfield.example"]).is_err(), "{bad}");
        }
        assert!(check(&"abcde".repeat(300), 12, &[]).is_err());
    }
}
