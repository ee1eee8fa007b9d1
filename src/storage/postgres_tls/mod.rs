//! TLS to Postgres, by an in-process tunnel.
//!
//! The bundled libpq has no TLS. [`open`] reads a `postgres://` URL as libpq would, and where
//! it asks for TLS opens a [`Tunnel`]: libpq then speaks plainly to a Unix socket in a folder
//! that only this user can enter, and rustls carries what it says to the server.
//!
//! - `conninfo`: the URL, as libpq understands it, and the one that libpq gets instead.
//! - `trust`: what `sslmode`, `sslrootcert`, and `sslcert` mean to rustls.
//! - `tunnel`: the sockets, the handshake, and how its failure reaches libpq.

mod conninfo;
mod trust;
mod tunnel;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

pub use tunnel::Tunnel;

/// How to connect to the database that a URL names.
pub enum Plan {
    /// libpq reaches the server itself: without TLS, or by a Unix socket.
    Direct {
        /// For libpq.
        url: SecretString,
    },
    /// libpq connects through the tunnel.
    Through {
        /// For libpq; names the tunnel's sockets instead of the servers.
        url: SecretString,
        /// Must live as long as connections are opened or used.
        tunnel: Tunnel,
    },
}

impl Plan {
    /// The URL to hand to libpq. It holds the password.
    #[cfg(test)]
    pub fn url(&self) -> &SecretString {
        match self {
            Self::Direct { url } | Self::Through { url, .. } => url,
        }
    }

    /// Takes the plan apart: the URL for libpq, and the tunnel to keep beside it.
    pub fn into_parts(self) -> (SecretString, Option<Tunnel>) {
        match self {
            Self::Direct { url } => (url, None),
            Self::Through { url, tunnel } => (url, Some(tunnel)),
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct { .. } => "Direct",
            Self::Through { .. } => "Through",
        })
    }
}

/// Why a URL can't be connected to as it asks. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The URL can't be read.
    #[error("the database URL can't be read: {0}")]
    BadUrl(String),
    /// A parameter has a value that it can't have.
    #[error("the database URL's {parameter} can't be \"{value}\"; it can be {allowed}")]
    BadValue {
        /// Its name.
        parameter: &'static str,
        /// What it was.
        value: String,
        /// What it could have been.
        allowed: &'static str,
    },
    /// The URL, or the environment, asks for something that isn't there.
    #[error("{what} isn't supported: {instead}")]
    Unsupported {
        /// The parameter, perhaps with its value.
        what: String,
        /// Why, and what to do.
        instead: &'static str,
    },
    /// The server is to be verified, but by nothing.
    #[error(
        "sslmode={mode} needs the certificate of the authority that signed the server's, and \
         {} isn't there; put it there, or name it by sslrootcert=/path/to/ca.pem, or trust the \
         system's authorities by sslrootcert=system (with sslmode=verify-full)",
        path.display()
    )]
    NoRoots {
        /// As the URL has it.
        mode: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file with certificates or a key can't be used.
    #[error("{parameter} {}: {reason}", path.display())]
    BadFile {
        /// The parameter that names it, or would.
        parameter: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system's own authorities can't be loaded.
    #[error("sslrootcert=system: the system's certificate authorities can't be loaded: {0}")]
    NoSystemRoots(String),
    /// The certificate of the server couldn't be checked against this name.
    #[error("sslmode=verify-full needs a host name to check the certificate against; {0}")]
    NoName(String),
    /// rustls doesn't take what was put together.
    #[error("TLS to Postgres can't be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// The sockets or the thread of the tunnel couldn't be made.
    #[error("the tunnel for TLS to Postgres can't be opened: {0}")]
    Tunnel(#[from] std::io::Error),
}

/// Plans the connection to a `postgres://` URL, and opens the tunnel if it needs one. The
/// parameters and environment variables mean what they mean to libpq; `docs/postgres-tls.md`
/// lists them. Nothing is sent to the server yet.
///
/// # Errors
/// When the URL can't be read, asks for what isn't supported, or a certificate file that it
/// needs is missing.
pub fn open(url: &str) -> Result<Plan, TlsError> {
    open_with(url, &|name| std::env::var(name).ok())
}

/// What the environment has under this name.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

fn open_with(url: &str, environment: Environment<'_>) -> Result<Plan, TlsError> {
    let conninfo = conninfo::Conninfo::parse(url, environment)?;
    let settings = trust::Settings::read(&conninfo)?;
    let servers = conninfo.servers()?;
    if !settings.mode.tries_tls() || servers.iter().all(|server| server.is_local()) {
        let url = SecretString::from(conninfo.direct_url());
        return Ok(Plan::Direct { url });
    }
    settings.check_names(&servers)?;
    let routes = servers
        .iter()
        .filter(|server| !server.is_local())
        .map(|server| tunnel::Route {
            host: server.host.clone(),
            address: server.address.clone(),
            port: server.port,
        })
        .collect();
    let tunnel = Tunnel::open(routes, settings.tls(&conninfo)?, conninfo.pace())?;
    let mut folders = tunnel.folders();
    let mut hosts = Vec::new();
    for server in &servers {
        if server.is_local() {
            hosts.push(server.host.clone());
        } else if let Some(folder) = folders.next() {
            hosts.push(folder?);
        }
    }
    drop(folders);
    let ports = servers.iter().map(|server| server.port).collect::<Vec<_>>();
    let url = SecretString::from(conninfo.tunnel_url(&hosts, &ports));
    Ok(Plan::Through { url, tunnel })
}
