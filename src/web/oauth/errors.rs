//! What `error_uri` points at: a page for whoever wonders why an app is signed out.

use actix_web::HttpResponse;

use crate::web::page::{Context, PageError};
use crate::web::views::{ErrorView, Nav};

/// The page about sessions that ended.
pub const SESSION_ENDED: &str = "/oauth/errors/session-ended";

/// `GET /oauth/errors/session-ended`
pub async fn session_ended(context: Context) -> Result<HttpResponse, PageError> {
    let view = ErrorView {
        page: context.page(Nav::Nowhere, None),
        heading: "The app was signed out".into(),
        app: None,
        lead: "The session that the app had here has ended: somebody ended it, it went unused \
               for too long, or its key was used from two places."
            .into(),
        whose: "Nobody’s, most likely. What exactly happened stands in the app’s answer \
                (error_description)."
            .into(),
        what: "Sign in to the app again. If you didn’t expect this, look at your sessions and \
               change your password. If you make the app: throw its tokens away, ask the person \
               to sign in, and tell the people who run this site the reference from \
               error_description."
            .into(),
        reference: context.reference.clone(),
        go: Some(("/account/sessions", "See your sessions")),
        developer: None,
    };
    context.send(&view)
}
