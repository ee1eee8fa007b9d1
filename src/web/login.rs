//! Signing in and out: `/login`, `/logout`, `/signed-out`.

mod accounts;
mod again;
mod password;
mod wanted;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use self::password::Judged;
use self::wanted::Wanted;
use super::browser;
use super::form::SubmittedForm;
use super::oauth::authorize;
use super::page::{Context, PageError};
use super::pending::Pending;
use super::views::{LoginState, LoginView, Nav, words};
use crate::domain::audit::Actor;
use crate::domain::secret::PlainSecret;

/// The routes of this page.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/login", web::get().to(show))
        .route("/login", web::post().to(submit))
        .route("/login/continue", web::get().to(go_on))
        .route("/login/again", web::get().to(again::show))
        .route("/login/again", web::post().to(again::submit))
        .route("/login/cancel", web::post().to(again::cancel))
        .route("/login/accounts", web::get().to(accounts::show))
        .route("/login/accounts", web::post().to(accounts::choose))
        .route("/login/switch", web::post().to(accounts::switch))
        .route("/logout", web::get().to(accounts::ask_to_sign_out))
        .route("/logout", web::post().to(accounts::sign_out))
        .route("/signed-out", web::get().to(accounts::signed_out));
}

#[derive(Deserialize)]
struct Query {
    request: Option<String>,
    /// Whether to sign in with another account than those that are signed in.
    another: Option<String>,
}

async fn show(
    http: HttpRequest,
    query: web::Query<Query>,
    context: Context,
) -> Result<HttpResponse, PageError> {
    let wanted = Wanted::open(&context, query.request.as_deref()).await?;
    let accounts = browser::accounts(&http).await?;
    if query.another.is_none() {
        if accounts.active.is_some() {
            // Signed in meanwhile, perhaps in another tab.
            return Ok(context.see_other(&wanted.path(&context)));
        }
        if !accounts.others.is_empty() {
            return Ok(context.see_other(&wanted.page("/login/accounts")));
        }
    }
    let hint = wanted.app.as_ref().and_then(|checked| checked.asked.login_hint.clone());
    let username = hint.unwrap_or_default();
    send(&context, &wanted, StatusCode::OK, &username, false, LoginState::Fresh)
}

fn send(
    context: &Context,
    wanted: &Wanted,
    status: StatusCode,
    username: &str,
    stay: bool,
    state: LoginState,
) -> Result<HttpResponse, PageError> {
    let view = LoginView {
        page: context.page(Nav::Nowhere, None),
        app: wanted.face(context),
        request: wanted.sealed.clone(),
        username: username.to_owned(),
        stay,
        stay_for: words::span(context.state.settings.sessions.stay.as_secs()),
        state,
    };
    context.send_as(status, wanted.form_target().as_deref(), &view)
}

async fn submit(
    http: HttpRequest,
    context: Context,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let wanted = Wanted::open(&context, form.get("request")).await?;
    let name = form.text("username").chars().take(254).collect::<String>();
    let stay = form.ticked("stay");
    let password = PlainSecret::new(form.get("password").unwrap_or_default());
    match password::judge(&context, &name, password).await? {
        Judged::Right(account) => {
            let act = context.act_as(Actor::User(account.id));
            browser::sign_in(&http, &context.state, &account, stay, &act).await?;
            Ok(context.see_other(&wanted.path_as(&context, account.id)))
        }
        Judged::Wrong(tries) => {
            let state = LoginState::Wrong { tries };
            send(&context, &wanted, StatusCode::UNPROCESSABLE_ENTITY, &name, stay, state)
        }
        Judged::Wait(until) => {
            let (status, state) =
                (StatusCode::TOO_MANY_REQUESTS, password::waiting(&context, until));
            let mut response = send(&context, &wanted, status, &name, false, state)?;
            password::retry_after(&mut response, &context, until);
            Ok(response)
        }
    }
}

/// `GET /login/continue`: on with an app's request, from what the person has done about it.
async fn go_on(
    http: HttpRequest,
    query: web::Query<Query>,
    context: Context,
) -> Result<HttpResponse, PageError> {
    let sealed = query.request.as_deref().unwrap_or_default();
    let pending =
        Pending::open(&context.state, sealed, context.now).ok_or(PageError::RequestGone)?;
    authorize::go_on(&http, &context, &pending).await
}
