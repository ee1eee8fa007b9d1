//! What a client is told that can't be registered (RFC 7591 section 3.2.2).

use std::time::Duration;

use crate::protocol::oauth_error::{OAuthError, plain};
use crate::storage::StorageError;

/// A refusal: what the client is told, and what the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The registered code.
    pub code: &'static str,
    /// For the client's developer: printable ASCII without quotes and backslashes.
    pub description: String,
    /// For our log; never a secret.
    pub cause: String,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, description: impl AsRef<str>) -> Self {
        let description = plain(description.as_ref());
        Self { status, code, cause: description.clone(), description, retry_after: None }
    }

    /// With a cause that only the log may know.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = cause.into();
        self
    }

    /// The request can't be read at all.
    pub fn request(description: impl AsRef<str>) -> Self {
        Self::new(400, "invalid_request", description)
    }

    /// A redirect URI is wrong.
    pub fn redirect_uri(description: impl AsRef<str>) -> Self {
        Self::new(400, "invalid_redirect_uri", description)
    }

    /// Another member is wrong.
    pub fn metadata(description: impl AsRef<str>) -> Self {
        Self::new(400, "invalid_client_metadata", description)
    }

    /// A software statement came; none is trusted here.
    pub fn software_statement() -> Self {
        let description = "software_statement: no software statement is approved here; leave it \
                           out, and send its members by themselves";
        Self::new(400, "unapproved_software_statement", description)
    }

    /// No token came where one is needed.
    pub fn no_token(description: impl AsRef<str>) -> Self {
        Self::new(401, "", description)
    }

    /// The token is wrong (RFC 6750 section 3.1).
    pub fn invalid_token(description: impl AsRef<str>) -> Self {
        Self::new(401, "invalid_token", description)
    }

    /// Nobody may register here.
    pub fn off() -> Self {
        let description = "clients do not register themselves at this server; ask the people who \
                           run it";
        Self::new(403, "access_denied", description)
    }

    /// Too many at once.
    pub fn too_many(wait: Duration) -> Self {
        let description = "too many clients register at once; try again later";
        let refusal = Self::new(429, "temporarily_unavailable", description);
        Self { retry_after: Some(wait), ..refusal }
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        let error = OAuthError::from(error);
        Self {
            status: error.status(),
            code: error.code.name(),
            description: error.description,
            cause: error.cause,
            retry_after: error.retry_after,
        }
    }
}
