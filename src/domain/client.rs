//! Registered clients (RFC 6749 section 2, with the metadata names of RFC 7591).

pub mod document_url;

use std::time::Duration;

use super::access_token::AccessTokenFormat;
use super::client_details::{self, ClientDetails};
use super::client_standing::Standing;
use super::redirect_uri;
use super::scope::Scope;
use super::secret::HashedSecret;
use super::time::Timestamp;
use super::token_family::Rotation;

/// A client's `client_id`: 1 to 128 letters, digits, and `. _ ~ -`; or the https address of its
/// metadata document ([`document_url`]). Never of the form of a person's id, so that it can't
/// pass for a `sub` (RFC 9700 section 4.15).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// Checks an id.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return document_url::check(text).map(|()| Self(text.to_owned()));
        }
        Self::parse_plain(text)
    }

    /// Checks an id that is no address: one that an administrator may choose.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse_plain(text: &str) -> Result<Self, String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        if text.is_empty() || text.len() > 128 || !text.bytes().all(plain) {
            return Err("a client ID has 1 to 128 letters, digits, and . _ ~ -".into());
        }
        if text.parse::<super::id::UserId>().is_ok() {
            return Err("a client ID may not look like a person's id (a UUID)".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host of its metadata document, where it is the address of one.
    pub fn document_host(&self) -> Option<String> {
        let url = self.0.starts_with("https://").then(|| url::Url::parse(&self.0).ok())??;
        let host = url.host_str()?.to_owned();
        Some(url.port().map_or(host.clone(), |port| format!("{host}:{port}")))
    }
}

impl std::fmt::Display for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a client proves who it is at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// It doesn't: a public client.
    None,
    /// Its secret in the Authorization header.
    ClientSecretBasic,
    /// Its secret in the body.
    ClientSecretPost,
    /// An assertion that it signed with its secret (OpenID Connect Core section 9).
    ClientSecretJwt,
    /// An assertion that it signed with its private key (the same, RFC 7523).
    PrivateKeyJwt,
}

impl AuthMethod {
    /// All of them, with their registered names.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::None, "none"),
        (Self::ClientSecretBasic, "client_secret_basic"),
        (Self::ClientSecretPost, "client_secret_post"),
        (Self::ClientSecretJwt, "client_secret_jwt"),
        (Self::PrivateKeyJwt, "private_key_jwt"),
    ];

    /// Whether it works by a secret that the client and this server share.
    pub fn has_secret(self) -> bool {
        !matches!(self, Self::None | Self::PrivateKeyJwt)
    }

    /// Whether it works by assertions that the client signs.
    pub fn is_by_assertion(self) -> bool {
        matches!(self, Self::ClientSecretJwt | Self::PrivateKeyJwt)
    }

    /// Its registered name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The method with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(method, _)| *method)
    }
}

/// A grant that a client may use at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// RFC 6749 section 4.1.
    AuthorizationCode,
    /// RFC 6749 section 6.
    RefreshToken,
}

impl GrantType {
    /// All of them, with their registered names.
    pub const ALL: [(Self, &'static str); 2] =
        [(Self::AuthorizationCode, "authorization_code"), (Self::RefreshToken, "refresh_token")];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The grant with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(grant, _)| *grant)
    }
}

/// When a client with the `refresh_token` grant gets a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshPolicy {
    /// When the person consented to `offline_access`.
    OfflineAccess,
    /// At every sign-in.
    Always,
}

impl RefreshPolicy {
    /// All of them, with the name that commands and the database use.
    pub const ALL: [(Self, &'static str); 2] =
        [(Self::OfflineAccess, "offline_access"), (Self::Always, "always")];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The policy with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(policy, _)| *policy)
    }
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its `client_id`.
    pub id: ClientId,
    /// When it was registered.
    pub created_at: Timestamp,
    /// What may be changed about it.
    pub metadata: ClientMetadata,
    /// The hash of its secret; none for a client without one.
    pub secret: Option<HashedSecret>,
    /// The secret itself, sealed under the root secret: only where the client signs with it.
    pub sealed_secret: Option<Vec<u8>>,
    /// Where it comes from.
    pub standing: Standing,
}

/// What an administrator chooses about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    /// Its name, as people see it.
    pub name: String,
    /// How it authenticates. `None` makes it public.
    pub auth_method: AuthMethod,
    /// Where people may be sent back to.
    pub redirect_uris: Vec<String>,
    /// Where people may be sent after signing out.
    pub post_logout_redirect_uris: Vec<String>,
    /// The grants it may use.
    pub grants: Vec<GrantType>,
    /// The scope it may ask for.
    pub scope: Scope,
    /// The form of its access tokens.
    pub access_token_format: AccessTokenFormat,
    /// Its refresh rules.
    pub rotation: Rotation,
    /// Its own retry window; else the server's.
    pub retry_window: Option<Duration>,
    /// When it gets refresh tokens.
    pub refresh_policy: RefreshPolicy,
    /// The resource servers that its access tokens are for; none: the issuer.
    pub audience: Vec<String>,
    /// Whether it may introspect tokens whose audience it is.
    pub may_introspect: bool,
    /// Whether each authorization request needs a PKCE challenge.
    pub require_pkce: bool,
    /// Whether people aren't asked: the operator's own app.
    pub skip_consent: bool,
    /// What it says of itself beyond that.
    pub details: ClientDetails,
}

impl ClientMetadata {
    /// A client as most are: both grants, JWTs, resumable rotation, PKCE, and nothing beyond.
    pub fn new(name: &str, auth_method: AuthMethod, scope: Scope) -> Self {
        Self {
            name: name.trim().to_owned(),
            auth_method,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            grants: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            scope,
            access_token_format: AccessTokenFormat::Jwt,
            rotation: Rotation::Resumable,
            retry_window: None,
            refresh_policy: RefreshPolicy::OfflineAccess,
            audience: Vec::new(),
            may_introspect: false,
            require_pkce: true,
            skip_consent: false,
            details: ClientDetails::default(),
        }
    }

    /// Whether it is a public client (RFC 6749 section 2.1).
    pub fn is_public(&self) -> bool {
        self.auth_method == AuthMethod::None
    }

    /// Whether it may use this grant.
    pub fn has_grant(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// Whether an answer sent to this URI reaches this client and no other: it proves who it is
    /// at the token endpoint, or the URI is a web address of its own.
    pub fn identity_is_assured(&self, redirect_uri: &str) -> bool {
        !self.is_public() || redirect_uri.starts_with("https://")
    }

    /// The registered URI that `presented` matches; with none presented, the only one.
    pub fn redirect_uri(&self, presented: Option<&str>) -> Option<String> {
        match (presented, self.redirect_uris.as_slice()) {
            (Some(presented), registered) => registered
                .iter()
                .any(|own| redirect_uri::matches(own, presented))
                .then(|| presented.to_owned()),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        }
    }

    /// Checks everything that can be wrong, each fault under the name of its member.
    /// `access_token_life` bounds the retry window: a retry gives the same access token.
    pub fn faults(&self, access_token_life: Duration) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            faults.push(("name", "Give the app a name of 1 to 100 characters.".to_owned()));
        }
        if self.has_grant(GrantType::AuthorizationCode) && self.redirect_uris.is_empty() {
            faults.push((
                "redirect_uris",
                "Add at least one redirect URI, such as https://app.example/callback.".to_owned(),
            ));
        }
        for uri in &self.redirect_uris {
            if let Err(fault) = redirect_uri::check(uri) {
                faults.push(("redirect_uris", sentence(&fault)));
            }
        }
        for uri in &self.post_logout_redirect_uris {
            if let Err(fault) = redirect_uri::check(uri) {
                faults.push(("post_logout_redirect_uris", sentence(&fault)));
            }
        }
        if self.grants.is_empty() {
            faults.push(("grants", "Choose at least one grant.".to_owned()));
        }
        if self.is_public() && !self.require_pkce {
            faults.push(("require_pkce", "A public client must use PKCE.".to_owned()));
        }
        if self.is_public() && self.may_introspect {
            faults.push((
                "may_introspect",
                "Only a confidential client may ask about tokens.".to_owned(),
            ));
        }
        if self.is_public() && self.rotation == Rotation::SenderConstrained {
            faults.push((
                "rotation",
                "Sender-constrained needs a client that proves who it is: choose resumable or \
                 strict for a public client."
                    .to_owned(),
            ));
        }
        match self.retry_window {
            Some(window) if window > access_token_life => faults.push((
                "retry_window",
                format!(
                    "The retry window may not be longer than an access token lives ({} seconds).",
                    access_token_life.as_secs()
                ),
            )),
            Some(Duration::ZERO) if self.rotation != Rotation::Strict => faults.push((
                "retry_window",
                "A retry window of 0 is for strict rotation only.".to_owned(),
            )),
            _ => {}
        }
        for audience in &self.audience {
            if audience.is_empty() || audience.chars().any(|c| c.is_whitespace() || c.is_control())
            {
                faults
                    .push(("audience", "An audience is a name or URI without spaces.".to_owned()));
            }
        }
        faults.extend(client_details::faults(self));
        faults
    }
}

fn sentence(fault: &str) -> String {
    let mut chars = fault.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_can_not_pass_for_a_person() {
        assert!(ClientId::parse("meadow-notes").is_ok());
        assert!(ClientId::parse("0190a5b2-7d4e-7c3a-9f00-000000000001").is_err());
        assert!(ClientId::parse("a b").is_err());
        assert!(ClientId::parse("").is_err());
        assert!(ClientId::parse("https://app.example/client.json").is_ok());
        assert!(ClientId::parse_plain("https://app.example/client.json").is_err());
    }
}
