//! Settings: defaults, a TOML file, the environment and flags become one typed
//! value. [`Settings::read`] is the one list of all keys, with the bounds, the
//! default and the sentence of each; help and manual are written from it.

mod docs;
mod error;
mod reader;
mod sources;
mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::scope::Scope;

pub use docs::{help_text, manual};
pub use error::{Origin, Problem, SettingsError};
pub use reader::Key;
use reader::Reader;
pub use sources::{SettingsFlags, Sources};
pub use values::{
    DatabaseKind, DatabaseUrl, Issuer, LogFormat, RegistrationMode, SigningAlgorithm,
};

use crate::domain::resource;

/// Every setting, checked. What each does stands beside its key in
/// [`Settings::read`], and in `docs/settings.md`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Settings {
    pub database_url: DatabaseUrl,
    pub issuer: Issuer,
    pub allow_insecure_issuer: bool,
    pub listen: SocketAddr,
    pub secret_key_file: PathBuf,
    pub auto_migrate: bool,
    pub trusted_proxies: Vec<IpNet>,
    pub site_name: String,
    /// None where it is empty.
    pub policy_uri: Option<String>,
    /// None where it is empty.
    pub terms_uri: Option<String>,
    /// 0 for as many as there are cores.
    pub workers: usize,
    pub shutdown: Duration,
    pub log: LogSettings,
    pub limits: LimitSettings,
    pub database: DatabaseSettings,
    pub tokens: TokenSettings,
    pub keys: KeySettings,
    pub sessions: SessionSettings,
    pub passwords: PasswordSettings,
    pub throttle: ThrottleSettings,
    pub fetch: FetchSettings,
    pub retention: RetentionSettings,
    pub registration: RegistrationSettings,
    pub logout: LogoutSettings,
}

/// `[log]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct LogSettings {
    pub format: LogFormat,
    pub filter: String,
}

/// `[limits]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct LimitSettings {
    pub body_bytes: usize,
    pub header_count: usize,
    pub request: Duration,
    pub queue_length: usize,
}

/// `[database]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct DatabaseSettings {
    pub connections: u32,
    pub busy: Duration,
}

/// `[tokens]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct TokenSettings {
    pub access_token: Duration,
    pub authorization_code: Duration,
    pub pushed_request: Duration,
    pub refresh_idle: Duration,
    /// `None`: sessions that are used go on for ever.
    pub refresh_absolute: Option<Duration>,
    pub retry_window: Duration,
    pub signing_algorithm: SigningAlgorithm,
    /// The resource servers that any app may ask access tokens for.
    pub resources: Vec<String>,
}

/// `[keys]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct KeySettings {
    /// `None`: keys are only replaced by order.
    pub rotate: Option<Duration>,
}

/// `[sessions]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct SessionSettings {
    pub idle: Duration,
    pub absolute: Duration,
    pub stay: Duration,
}

/// `[passwords]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct PasswordSettings {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
    pub minimum_length: usize,
    pub concurrent_hashes: usize,
}

/// `[throttle]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ThrottleSettings {
    pub account_tries: u32,
    pub address_tries: u32,
    pub window: Duration,
    pub longest_pause: Duration,
}

/// `[fetch]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct FetchSettings {
    pub allow_private_networks: bool,
    pub ca_file: Option<PathBuf>,
    pub time: Duration,
    pub body_bytes: usize,
}

/// `[retention]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct RetentionSettings {
    pub ended_sessions: Duration,
    pub audit: Duration,
    pub prune: Duration,
}

/// `[registration]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct RegistrationSettings {
    pub mode: RegistrationMode,
    pub scopes: Scope,
    pub per_address_hourly: u32,
    pub hourly: u32,
    pub unused: Duration,
    pub client_id_documents: bool,
    /// Empty: any.
    pub document_hosts: Vec<String>,
}

/// `[logout]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct LogoutSettings {
    pub attempts: u32,
    pub pause: Duration,
    pub concurrent: usize,
    pub look: Duration,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEARS: u64 = 3_650 * DAY;

/// The most headers of one request that the HTTP/1 parser takes; a constant in actix-http.
const PARSER_HEADERS: usize = 96;

impl Settings {
    /// Reads all sources. Says everything that is wrong at once.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        let mut problems = Vec::new();
        let given = sources.gather(&mut problems);
        let mut reader = Reader::new(given, problems);
        let settings = Self::read(&mut reader);
        settings.agree(&mut reader);
        reader.refuse_unknown();
        if reader.problems.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError { problems: reader.problems })
        }
    }

    fn read(r: &mut Reader) -> Self {
        Self {
            database_url: r.database(
                ("database_url", "Where the data is: sqlite://PATH, or postgres://… with libpq's parameters, TLS included."),
                DatabaseUrl::local(),
            ),
            issuer: r.issuer(
                ("issuer", "The server's own address as browsers and apps see it; every URL that it writes begins with it, and a path in it is kept."),
                Issuer::localhost(),
            ),
            allow_insecure_issuer: r.flag(
                ("allow_insecure_issuer", "Lets the issuer be http on another host than this machine: for a test network only."),
                false,
            ),
            listen: r.address(
                ("listen", "The address and port to listen on."),
                SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            ),
            secret_key_file: r.path(
                ("secret_key_file", "The file with the root secret, made on the first start; all nodes share it, and it belongs in another backup than the database."),
                "keys/perennial.key",
            ),
            auto_migrate: r.flag(
                ("auto_migrate", "Whether `serve` applies pending migrations by itself."),
                true,
            ),
            trusted_proxies: r.networks(
                ("trusted_proxies", "The addresses whose X-Forwarded-For header is believed."),
            ),
            site_name: r.text(
                ("site_name", "What the pages call this site."),
                "Perennial",
            ),
            policy_uri: r.page(
                ("policy_uri", "Your page about what becomes of people's data, told in the metadata; empty for none."),
            ),
            terms_uri: r.page(
                ("terms_uri", "Your page with the terms of service, told in the metadata; empty for none."),
            ),
            workers: r.count(
                ("workers", "Threads that answer requests; 0 for one to a core."),
                "", 0..=1_024, 0,
            ),
            shutdown: r.seconds(
                ("shutdown_seconds", "How long a stopping server goes on with the requests it has begun."),
                0..=HOUR, 30,
            ),
            log: LogSettings {
                format: r.choice(
                    ("log.format", "Lines for people, or one JSON object to a line."),
                    LogFormat::Pretty,
                ),
                filter: r.checked(
                    ("log.filter", "What is logged, as `tracing` filters are written: info, or warn,perennial=debug; RUST_LOG goes before it."),
                    "filter",
                    "info".to_owned(),
                    log_filter,
                ),
            },
            limits: LimitSettings {
                body_bytes: r.count(
                    ("limits.body_bytes", "The longest body of a request; a longer one is answered 413."),
                    "bytes", 1_024..=16_777_216, 65_536,
                ),
                header_count: r.count(
                    ("limits.header_count", "The most headers of a request; the HTTP/1 parser itself takes no more than 96."),
                    "", 16..=PARSER_HEADERS, PARSER_HEADERS,
                ),
                request: r.seconds(
                    ("limits.request_seconds", "How long a client may take to send a request, and a request to be answered."),
                    1..=HOUR, 10,
                ),
                queue_length: r.count(
                    ("limits.queue_length", "The most requests that wait for the database; one more is answered 503."),
                    "", 1..=1_000_000, 1_024,
                ),
            },
            database: DatabaseSettings {
                connections: r.count(
                    ("database.connections", "Connections to the database; with SQLite those that read, beside the one that writes."),
                    "", 1..=1_000, 10,
                ),
                busy: r.seconds(
                    ("database.busy_seconds", "How long to wait for a free connection, or for SQLite's lock."),
                    1..=MINUTE, 5,
                ),
            },
            tokens: TokenSettings {
                access_token: r.seconds(
                    ("tokens.access_token_seconds", "The life of an access token: the time that a revocation may take to reach APIs that don't ask."),
                    10..=DAY, 10 * MINUTE,
                ),
                authorization_code: r.seconds(
                    ("tokens.authorization_code_seconds", "The life of an authorization code, which is used once."),
                    10..=10 * MINUTE, 60,
                ),
                pushed_request: r.seconds(
                    ("tokens.pushed_request_seconds", "How long a pushed authorization request may wait for the browser that brings its request_uri."),
                    10..=10 * MINUTE, 90,
                ),
                refresh_idle: r.seconds(
                    ("tokens.refresh_idle_seconds", "A session ends when its app hasn't refreshed for so long."),
                    MINUTE..=YEARS, 30 * DAY,
                ),
                refresh_absolute: r.seconds_or_none(
                    ("tokens.refresh_absolute_seconds", "A session ends so long after its sign-in, used or not."),
                    MINUTE..=YEARS, 365 * DAY,
                ),
                retry_window: r.seconds(
                    ("tokens.retry_window_seconds", "How long the same caller gets the same answer again for a token just used; no longer than the access token lives."),
                    1..=5 * MINUTE, 30,
                ),
                resources: r.list(
                    ("tokens.resources", "The resource servers that any app may ask access tokens for (RFC 8707), beside those that it has itself."),
                    "list of URIs",
                    "a list of absolute URIs without fragments, such as [\"https://api.example\"] (in a variable or flag, with commas between)",
                    |item| resource::check(item).is_ok().then(|| item.to_owned()),
                ),
                signing_algorithm: r.choice(
                    ("tokens.signing_algorithm", "What access tokens in JWT form are signed with."),
                    SigningAlgorithm::Es256,
                ),
            },
            keys: KeySettings {
                rotate: r.seconds_or_none(
                    ("keys.rotate_seconds", "How old a signing key or the token secret gets before the next one takes over, which nobody notices; with 0 only `perennial key rotate` replaces them."),
                    DAY..=YEARS, 90 * DAY,
                ),
            },
            sessions: SessionSettings {
                idle: r.seconds(
                    ("sessions.idle_seconds", "A browser's sign-in ends when it hasn't been used for so long."),
                    MINUTE..=YEARS, 8 * HOUR,
                ),
                absolute: r.seconds(
                    ("sessions.absolute_seconds", "A browser's sign-in ends so long after it began."),
                    MINUTE..=YEARS, 24 * HOUR,
                ),
                stay: r.seconds(
                    ("sessions.stay_seconds", "Both of these for a person who ticked \"Stay signed in\"."),
                    MINUTE..=YEARS, 30 * DAY,
                ),
            },
            passwords: PasswordSettings {
                memory_kib: r.count(
                    ("passwords.memory_kib", "Argon2id: memory for one hash; the least is OWASP's."),
                    "KiB", 7_168..=4_194_304, 19_456,
                ),
                iterations: r.count(
                    ("passwords.iterations", "Argon2id: passes over that memory."),
                    "", 1..=100, 2,
                ),
                parallelism: r.count(
                    ("passwords.parallelism", "Argon2id: lanes."),
                    "", 1..=64, 1,
                ),
                minimum_length: r.count(
                    ("passwords.minimum_length", "The shortest new password."),
                    "characters", 8..=128, 12,
                ),
                concurrent_hashes: r.count(
                    ("passwords.concurrent_hashes", "Passwords hashed at the same time; more of them wait."),
                    "", 1..=256, 2,
                ),
            },
            throttle: ThrottleSettings {
                account_tries: r.count(
                    ("throttle.account_tries", "Wrong passwords for one account before the next must wait."),
                    "", 1..=1_000, 5,
                ),
                address_tries: r.count(
                    ("throttle.address_tries", "Wrong passwords from one address before the next must wait."),
                    "", 1..=100_000, 50,
                ),
                window: r.seconds(
                    ("throttle.window_seconds", "How long a wrong password counts."),
                    MINUTE..=DAY, 15 * MINUTE,
                ),
                longest_pause: r.seconds(
                    ("throttle.longest_pause_seconds", "The pause grows with each wrong password up to this."),
                    1..=DAY, 15 * MINUTE,
                ),
            },
            fetch: FetchSettings {
                allow_private_networks: r.flag(
                    ("fetch.allow_private_networks", "Lets addresses that apps name be private or loopback ones, and http on loopback: for apps inside your own network, and for tests."),
                    false,
                ),
                ca_file: r.path_or_none(
                    ("fetch.ca_file", "A PEM file of certificate authorities that are trusted beside the system's when apps' keys and documents are fetched."),
                ),
                time: r.seconds(
                    ("fetch.timeout_seconds", "How long one such request may take, from the name's resolution to the last byte."),
                    1..=MINUTE, 5,
                ),
                body_bytes: r.count(
                    ("fetch.body_bytes", "The longest answer that is read."),
                    "bytes", 1_024..=1_048_576, 65_536,
                ),
            },
            retention: RetentionSettings {
                ended_sessions: r.seconds(
                    ("retention.ended_sessions_seconds", "How long an ended session is still shown; no less than an hour, so that a token used again is known as such."),
                    HOUR..=YEARS, 30 * DAY,
                ),
                audit: r.seconds(
                    ("retention.audit_seconds", "How long the audit trail goes back."),
                    DAY..=YEARS, 365 * DAY,
                ),
                prune: r.seconds(
                    ("retention.prune_seconds", "How often the server removes what is past its time."),
                    MINUTE..=DAY, HOUR,
                ),
            },
            registration: RegistrationSettings {
                mode: r.choice(
                    ("registration.mode", "Who may register apps at /oauth/register: nobody, whoever holds an initial access token, or everybody."),
                    RegistrationMode::Off,
                ),
                scopes: r.checked(
                    ("registration.scopes", "What apps that came by themselves may ask people for."),
                    "scopes, divided by spaces",
                    default_scopes(),
                    |text| text.parse().map_err(|_| "scopes, divided by spaces".to_owned()),
                ),
                per_address_hourly: r.count(
                    ("registration.per_address_hourly", "How many apps one network may register in an hour, and of how many it may make this server read the document."),
                    "", 1..=1_000_000, 20,
                ),
                hourly: r.count(
                    ("registration.hourly", "The same for everybody together."),
                    "", 1..=1_000_000, 500,
                ),
                unused: r.seconds(
                    ("registration.unused_seconds", "An app that came by itself and that no administrator has reviewed is removed when nobody has used it for so long."),
                    HOUR..=YEARS, 30 * DAY,
                ),
                client_id_documents: r.flag(
                    ("registration.client_id_documents", "Whether a client ID may be the https address of the app's own metadata, which this server then reads."),
                    false,
                ),
                document_hosts: r.hosts(
                    ("registration.document_hosts", "The only hosts whose documents are read; without any, every public host's."),
                ),
            },
            logout: LogoutSettings {
                attempts: r.count(
                    ("logout.attempts", "How often an app is tried that asked to be told of sign-outs; after that it is given up. How long one attempt may take is fetch.timeout_seconds."),
                    "", 1..=20, 8,
                ),
                pause: r.seconds(
                    ("logout.pause_seconds", "The pause before the second attempt; each further one is four times as long, give or take a fifth, so that the usual eight take about a day."),
                    1..=HOUR, 15,
                ),
                concurrent: r.count(
                    ("logout.concurrent", "How many apps' answers are waited for at the same time; one app never has more than four of them."),
                    "", 1..=256, 32,
                ),
                look: r.seconds(
                    ("logout.look_seconds", "How often sign-ins are looked for that have ended by themselves; their apps are told at the second look."),
                    1..=HOUR, MINUTE,
                ),
            },
        }
    }

    /// What no key can know alone.
    fn agree(&self, r: &mut Reader) {
        let secure = self.issuer.is_https() || self.issuer.is_loopback();
        if !secure && !self.allow_insecure_issuer {
            r.problem(
                "issuer",
                "https, since only this machine's own names (localhost, 127.0.0.1, [::1]) are safe \
                 without TLS; on a test network set allow_insecure_issuer = true"
                    .to_owned(),
            );
        }
        if self.tokens.retry_window > self.tokens.access_token {
            let most = self.tokens.access_token.as_secs();
            r.problem(
                "tokens.retry_window_seconds",
                format!(
                    "at most tokens.access_token_seconds, which is {most}, since a retry gives \
                     the same access token again"
                ),
            );
        }
    }
}

/// All defaults: what a server runs with that nobody has configured.
impl Default for Settings {
    fn default() -> Self {
        Self::read(&mut Reader::default())
    }
}

/// Every key there is, in the order of the manual.
pub fn keys() -> Vec<Key> {
    let mut reader = Reader::default();
    Settings::read(&mut reader);
    reader.keys
}

fn default_scopes() -> Scope {
    "openid profile email address phone offline_access".parse().unwrap_or_else(|_| Scope::empty())
}

fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|_| {
        "a filter of `tracing`, such as info or warn,perennial=debug; levels are error, warn, \
             info, debug, trace, off"
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
