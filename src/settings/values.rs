//! The kinds of value that need more than a number or a word: checked when
//! they are read, so that nobody has to check them again.

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// The issuer: the one base of every URL that the server writes, and the `iss`
/// of every token. Kept letter by letter as it was given, because clients
/// compare it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    origin: String,
    path_at: usize,
    https: bool,
    loopback: bool,
}

impl Issuer {
    /// What an issuer must look like, for error messages and the manual.
    pub(super) const RIGHT: &'static str = "an absolute http or https URL without user, query, \
         fragment or a slash at its end, such as https://login.example.com";

    /// Reads an issuer; the error says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let right = || Self::RIGHT.to_owned();
        let url = Url::parse(text).map_err(|_| right())?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(right());
        }
        let canonical = url.as_str().trim_end_matches('/');
        if canonical != text {
            return Err(format!("written as {canonical} (clients compare it letter by letter)"));
        }
        let path = url.path().trim_end_matches('/');
        Ok(Self {
            path_at: text.len().saturating_sub(path.len()),
            origin: url.origin().ascii_serialization(),
            https: url.scheme() == "https",
            loopback: is_loopback(&url),
            text: text.to_owned(),
        })
    }

    /// The issuer of a server that nobody has configured.
    pub(super) fn localhost() -> Self {
        Self {
            text: "http://localhost:8080".to_owned(),
            origin: "http://localhost:8080".to_owned(),
            path_at: 21,
            https: false,
            loopback: true,
        }
    }

    /// The issuer as it was given, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path that all routes mount under: empty, or `/with/a/slash/before`.
    pub fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or_default()
    }

    /// Scheme, host and port, as a browser's `Origin` header has them.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers reach it over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether its host is this very machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where the data is. May hold a password, so it shows itself without one.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

/// Which database a [`DatabaseUrl`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file of this process.
    Sqlite,
    /// A server that many nodes may share.
    Postgres,
}

impl DatabaseUrl {
    pub(super) const RIGHT: &'static str = "sqlite://PATH (sqlite://data/perennial.db, \
         sqlite:///var/lib/perennial/perennial.db) or postgres://USER:PASSWORD@HOST/DATABASE";

    /// Reads a database URL; the error says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let right = match text.split_once("://") {
            Some(("sqlite", path)) => {
                !path.is_empty() && !path.ends_with('/') && !path.contains(['?', '#', '\0'])
            }
            Some(("postgres" | "postgresql", rest)) => {
                !rest.is_empty() && !text.contains(char::is_whitespace)
            }
            _ => false,
        };
        if text == "sqlite://:memory:" {
            return Err(
                "a file: a database in memory would be another one for each connection".to_owned()
            );
        }
        if right { Ok(Self(SecretString::from(text))) } else { Err(Self::RIGHT.to_owned()) }
    }

    /// The database of a server that nobody has configured.
    pub(super) fn local() -> Self {
        Self(SecretString::from("sqlite://data/perennial.db"))
    }

    /// Which database it is.
    pub fn kind(&self) -> DatabaseKind {
        if self.sqlite_path().is_some() { DatabaseKind::Sqlite } else { DatabaseKind::Postgres }
    }

    /// The file, when it is SQLite.
    pub fn sqlite_path(&self) -> Option<&Path> {
        self.0.expose_secret().strip_prefix("sqlite://").map(Path::new)
    }

    /// The whole URL, password included: for the database driver alone.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(self.0.expose_secret()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// A database URL as it may be shown, whether or not it is a right one:
/// rather too little of it than a letter of the password.
pub(super) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        // A bare path may be shown; a libpq "password=…" line may not.
        return if text.contains(['=', '@', ':']) { "***".to_owned() } else { text.to_owned() };
    };
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) if !query.contains('@') => (place, Some(query)),
        _ => (rest, None),
    };
    let mut shown = format!("{scheme}://");
    match place.rsplit_once('@') {
        Some((user, host)) => {
            match user.split_once(':') {
                Some((name, _)) => {
                    shown.push_str(name);
                    shown.push_str(":***");
                }
                None => shown.push_str(user),
            }
            shown.push('@');
            shown.push_str(host);
        }
        None => shown.push_str(place),
    }
    if let Some(query) = query {
        let parameters: Vec<String> = query
            .split('&')
            .map(|parameter| match parameter.split_once('=') {
                Some((name, _)) if name.to_ascii_lowercase().contains("pass") => {
                    format!("{name}=***")
                }
                _ => parameter.to_owned(),
            })
            .collect();
        shown.push('?');
        shown.push_str(&parameters.join("&"));
    }
    shown
}

/// A setting that is one of a few words.
pub(super) trait Choice: Copy + PartialEq + 'static {
    /// Every word with what it stands for.
    const WORDS: &'static [(&'static str, Self)];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, choice)| *choice == self).map_or("", |(word, _)| word)
    }
}

/// The form of a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object to a line, for machines.
    Json,
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("pretty", Self::Pretty), ("json", Self::Json)];
}

/// What access tokens in JWT form are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA PKCS#1 with SHA-256, which every resource server knows.
    Rs256,
}

impl Choice for SigningAlgorithm {
    const WORDS: &'static [(&'static str, Self)] =
        &[("ES256", Self::Es256), ("EdDSA", Self::EdDsa), ("RS256", Self::Rs256)];
}

/// Who may register clients by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Nobody.
    Off,
    /// Whoever holds an initial access token.
    Token,
    /// Everybody.
    Open,
}

impl Choice for RegistrationMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("token", Self::Token), ("open", Self::Open)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_right_values() {
        assert_eq!(Issuer::parse("http://localhost:8080"), Ok(Issuer::localhost()));
        assert!(DatabaseUrl::parse(DatabaseUrl::local().expose()).is_ok());
    }

    #[test]
    fn an_issuer_is_kept_letter_by_letter() {
        for text in
            ["http://localhost:8080", "https://login.example.com", "https://example.com/auth/eu"]
        {
            assert_eq!(Issuer::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(Issuer::parse("https://a.example").unwrap().path(), "");
        let nested = Issuer::parse("https://a.example:8443/x/y").unwrap();
        assert_eq!(nested.path(), "/x/y");
        assert_eq!(nested.origin(), "https://a.example:8443");
    }

    #[test]
    fn an_issuer_that_clients_would_compare_otherwise_is_refused() {
        for (text, better) in [
            ("https://a.example/", "https://a.example "),
            ("https://A.example", "https://a.example "),
            ("https://a.example:443", "https://a.example "),
            ("https://a.example/x/../y", "https://a.example/y "),
        ] {
            let why = Issuer::parse(text).unwrap_err();
            assert!(why.contains(better), "{text}: {why}");
        }
        for text in [
            "",
            "localhost:8080",
            "ftp://a.example",
            "https://a.example?x",
            "https://a.example#x",
            "https://u:p@a.example",
        ] {
            assert_eq!(Issuer::parse(text).unwrap_err(), Issuer::RIGHT, "{text}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        for (text, loopback) in [
            ("http://localhost:1", true),
            ("http://app.localhost", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:8", true),
            ("http://localhost.example", false),
            ("http://192.168.0.1", false),
        ] {
            assert_eq!(Issuer::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("postgres://ann:s3cret@db/perennial", "postgres://ann:***@db/perennial"),
            (
                "postgres://ann:s3c/r@e:t@db/x?sslmode=verify-full",
                "postgres://ann:***@db/x?sslmode=verify-full",
            ),
            ("postgres://db/x?password=s3cret&a=b", "postgres://db/x?password=***&a=b"),
            ("postgres://db/x?user=a&sslpassword=s3cret", "postgres://db/x?user=a&sslpassword=***"),
            ("postgres://ann:s3?cret@db/x", "postgres://ann:***@db/x"),
            ("host=db password=s3cret", "***"),
            ("ann:s3cret@db/x", "***"),
            ("data/perennial.db", "data/perennial.db"),
            ("sqlite://data/perennial.db", "sqlite://data/perennial.db"),
        ] {
            assert_eq!(without_password(text), shown);
        }
        let url = DatabaseUrl::parse("postgres://ann:s3cret@db/x").unwrap();
        assert!(!format!("{url} {url:?}").contains("s3cret"));
        assert!(url.expose().contains("s3cret"));
    }

    #[test]
    fn database_urls_go_by_their_scheme() {
        let sqlite = DatabaseUrl::parse("sqlite:///var/lib/p.db").unwrap();
        assert_eq!(sqlite.sqlite_path(), Some(Path::new("/var/lib/p.db")));
        assert_eq!(sqlite.kind(), DatabaseKind::Sqlite);
        let postgres = DatabaseUrl::parse("postgresql:///p?host=/run").unwrap();
        assert_eq!(postgres.kind(), DatabaseKind::Postgres);
        for wrong in [
            "",
            "sqlite://",
            "sqlite://data/",
            "sqlite:data",
            "sqlite://:memory:",
            "mysql://h/d",
            "postgres://",
            "data.db",
        ] {
            assert!(DatabaseUrl::parse(wrong).is_err(), "{wrong}");
        }
    }
}
