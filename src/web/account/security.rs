//! `/account/security`: the password, and what happened lately.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::crypto::passwords::Verified;
use crate::domain::client::ClientId;
use crate::domain::password_policy;
use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;
use crate::protocol::sign_in::{self, Begun, Keys};
use crate::protocol::{accounts, endings};
use crate::storage::audit;
use crate::web::audit_words;
use crate::web::browser::SignedIn;
use crate::web::form::SubmittedForm;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::views::{AccountSecurityView, EventLine, Faults, Nav, Tone, When};

/// Lines of the audit log that are read; those that say nothing to the person are left out.
const READ: i64 = 30;
/// Lines that are shown.
const SHOWN: usize = 10;

/// The page.
pub async fn show(context: Context, who: SignedIn) -> Result<HttpResponse, PageError> {
    draw(&context, &who, Faults::new(Faults::PASSWORD), true).await
}

async fn draw(
    context: &Context,
    who: &SignedIn,
    faults: Faults,
    everywhere: bool,
) -> Result<HttpResponse, PageError> {
    let user = who.account.id;
    let (lines, names) = context
        .state
        .db
        .read(move |connection| {
            let filter = audit::Filter { user: Some(user), ..audit::Filter::default() };
            let lines = audit::list(connection, &filter, None, READ)?;
            let apps = lines
                .iter()
                .filter_map(|line| ClientId::parse(line.client_id.as_deref()?).ok())
                .collect();
            let names = Names::load(connection, Vec::new(), apps)?;
            Ok((lines, names))
        })
        .await?;
    let events = lines
        .iter()
        .filter_map(|line| {
            let text = audit_words::to_person(line, &names)?;
            Some(EventLine {
                when: When::event(context.now.as_millis(), line.at.as_millis()),
                text,
            })
        })
        .take(SHOWN)
        .collect();
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let view = AccountSecurityView {
        page: context.page_for(Nav::AccountSecurity, who),
        username: who.account.username.clone(),
        changed: Some(When::full_date(who.account.password_changed_at.as_millis())),
        shortest: context.state.settings.passwords.minimum_length,
        everywhere,
        faults,
        events,
    };
    context.send_as(status, None, &view)
}

fn wait_until(until: Timestamp) -> String {
    format!(
        "That was tried too often. Wait until {}, then try again.",
        When::clock(until.as_millis()).text
    )
}

/// `POST /account/security/password`
pub async fn change_password(
    context: Context,
    who: SignedIn,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let fields = form.0;
    let everywhere = fields.ticked("everywhere");
    let current = PlainSecret::new(fields.get("current").unwrap_or_default());
    let new = PlainSecret::new(fields.get("password").unwrap_or_default());
    let account = &who.account;
    let mut faults = Faults::new(Faults::PASSWORD);

    let own_names =
        [account.username.as_str(), account.email.as_str(), account.display_name.as_str()];
    let shortest = context.state.settings.passwords.minimum_length;
    if let Err(fault) = password_policy::check(new.reveal(), shortest, &own_names) {
        faults.add("password", fault);
    } else if new.reveal() == current.reveal() {
        faults.add("password", "Choose another password than the one you have.");
    }
    if current.reveal().is_empty() {
        faults.add("current", "Give the password you have now.");
    }
    // What is plainly wrong costs no try.
    if !faults.is_empty() {
        return draw(&context, &who, faults, everywhere).await;
    }

    let state = &context.state;
    let keys = Keys::new(state.keyring.callers(), &account.username, context.ip);
    let (name, now, tried) = (account.username.clone(), context.now, keys.clone());
    let begun =
        state.db.read(move |connection| sign_in::begin(connection, &name, &tried, now)).await?;
    let judged = match begun {
        Begun::Wait(until) => {
            let faults = faults.with("current", wait_until(until));
            return draw(&context, &who, faults, everywhere).await;
        }
        Begun::Judge(Some(stored)) if stored.account.id == account.id => *stored,
        Begun::Judge(_) => return Err(PageError::NotFound),
    };
    let verified = state.passwords.verify(current, Some(judged.password_hash.clone())).await?;
    let act = context.act(&who);
    if verified == Verified::Wrong {
        let (name, limits) = (account.username.clone(), state.sign_in_limits());
        let failed = state
            .db
            .write(move |connection| sign_in::fail(connection, &name, &keys, &limits, &act))
            .await?;
        let text = failed.wait.map_or_else(|| "That isn’t your password.".to_owned(), wait_until);
        return draw(&context, &who, faults.with("current", text), everywhere).await;
    }

    let hash = state.passwords.hash(new).await?;
    let (user, here) = (account.id, who.session);
    let (changed, _) = endings::carry_out(&state.db, move |connection| {
        if !everywhere {
            return accounts::replace_password(connection, &judged, &hash, &act);
        }
        // Another change may have come between.
        if !accounts::still_has(connection, &judged)? {
            return Ok(false);
        }
        accounts::change_password(connection, user, &hash, Some(here), &act)?;
        Ok(true)
    })
    .await?;
    if !changed {
        let faults = faults.with("current", "Your password was changed meanwhile. Try again.");
        return draw(&context, &who, faults, everywhere).await;
    }
    let text = if everywhere {
        "Password changed. You are signed out everywhere else."
    } else {
        "Password changed."
    };
    Ok(context.done("/account/security", Tone::Good, text))
}
