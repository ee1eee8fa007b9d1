//! What a client may say of itself beyond what every client has: the further members of
//! RFC 7591 section 2, OpenID Connect Registration section 2 and the logout specifications.

mod check;

use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
pub(super) use check::faults;
pub use check::sector_host;

/// What kind of app it is, which decides where it may send people back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// It runs on a server.
    Web,
    /// It runs on people's devices.
    Native,
}

impl ApplicationType {
    /// All of them, with their registered names.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Web, "web"), (Self::Native, "native")];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The type with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(kind, _)| *kind)
    }
}

/// Which `sub` a client gets for a person (OpenID Connect Core section 8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    /// The same as every other client.
    #[default]
    Public,
    /// One that no client of another sector gets.
    Pairwise,
}

impl SubjectType {
    /// All of them, with their registered names.
    pub const ALL: [(Self, &'static str); 2] =
        [(Self::Public, "public"), (Self::Pairwise, "pairwise")];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The type with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(kind, _)| *kind)
    }
}

/// The members, by their registered names. All of them may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientDetails {
    /// The app's own page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// What it does with people's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Its terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// Which program it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// In which version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,

    /// What kind of app it is, where it said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_type: Option<ApplicationType>,

    /// Its public keys (RFC 7517 section 5); not beside `jwks_uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// Where its public keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// What its assertions are signed with; none: any that its keys and method allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<String>,
    /// Whether the audience of its assertions is the issuer and nothing else (FAPI 2.0 Security
    /// Profile section 5.3.2.1). Our own; there is no registered name.
    #[serde(skip_serializing_if = "is_false")]
    pub assertion_audience_is_issuer: bool,
    /// What its request objects are signed with; none: any that its keys allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<String>,
    /// Whether it must push its authorization requests (RFC 9126 section 6).
    #[serde(skip_serializing_if = "is_false")]
    pub require_pushed_authorization_requests: bool,

    /// Which `sub` it gets.
    pub subject_type: SubjectType,
    /// Where the redirect URIs of its sector are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// What its ID tokens are signed with; none: RS256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<Algorithm>,
    /// What its UserInfo answers are signed with; none: they are plain JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<Algorithm>,
    /// How long ago, in seconds, a person may have signed in, unless the request says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u64>,
    /// Whether its ID tokens say when the person signed in. Ours always do.
    #[serde(skip_serializing_if = "is_false")]
    pub require_auth_time: bool,
    /// The authentication contexts that it asks for, unless the request says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    /// Where a sign-in may be begun by somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,

    /// Where it is told that a sign-in has ended (OpenID Connect Back-Channel Logout).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Whether it must be told which one. Ours always are.
    #[serde(skip_serializing_if = "is_false")]
    pub backchannel_logout_session_required: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
