//! `/setup`: the first administrator, by the one-time link that the server printed.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::browser;
use super::form::SubmittedForm;
use super::page::{Context, PageError};
use super::views::{Faults, Nav, SetupView};
use crate::domain::audit::Actor;
use crate::domain::secret::PlainSecret;
use crate::protocol::accounts::NewAccount;
use crate::protocol::setup;
use crate::storage::StorageError;

/// The routes of this page.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/setup", web::get().to(show)).route("/setup", web::post().to(submit));
}

#[derive(Deserialize)]
struct Query {
    link: Option<String>,
}

async fn show(query: web::Query<Query>, context: Context) -> Result<HttpResponse, PageError> {
    let link = query.into_inner().link.unwrap_or_default();
    let secret = PlainSecret::new(link.clone());
    let good =
        context.state.db.read(move |connection| setup::link_is_good(connection, &secret)).await?;
    if !good {
        return Err(PageError::SetupClosed);
    }
    send(&context, StatusCode::OK, link, None, Faults::new(Faults::SETUP))
}

async fn submit(
    http: HttpRequest,
    context: Context,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let link = form.text("link").to_owned();
    let new = NewAccount {
        username: form.text("username").to_owned(),
        email: form.text("email").to_owned(),
        display_name: form.text("display_name").to_owned(),
        is_admin: true,
    };
    let password = form.get("password").unwrap_or_default().to_owned();
    let secret = PlainSecret::new(link.clone());
    let check = secret.clone();
    let good =
        context.state.db.read(move |connection| setup::link_is_good(connection, &check)).await?;
    if !good {
        return Err(PageError::SetupClosed);
    }

    let mut faults = Faults::new(Faults::SETUP);
    for (field, text) in new.faults(&password, context.state.settings.passwords.minimum_length) {
        faults.add(field, text);
    }
    if !faults.is_empty() {
        return send(&context, StatusCode::UNPROCESSABLE_ENTITY, link, Some(&new), faults);
    }
    let hash = context.state.passwords.hash(PlainSecret::new(password)).await?;
    let (adding, act) = (new.clone(), context.act_as(Actor::Anonymous));
    let made = context
        .state
        .db
        .write(move |connection| setup::create_admin(connection, &secret, &adding, hash, &act))
        .await;
    match made {
        Ok(Some(account)) => {
            let act = context.act_as(Actor::User(account.id));
            browser::sign_in(&http, &context.state, &account, false, &act).await?;
            Ok(context.see_other("/admin"))
        }
        Ok(None) => Err(PageError::SetupClosed),
        Err(StorageError::Duplicate) => {
            let faults = faults.with("username", "This username or email address is taken.");
            send(&context, StatusCode::UNPROCESSABLE_ENTITY, link, Some(&new), faults)
        }
        Err(error) => Err(error.into()),
    }
}

fn send(
    context: &Context,
    status: StatusCode,
    link: String,
    typed: Option<&NewAccount>,
    faults: Faults,
) -> Result<HttpResponse, PageError> {
    let typed = |read: fn(&NewAccount) -> &String| typed.map(read).cloned().unwrap_or_default();
    let view = SetupView {
        page: context.page(Nav::Nowhere, None),
        issuer: context.state.issuer().to_owned(),
        link,
        display_name: typed(|new| &new.display_name),
        email: typed(|new| &new.email),
        username: typed(|new| &new.username),
        shortest: context.state.settings.passwords.minimum_length,
        faults,
    };
    context.send_as(status, None, &view)
}
