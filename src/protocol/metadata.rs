//! What clients discover: OpenID Connect Discovery 1.0 section 3 and RFC 8414 section 2, with the
//! members of the specifications that this server follows. One document under both names.

use serde_json::{Map, Value, json};

use super::authorize::ResponseMode;
use crate::domain::algorithm::Algorithm;
use crate::domain::authentication::ACR_VALUES;
use crate::domain::client::{AuthMethod, GrantType};
use crate::domain::client_details::SubjectType;

/// Scopes with words of their own on the consent page.
const SCOPES: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

/// What ID tokens say by themselves, and the standard claims (OpenID Connect Core section 5.1).
const CLAIMS: [&str; 30] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "at_hash",
    "sid",
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
    "email",
    "email_verified",
    "address",
    "phone_number",
    "phone_number_verified",
];

/// What depends on the installation.
#[derive(Clone, Copy, Debug)]
pub struct Installed<'a> {
    /// The issuer, as every URL here begins.
    pub issuer: &'a str,
    /// The scopes that an administrator described.
    pub scopes: &'a [String],
    /// The operator's page about people's data.
    pub policy_uri: Option<&'a str>,
    /// The operator's terms of service.
    pub terms_uri: Option<&'a str>,
    /// Whether clients may register themselves (RFC 7591).
    pub registration: bool,
    /// Whether a client's id may be the address of its metadata.
    pub metadata_documents: bool,
}

/// The document.
pub fn document(installed: &Installed<'_>) -> Value {
    let mut document = Map::new();
    for part in [
        endpoints(installed),
        sign_in(),
        claims(installed),
        requests(),
        clients(installed),
        logout(installed),
    ] {
        if let Value::Object(members) = part {
            document.extend(members);
        }
    }
    let pages = [("op_policy_uri", installed.policy_uri), ("op_tos_uri", installed.terms_uri)];
    for (name, page) in pages {
        if let Some(page) = page {
            document.insert(name.to_owned(), page.into());
        }
    }
    Value::Object(document)
}

impl Installed<'_> {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

fn endpoints(installed: &Installed<'_>) -> Value {
    json!({
        "issuer": installed.issuer,
        "authorization_endpoint": installed.at("/oauth/authorize"),
        "token_endpoint": installed.at("/oauth/token"),
        "userinfo_endpoint": installed.at("/oauth/userinfo"),
        "jwks_uri": installed.at("/oauth/jwks.json"),
        "revocation_endpoint": installed.at("/oauth/revoke"),
        "introspection_endpoint": installed.at("/oauth/introspect"),
        "pushed_authorization_request_endpoint": installed.at("/oauth/par"),
    })
}

/// What a sign-in may be asked for.
fn sign_in() -> Value {
    let modes: Vec<&str> = ResponseMode::ALL.iter().map(|(_, name)| *name).collect();
    json!({
        "response_types_supported": ["code"],
        "response_modes_supported": modes,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page", "popup", "touch"],
        "ui_locales_supported": ["en"],
        "acr_values_supported": ACR_VALUES,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// What is told of a person, and how it is signed.
fn claims(installed: &Installed<'_>) -> Value {
    let mut scopes: Vec<&str> = SCOPES.to_vec();
    for described in installed.scopes {
        if !scopes.contains(&described.as_str()) {
            scopes.push(described);
        }
    }
    let subjects: Vec<&str> = SubjectType::ALL.iter().map(|(_, name)| *name).collect();
    json!({
        "scopes_supported": scopes,
        "claims_supported": CLAIMS,
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": true,
        "subject_types_supported": subjects,
        "id_token_signing_alg_values_supported": algorithms(),
        "userinfo_signing_alg_values_supported": algorithms(),
    })
}

/// How an authorization request may come.
fn requests() -> Value {
    json!({
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": algorithms(),
        "request_uri_parameter_supported": false,
        "require_request_uri_registration": false,
        "require_pushed_authorization_requests": false,
    })
}

/// What a client may be, and how it proves who it is.
fn clients(installed: &Installed<'_>) -> Value {
    let grants: Vec<&str> = GrantType::ALL.iter().map(|(_, name)| *name).collect();
    let methods: Vec<&str> = AuthMethod::ALL.iter().map(|(_, name)| *name).collect();
    let proving: Vec<&str> = methods.iter().copied().filter(|method| *method != "none").collect();
    let mut members = json!({
        "grant_types_supported": grants,
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": proving,
        "refresh_token_expiration_types_supported":
            ["refresh_token_timeout", "authorization_expires_in"],
    });
    let mut assertions =
        if methods.contains(&"private_key_jwt") { algorithms() } else { Vec::new() };
    if methods.contains(&"client_secret_jwt") {
        assertions.push("HS256");
    }
    if let Some(members) = members.as_object_mut() {
        if !assertions.is_empty() {
            for endpoint in ["token", "revocation", "introspection"] {
                let name = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
                members.insert(name, json!(assertions));
            }
        }
        if installed.registration {
            let endpoint = installed.at("/oauth/register");
            members.insert("registration_endpoint".into(), endpoint.into());
        }
        if installed.metadata_documents {
            members.insert("client_id_metadata_document_supported".into(), true.into());
        }
    }
    members
}

fn logout(installed: &Installed<'_>) -> Value {
    json!({
        "end_session_endpoint": installed.at("/oauth/logout"),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    })
}

/// Every algorithm, the one that all clients know first.
fn algorithms() -> Vec<&'static str> {
    let others = Algorithm::ALL.iter().filter(|(algorithm, _)| *algorithm != Algorithm::Rs256);
    std::iter::once(Algorithm::Rs256.name()).chain(others.map(|(_, name)| *name)).collect()
}
