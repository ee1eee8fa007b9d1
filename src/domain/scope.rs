//! Scopes (RFC 6749 section 3.3): a set of tokens, kept in the order they were asked for.

use std::fmt;
use std::str::FromStr;

/// A set of scope tokens without duplicates. Empty is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

/// The scope that asks for an ID token (OpenID Connect Core section 3.1.2.1).
pub const OPENID: &str = "openid";

/// The scope that asks for a refresh token (OpenID Connect Core section 11).
pub const OFFLINE_ACCESS: &str = "offline_access";

/// The longest scope parameter that is read, in bytes.
pub const MAX_BYTES: usize = 2048;

impl Scope {
    /// No scope at all.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Its tokens, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether it holds this token.
    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|own| own == token)
    }

    /// Whether each of its tokens is in `other` too.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.iter().all(|token| other.contains(token))
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens of this scope that `allowed` has too.
    pub fn restricted_to(&self, allowed: &Self) -> Self {
        Self(self.0.iter().filter(|token| allowed.contains(token)).cloned().collect())
    }

    /// The tokens of this scope that `other` lacks.
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|token| !other.contains(token)).cloned().collect())
    }

    /// Both together, this one's tokens first.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend(other.without(self).0);
        all
    }
}

impl FromStr for Scope {
    type Err = String;

    /// Tokens divided by spaces, each of the characters that RFC 6749 appendix A.4 allows.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("scope is longer than {MAX_BYTES} bytes"));
        }
        let mut tokens: Vec<String> = Vec::new();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if !token
                .bytes()
                .all(|b| b == b'!' || (b'#'..=b'[').contains(&b) || (b']'..=b'~').contains(&b))
            {
                return Err(
                    "scope holds a character that RFC 6749 section 3.3 doesn't allow".into()
                );
            }
            if !tokens.iter().any(|own| own == token) {
                tokens.push(token.to_owned());
            }
        }
        Ok(Self(tokens))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// What a scope lets an app do, as consent groups it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// Sees things.
    Read,
    /// Changes things.
    Write,
}

/// A scope's words for the consent page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeDescription {
    /// The scope token.
    pub name: String,
    /// A sentence that starts with a verb: "Read your notes and notebooks".
    pub description: String,
    /// Whether it only reads.
    pub risk: Risk,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_repeats_are_dropped() {
        let scope: Scope = "b a  b c".parse().unwrap();
        assert_eq!(scope.to_string(), "b a c");
    }

    #[test]
    fn quotes_backslashes_and_control_characters_are_refused() {
        for bad in ["a\"b", "a\\b", "a\nb", "ä"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
    }
}
