//! Requests that this server makes by itself, to addresses that clients name: their keys, their
//! metadata, their logout endpoints. Whoever names an address must not reach by it what only
//! this machine's network can, nor keep us busy: see [`address`] and [`Limits`].

pub mod address;
mod error;
mod exchange;
mod target;
mod tls;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use address::Reach;
use exchange::Body;
use target::Target;
use tls::Tls;

pub use error::{CaFileError, FetchError};

/// How a fetcher works.
#[derive(Clone, Debug)]
pub struct Options {
    /// A PEM file of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether it may go to private and loopback addresses, and speak http to loopback ones.
    pub allow_private_networks: bool,
    /// The usual limits.
    pub limits: Limits,
}

/// What a request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the name's resolution to the body's last byte.
    pub time: Duration,
    /// The longest body in bytes.
    pub bytes: usize,
}

/// An answer with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The Content-Type header as it came.
    pub content_type: Option<String>,
    /// How long it counts, where Cache-Control says so; nothing at all for `no-store` or
    /// `no-cache`.
    pub fresh_for: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

impl Fetched {
    /// Whether it says that it is this media type; its parameters don't matter.
    pub fn is(&self, media_type: &str) -> bool {
        let own = self.content_type.as_deref().unwrap_or_default();
        own.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
    }

    /// Whether it says that it is JSON, by whichever of JSON's names.
    pub fn is_json(&self) -> bool {
        let own = self.content_type.as_deref().unwrap_or_default();
        let kind = own.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || kind.ends_with("+json")
    }
}

/// The status of an answer whose body nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// Whether it is one of 200 to 299.
    pub fn is_success(self) -> bool {
        (200..300).contains(&self.0)
    }
}

/// All addresses of a name, in the order to try them.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How names are resolved.
pub type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// Makes requests. Clones share it.
#[derive(Clone)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

struct Shared {
    tls: Tls,
    reach: Reach,
    limits: Limits,
    lookup: Lookup,
}

impl Fetcher {
    /// A fetcher that resolves names as the system does.
    ///
    /// # Errors
    /// When `ca_file` can't be read as certificates.
    pub fn new(options: &Options) -> Result<Self, CaFileError> {
        Self::with_lookup(
            options,
            Arc::new(|name| {
                Box::pin(async move {
                    let found = tokio::net::lookup_host((name, 0)).await?;
                    Ok(found.map(|address| address.ip()).collect())
                })
            }),
        )
    }

    /// A fetcher that resolves names in another way.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn with_lookup(options: &Options, lookup: Lookup) -> Result<Self, CaFileError> {
        let reach = if options.allow_private_networks { Reach::Inside } else { Reach::Public };
        let tls = Tls::new(options.ca_file.as_deref())?;
        Ok(Self { shared: Arc::new(Shared { tls, reach, limits: options.limits, lookup }) })
    }

    /// The usual limits, as the settings have them.
    pub fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// Whether a URL is one that could be fetched, as far as its text tells.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, url: &str) -> Result<(), FetchError> {
        Target::parse(url, self.shared.reach).map(|_| ())
    }

    /// The answer of a GET, if its status is 200. Redirects aren't followed.
    ///
    /// # Errors
    /// What stood in the way.
    pub async fn get(&self, url: &str, limits: Limits) -> Result<Fetched, FetchError> {
        let target = Target::parse(url, self.shared.reach)?;
        let work = async {
            let stream = self.connect(&target, limits).await?;
            exchange::get(stream, &target, limits.bytes).await
        };
        within(limits.time, work).await
    }

    /// Posts a form, within the usual limits. Redirects aren't followed; the body of the answer
    /// isn't read.
    ///
    /// # Errors
    /// What stood in the way. Any status is an answer.
    pub async fn post_form(
        &self,
        url: &str,
        fields: &[(&str, &str)],
    ) -> Result<Status, FetchError> {
        let limits = self.shared.limits;
        let target = Target::parse(url, self.shared.reach)?;
        let form =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let work = async {
            let stream = self.connect(&target, limits).await?;
            exchange::post(stream, &target, Body::from(form)).await
        };
        within(limits.time, work).await
    }

    /// Resolves the name once, checks every address, and connects to one of those checked: a
    /// name that leads elsewhere the next time it is asked gains nothing.
    async fn connect(
        &self,
        target: &Target,
        limits: Limits,
    ) -> Result<exchange::Stream, FetchError> {
        let addresses = match target.literal() {
            Some(address) => vec![address],
            None => (self.shared.lookup)(target.host().to_owned())
                .await
                .map_err(|_| FetchError::Unknown(target.host().to_owned()))?,
        };
        if addresses.is_empty() {
            return Err(FetchError::Unknown(target.host().to_owned()));
        }
        for address in &addresses {
            let allowed = self.shared.reach.allows(*address)
                && (target.is_https() || address::is_loopback(*address));
            if !allowed {
                tracing::info!(host = target.host(), %address, "won't be fetched from");
                return Err(FetchError::Forbidden(target.host().to_owned()));
            }
        }
        exchange::connect(target, &addresses, limits.time, &self.shared.tls).await
    }
}

async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    tokio::time::timeout(time, work).await.unwrap_or(Err(FetchError::Late(time)))
}
