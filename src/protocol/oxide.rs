//! oxide-auth's primitives over our storage.
//!
//! Its code-grant machines decide the order of the steps; these answer them. What the machines
//! don't know (causes, descriptions, our clock) is kept in the session beside them.

use std::borrow::Cow;
use std::cell::RefCell;

use chrono::{DateTime, Utc};
use oxide_auth::primitives::authorizer::Authorizer;
use oxide_auth::primitives::grant::{Extensions, Grant, GrantExtension, Value};
use oxide_auth::primitives::issuer::{IssuedToken, Issuer, RefreshedToken, TokenType};
use oxide_auth::primitives::registrar::{
    BoundClient, ClientUrl, ExactUrl, PreGrant, RegisteredUrl, Registrar, RegistrarError,
};
use oxide_auth::primitives::scope::Scope as OxideScope;

use super::oauth_error::OAuthError;
use crate::domain::authorization_code::AuthorizationCode;
use crate::domain::client::Client;
use crate::domain::scope::Scope;

/// The name under which the PKCE challenge travels with a grant.
pub const PKCE: &str = "pkce";

/// No grant of ours ends by oxide-auth's own clock: expiry is judged by ours, before.
pub fn never() -> DateTime<Utc> {
    DateTime::<Utc>::MAX_UTC
}

/// A scope as oxide-auth holds it. It refuses an empty one, which stands as `None`.
pub fn scope(scope: &Scope) -> Option<OxideScope> {
    if scope.is_empty() { None } else { scope.to_string().parse().ok() }
}

/// The registrar for one request: the client was looked up before, and proved itself where it
/// had to.
pub struct KnownClient<'a> {
    /// The client.
    pub client: &'a Client,
}

impl Registrar for KnownClient<'_> {
    fn bound_redirect<'a>(&self, bound: ClientUrl<'a>) -> Result<BoundClient<'a>, RegistrarError> {
        if bound.client_id != self.client.id.as_str() {
            return Err(RegistrarError::Unspecified);
        }
        let presented = bound.redirect_uri.as_ref().map(|uri| uri.as_str());
        let uri =
            self.client.metadata.redirect_uri(presented).ok_or(RegistrarError::Unspecified)?;
        let exact = uri.parse::<ExactUrl>().map_err(|_| RegistrarError::Unspecified)?;
        Ok(BoundClient {
            client_id: bound.client_id,
            redirect_uri: Cow::Owned(RegisteredUrl::Exact(exact)),
        })
    }

    /// The scope that is asked for, as far as this client may ask for it; without one, all of
    /// it. Scopes that are unknown here are left out rather than refused (OpenID Connect Core
    /// section 3.1.2.1), and the answer says what was granted.
    fn negotiate(
        &self,
        bound: BoundClient,
        asked: Option<OxideScope>,
    ) -> Result<PreGrant, RegistrarError> {
        let allowed = &self.client.metadata.scope;
        let granted = match asked {
            Some(asked) => {
                let asked: Scope =
                    asked.to_string().parse().map_err(|_| RegistrarError::Unspecified)?;
                asked.restricted_to(allowed)
            }
            None => allowed.clone(),
        };
        Ok(PreGrant {
            client_id: bound.client_id.into_owned(),
            redirect_uri: bound.redirect_uri.into_owned(),
            scope: scope(&granted).ok_or(RegistrarError::Unspecified)?,
        })
    }

    /// Its authentication was judged before the machine was started: it reads one header
    /// without percent-decoding, and no body.
    fn check(&self, client_id: &str, _: Option<&[u8]>) -> Result<(), RegistrarError> {
        if client_id == self.client.id.as_str() { Ok(()) } else { Err(RegistrarError::Unspecified) }
    }
}

/// The authorizer for one request: the code goes in as data and comes out as data; storage
/// keeps its hash.
pub struct OneCode<'a> {
    /// The code that was looked up, where one is exchanged.
    pub found: Option<&'a AuthorizationCode>,
    /// Makes the text of a new code.
    pub make: &'a dyn Fn() -> String,
    /// The grant of the code that was made.
    pub made: RefCell<Option<Grant>>,
}

impl Authorizer for OneCode<'_> {
    fn authorize(&mut self, grant: Grant) -> Result<String, ()> {
        *self.made.borrow_mut() = Some(grant);
        Ok((self.make)())
    }

    fn extract(&mut self, _: &str) -> Result<Option<Grant>, ()> {
        self.found.map(grant_of).transpose()
    }
}

struct Named(&'static str);

impl GrantExtension for Named {
    fn identifier(&self) -> &'static str {
        self.0
    }
}

fn grant_of(code: &AuthorizationCode) -> Result<Grant, ()> {
    let mut extensions = Extensions::new();
    if let Some(challenge) = &code.challenge {
        extensions.set(&Named(PKCE), Value::private(Some(challenge.clone())));
    }
    Ok(Grant {
        owner_id: code.user_id.to_string(),
        client_id: code.client_id.to_string(),
        // Its scope is narrowed in place by the machines; ours stays in the code's row.
        scope: scope(&code.scope).or_else(|| "none".parse().ok()).ok_or(())?,
        redirect_uri: code.redirect_uri.parse().map_err(|_| ())?,
        until: never(),
        extensions,
    })
}

/// The challenge that the Pkce extension put into a grant.
pub fn challenge_of(extensions: &Extensions) -> Option<String> {
    extensions
        .private()
        .find(|(name, _)| *name == PKCE)
        .and_then(|(_, value)| value.map(str::to_owned))
}

/// The issuer for one request: `issue` begins the family and makes the tokens.
pub struct OneFamily<'a> {
    /// Begins the family; its error is kept.
    pub issue: &'a mut dyn FnMut() -> Result<(), OAuthError>,
    /// Why it failed.
    pub failed: Option<OAuthError>,
}

impl Issuer for OneFamily<'_> {
    fn issue(&mut self, _: Grant) -> Result<IssuedToken, ()> {
        match (self.issue)() {
            // The answer to the client is ours, with more in it than the machine's.
            Ok(()) => Ok(IssuedToken {
                token: String::new(),
                refresh: None,
                until: never(),
                token_type: TokenType::Bearer,
            }),
            Err(error) => {
                self.failed = Some(error);
                Err(())
            }
        }
    }

    /// Its recover-then-refresh is check-then-act; refreshes go by one guarded update instead.
    fn refresh(&mut self, _: &str, _: Grant) -> Result<RefreshedToken, ()> {
        Err(())
    }

    fn recover_token<'a>(&'a self, _: &'a str) -> Result<Option<Grant>, ()> {
        Ok(None)
    }

    fn recover_refresh<'a>(&'a self, _: &'a str) -> Result<Option<Grant>, ()> {
        Ok(None)
    }
}
