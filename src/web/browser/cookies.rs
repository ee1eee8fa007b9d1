//! The cookies beside the session's own: how long that one lives, and the keys of the accounts
//! that the browser keeps.

use std::future::Future;
use std::pin::Pin;

use actix_web::body::BoxBody;
use actix_web::cookie::time::Duration;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, web};

use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;
use crate::protocol::browsers::{Kept, MOST};
use crate::web::state::AppState;

/// What the answer to a request does to our cookies.
#[derive(Default)]
struct Changes {
    /// How long the session's cookie outlives the browser's window.
    session: Option<Duration>,
    /// What the cookie of the other accounts holds, and how long it outlives the window; an
    /// empty text removes it.
    others: Option<(String, Option<Duration>)>,
}

/// The keys that the cookie of the other accounts holds.
pub fn kept_keys(request: &HttpRequest, state: &AppState) -> Vec<PlainSecret> {
    let sealed = request.cookie(&state.cookies.accounts);
    let text =
        sealed.and_then(|sealed| state.keyring.forms().open_text("accounts", sealed.value()));
    let text = text.unwrap_or_default();
    text.split('.').filter(|key| !key.is_empty()).take(MOST).map(PlainSecret::new).collect()
}

/// Has the session's cookie live until `ends_at`, beyond the browser's window.
pub fn keep_session(request: &HttpRequest, ends_at: Timestamp, now: Timestamp) {
    change(request, |changes| changes.session = Some(seconds(ends_at, now)));
}

/// Has the browser keep these accounts. The cookie outlives the browser's window only where every
/// one of them was to: whoever sits there next finds none that wasn't.
pub fn keep_others(request: &HttpRequest, state: &AppState, kept: &[Kept], now: Timestamp) {
    let all_stay = kept.iter().all(|kept| kept.stays);
    let until = kept.iter().map(|kept| kept.session.ends_at).max().filter(|_| all_stay);
    let keys: Vec<&str> = kept.iter().map(|kept| kept.key.reveal()).collect();
    let sealed = match keys.as_slice() {
        [] => String::new(),
        keys => state.keyring.forms().seal_text("accounts", &keys.join(".")),
    };
    let life = until.map(|until| seconds(until, now));
    change(request, |changes| changes.others = Some((sealed, life)));
}

fn seconds(until: Timestamp, now: Timestamp) -> Duration {
    Duration::seconds(i64::try_from(until.since(now).as_secs()).unwrap_or(i64::MAX))
}

fn change(request: &HttpRequest, change: impl FnOnce(&mut Changes)) {
    let mut extensions = request.extensions_mut();
    let mut changes = extensions.remove::<Changes>().unwrap_or_default();
    change(&mut changes);
    extensions.insert(changes);
}

type Responding = Pin<Box<dyn Future<Output = Result<ServiceResponse, actix_web::Error>>>>;

/// Puts what a handler changed about our cookies on its answer. The session's middleware knows
/// only one life for all cookies.
pub fn keep_cookie(request: ServiceRequest, next: Next<BoxBody>) -> Responding {
    Box::pin(async move {
        let mut response = next.call(request).await?;
        let Some(changes) = response.request().extensions_mut().remove::<Changes>() else {
            return Ok(response);
        };
        let Some(state) = response.request().app_data::<web::Data<AppState>>().cloned() else {
            return Ok(response);
        };
        let cookies: Vec<_> =
            response.response().cookies().map(|cookie| cookie.into_owned()).collect();
        response.headers_mut().remove(header::SET_COOKIE);
        for mut cookie in cookies {
            if cookie.name() == state.cookies.session && !cookie.value().is_empty() {
                cookie.set_max_age(changes.session);
            }
            response.response_mut().add_cookie(&cookie)?;
        }
        if let Some((sealed, life)) = changes.others {
            let name = &state.cookies.accounts;
            let had_one = response.request().cookie(name).is_some();
            if !sealed.is_empty() {
                let cookie = state.cookies.make(name, sealed, life);
                response.response_mut().add_cookie(&cookie)?;
            } else if had_one {
                response.response_mut().add_cookie(&state.cookies.removal(name))?;
            }
        }
        Ok(response)
    })
}
