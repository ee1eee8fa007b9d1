//! One table from the cause of a refusal to what the client is told (RFC 6749 section 5.2).

use std::time::Duration;

/// The registered error codes that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request lacks something, repeats something or is malformed.
    InvalidRequest,
    /// The client isn't known or didn't prove who it is.
    InvalidClient,
    /// The code or token is wrong, used, ended or another client's.
    InvalidGrant,
    /// The client may not use this grant.
    UnauthorizedClient,
    /// There is no such grant here.
    UnsupportedGrantType,
    /// The scope is malformed or goes beyond what may be asked.
    InvalidScope,
    /// A resource that this client may not ask for (RFC 8707 section 2).
    InvalidTarget,
    /// The person said no.
    AccessDenied,
    /// There is no such response type here.
    UnsupportedResponseType,
    /// Somebody must sign in, and nothing may be asked (OpenID Connect Core section 3.1.2.6).
    LoginRequired,
    /// The person must say with which account, and nothing may be asked.
    AccountSelectionRequired,
    /// The person must consent, and nothing may be asked.
    ConsentRequired,
    /// Clients can't describe themselves in a request here.
    RegistrationNotSupported,
    /// No sign-in here is of the kind that the request insists on (OpenID Connect Core Error
    /// Code unmet_authentication_requirements).
    UnmetAuthenticationRequirements,
    /// A request object that isn't the client's, or isn't good (RFC 9101 section 7).
    InvalidRequestObject,
    /// A request object of a kind that isn't taken (OpenID Connect Core section 3.1.2.6).
    RequestNotSupported,
    /// A request that would have to be fetched.
    RequestUriNotSupported,
    /// Try again later.
    TemporarilyUnavailable,
    /// Our mistake.
    ServerError,
}

impl Code {
    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::LoginRequired => "login_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::ConsentRequired => "consent_required",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

/// A refusal: what the client is told, and what the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    /// The registered code.
    pub code: Code,
    /// For the client's developer: printable ASCII without quotes and backslashes.
    pub description: String,
    /// For our log; never a secret.
    pub cause: String,
    /// Whether the client tried the Authorization header: then 401 must name the scheme.
    pub challenge: bool,
    /// When to come back.
    pub retry_after: Option<Duration>,
    /// Whether the page about ended sessions says more: its address goes out as `error_uri`.
    pub session_ended: bool,
}

impl OAuthError {
    /// A refusal whose cause is its description.
    pub fn new(code: Code, description: impl Into<String>) -> Self {
        let description = plain(&description.into());
        Self {
            code,
            cause: description.clone(),
            description,
            challenge: false,
            retry_after: None,
            session_ended: false,
        }
    }

    /// With a cause that only the log may know.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = cause.into();
        self
    }

    /// With a time to come back.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    /// A malformed request.
    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, description)
    }

    /// A grant that doesn't count.
    pub fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new(Code::InvalidGrant, description)
    }

    /// A client that didn't prove who it is. All such refusals look the same.
    pub fn invalid_client(cause: impl Into<String>, challenge: bool) -> Self {
        let mut error =
            Self::new(Code::InvalidClient, "client authentication failed").because(cause);
        error.challenge = challenge;
        error
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self.code {
            Code::InvalidClient => 401,
            Code::TemporarilyUnavailable => 503,
            Code::ServerError => 500,
            _ => 400,
        }
    }
}

impl From<crate::storage::StorageError> for OAuthError {
    fn from(error: crate::storage::StorageError) -> Self {
        if error.is_temporary() {
            Self::new(Code::TemporarilyUnavailable, "the server is busy; try again in a moment")
                .because(error.to_string())
                .retry_after(Duration::from_secs(1))
        } else {
            Self::new(Code::ServerError, "the server could not answer this request")
                .because(error.to_string())
        }
    }
}

/// What RFC 6749 section 5.2 allows in a description.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '\\' | '“' | '”' | '’' => '\'',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}
