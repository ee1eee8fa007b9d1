//! A `postgres://` URL as libpq reads it, and the URL that libpq gets instead of it.
//!
//! The `url` crate can't read a list of hosts, and where the two disagree about what a part
//! means, libpq would connect to something else than was verified. So this follows libpq's
//! own grammar.

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Environment, TlsError};

/// What may stand in a URL as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Parameters, and the variables that libpq takes them from where the URL has none.
const VARIABLES: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("service", "PGSERVICE"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("sslmode", "PGSSLMODE"),
    ("requiressl", "PGREQUIRESSL"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslcertmode", "PGSSLCERTMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcrl", "PGSSLCRL"),
    ("sslcrldir", "PGSSLCRLDIR"),
    ("sslsni", "PGSSLSNI"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
];

/// What libpq must not take from the environment or the URL: it has no TLS itself, and would
/// refuse to connect, or leave the tunnel aside.
const SETTLED: &[(&str, &str)] = &[
    ("sslmode", "disable"),
    ("sslnegotiation", "postgres"),
    ("sslcertmode", "disable"),
    ("sslrootcert", ""),
    ("ssl_min_protocol_version", ""),
    ("ssl_max_protocol_version", ""),
];

/// Every parameter about TLS that libpq knows.
const TLS_PARAMETERS: &[&str] = &[
    "sslmode",
    "requiressl",
    "sslnegotiation",
    "sslcompression",
    "sslcert",
    "sslkey",
    "sslkeylogfile",
    "sslpassword",
    "sslcertmode",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
];

/// A URL taken apart, with what the environment adds.
pub(super) struct Conninfo {
    given: BTreeMap<String, String>,
    inherited: BTreeMap<&'static str, String>,
    /// For `~/.postgresql`.
    pub(super) home: Option<String>,
}

/// One of the servers that a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// The name to verify, or the folder of a Unix socket. Empty for libpq's default.
    pub(super) host: String,
    /// Where to connect instead of resolving the name.
    pub(super) address: Option<String>,
    /// Where to connect.
    pub(super) port: u16,
}

impl Server {
    /// Whether it is reached by a Unix socket, on which libpq never uses TLS.
    pub(super) fn is_local(&self) -> bool {
        self.address.is_none()
            && (self.host.is_empty() || self.host.starts_with('/') || self.host.starts_with('@'))
    }
}

/// How long to try, and whether to notice dead peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// `connect_timeout`; none is for ever.
    pub(super) timeout: Option<Duration>,
    /// `keepalives`
    pub(super) keepalive: bool,
}

impl Conninfo {
    /// Reads a URL.
    pub(super) fn parse(url: &str, environment: Environment<'_>) -> Result<Self, TlsError> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or_else(|| bad("it must start with postgres://"))?;
        let mut given = BTreeMap::new();
        let rest = read_user(rest, &mut given)?;
        let rest = read_hosts(rest, &mut given)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        if let Some(name) = path.strip_prefix('/').filter(|name| !name.is_empty()) {
            given.insert("dbname".to_owned(), decode(name, "the database name")?);
        }
        if let Some(query) = query {
            read_query(query, &mut given)?;
        }
        let mut inherited = BTreeMap::new();
        for (parameter, variable) in VARIABLES {
            if let Some(value) = environment(variable).filter(|_| !given.contains_key(*parameter)) {
                inherited.insert(*parameter, value);
            }
        }
        if given.contains_key("sslmode") {
            inherited.remove("requiressl");
        }
        let home = environment("HOME").filter(|home| !home.is_empty());
        Ok(Self { given, inherited, home })
    }

    /// A parameter, from the URL or else the environment; none if it is empty.
    pub(super) fn get(&self, parameter: &str) -> Option<&str> {
        self.given
            .get(parameter)
            .or_else(|| self.inherited.get(parameter))
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The servers, in the order of the URL.
    pub(super) fn servers(&self) -> Result<Vec<Server>, TlsError> {
        let list = |name| self.get(name).map(|list| list.split(',').collect::<Vec<_>>());
        let (hosts, addresses) = (list("host"), list("hostaddr"));
        let count = addresses.as_ref().or(hosts.as_ref()).map_or(1, Vec::len);
        if hosts.as_ref().is_some_and(|hosts| hosts.len() != count) {
            return Err(bad("host and hostaddr list different numbers of servers"));
        }
        let ports = list("port").unwrap_or_default();
        if ports.len() > 1 && ports.len() != count {
            return Err(bad("host and port list different numbers of servers"));
        }
        let at = |list: &Option<Vec<&str>>, index: usize| {
            list.as_ref().and_then(|list| list.get(index)).map(|item| (*item).trim().to_owned())
        };
        let mut servers = Vec::with_capacity(count);
        for index in 0..count {
            let port = match ports.get(index).or(ports.first()).map(|port| port.trim()) {
                None | Some("") => 5432,
                Some(port) => {
                    let number = port.parse::<u16>().ok().filter(|number| *number > 0);
                    number.ok_or_else(|| bad("a port isn't a number from 1 to 65535"))?
                }
            };
            servers.push(Server {
                host: at(&hosts, index).unwrap_or_default(),
                address: at(&addresses, index).filter(|address| !address.is_empty()),
                port,
            });
        }
        Ok(servers)
    }

    /// How long to try.
    pub(super) fn pace(&self) -> Pace {
        let seconds = self.get("connect_timeout").and_then(|text| text.trim().parse::<i64>().ok());
        Pace {
            timeout: seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            keepalive: self.get("keepalives").is_none_or(|value| value.trim() != "0"),
        }
    }

    /// The URL for libpq where it reaches the servers itself.
    pub(super) fn direct_url(&self) -> String {
        self.write(&[])
    }

    /// The URL for libpq where it connects to these folders.
    pub(super) fn tunnel_url(&self, hosts: &[String], ports: &[u16]) -> String {
        let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>();
        self.write(&[
            ("host", &hosts.join(",")),
            // libpq prefers an address over a host, and would take one from the environment.
            ("hostaddr", ""),
            ("port", &ports.join(",")),
            // Only for Unix sockets, so it doesn't mean these.
            ("requirepeer", ""),
        ])
    }

    fn write(&self, replaced: &[(&str, &str)]) -> String {
        let encode = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let mut url = "postgres://".to_owned();
        let (user, password) = (self.given.get("user"), self.given.get("password"));
        // libpq reads no user from `:password@`, so without one the password is a parameter.
        let beside = user.is_some_and(|user| !user.is_empty());
        if let Some(user) = user.filter(|_| beside) {
            url.push_str(&encode(user));
            if let Some(password) = password {
                url.push(':');
                url.push_str(&encode(password));
            }
            url.push('@');
        }
        url.push('/');
        if let Some(name) = self.given.get("dbname") {
            url.push_str(&encode(name));
        }
        let kept = self.given.iter().filter(|(name, _)| {
            !(TLS_PARAMETERS.contains(&name.as_str())
                || replaced.iter().any(|(other, _)| other == name)
                || name.as_str() == "dbname"
                || (beside && matches!(name.as_str(), "user" | "password")))
        });
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let all = kept.chain(replaced.iter().copied()).chain(SETTLED.iter().copied());
        for (index, (name, value)) in all.enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(&encode(name));
            url.push('=');
            url.push_str(&encode(value));
        }
        url
    }
}

/// `user:password@`, and what comes after it.
fn read_user<'a>(text: &'a str, given: &mut BTreeMap<String, String>) -> Result<&'a str, TlsError> {
    // As in libpq, the first of these decides, even after a question mark.
    let Some((user, rest)) = text
        .find(['@', '/'])
        .filter(|place| text.as_bytes().get(*place) == Some(&b'@'))
        .and_then(|place| text.split_at_checked(place))
    else {
        return Ok(text);
    };
    let (user, password) = match user.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (user, None),
    };
    if !user.is_empty() {
        given.insert("user".to_owned(), decode(user, "the user")?);
    }
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        given.insert("password".to_owned(), decode(password, "the password")?);
    }
    Ok(rest.strip_prefix('@').unwrap_or(rest))
}

/// `host:port,host:port`, and what comes after it.
fn read_hosts<'a>(
    text: &'a str,
    given: &mut BTreeMap<String, String>,
) -> Result<&'a str, TlsError> {
    let end = text.find(['/', '?']).unwrap_or(text.len());
    let (list, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for server in list.split(',') {
        let (host, port) = if let Some(bracketed) = server.strip_prefix('[') {
            let (host, after) = bracketed
                .split_once(']')
                .ok_or_else(|| bad("an IPv6 address has no closing bracket"))?;
            match after.strip_prefix(':') {
                Some(port) => (host, port),
                None if after.is_empty() => (host, ""),
                None => return Err(bad("something follows an IPv6 address that isn't a port")),
            }
        } else {
            server.split_once(':').unwrap_or((server, ""))
        };
        hosts.push(host);
        ports.push(port);
    }
    let (hosts, ports) = (hosts.join(","), ports.join(","));
    if !hosts.is_empty() {
        given.insert("host".to_owned(), decode(&hosts, "the host")?);
    }
    if !ports.is_empty() {
        given.insert("port".to_owned(), decode(&ports, "the port")?);
    }
    Ok(rest)
}

/// `name=value&name=value`
fn read_query(query: &str, given: &mut BTreeMap<String, String>) -> Result<(), TlsError> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| bad("a parameter has no equals sign"))?;
        if value.contains('=') {
            return Err(bad("a parameter has two equals signs; write the second as %3D"));
        }
        let mut name = decode(name, "a parameter's name")?;
        let mut value = decode(value, "a parameter's value")?;
        if name == "ssl" && value == "true" {
            // The way of JDBC, which libpq takes too.
            (name, value) = ("sslmode".to_owned(), "require".to_owned());
        }
        given.insert(name, value);
    }
    Ok(())
}

fn decode(text: &str, what: &str) -> Result<String, TlsError> {
    let mut after = text.split('%');
    after.next();
    let whole = |escape: &str| {
        escape.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    if !after.all(whole) {
        return Err(bad(&format!("{what} has a % without two hexadecimal digits; write % as %25")));
    }
    let decoded =
        percent_decode_str(text).decode_utf8().map_err(|_| bad(&format!("{what} isn't UTF-8")))?;
    if decoded.contains('\0') {
        return Err(bad(&format!("{what} has a zero byte")));
    }
    Ok(decoded.into_owned())
}

fn bad(reason: &str) -> TlsError {
    TlsError::BadUrl(reason.to_owned())
}
