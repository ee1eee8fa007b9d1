//! `GET, POST /oauth/authorize` (RFC 6749 section 3.1, OpenID Connect Core section 3.1.2).

use std::sync::Arc;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::obtain::obtain;
use crate::domain::account::fold;
use crate::domain::id::UserId;
use crate::domain::redirect_uri::{form_action_source, host_in_words};
use crate::domain::time::Timestamp;
use crate::protocol::authorize::{
    self, Answer, Checked, ErrorAnswer, Next, Owner, PageKind, PageRefusal, Present, Refused,
};
use crate::protocol::solicitor;
use crate::protocol::subject;
use crate::storage::{StorageError, browser_sessions, consents};
use crate::web::browser::{self, Accounts, SignedIn};
use crate::web::client_documents;
use crate::web::form::{Fields, is_urlencoded};
use crate::web::headers::Reach;
use crate::web::limits::LONGEST_ADDRESS;
use crate::web::page::{Context, DrawnError, DrawnView, PageError, redirect};
use crate::web::pending::Pending;
use crate::web::state::AppState;
use crate::web::views::{AppFace, FormPostView, Nav};

/// The path of the endpoint.
pub const PATH: &str = "/oauth/authorize";

/// The endpoint: on to a page for the person, or back to the app.
pub async fn authorize(
    http: HttpRequest,
    body: web::Bytes,
    context: Context,
) -> Result<HttpResponse, PageError> {
    if http.method() == Method::POST {
        // A form from another site comes without our cookies; the address that we send the
        // browser to next gets them.
        let path = format!("{PATH}?{}", posted(&http, &body)?);
        if context.state.base().len() + path.len() > LONGEST_ADDRESS {
            let cause = format!("an authorization request of {} bytes", path.len());
            return Err(PageError::TooLarge(cause));
        }
        return Ok(context.see_other(&path));
    }
    client_documents::for_page(&context, http.query_string()).await?;
    let path = format!("{PATH}?{}", http.query_string());
    go_on(&http, &context, &Pending::new(&path, context.now)).await
}

/// The query of the authorization request that somebody is to come back to, if it is one.
pub fn query_of(path: &str) -> Option<&str> {
    path.strip_prefix(PATH)?.strip_prefix('?')
}

/// Goes on with a request from what the person has done about it so far.
///
/// # Errors
/// A page, or when the database can't answer.
pub async fn go_on(
    http: &HttpRequest,
    context: &Context,
    pending: &Pending,
) -> Result<HttpResponse, PageError> {
    let query = query_of(&pending.path).ok_or(PageError::RequestGone)?;
    let checked = match check(&context.state, query, pending.round.began).await? {
        Ok(checked) => checked,
        Err(refused) => return refuse(context, refused),
    };
    let accounts = browser::accounts(http).await?;
    let (checked, next) = decide(context, &accounts, checked, pending).await?;
    follow(context, &accounts, *checked, pending, next).await
}

/// What comes next for a request.
///
/// # Errors
/// When the database can't answer.
pub async fn decide(
    context: &Context,
    accounts: &Accounts,
    checked: Box<Checked>,
    pending: &Pending,
) -> Result<(Box<Checked>, Next), PageError> {
    let present = present(&context.state, accounts, &checked);
    let (round, now) = (pending.round, context.now);
    let decided = context.state.db.read(move |connection| {
        let allowed = |user: UserId| {
            let remembered = consents::find(connection, user, &checked.client.id)?;
            let answer = solicitor::solicit(&checked, user, remembered.as_ref());
            Ok::<_, StorageError>(answer == solicitor::Answer::Allowed)
        };
        let next = authorize::next(&checked, &present, round, allowed, now)?;
        Ok((checked, next))
    });
    Ok(decided.await?)
}

/// Everybody who is signed in here, as the request sees them.
fn present(state: &AppState, accounts: &Accounts, checked: &Checked) -> Vec<Present> {
    let hint = checked.asked.login_hint.as_deref().map(fold);
    let active = accounts.active.as_ref().map(|who| who.session);
    let present = accounts.all().map(|who| {
        let account = &who.account;
        Present {
            user: account.id,
            subject: subject::of(&state.keyring, &checked.client, account.id),
            signed_in_at: who.signed_in_at,
            is_active: Some(who.session) == active,
            is_named: hint.as_ref().is_some_and(|hint| {
                [&account.username, &account.email].iter().any(|name| fold(name) == *hint)
            }),
        }
    });
    present.collect()
}

/// Does what comes next.
///
/// # Errors
/// When the database can't answer.
pub async fn follow(
    context: &Context,
    accounts: &Accounts,
    checked: Checked,
    pending: &Pending,
    next: Next,
) -> Result<HttpResponse, PageError> {
    let state = &context.state;
    let to = |page: &str, pending: &Pending| {
        Ok(context.see_other(&format!("{page}request={}", pending.seal(state))))
    };
    match next {
        // Whoever is signed in already won't do.
        Next::SignIn if accounts.all().next().is_some() => to("/login?another=1&", pending),
        Next::SignIn => to("/login?", pending),
        Next::Choose => to("/login/accounts?", pending),
        Next::Again(user) => to("/login/again?", &pending.with(user)),
        Next::Consent(user) => to("/consent?", &pending.with(user)),
        Next::Grant(user) => match accounts.find(user) {
            Some(who) => grant(context, who, checked, false).await,
            None => to("/login?", pending),
        },
        Next::Refuse(code, description) => {
            refuse(context, Refused::Redirect(checked.refusal(code, description)))
        }
    }
}

/// Checks the request that a query stands for, as it was when the browser brought it.
///
/// # Errors
/// A page when it isn't UTF-8, or when the database can't answer.
pub async fn check(
    state: &AppState,
    query: &str,
    began: Timestamp,
) -> Result<Result<Box<Checked>, Refused>, PageError> {
    let parameters = match obtain(state, query, began).await? {
        Ok(parameters) => parameters,
        Err(refused) => return Ok(Err(refused)),
    };
    let (keyring, settings) = (state.keyring.clone(), Arc::clone(&state.settings));
    let check = move |connection: &mut _| {
        let (issuer, of_all) = (settings.issuer.as_str(), &settings.tokens.resources);
        authorize::check(connection, &keyring, issuer, of_all, &parameters)
    };
    Ok(state.db.read(check).await?)
}

/// Gives the code and sends the browser back to the app. `remember`: the person has just said
/// yes to all of it.
///
/// # Errors
/// When the database can't answer.
pub async fn grant(
    context: &Context,
    who: &SignedIn,
    checked: Checked,
    remember: bool,
) -> Result<HttpResponse, PageError> {
    let owner = Owner { user: who.account.id, browser: who.session, auth_time: who.signed_in_at };
    let life = context.state.settings.tokens.authorization_code;
    let (issuer, now, act) = (context.state.issuer().to_owned(), context.now, context.act(who));
    let answer = context
        .state
        .db
        .write(move |connection| {
            if remember {
                let (client, claims) = (&checked.client.id, checked.claims());
                consents::allow(connection, owner.user, client, &checked.scope, &claims, now)?;
                let mut detail = checked.scope.to_string();
                for claim in claims {
                    detail.push_str(&format!(", claim {claim}"));
                }
                act.record(
                    connection,
                    "consent.granted",
                    Some(("client", client.to_string())),
                    Some(owner.user),
                    Some(client.to_string()),
                    Some(detail),
                )?;
            }
            browser_sessions::touch_by_id(connection, owner.browser, now)?;
            authorize::grant(connection, &checked, owner, life, &issuer, now)
        })
        .await?;
    send(context, answer)
}

/// A refusal: on a page, or on its way back to the app.
///
/// # Errors
/// The page.
pub fn refuse(context: &Context, refused: Refused) -> Result<HttpResponse, PageError> {
    match refused {
        Refused::Redirect(answer) => send_back(context, answer),
        Refused::Page(page) => Err(drawn(page)),
    }
}

/// An error on its way back to the app.
///
/// # Errors
/// When the page that hands it over can't be drawn.
pub fn send_back(context: &Context, error: ErrorAnswer) -> Result<HttpResponse, PageError> {
    tracing::info!(
        endpoint = "authorize",
        code = error.code.name(),
        cause = %error.description,
        "refused"
    );
    send(context, error.answer(context.state.issuer()))
}

/// Sends the browser to the app with an answer, or has it hand the answer over by a form.
fn send(context: &Context, answer: Answer) -> Result<HttpResponse, PageError> {
    if let Some(location) = answer.location() {
        return Ok(redirect(&location));
    }
    let target = form_action_source(&answer.to.redirect_uri);
    let view = FormPostView {
        page: context.page(Nav::Nowhere, None),
        app: AppFace::new(&answer.to.app),
        back_to: host_in_words(&answer.to.redirect_uri),
        action: answer.to.redirect_uri,
        parameters: answer.parameters,
    };
    let reach = Reach { form_target: target.as_deref(), hands_over: true };
    context.send_reaching(StatusCode::OK, reach, &view)
}

fn drawn(page: PageRefusal) -> PageError {
    let name = page.app.clone().unwrap_or_else(|| "An app".to_owned());
    let (error, lead) = match page.kind {
        PageKind::Client => (
            "invalid_client",
            "An app sent you here, but we don’t know it. It may never have been registered, or \
             it was removed."
                .to_owned(),
        ),
        PageKind::RequestUri => (
            "invalid_request_uri",
            format!(
                "{name} left its request with us before it sent you here, and that request has \
                 run out, or was used already."
            ),
        ),
        PageKind::RedirectUri => (
            "invalid_request",
            format!(
                "{name} asked us to send you back to an address it hasn’t registered. We don’t \
                 send people to addresses we don’t know."
            ),
        ),
    };
    PageError::Drawn(Box::new(DrawnError {
        status: StatusCode::BAD_REQUEST,
        cause: page.description.clone(),
        view: DrawnView {
            heading: "We stopped before signing you in".into(),
            app: None,
            lead,
            whose: "Most likely the app’s. Nothing is wrong with your account.".into(),
            what: "Go back to the app and try again. If it happens again, tell the people who \
                   make it, and give them the reference below."
                .into(),
            error,
            description: page.description,
            client: page.client_id,
            sent: page.sent,
        },
    }))
}

fn posted(http: &HttpRequest, body: &[u8]) -> Result<String, PageError> {
    let kind = http
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let fields = is_urlencoded(kind).then(|| Fields::parse(body)).flatten();
    let fields = fields
        .ok_or_else(|| PageError::bad_request("the authorization request isn't a form in UTF-8"))?;
    Ok(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields.pairs()).finish())
}
