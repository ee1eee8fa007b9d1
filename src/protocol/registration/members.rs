//! The members of a registration, read strictly: each that we know is right or the whole is
//! refused, and what we don't know is ignored (RFC 7591 section 2).

use serde_json::{Map, Value};

use super::{Policy, Refusal};
use crate::domain::algorithm::Algorithm;
use crate::domain::client::{AuthMethod, ClientMetadata, GrantType};
use crate::domain::client_details::{ApplicationType, ClientDetails, SubjectType};
use crate::domain::scope::Scope;

type Read<T> = Result<T, Refusal>;

/// Members that we know and don't have: to ignore them would leave a client without what it
/// counts on.
const NOT_HERE: [&str; 6] = [
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
];

/// Characters that show a name as another one.
const TURNING: [std::ops::RangeInclusive<char>; 4] = [
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
];

/// The metadata of a registration; `before` is what it replaces, which keeps what only an
/// administrator chooses.
///
/// # Errors
/// The first thing that is wrong, or all faults of members whose form is right.
pub fn read(
    body: &Value,
    before: Option<&ClientMetadata>,
    policy: &Policy,
) -> Read<ClientMetadata> {
    let members = Members::of(body)?;
    let method = match members.text("token_endpoint_auth_method")? {
        Some(name) => auth_method(name, &AuthMethod::ALL.map(|(method, _)| method))?,
        None => AuthMethod::ClientSecretBasic,
    };
    let mut metadata = read_with(&members, method, before, policy)?;
    if before.is_none_or(|before| before.is_public() != metadata.is_public()) {
        // Clients by OpenID Connect's own profiles send none; OAuth 2.1 section 7.5.1 lets a
        // confidential one use its nonce instead.
        metadata.require_pkce = metadata.is_public();
    }
    checked(metadata, policy)
}

/// The metadata of a client's document. It has no secret, since everybody reads the document.
///
/// # Errors
/// As [`read`].
pub fn read_document(
    body: &Value,
    id: &str,
    before: Option<&ClientMetadata>,
    policy: &Policy,
) -> Read<ClientMetadata> {
    let members = Members::of(body)?;
    match members.text("client_id")? {
        Some(own) if own == id => {}
        Some(_) => return Err(Refusal::metadata("client_id: it is not the document's address")),
        None => return Err(Refusal::metadata("client_id is missing from the document")),
    }
    for secret in ["client_secret", "client_secret_expires_at"] {
        if members.get(secret).is_some() {
            return Err(Refusal::metadata(format!("{secret}: a public document has no secret")));
        }
    }
    let without_secret: Vec<AuthMethod> = AuthMethod::ALL
        .iter()
        .filter(|(_, name)| matches!(*name, "none" | "private_key_jwt"))
        .map(|(method, _)| *method)
        .collect();
    let method = match members.text("token_endpoint_auth_method")? {
        Some(name) => auth_method(name, &without_secret)?,
        None => AuthMethod::None,
    };
    checked(read_with(&members, method, before, policy)?, policy)
}

fn auth_method(name: &str, allowed: &[AuthMethod]) -> Read<AuthMethod> {
    AuthMethod::from_name(name).filter(|method| allowed.contains(method)).ok_or_else(|| {
        let names: Vec<&str> = allowed.iter().map(|method| method.name()).collect();
        Refusal::metadata(format!("token_endpoint_auth_method: send one of {}", names.join(", ")))
    })
}

fn read_with(
    members: &Members<'_>,
    method: AuthMethod,
    before: Option<&ClientMetadata>,
    policy: &Policy,
) -> Read<ClientMetadata> {
    if members.get("software_statement").is_some() {
        return Err(Refusal::software_statement());
    }
    if let Some(name) = NOT_HERE.iter().find(|name| members.get(name).is_some()) {
        return Err(Refusal::metadata(format!(
            "{name}: this server does not encrypt; leave it out"
        )));
    }
    let grants = grants(members)?;
    let redirect_uris = members
        .texts("redirect_uris")
        .map_err(|refusal| Refusal::redirect_uri(refusal.description))?
        .unwrap_or_default();
    let name = match members.text("client_name")? {
        Some(name) => name.to_owned(),
        None => host_of(&redirect_uris),
    };
    let scope = scope(members, &grants, before, policy)?;
    let usual = ClientMetadata::new(&name, method, Scope::empty());
    Ok(ClientMetadata {
        name: usual.name.clone(),
        auth_method: method,
        redirect_uris,
        post_logout_redirect_uris: members.texts("post_logout_redirect_uris")?.unwrap_or_default(),
        grants,
        scope,
        details: ClientDetails {
            // An administrator's choice, and no member of a registration.
            assertion_audience_is_issuer: before
                .is_some_and(|before| before.details.assertion_audience_is_issuer),
            ..details(members)?
        },
        ..before.cloned().unwrap_or(usual)
    })
}

/// What people see where the client gave no name.
fn host_of(redirect_uris: &[String]) -> String {
    redirect_uris
        .first()
        .and_then(|uri| Some(url::Url::parse(uri).ok()?.host_str()?.to_owned()))
        .unwrap_or_else(|| "An app without a name".to_owned())
}

/// RFC 7591 section 2.1: the code grant, with the response type that belongs to it.
fn grants(members: &Members<'_>) -> Read<Vec<GrantType>> {
    let mut grants = Vec::new();
    for name in members.texts("grant_types")?.unwrap_or_else(|| vec!["authorization_code".into()]) {
        let grant = GrantType::from_name(&name).ok_or_else(|| {
            Refusal::metadata(format!(
                "grant_types: {name} is not supported; send {}",
                GrantType::ALL.map(|(_, name)| name).join(", ")
            ))
        })?;
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    if !grants.contains(&GrantType::AuthorizationCode) {
        return Err(Refusal::metadata("grant_types: authorization_code must be among them"));
    }
    let types = members.texts("response_types")?.unwrap_or_else(|| vec!["code".into()]);
    if types.is_empty() || types.iter().any(|name| name != "code") {
        return Err(Refusal::metadata("response_types: only code is supported; send [code]"));
    }
    Ok(grants)
}

/// What it asks for, as far as it may; all of that where it doesn't say.
fn scope(
    members: &Members<'_>,
    grants: &[GrantType],
    before: Option<&ClientMetadata>,
    policy: &Policy,
) -> Read<Scope> {
    let mut allowed = policy.scopes.clone();
    if let Some(before) = before {
        // An administrator may have given it more.
        allowed = allowed.union(&before.scope);
    }
    if !grants.contains(&GrantType::RefreshToken)
        && let Ok(offline) = crate::domain::scope::OFFLINE_ACCESS.parse::<Scope>()
    {
        allowed = allowed.without(&offline);
    }
    let Some(text) = members.text("scope")? else { return Ok(allowed) };
    let asked: Scope =
        text.parse().map_err(|fault: String| Refusal::metadata(format!("scope: {fault}")))?;
    let scope = asked.restricted_to(&allowed);
    if scope.is_empty() {
        return Err(Refusal::metadata(format!(
            "scope: nothing of it may be asked for here; what may is {allowed}"
        )));
    }
    Ok(scope)
}

fn details(members: &Members<'_>) -> Read<ClientDetails> {
    let own = |name| members.text(name).map(|text| text.map(str::to_owned));
    Ok(ClientDetails {
        client_uri: own("client_uri")?,
        logo_uri: own("logo_uri")?,
        policy_uri: own("policy_uri")?,
        tos_uri: own("tos_uri")?,
        contacts: members.texts("contacts")?.unwrap_or_default(),
        software_id: own("software_id")?,
        software_version: own("software_version")?,
        application_type: members.one_of("application_type", &ApplicationType::ALL)?,
        jwks: members.get("jwks").cloned(),
        jwks_uri: own("jwks_uri")?,
        token_endpoint_auth_signing_alg: own("token_endpoint_auth_signing_alg")?,
        request_object_signing_alg: own("request_object_signing_alg")?,
        require_pushed_authorization_requests: members
            .flag("require_pushed_authorization_requests")?,
        subject_type: members.one_of("subject_type", &SubjectType::ALL)?.unwrap_or_default(),
        sector_identifier_uri: own("sector_identifier_uri")?,
        id_token_signed_response_alg: members
            .one_of("id_token_signed_response_alg", &Algorithm::ALL)?,
        userinfo_signed_response_alg: members
            .one_of("userinfo_signed_response_alg", &Algorithm::ALL)?,
        default_max_age: members.number("default_max_age")?,
        require_auth_time: members.flag("require_auth_time")?,
        default_acr_values: members.texts("default_acr_values")?.unwrap_or_default(),
        initiate_login_uri: own("initiate_login_uri")?,
        backchannel_logout_uri: own("backchannel_logout_uri")?,
        backchannel_logout_session_required: members.flag("backchannel_logout_session_required")?,
        ..ClientDetails::default()
    })
}

/// The metadata, if the rules that hold for every client allow it.
fn checked(metadata: ClientMetadata, policy: &Policy) -> Read<ClientMetadata> {
    if metadata.name.chars().any(|c| TURNING.iter().any(|range| range.contains(&c))) {
        return Err(Refusal::metadata(
            "client_name: it has an invisible character, or one that turns text around",
        ));
    }
    let faults = metadata.faults(policy.access_token_life);
    if faults.is_empty() {
        return Ok(metadata);
    }
    let member = |name: &'static str| match name {
        "name" => "client_name",
        "grants" => "grant_types",
        other => other,
    };
    let of_redirect_uris = faults.iter().any(|(name, _)| *name == "redirect_uris");
    let texts: Vec<String> =
        faults.iter().map(|(name, text)| format!("{}: {text}", member(name))).collect();
    let description = texts.join(" ");
    Err(if of_redirect_uris {
        Refusal::redirect_uri(description)
    } else {
        Refusal::metadata(description)
    })
}

/// A JSON object; a member that is null, or an empty text, counts as left out.
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    fn of(body: &'a Value) -> Read<Self> {
        body.as_object()
            .map(Self)
            .ok_or_else(|| Refusal::metadata("the metadata is not a JSON object"))
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    fn text(&self, name: &str) -> Read<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.contains('\0') => Ok(Some(text)),
            Some(_) => Err(Refusal::metadata(format!("{name}: send a text"))),
        }
    }

    fn texts(&self, name: &str) -> Read<Option<Vec<String>>> {
        let wrong = || Refusal::metadata(format!("{name}: send a list of texts"));
        let Some(value) = self.get(name) else { return Ok(None) };
        let list = value.as_array().ok_or_else(wrong)?;
        let mut texts: Vec<String> = Vec::new();
        for item in list {
            let text = item.as_str().filter(|text| !text.contains('\0')).ok_or_else(wrong)?;
            if !texts.iter().any(|own| own == text) {
                texts.push(text.to_owned());
            }
        }
        Ok(Some(texts))
    }

    fn flag(&self, name: &str) -> Read<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Refusal::metadata(format!("{name}: send true or false"))),
        }
    }

    fn number(&self, name: &str) -> Read<Option<u64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || Refusal::metadata(format!("{name}: send a whole number of seconds"));
        value.as_u64().map(Some).ok_or_else(wrong)
    }

    fn one_of<T: Copy>(&self, name: &str, all: &[(T, &'static str)]) -> Read<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let known = all.iter().find(|(_, own)| *own == text).map(|(value, _)| *value);
        known.map(Some).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|(_, own)| *own).collect();
            Refusal::metadata(format!("{name}: send one of {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests;
