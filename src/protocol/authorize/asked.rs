//! What a request says about the person and the sign-in, beyond what OAuth itself knows
//! (OpenID Connect Core sections 3.1.2.1 and 5.5).

use std::time::Duration;

use serde_json::Value;

use super::Parameters;
use crate::crypto::keyring::Keyring;
use crate::domain::authentication::ACR_VALUES;
use crate::domain::claims_request::ClaimsRequest;
use crate::domain::client::Client;
use crate::domain::prompt::Prompt;
use crate::protocol::id_token;
use crate::protocol::oauth_error::Code;

/// The longest `login_hint` that a form is filled with, in letters.
const LONGEST_NAME: usize = 254;

/// What is asked about the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What must be asked, or that nothing may.
    pub prompt: Prompt,
    /// How long ago they may have signed in.
    pub max_age: Option<Duration>,
    /// What they may be called; for the form.
    pub login_hint: Option<String>,
    /// The `sub` of the ID token that was sent as a hint.
    pub hinted: Option<String>,
    /// The claims that are asked for one by one.
    pub claims: Option<ClaimsRequest>,
}

impl Asked {
    /// Reads the parameters. `openid`: whether it is an OpenID request; else what only OpenID
    /// Connect knows is ignored, as any unknown parameter.
    ///
    /// # Errors
    /// The error's code, and a clause that says what would be right.
    pub fn read(
        parameters: &Parameters,
        client: &Client,
        openid: bool,
        keyring: &Keyring,
        issuer: &str,
    ) -> Result<Self, (Code, String)> {
        let invalid = |description: String| (Code::InvalidRequest, description);
        let prompt = match parameters.get("prompt") {
            Some(text) => Prompt::parse(text).map_err(invalid)?,
            None => Prompt::DEFAULT,
        };
        let max_age = match parameters.get("max_age") {
            Some(text) => Some(seconds(text).ok_or_else(|| {
                invalid("max_age is not a number of seconds; send digits alone".into())
            })?),
            None => client.metadata.details.default_max_age.map(Duration::from_secs),
        };
        let login_hint = parameters
            .get("login_hint")
            .map(|hint| hint.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect());
        let asked = Self { prompt, max_age, login_hint, hinted: None, claims: None };
        if !openid {
            return Ok(asked);
        }
        if parameters.get("registration").is_some() {
            let description = "registration is not supported; register the client before";
            return Err((Code::RegistrationNotSupported, description.into()));
        }
        let hinted = parameters
            .get("id_token_hint")
            .map(|text| hinted(text, client, keyring, issuer))
            .transpose()
            .map_err(invalid)?;
        let claims = parameters.get("claims").map(ClaimsRequest::parse).transpose();
        let claims = claims.map_err(invalid)?.filter(|claims| !claims.is_empty());
        if let Some(acr) = claims.as_ref().and_then(|claims| claims.id_token.get("acr"))
            && let Some(acr) = acr.as_ref().filter(|acr| acr.essential)
            && !ACR_VALUES.iter().any(|own| acr.accepts(&Value::from(*own)))
        {
            return Err((
                Code::UnmetAuthenticationRequirements,
                "no sign-in here has the acr that claims asks for as essential".into(),
            ));
        }
        Ok(Self { hinted, claims, ..asked })
    }

    /// Whether it is about one person, and no other will do.
    pub fn is_about_somebody(&self) -> bool {
        self.hinted.is_some() || self.subjects().next().is_some()
    }

    /// Whether the person with this `sub` will do.
    pub fn is_about(&self, subject: &str) -> bool {
        self.hinted.as_deref().is_none_or(|hinted| hinted == subject)
            && self.subjects().all(|asked| asked.accepts(&Value::from(subject)))
    }

    /// The values of `sub` that `claims` asks for.
    fn subjects(&self) -> impl Iterator<Item = &crate::domain::claims_request::ClaimAsked> {
        let both = self.claims.iter().flat_map(|claims| [&claims.id_token, &claims.userinfo]);
        both.filter_map(|claims| claims.get("sub")?.as_ref())
            .filter(|asked| asked.value.is_some() || !asked.values.is_empty())
    }
}

/// Whole seconds. More than anybody lives are as good as any number.
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

/// Whom an ID token of ours is about. Only of the client's own: with another's it could find
/// out who is signed in here.
fn hinted(text: &str, client: &Client, keyring: &Keyring, issuer: &str) -> Result<String, String> {
    let hint = id_token::read_hint(keyring, issuer, text)
        .ok_or("id_token_hint is not an ID token of this server")?;
    if !hint.audience.iter().any(|id| id == client.id.as_str()) {
        return Err("id_token_hint is an ID token of another client".into());
    }
    Ok(hint.subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_digits() {
        assert_eq!(seconds("0"), Some(Duration::ZERO));
        assert_eq!(seconds("15000"), Some(Duration::from_secs(15_000)));
        assert!(seconds("99999999999999999999999").is_some());
        for bad in ["-1", "1.5", "+1", "1e3", " 1", "x", "0x10", "١"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn whom_claims_are_about() {
        let asked = |claims: &str| Asked {
            prompt: Prompt::DEFAULT,
            max_age: None,
            login_hint: None,
            hinted: None,
            claims: Some(ClaimsRequest::parse(claims).unwrap()),
        };
        let anybody = asked(r#"{"id_token":{"sub":null},"userinfo":{"sub":{"essential":true}}}"#);
        assert!(!anybody.is_about_somebody() && anybody.is_about("x"));
        let one = asked(r#"{"id_token":{"sub":{"value":"x"}}}"#);
        assert!(one.is_about_somebody() && one.is_about("x") && !one.is_about("y"));
        let either = asked(r#"{"userinfo":{"sub":{"values":["x","y"]}}}"#);
        assert!(either.is_about("y") && !either.is_about("z"));
        let hinted = Asked { hinted: Some("y".into()), ..either };
        assert!(hinted.is_about("y") && !hinted.is_about("x"));
    }
}
