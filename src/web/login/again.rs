//! `/login/again`: the password once more, of somebody who is signed in; and the way out.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Query;
use super::password::{self, Judged};
use super::wanted::Wanted;
use crate::domain::audit::Actor;
use crate::domain::redirect_uri::host_in_words;
use crate::domain::secret::PlainSecret;
use crate::protocol::authorize::Checked;
use crate::protocol::browsers;
use crate::protocol::oauth_error::Code;
use crate::web::app_face::face;
use crate::web::browser::{self, SignedIn};
use crate::web::form::SubmittedForm;
use crate::web::oauth::authorize;
use crate::web::page::{Context, PageError, viewer};
use crate::web::views::{LoginAgainView, LoginState, Nav};

/// Whom an app wants to prove once more who they are.
struct Asked {
    wanted: Wanted,
    sealed: String,
    checked: Box<Checked>,
    who: SignedIn,
}

impl Asked {
    /// Opens a sealed request; or the path to go on at, where nobody here is to be asked, or
    /// they proved it meanwhile.
    async fn open(
        http: &HttpRequest,
        context: &Context,
        sealed: &str,
    ) -> Result<Result<Self, String>, PageError> {
        let mut wanted = Wanted::open(context, Some(sealed)).await?;
        let Some(pending) = &wanted.pending else { return Err(PageError::RequestGone) };
        let accounts = browser::accounts(http).await?;
        let who = pending.round.chosen.and_then(|user| accounts.find(user)).cloned();
        let due = who.filter(|who| who.signed_in_at <= pending.round.began);
        let (Some(who), Some(checked)) = (due, wanted.app.take()) else {
            return Ok(Err(wanted.path(context)));
        };
        Ok(Ok(Self { wanted, sealed: sealed.to_owned(), checked, who }))
    }

    fn send(
        &self,
        context: &Context,
        status: StatusCode,
        state: LoginState,
    ) -> Result<HttpResponse, PageError> {
        let uri = &self.checked.to.redirect_uri;
        let view = LoginAgainView {
            page: context.page(Nav::Nowhere, None),
            app: face(&context.state, &self.checked.client),
            who: viewer(&self.who.account),
            request: self.sealed.clone(),
            back_to: host_in_words(uri),
            state,
        };
        let target = crate::domain::redirect_uri::form_action_source(uri);
        context.send_as(status, target.as_deref(), &view)
    }
}

/// `GET /login/again`
pub async fn show(
    http: HttpRequest,
    query: web::Query<Query>,
    context: Context,
) -> Result<HttpResponse, PageError> {
    let sealed = query.into_inner().request.unwrap_or_default();
    match Asked::open(&http, &context, &sealed).await? {
        Ok(asked) => asked.send(&context, StatusCode::OK, LoginState::Fresh),
        Err(path) => Ok(context.see_other(&path)),
    }
}

/// `POST /login/again`
pub async fn submit(
    http: HttpRequest,
    context: Context,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let asked = match Asked::open(&http, &context, form.text("request")).await? {
        Ok(asked) => asked,
        Err(path) => return Ok(context.see_other(&path)),
    };
    let (user, session) = (asked.who.account.id, asked.who.session);
    let password = PlainSecret::new(form.get("password").unwrap_or_default());
    let username = asked.who.account.username.clone();
    match password::judge(&context, &username, password).await? {
        Judged::Right(account) if account.id == user => {
            let stay = context
                .state
                .db
                .read(move |connection| browsers::outlives_the_window(connection, session))
                .await?;
            let act = context.act_as(Actor::User(user));
            browser::sign_in(&http, &context.state, &account, stay, &act).await?;
            Ok(context.see_other(&asked.wanted.path_as(&context, user)))
        }
        // The name went to somebody else meanwhile.
        Judged::Right(_) => Err(PageError::RequestGone),
        Judged::Wrong(tries) => {
            asked.send(&context, StatusCode::UNPROCESSABLE_ENTITY, LoginState::Wrong { tries })
        }
        Judged::Wait(until) => {
            let state = password::waiting(&context, until);
            let mut response = asked.send(&context, StatusCode::TOO_MANY_REQUESTS, state)?;
            password::retry_after(&mut response, &context, until);
            Ok(response)
        }
    }
}

/// `POST /login/cancel`: back to the app with nothing.
pub async fn cancel(context: Context, form: SubmittedForm) -> Result<HttpResponse, PageError> {
    let wanted = Wanted::open(&context, Some(form.0.text("request"))).await?;
    let checked = wanted.app.ok_or(PageError::RequestGone)?;
    let answer = checked.refusal(Code::AccessDenied, "the person cancelled the sign-in");
    authorize::send_back(&context, answer)
}
