//! What somebody wanted before they had to sign in.

use crate::domain::id::UserId;
use crate::domain::redirect_uri::form_action_source;
use crate::protocol::authorize::Checked;
use crate::web::app_face::face;
use crate::web::oauth::authorize;
use crate::web::page::{Context, PageError};
use crate::web::pending::Pending;
use crate::web::views::AppFace;

/// What is gone on with after the page at hand.
pub struct Wanted {
    /// It, where it can still be gone on with.
    pub pending: Option<Pending>,
    /// The same as a parameter, as it came.
    pub sealed: Option<String>,
    /// The app's request, where it is one that still stands.
    pub app: Option<Box<Checked>>,
}

impl Wanted {
    /// Opens the parameter of a page.
    ///
    /// # Errors
    /// When the database can't answer.
    pub async fn open(context: &Context, sealed: Option<&str>) -> Result<Self, PageError> {
        let pending = sealed.and_then(|sealed| Pending::open(&context.state, sealed, context.now));
        let asked = pending.as_ref().and_then(|pending| {
            authorize::query_of(&pending.path).map(|query| (query, pending.round.began))
        });
        let app = match asked {
            Some((query, began)) => authorize::check(&context.state, query, began).await?.ok(),
            None => None,
        };
        Ok(Self { sealed: pending.as_ref().and(sealed).map(str::to_owned), pending, app })
    }

    /// Where this page's forms may lead on to.
    pub fn form_target(&self) -> Option<String> {
        self.app.as_ref().and_then(|checked| form_action_source(&checked.to.redirect_uri))
    }

    /// The app that asks.
    pub fn face(&self, context: &Context) -> Option<AppFace> {
        self.app.as_ref().map(|checked| face(&context.state, &checked.client))
    }

    /// Where to go on.
    pub fn path(&self, context: &Context) -> String {
        self.onward(context, self.pending.clone())
    }

    /// Where to go on, with this account.
    pub fn path_as(&self, context: &Context, user: UserId) -> String {
        self.onward(context, self.pending.as_ref().map(|pending| pending.with(user)))
    }

    fn onward(&self, context: &Context, pending: Option<Pending>) -> String {
        match pending {
            Some(pending) if authorize::query_of(&pending.path).is_some() => {
                format!("/login/continue?request={}", pending.seal(&context.state))
            }
            Some(pending) => pending.path,
            None => "/account".to_owned(),
        }
    }

    /// A page of ours with this request as its parameter, after what its path has already.
    pub fn page(&self, path: &str) -> String {
        match &self.sealed {
            Some(sealed) => {
                let joint = if path.contains('?') { '&' } else { '?' };
                format!("{path}{joint}request={sealed}")
            }
            None => path.to_owned(),
        }
    }
}
