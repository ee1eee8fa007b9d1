//! What can go wrong on the way to somebody else's server. No text here has anything of an
//! answer's body, or an address that a name leads to: clients read these.

use std::path::PathBuf;
use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL isn't one that is fetched.
    #[error("the URL {0}")]
    Url(&'static str),
    /// The name isn't known.
    #[error("{0} has no address")]
    Unknown(String),
    /// The name leads to an address that nobody may make us ask.
    #[error("{0} leads to an address that isn't public")]
    Forbidden(String),
    /// Nobody answers there.
    #[error("{0} can't be connected to")]
    Unreachable(String),
    /// There is no TLS with whoever answers.
    #[error("TLS with {host} failed: {cause}")]
    Tls {
        /// Who was asked.
        host: String,
        /// rustls's word.
        cause: String,
    },
    /// It doesn't speak HTTP, or broke off.
    #[error("{0} broke off, or doesn't speak HTTP")]
    Broken(String),
    /// It took too long.
    #[error("it took longer than {} s", .0.as_secs_f32())]
    Late(Duration),
    /// The body is too long.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// It answered with another status than 200.
    #[error("it answered with status {0}")]
    Status(u16),
}

/// Why the file of authorities can't be used.
#[derive(Debug, thiserror::Error)]
#[error("fetch.ca_file: {path} {cause}")]
pub struct CaFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: String,
}
