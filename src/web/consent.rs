//! `/consent`: what an app asks for, and the person's answer.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::app_face::face;
use super::browser::{self, Accounts, SignedIn};
use super::form::SubmittedForm;
use super::oauth::authorize;
use super::page::{Context, PageError, viewer};
use super::pending::Pending;
use super::state::AppState;
use super::views::{
    self, ConsentView, Nav, ScopeInfo, ScopeWords, Unreviewed, When, scope_blocks, scope_lines,
    words,
};
use crate::domain::account::Account;
use crate::domain::claims;
use crate::domain::profile::Field;
use crate::domain::redirect_uri::{self, form_action_source, host_in_words};
use crate::domain::scope::{Risk, ScopeDescription};
use crate::protocol::authorize::{Checked, Next};
use crate::protocol::oauth_error::Code;
use crate::storage::{consents, scopes};

/// The routes of this page.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/consent", web::get().to(show)).route("/consent", web::post().to(submit));
}

#[derive(Deserialize)]
struct Query {
    request: Option<String>,
}

/// A request that stands before a person.
struct Before {
    sealed: String,
    pending: Pending,
    checked: Box<Checked>,
    accounts: Accounts,
    who: SignedIn,
}

impl Before {
    /// Opens a sealed request; or the answer, where there is nothing to be asked of anybody here.
    async fn open(
        http: &HttpRequest,
        context: &Context,
        sealed: &str,
    ) -> Result<Result<Self, HttpResponse>, PageError> {
        let pending =
            Pending::open(&context.state, sealed, context.now).ok_or(PageError::RequestGone)?;
        let query = authorize::query_of(&pending.path).ok_or(PageError::RequestGone)?;
        let checked = match authorize::check(&context.state, query, pending.round.began).await? {
            Ok(checked) => checked,
            Err(refused) => return authorize::refuse(context, refused).map(Err),
        };
        let accounts = browser::accounts(http).await?;
        let Some(who) = pending.round.chosen.and_then(|user| accounts.find(user)).cloned() else {
            // Signed out meanwhile.
            return authorize::go_on(http, context, &pending).await.map(Err);
        };
        let sealed = sealed.to_owned();
        Ok(Ok(Self { sealed, pending, checked, accounts, who }))
    }
}

async fn show(
    http: HttpRequest,
    query: web::Query<Query>,
    context: Context,
) -> Result<HttpResponse, PageError> {
    let sealed = query.into_inner().request.unwrap_or_default();
    let before = match Before::open(&http, &context, &sealed).await? {
        Ok(before) => before,
        Err(answer) => return Ok(answer),
    };
    let (checked, who) = (&before.checked, &before.who);
    let (user, client) = (who.account.id, checked.client.id.clone());
    let (described, remembered) = context
        .state
        .db
        .read(move |connection| {
            Ok((scopes::list(connection)?, consents::find(connection, user, &client)?))
        })
        .await?;
    let claims = checked.claims();
    let lines = scope_lines(
        &infos(&checked.scope.iter().collect::<Vec<_>>(), &described),
        &claims.iter().copied().collect::<Vec<_>>(),
        &scope_words(&context.state, &who.account),
    );
    let view = ConsentView {
        page: context.page(Nav::Nowhere, None),
        app: face(&context.state, &checked.client),
        who: viewer(&who.account),
        scopes: scope_blocks(lines),
        again: remembered.is_some_and(|before| !before.covers(&checked.scope, &claims)),
        back_to: host_in_words(&checked.to.redirect_uri),
        request: before.sealed,
        unreviewed: unreviewed(checked),
    };
    let target = form_action_source(&checked.to.redirect_uri);
    context.send_as(StatusCode::OK, target.as_deref(), &view)
}

async fn submit(
    http: HttpRequest,
    context: Context,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let before = match Before::open(&http, &context, form.text("request")).await? {
        Ok(before) => before,
        Err(answer) => return Ok(answer),
    };
    let Before { pending, checked, accounts, who, .. } = before;
    match form.text("decision") {
        "allow" => {
            let (checked, next) = authorize::decide(&context, &accounts, checked, &pending).await?;
            match next {
                Next::Consent(user) | Next::Grant(user) if user == who.account.id => {
                    authorize::grant(&context, &who, *checked, true).await
                }
                // Something else is to be done first, such as a sign-in that grew too old.
                other => authorize::follow(&context, &accounts, *checked, &pending, other).await,
            }
        }
        "deny" => {
            let answer = checked.refusal(Code::AccessDenied, "the person did not allow it");
            authorize::send_back(&context, answer)
        }
        other => Err(PageError::bad_request(format!("a decision of {} bytes", other.len()))),
    }
}

/// What to tell the person of an app that nobody has checked.
fn unreviewed(checked: &Checked) -> Option<Unreviewed> {
    let client = &checked.client;
    client.standing.is_unreviewed().then(|| Unreviewed {
        since: When::full_date(client.created_at.as_millis()),
        host: client.id.document_host(),
        this_computer: url::Url::parse(&checked.to.redirect_uri)
            .is_ok_and(|uri| redirect_uri::is_loopback(&uri)),
    })
}

/// What the sentences of scopes need to know of this person.
pub fn scope_words(state: &AppState, account: &Account) -> ScopeWords {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ScopeWords {
        site: state.settings.site_name.clone(),
        email: some(&account.email),
        phone: some(account.profile.get(Field::PhoneNumber)),
        address: some(&account.profile.address_line()),
        also: views::claims::also(claims::filled(account, "profile")),
        idle: words::span(state.settings.tokens.refresh_idle.as_secs()),
    }
}

/// The words that the database has for these scopes.
pub fn infos<'a>(names: &[&'a str], described: &'a [ScopeDescription]) -> Vec<ScopeInfo<'a>> {
    names
        .iter()
        .map(|name| {
            let words = described.iter().find(|scope| scope.name == *name);
            ScopeInfo {
                name,
                description: words.map(|scope| scope.description.as_str()),
                risk: words.map(|scope| match scope.risk {
                    Risk::Read => views::Risk::Read,
                    Risk::Write => views::Risk::Write,
                }),
            }
        })
        .collect()
}
