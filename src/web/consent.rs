//! `/consent`: what an app asks for, and the person's answer.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use serde::Deserialize;

use super::browser::SignedIn;
use super::form::SubmittedForm;
use super::oauth::authorize;
use super::page::{Context, PageError, redirect, viewer};
use super::pending;
use super::views::{
    self, AppFace, ConsentView, Nav, ScopeInfo, ScopeWords, scope_blocks, scope_lines, words,
};
use crate::domain::redirect_uri::form_action_source;
use crate::domain::scope::{Risk, ScopeDescription};
use crate::protocol::authorize::{Checked, Refused};
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

async fn show(
    query: web::Query<Query>,
    context: Context,
    who: SignedIn,
) -> Result<HttpResponse, PageError> {
    let sealed = query.into_inner().request.unwrap_or_default();
    let checked = match open(&context, &sealed).await? {
        Ok(checked) => checked,
        Err(refused) => return authorize::refuse(&context.state, refused),
    };
    let (user, client) = (who.account.id, checked.client.id.clone());
    let (described, remembered) = context
        .state
        .db
        .read(move |connection| {
            Ok((scopes::list(connection)?, consents::find(connection, user, &client)?))
        })
        .await?;
    let lines = scope_lines(
        &infos(&checked.scope.iter().collect::<Vec<_>>(), &described),
        &ScopeWords {
            site: context.state.settings.site_name.clone(),
            email: Some(who.account.email.clone()),
            idle: words::span(context.state.settings.tokens.refresh_idle.as_secs()),
        },
    );
    let view = ConsentView {
        page: context.page(Nav::Nowhere, None),
        app: AppFace::new(&checked.client.metadata.name),
        who: viewer(&who.account),
        scopes: scope_blocks(lines),
        again: remembered.is_some_and(|before| !checked.scope.is_subset_of(&before.scope)),
        request: sealed,
        back_to: back_to(&checked.redirect_uri),
    };
    let target = form_action_source(&checked.redirect_uri);
    context.send_as(StatusCode::OK, target.as_deref(), &view)
}

async fn submit(
    context: Context,
    who: SignedIn,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let checked = match open(&context, form.text("request")).await? {
        Ok(checked) => checked,
        Err(refused) => return authorize::refuse(&context.state, refused),
    };
    match form.text("decision") {
        "allow" => authorize::grant(&context, &who, *checked, true).await,
        "deny" => {
            let answer = checked.refusal(Code::AccessDenied, "the person did not allow it");
            Ok(redirect(&answer.location(context.state.issuer())))
        }
        other => Err(PageError::bad_request(format!("a decision of {} bytes", other.len()))),
    }
}

async fn open(context: &Context, sealed: &str) -> Result<Result<Box<Checked>, Refused>, PageError> {
    let path = pending::open(&context.state, sealed, context.now).ok_or(PageError::RequestGone)?;
    let query = path.strip_prefix("/oauth/authorize?").ok_or(PageError::RequestGone)?;
    authorize::check(&context.state, query).await
}

/// Where the answer goes, as a person reads it: a host, or the app itself.
fn back_to(uri: &str) -> String {
    let parsed = url::Url::parse(uri).ok();
    match parsed.as_ref().and_then(|uri| Some((uri.host_str()?, uri.port()))) {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => "the app".to_owned(),
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
