//! `/login/accounts`: with which of the browser's accounts to go on; "Not you?"; and signing out
//! of one of them or of all.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Query;
use super::wanted::Wanted;
use crate::domain::audit::Actor;
use crate::domain::id::BrowserSessionId;
use crate::protocol::sessions::Apps;
use crate::web::browser::{self, Accounts};
use crate::web::form::SubmittedForm;
use crate::web::page::{Context, PageError, viewer};
use crate::web::pending::Pending;
use crate::web::views::{AccountLine, LoginAccountsView, Nav, SignOutView, SignedOutView};

/// `GET /login/accounts`
pub async fn show(
    http: HttpRequest,
    query: web::Query<Query>,
    context: Context,
) -> Result<HttpResponse, PageError> {
    let wanted = Wanted::open(&context, query.request.as_deref()).await?;
    let accounts = browser::accounts(&http).await?;
    if accounts.all().next().is_none() {
        return Ok(context.see_other(&wanted.page("/login")));
    }
    let view = LoginAccountsView {
        page: context.page(Nav::Nowhere, None),
        app: wanted.face(&context),
        request: wanted.sealed.clone(),
        accounts: lines(&accounts),
        has_room: accounts.has_room(),
    };
    context.send_as(StatusCode::OK, wanted.form_target().as_deref(), &view)
}

/// `POST /login/accounts`
pub async fn choose(
    http: HttpRequest,
    context: Context,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let wanted = Wanted::open(&context, form.get("request")).await?;
    let accounts = browser::accounts(&http).await?;
    let chosen = chosen(&accounts, form.text("account"));
    if let Some(who) = chosen
        && browser::change_over(&http, &context.state, who.session).await?
    {
        return Ok(context.see_other(&wanted.path_as(&context, who.account.id)));
    }
    // Signed out meanwhile: those that are left.
    Ok(context.see_other(&wanted.page("/login/accounts")))
}

/// `POST /login/switch`, "Not you?": asks again for the same request. Whoever is signed in stays
/// so.
pub async fn switch(
    http: HttpRequest,
    context: Context,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let mut wanted = Wanted::open(&context, form.0.get("request")).await?;
    if let Some(pending) = &mut wanted.pending {
        pending.round.chosen = None;
        wanted.sealed = Some(Pending::seal(pending, &context.state));
    }
    let several = browser::accounts(&http).await?.all().count() > 1;
    let path = if several { "/login/accounts" } else { "/login?another=1" };
    Ok(context.see_other(&wanted.page(path)))
}

/// `GET /logout`
pub async fn ask_to_sign_out(
    http: HttpRequest,
    context: Context,
) -> Result<HttpResponse, PageError> {
    let accounts = browser::accounts(&http).await?;
    if accounts.all().next().is_none() {
        return Err(PageError::SignInFirst("/logout".to_owned()));
    }
    let page = context.page(Nav::Nowhere, accounts.active.as_ref().map(|who| viewer(&who.account)));
    context.send(&SignOutView { page, who: lines(&accounts) })
}

/// `POST /logout`: of the account that is named, or of all. With none named, of the only one;
/// where there are several the person is asked.
pub async fn sign_out(
    http: HttpRequest,
    context: Context,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let accounts = browser::accounts(&http).await?;
    let named = form.0.text("account");
    if named.is_empty() && accounts.all().count() > 1 {
        return Ok(context.see_other("/logout"));
    }
    match chosen(&accounts, named) {
        Some(who) => {
            let act = context.act_as(Actor::User(who.account.id));
            browser::leave(&http, &context.state, who, Apps::All, &act).await?;
        }
        None if named.is_empty() || named == "all" => {
            let act = context.act_as(Actor::Anonymous);
            browser::leave_all(&http, &context.state, &act).await?;
        }
        // Signed out before.
        None => {}
    }
    Ok(context.see_other("/signed-out"))
}

/// `GET /signed-out`
pub async fn signed_out(http: HttpRequest, context: Context) -> Result<HttpResponse, PageError> {
    let accounts = browser::accounts(&http).await?;
    let names: Vec<&str> = accounts.all().map(|who| who.account.display_name.as_str()).collect();
    let others = match names.as_slice() {
        [] => None,
        [one] => Some(format!("This browser is still signed in as {one}.")),
        several => Some(format!("This browser is still signed in to {} accounts.", several.len())),
    };
    context.send(&SignedOutView { page: context.page(Nav::Nowhere, None), others, back: None })
}

fn chosen<'a>(accounts: &'a Accounts, named: &str) -> Option<&'a browser::SignedIn> {
    let session = named.parse::<BrowserSessionId>().ok()?;
    accounts.all().find(|who| who.session == session)
}

fn lines(accounts: &Accounts) -> Vec<AccountLine> {
    let line = |who: &browser::SignedIn| AccountLine {
        session: who.session.to_string(),
        who: viewer(&who.account),
    };
    accounts.all().map(line).collect()
}
