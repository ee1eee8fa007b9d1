//! A password that somebody typed, judged within the limits.

use crate::crypto::passwords::Verified;
use crate::domain::account::Account;
use crate::domain::audit::Actor;
use crate::domain::password_policy;
use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;
use crate::protocol::sign_in::{self, Begun, Keys, Succeeded};
use crate::web::page::{Context, PageError};
use crate::web::views::{LoginState, When, words};

/// What became of it.
pub enum Judged {
    /// It is this person's.
    Right(Box<Account>),
    /// It isn't right. The sentence about the tries that are left, if that is to be said.
    Wrong(Option<String>),
    /// Too many tries: until then.
    Wait(Timestamp),
}

/// Judges a password for the name that was typed with it.
///
/// # Errors
/// When the database or the password pool can't answer.
pub async fn judge(
    context: &Context,
    name: &str,
    password: PlainSecret,
) -> Result<Judged, PageError> {
    let keys = Keys::new(context.state.keyring.callers(), name, context.ip);
    let limits = context.state.sign_in_limits();
    let now = context.now;
    let begun = {
        let (name, keys) = (name.to_owned(), keys.clone());
        let begin = move |connection: &mut _| sign_in::begin(connection, &name, &keys, now);
        context.state.db.read(begin).await?
    };
    let stored = match begun {
        Begun::Wait(until) => return Ok(Judged::Wait(until)),
        Begun::Judge(stored) => stored,
    };

    let too_long = password.reveal().len() > password_policy::MAX_BYTES;
    let hash = stored.as_ref().filter(|_| !too_long).map(|stored| stored.password_hash.clone());
    let password = if too_long { PlainSecret::new("") } else { password };
    let verified = context.state.passwords.verify(password, hash).await?;

    if let (Verified::Right { rehashed }, Some(stored)) = (verified, stored) {
        let (keys, act) = (keys.clone(), context.act_as(Actor::User(stored.account.id)));
        let succeed = move |connection: &mut _| {
            sign_in::succeed(connection, &stored, rehashed.as_deref(), &keys, &act)
        };
        match context.state.db.write(succeed).await? {
            Succeeded::In(account) => {
                tracing::info!(user = %account.id, "signed in");
                return Ok(Judged::Right(account));
            }
            Succeeded::Wait(until) => return Ok(Judged::Wait(until)),
            Succeeded::Gone => {}
        }
    }

    let act = context.act_as(Actor::Anonymous);
    let name = name.to_owned();
    let fail = move |connection: &mut _| sign_in::fail(connection, &name, &keys, &limits, &act);
    let failed = context.state.db.write(fail).await?;
    tracing::info!(left = failed.left, "a sign-in failed");
    if let Some(until) = failed.wait {
        return Ok(Judged::Wait(until));
    }
    Ok(Judged::Wrong((failed.left <= 3).then(|| {
        let left = words::count(u64::from(failed.left), "try", "tries");
        format!("You have {left} left before a short wait.")
    })))
}

/// How a page stands that says to wait until then.
pub fn waiting(context: &Context, until: Timestamp) -> LoginState {
    LoginState::Throttled {
        until: When::clock_seconds(until.as_millis()),
        about: words::about(context.now.as_millis(), until.as_millis()),
    }
}

/// Says to programs too when to come back.
pub fn retry_after(response: &mut actix_web::HttpResponse, context: &Context, until: Timestamp) {
    let seconds = until.since(context.now).as_secs() + 1;
    if let Ok(value) = actix_web::http::header::HeaderValue::from_str(&seconds.to_string()) {
        response.headers_mut().insert(actix_web::http::header::RETRY_AFTER, value);
    }
}
