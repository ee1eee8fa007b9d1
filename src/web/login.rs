//! Signing in and out: `/login`, `/logout`, `/signed-out`.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::browser::{self, SignedIn};
use super::form::SubmittedForm;
use super::oauth::authorize;
use super::page::{Context, PageError, viewer};
use super::pending;
use super::views::{AppFace, LoginState, LoginView, Nav, SignOutView, SignedOutView, When, words};
use crate::crypto::passwords::Verified;
use crate::domain::audit::Actor;
use crate::domain::password_policy;
use crate::domain::redirect_uri::form_action_source;
use crate::domain::secret::PlainSecret;
use crate::protocol::authorize::Checked;
use crate::protocol::sign_in::{self, Begun, Keys, Succeeded};
use crate::protocol::{endings, sessions};

/// The routes of this page.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/login", web::get().to(show))
        .route("/login", web::post().to(submit))
        .route("/login/switch", web::post().to(switch))
        .route("/logout", web::get().to(ask_to_sign_out))
        .route("/logout", web::post().to(sign_out))
        .route("/signed-out", web::get().to(signed_out));
}

#[derive(Deserialize)]
struct Query {
    request: Option<String>,
}

/// What somebody wanted before they had to sign in.
struct Wanted {
    sealed: Option<String>,
    path: String,
    /// The app's request, where it is one that still stands.
    app: Option<Box<Checked>>,
}

impl Wanted {
    async fn open(context: &Context, sealed: Option<&str>) -> Result<Self, PageError> {
        let path = sealed.and_then(|sealed| pending::open(&context.state, sealed, context.now));
        let app = match path.as_deref().and_then(|path| path.strip_prefix("/oauth/authorize?")) {
            Some(query) => authorize::check(&context.state, query).await?.ok(),
            None => None,
        };
        Ok(Self {
            sealed: path.as_ref().and(sealed).map(str::to_owned),
            path: path.unwrap_or_else(|| "/account".to_owned()),
            app,
        })
    }

    /// Where this page's form may lead on to.
    fn form_target(&self) -> Option<String> {
        self.app.as_ref().and_then(|checked| form_action_source(&checked.redirect_uri))
    }

    fn face(&self) -> Option<AppFace> {
        self.app.as_ref().map(|checked| AppFace::new(&checked.client.metadata.name))
    }
}

async fn show(
    http: HttpRequest,
    query: web::Query<Query>,
    context: Context,
) -> Result<HttpResponse, PageError> {
    let wanted = Wanted::open(&context, query.request.as_deref()).await?;
    if browser::current(&http).await?.is_some() {
        // Signed in meanwhile, perhaps in another tab.
        return Ok(context.see_other(&wanted.path));
    }
    send(&context, &wanted, StatusCode::OK, "", false, LoginState::Fresh)
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
        app: wanted.face(),
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

    let keys = Keys::new(context.state.keyring.callers(), &name, context.ip);
    let limits = context.state.sign_in_limits();
    let now = context.now;
    let begun = {
        let (name, keys) = (name.clone(), keys.clone());
        let begin = move |connection: &mut _| sign_in::begin(connection, &name, &keys, now);
        context.state.db.read(begin).await?
    };
    let stored = match begun {
        Begun::Wait(until) => return throttled(&context, &wanted, &name, until.as_millis()),
        Begun::Judge(stored) => stored,
    };

    let too_long = password.reveal().len() > password_policy::MAX_BYTES;
    let hash = stored.as_ref().filter(|_| !too_long).map(|stored| stored.password_hash.clone());
    let password = if too_long { PlainSecret::new("") } else { password };
    let verified = context.state.passwords.verify(password, hash).await?;

    if let (Verified::Right { rehashed }, Some(stored)) = (verified, stored) {
        let (keys, act) = (keys.clone(), context.act_as(Actor::User(stored.account.id)));
        let succeeded = context
            .state
            .db
            .write(move |connection| {
                sign_in::succeed(connection, &stored, rehashed.as_deref(), &keys, &act)
            })
            .await?;
        match succeeded {
            Succeeded::In(account) => {
                let act = context.act_as(Actor::User(account.id));
                browser::sign_in(&http, &context.state, &account, stay, &act).await?;
                tracing::info!(user = %account.id, "signed in");
                return Ok(context.see_other(&wanted.path));
            }
            Succeeded::Wait(until) => {
                return throttled(&context, &wanted, &name, until.as_millis());
            }
            Succeeded::Gone => {}
        }
    }

    let act = context.act_as(Actor::Anonymous);
    let failed = {
        let name = name.clone();
        let fail = move |connection: &mut _| sign_in::fail(connection, &name, &keys, &limits, &act);
        context.state.db.write(fail).await?
    };
    tracing::info!(left = failed.left, "a sign-in failed");
    if let Some(until) = failed.wait {
        return throttled(&context, &wanted, &name, until.as_millis());
    }
    let tries = (failed.left <= 3).then(|| {
        let left = words::count(u64::from(failed.left), "try", "tries");
        format!("You have {left} left before a short wait.")
    });
    let state = LoginState::Wrong { tries };
    send(&context, &wanted, StatusCode::UNPROCESSABLE_ENTITY, &name, stay, state)
}

fn throttled(
    context: &Context,
    wanted: &Wanted,
    name: &str,
    until: i64,
) -> Result<HttpResponse, PageError> {
    let now = context.now.as_millis();
    let state = LoginState::Throttled {
        until: When::clock_seconds(until),
        about: words::about(now, until),
    };
    let mut response = send(context, wanted, StatusCode::TOO_MANY_REQUESTS, name, false, state)?;
    let seconds = (until - now).max(0) / 1000 + 1;
    if let Ok(value) = actix_web::http::header::HeaderValue::from_str(&seconds.to_string()) {
        response.headers_mut().insert(actix_web::http::header::RETRY_AFTER, value);
    }
    Ok(response)
}

/// "Not you?": signs this browser out, and asks again for the same request.
async fn switch(
    http: HttpRequest,
    context: Context,
    who: SignedIn,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    end(&http, &context, &who).await?;
    let request = form.0.text("request").to_owned();
    Ok(context.see_other(&format!("/login?request={request}")))
}

async fn ask_to_sign_out(context: Context, who: SignedIn) -> Result<HttpResponse, PageError> {
    let page = context.page_for(Nav::Nowhere, &who);
    context.send(&SignOutView { page, who: viewer(&who.account) })
}

async fn sign_out(
    http: HttpRequest,
    context: Context,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let _ = form;
    if let Some(who) = browser::current(&http).await? {
        end(&http, &context, &who).await?;
    }
    Ok(context.see_other("/signed-out"))
}

async fn end(http: &HttpRequest, context: &Context, who: &SignedIn) -> Result<(), PageError> {
    let (session, user, act) = (who.session, who.account.id, context.act(who));
    let end = move |connection: &mut _| sessions::sign_out(connection, session, user, &act);
    endings::carry_out(&context.state.db, end).await?;
    browser::forget(http);
    Ok(())
}

async fn signed_out(context: Context) -> Result<HttpResponse, PageError> {
    context.send(&SignedOutView { page: context.page(Nav::Nowhere, None), others: None })
}
