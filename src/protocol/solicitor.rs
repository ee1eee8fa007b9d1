//! oxide-auth's OwnerSolicitor: has the person said yes to this grant? What they allowed before
//! answers where it covers all of it; otherwise they are asked on a page of ours.

use std::borrow::Cow;
use std::collections::BTreeSet;

use oxide_auth::endpoint::{
    OwnerConsent, OwnerSolicitor, QueryParameter, Solicitation, WebRequest, WebResponse,
};
use oxide_auth::primitives::registrar::{ExactUrl, PreGrant, RegisteredUrl};

use super::authorize::Checked;
use super::oxide;
use crate::domain::consent::{Consent, must_ask};
use crate::domain::id::UserId;
use crate::domain::scope::Scope;

/// What the person must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: they allowed it before, or this app need not ask.
    Allowed,
    /// Answer the consent page.
    Ask,
}

/// Whether the person must be asked before this request is granted.
pub fn solicit(checked: &Checked, owner: UserId, remembered: Option<&Consent>) -> Answer {
    let Some(grant) = pre_grant(checked) else { return Answer::Ask };
    let mut solicitor = Remembered {
        owner,
        remembered,
        claims: checked.claims(),
        skip_consent: checked.client.metadata.skip_consent,
        identity_assured: checked.client.metadata.identity_is_assured(&checked.to.redirect_uri),
    };
    match solicitor.check_consent(&mut Request, Solicitation::new(&grant)) {
        OwnerConsent::Authorized(_) => Answer::Allowed,
        OwnerConsent::Denied | OwnerConsent::InProgress(_) | OwnerConsent::Error(()) => Answer::Ask,
    }
}

/// The solicitor over what the person allowed before.
struct Remembered<'a> {
    owner: UserId,
    remembered: Option<&'a Consent>,
    claims: BTreeSet<&'static str>,
    skip_consent: bool,
    identity_assured: bool,
}

impl OwnerSolicitor<Request> for Remembered<'_> {
    fn check_consent(&mut self, _: &mut Request, asked: Solicitation) -> OwnerConsent<Page> {
        match asked.pre_grant().scope.to_string().parse::<Scope>() {
            Ok(scope)
                if !must_ask(
                    self.remembered,
                    &scope,
                    &self.claims,
                    self.skip_consent,
                    self.identity_assured,
                ) =>
            {
                OwnerConsent::Authorized(self.owner.to_string())
            }
            _ => OwnerConsent::InProgress(Page),
        }
    }
}

fn pre_grant(checked: &Checked) -> Option<PreGrant> {
    Some(PreGrant {
        client_id: checked.client.id.to_string(),
        redirect_uri: RegisteredUrl::Exact(checked.to.redirect_uri.parse::<ExactUrl>().ok()?),
        scope: oxide::scope(&checked.scope)?,
    })
}

/// The solicitor decides by what it is given and reads nothing of HTTP.
struct Request;

/// Stands for the consent page, which `web` draws.
struct Page;

impl WebRequest for Request {
    type Error = ();
    type Response = Page;

    fn query(&mut self) -> Result<Cow<'_, dyn QueryParameter + 'static>, ()> {
        Err(())
    }
    fn urlbody(&mut self) -> Result<Cow<'_, dyn QueryParameter + 'static>, ()> {
        Err(())
    }
    fn authheader(&mut self) -> Result<Option<Cow<'_, str>>, ()> {
        Ok(None)
    }
}

impl WebResponse for Page {
    type Error = ();

    fn ok(&mut self) -> Result<(), ()> {
        Ok(())
    }
    fn redirect(&mut self, _: url::Url) -> Result<(), ()> {
        Err(())
    }
    fn client_error(&mut self) -> Result<(), ()> {
        Err(())
    }
    fn unauthorized(&mut self, _: &str) -> Result<(), ()> {
        Err(())
    }
    fn body_text(&mut self, _: &str) -> Result<(), ()> {
        Err(())
    }
    fn body_json(&mut self, _: &str) -> Result<(), ()> {
        Err(())
    }
}
