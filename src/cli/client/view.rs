//! A client as commands show it.

use serde::Serialize;

use super::arguments::Type;
use super::details;
use crate::cli::answer::{Answer, facts, yes_no};
use crate::cli::failure::Failure;
use crate::domain::client::Client;
use crate::domain::client_details::ClientDetails;
use crate::domain::client_standing::Origin;
use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;

/// A client with the names of RFC 7591, and our own for what it doesn't know.
#[derive(Serialize)]
pub(super) struct ClientView {
    pub(super) client_id: String,
    /// Only right after it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    client_id_issued_at: i64,
    pub(super) client_name: String,
    pub(super) client_type: &'static str,
    pub(super) redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    pub(super) grant_types: Vec<&'static str>,
    scope: String,
    token_endpoint_auth_method: &'static str,
    access_token_format: &'static str,
    rotation: &'static str,
    retry_window_seconds: Option<u64>,
    refresh_tokens: &'static str,
    audience: Vec<String>,
    introspect: bool,
    require_pkce: bool,
    skip_consent: bool,
    #[serde(flatten)]
    details: ClientDetails,
    pub(super) origin: &'static str,
    /// Of those that came by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reviewed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
}

impl ClientView {
    pub(super) fn new(client: &Client, secret: Option<&PlainSecret>) -> Self {
        let metadata = &client.metadata;
        Self {
            client_id: client.id.to_string(),
            client_secret: secret.map(|secret| secret.reveal().to_owned()),
            client_id_issued_at: client.created_at.as_seconds(),
            client_name: metadata.name.clone(),
            client_type: Type::of(metadata),
            redirect_uris: metadata.redirect_uris.clone(),
            post_logout_redirect_uris: metadata.post_logout_redirect_uris.clone(),
            grant_types: metadata.grants.iter().map(|grant| grant.name()).collect(),
            scope: metadata.scope.to_string(),
            token_endpoint_auth_method: metadata.auth_method.name(),
            access_token_format: metadata.access_token_format.name(),
            rotation: metadata.rotation.name(),
            retry_window_seconds: metadata.retry_window.map(|window| window.as_secs()),
            refresh_tokens: metadata.refresh_policy.name(),
            audience: metadata.audience.clone(),
            introspect: metadata.may_introspect,
            require_pkce: metadata.require_pkce,
            skip_consent: metadata.skip_consent,
            details: metadata.details.clone(),
            origin: client.standing.origin.name(),
            reviewed: (client.standing.origin != Origin::Administrator)
                .then_some(!client.standing.is_unreviewed()),
            last_used_at: client.standing.last_used_at.map(Timestamp::to_rfc3339),
        }
    }

    pub(super) fn lines(&self) -> String {
        let window = self.retry_window_seconds;
        let own = [
            ("client id", self.client_id.clone()),
            ("client secret", self.client_secret.clone().unwrap_or_default()),
            ("name", self.client_name.clone()),
            ("type", self.client_type.to_owned()),
            ("redirect URIs", self.redirect_uris.join(" ")),
            ("after sign-out", self.post_logout_redirect_uris.join(" ")),
            ("grants", self.grant_types.join(" ")),
            ("scope", self.scope.clone()),
            ("authenticates by", self.token_endpoint_auth_method.to_owned()),
            ("access tokens", self.access_token_format.to_owned()),
            ("audience", self.audience.join(" ")),
            ("rotation", self.rotation.to_owned()),
            (
                "retry window",
                window.map_or_else(|| "the server's".into(), |seconds| format!("{seconds} s")),
            ),
            ("refresh tokens", self.refresh_tokens.to_owned()),
            ("may introspect", yes_no(self.introspect)),
            ("PKCE required", yes_no(self.require_pkce)),
            ("consent", if self.skip_consent { "not asked" } else { "asked" }.to_owned()),
        ];
        let came = [
            ("registered by", self.origin.to_owned()),
            ("reviewed", self.reviewed.map(yes_no).unwrap_or_default()),
            ("last used", self.last_used_at.clone().unwrap_or_default()),
        ];
        facts(own.into_iter().chain(details::facts(&self.details)).chain(came))
    }

    /// The answer after a change; a secret that is shown comes with a warning.
    pub(super) fn answer(self, did: &str) -> Result<Answer, Failure> {
        let warning = match self.client_secret {
            Some(_) => "\nKeep the client secret now: it isn't stored, and isn't shown again.\n",
            None => "",
        };
        let text = format!("{did} {}:\n{}{warning}", self.client_name, self.lines());
        Answer::new(&self, text)
    }
}
