//! A URL that may be asked, as far as its text tells.

use std::net::IpAddr;

use url::{Host, Position, Url};

use super::address::Reach;
use super::error::FetchError;

/// The longest URL, in bytes.
const LONGEST: usize = 2_048;

/// A URL that was checked.
pub(super) struct Target {
    url: Url,
    host: String,
    literal: Option<IpAddr>,
}

impl Target {
    pub(super) fn parse(text: &str, reach: Reach) -> Result<Self, FetchError> {
        let refuse = |why| Err(FetchError::Url(why));
        if text.len() > LONGEST {
            return refuse("is longer than 2048 bytes");
        }
        let Ok(url) = Url::parse(text) else { return refuse("isn't an absolute URL") };
        match url.scheme() {
            "https" => {}
            "http" if reach == Reach::Inside => {}
            _ => return refuse("isn't https"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("has a user or password in it");
        }
        if url.fragment().is_some() {
            return refuse("has a fragment");
        }
        let (host, literal) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), None),
            Some(Host::Ipv4(address)) => (address.to_string(), Some(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => (address.to_string(), Some(IpAddr::V6(address))),
            None => return refuse("has no host"),
        };
        Ok(Self { url, host, literal })
    }

    /// The name or address, without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The address, where the host is one.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        self.literal
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }

    /// What the Host header says: host, and the port where it isn't the usual one.
    pub(super) fn authority(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// Path and query.
    pub(super) fn path(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        match Target::parse(text, Reach::Public) {
            Ok(_) => panic!("{text} passed"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_plain_https_urls_are_fetched() {
        assert_eq!(wrong("keys.json"), "the URL isn't an absolute URL");
        assert_eq!(wrong("http://app.example/keys"), "the URL isn't https");
        assert_eq!(wrong("file:///etc/passwd"), "the URL isn't https");
        assert_eq!(wrong("https://ann:pw@app.example/"), "the URL has a user or password in it");
        assert_eq!(wrong("https://app.example/#keys"), "the URL has a fragment");
        assert!(wrong(&format!("https://app.example/{}", "a".repeat(2048))).contains("2048"));
        assert!(Target::parse("http://localhost/keys", Reach::Inside).is_ok());
    }

    #[test]
    fn addresses_in_strange_writings_are_known() {
        for text in
            ["https://0x7f.1/", "https://2130706433/", "https://127.1/", "https://0177.0.0.1"]
        {
            let target = Target::parse(text, Reach::Public).unwrap();
            assert_eq!(target.literal(), Some("127.0.0.1".parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_parts_are_those_of_the_request() {
        let target = Target::parse("https://app.example:8443/a%20b?c=d", Reach::Public).unwrap();
        assert_eq!(target.authority(), "app.example:8443");
        assert_eq!(target.path(), "/a%20b?c=d");
        assert_eq!(target.port(), 8443);
        let target = Target::parse("https://[2606:2800::1]/", Reach::Public).unwrap();
        assert_eq!((target.host(), target.authority()), ("2606:2800::1", "[2606:2800::1]"));
    }
}
