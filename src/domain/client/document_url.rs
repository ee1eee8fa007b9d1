//! A `client_id` that is the address of the client's metadata (OAuth Client ID Metadata Document,
//! section 3).

use url::{Host, Url};

/// The longest such address, in bytes.
pub const MAX_BYTES: usize = 512;

/// Checks an address. Ids are compared letter by letter, so only the one form of an address
/// that a parser would give back counts.
///
/// # Errors
/// A sentence that says what would be right.
pub fn check(text: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("a client ID that is an address {why}"));
    if text.len() > MAX_BYTES {
        return refuse("has 512 bytes at most");
    }
    let Ok(url) = Url::parse(text) else { return refuse("must be one") };
    if url.scheme() != "https" {
        return refuse("begins with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("names no user");
    }
    if text.contains('#') {
        return refuse("has no fragment");
    }
    // The parser puts a path where there is none, and takes dot segments, capitals of the host,
    // a default port and characters that need encoding away.
    if url.as_str() != text {
        return refuse(
            "has a path, and is written in its plain form: no dot segments, no capitals in the \
             host, no default port",
        );
    }
    match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => Ok(()),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => refuse("names its host, not a number"),
        _ => refuse("has a host"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_by_the_rules_of_the_draft() {
        for good in [
            "https://app.example/client.json",
            "https://app.example/",
            "https://app.example:8443/oauth/client?v=2",
            "https://localhost:8443/client.json",
            "https://xn--mnchen-3ya.example/a%20b",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "https://app.example",
            "https://app.example/#x",
            "https://app.example/a#",
            "https://ada@app.example/a",
            "https://ada:x@app.example/a",
            "https://app.example/a/../b",
            "https://app.example/a/./b",
            "https://app.example/a/%2e%2e/b",
            "https://app.example/..",
            "https://App.example/a",
            "HTTPS://app.example/a",
            "https://app.example:443/a",
            "https://größe.example/a",
            "https://app.example/a b",
            "https://192.0.2.1/a",
            "https://[2001:db8::1]/a",
            "https:///a",
            "https://",
            "http://app.example/a",
            &format!("https://app.example/{}", "a".repeat(512)),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_means_one_thing(text in "https://[a-zA-Z0-9.:@%_/#?\\-\\[\\]]{0,60}") {
            if check(&text).is_ok() {
                let url = Url::parse(&text).unwrap();
                prop_assert_eq!(url.as_str(), &text);
                prop_assert!(url.path().starts_with('/') && url.fragment().is_none());
                prop_assert!(url.path_segments().unwrap().all(|part| part != "." && part != ".."));
            }
        }
    }
}
