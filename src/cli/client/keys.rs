//! The flags of how a client signs: its keys, and what it must sign.

use std::path::PathBuf;

use crate::cli::failure::Failure;
use crate::domain::client_details::ClientDetails;

/// What a client signs with, and what it must sign.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "How it signs")]
pub(super) struct ClientKeys {
    /// A file with its public keys, as a JWK set; "" for none
    #[arg(long, value_name = "FILE")]
    jwks_file: Option<PathBuf>,
    /// Where its public keys are; "" for nowhere
    #[arg(long, value_name = "URI", conflicts_with = "jwks_file")]
    jwks_uri: Option<String>,
    /// What its assertions are signed with; "" for any algorithm that fits [default: any]
    #[arg(long, value_name = "ALG")]
    assertion_alg: Option<String>,
    /// Whether its assertions must be for the issuer alone, as FAPI 2.0 demands [default: false]
    #[arg(long, value_name = "YES", value_parser = clap::value_parser!(bool))]
    assertion_for_issuer: Option<bool>,
    /// What its request objects are signed with; "" for any algorithm that fits [default: any]
    #[arg(long, value_name = "ALG")]
    request_object_alg: Option<String>,
    /// Whether it must push its authorization requests [default: false]
    #[arg(long, value_name = "YES", value_parser = clap::value_parser!(bool))]
    require_pushed_requests: Option<bool>,
}

impl ClientKeys {
    /// Puts what was given in place of what stands there. A set replaces an address, and an
    /// address a set.
    ///
    /// # Errors
    /// When the file can't be read, or isn't JSON.
    pub(super) fn apply(self, details: &mut ClientDetails) -> Result<(), Failure> {
        fn put(value: &mut Option<String>, given: Option<String>) {
            if let Some(given) = given {
                *value = (!given.is_empty()).then_some(given);
            }
        }
        if let Some(path) = self.jwks_file {
            details.jwks = if path.as_os_str().is_empty() {
                None
            } else {
                let wrong =
                    |why: String| Failure::Usage(format!("--jwks-file: {} {why}", path.display()));
                let text = std::fs::read(&path)
                    .map_err(|error| wrong(format!("can't be read: {error}")))?;
                let set = serde_json::from_slice(&text)
                    .map_err(|error| wrong(format!("isn't JSON: {error}")))?;
                details.jwks_uri = None;
                Some(set)
            };
        }
        if self.jwks_uri.as_ref().is_some_and(|uri| !uri.is_empty()) {
            details.jwks = None;
        }
        put(&mut details.jwks_uri, self.jwks_uri);
        put(&mut details.token_endpoint_auth_signing_alg, self.assertion_alg);
        put(&mut details.request_object_signing_alg, self.request_object_alg);
        if let Some(strictly) = self.assertion_for_issuer {
            details.assertion_audience_is_issuer = strictly;
        }
        if let Some(required) = self.require_pushed_requests {
            details.require_pushed_authorization_requests = required;
        }
        Ok(())
    }
}

/// The flag of a member, where it is one of these.
pub(super) fn flag(member: &str) -> &str {
    match member {
        "jwks" => "--jwks-file",
        "jwks_uri" => "--jwks-uri",
        "token_endpoint_auth_signing_alg" => "--assertion-alg",
        "request_object_signing_alg" => "--request-object-alg",
        other => other,
    }
}
