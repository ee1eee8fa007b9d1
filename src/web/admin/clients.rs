//! `/admin/clients`: the apps, registering one, changing one, its secret, and its removal.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::client_form::{self, Typed, Usual};
use super::client_secret;
use crate::domain::access_token::AccessTokenFormat;
use crate::domain::client::{Client, ClientId};
use crate::domain::time::Timestamp;
use crate::protocol::{clients as acts, endings};
use crate::storage::families::{self, Filter, State};
use crate::storage::{Connection, StorageError, clients};
use crate::web::browser::Admin;
use crate::web::cursor;
use crate::web::form::{Fields, SubmittedForm};
use crate::web::page::{Context, PageError};
use crate::web::views::{
    AdminClientFormView, AdminClientsView, AppFace, Caption, ClientDoubt, ClientRow, ConfirmView,
    Nav, Pager, Tone, When, count, heads, href, segment, thousands, words,
};

/// `GET /admin/clients`
pub async fn list(
    context: Context,
    admin: Admin,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let after = Fields::of_query(&request).text("after").to_owned();
    let now = context.now;
    let (all, live) = context
        .state
        .db
        .read(move |connection| {
            let live = families::live_of_clients(connection, now)?;
            Ok((clients::list(connection)?, live.into_iter().collect::<HashMap<_, _>>()))
        })
        .await?;
    let total = all.len() as u64;
    let (rows, last) = cursor::cut(page_after(all, &after));
    let page = context.page_for(Nav::AdminClients, &admin.0);
    let path = format!("{}/admin/clients", page.base);
    let view = AdminClientsView {
        caption: Caption { count: count(total, "app", "apps"), rest: "by name".to_owned() },
        heads: heads(&AdminClientsView::COLUMNS, "", &path, &[]),
        pager: Pager {
            shown: cursor::shown(rows.len(), total, after.is_empty()),
            first: (!after.is_empty()).then(|| path.clone()),
            next: last.map(|client| href(&path, &[("after", client.id.as_str())])),
        },
        rows: rows.iter().map(|client| row(client, live.get(client.id.as_str()))).collect(),
        page,
    };
    context.send(&view)
}

/// The clients after the one with this id; all where there is none. They are few: one list.
fn page_after(all: Vec<Client>, after: &str) -> Vec<Client> {
    let skipped =
        all.iter().position(|client| client.id.as_str() == after).map_or(0, |place| place + 1);
    all.into_iter().skip(skipped).take(cursor::PAGE + 1).collect()
}

fn row(client: &Client, live: Option<&i64>) -> ClientRow {
    let metadata = &client.metadata;
    ClientRow {
        client_id: client.id.to_string(),
        app: AppFace::new(&metadata.name),
        kind: if metadata.is_public() { "Public" } else { "Confidential" },
        goes_back_to: hosts(&metadata.redirect_uris),
        access_token: match metadata.access_token_format {
            AccessTokenFormat::Jwt => "JWT",
            AccessTokenFormat::Opaque => "Opaque",
        },
        sessions: thousands(live.and_then(|live| u64::try_from(*live).ok()).unwrap_or(0)),
        check: AdminClientsView::check(!client.standing.is_unreviewed()),
    }
}

/// The hosts of redirect URIs, each once; the scheme where there is no host.
fn hosts(uris: &[String]) -> String {
    let mut hosts: Vec<String> = Vec::new();
    for uri in uris {
        let Ok(parsed) = url::Url::parse(uri) else { continue };
        let host = match (parsed.host_str(), parsed.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => format!("{}:", parsed.scheme()),
        };
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() { "–".to_owned() } else { hosts.join(", ") }
}

fn usual(context: &Context) -> Usual {
    let tokens = &context.state.settings.tokens;
    Usual { access_token: tokens.access_token, retry_window: tokens.retry_window }
}

fn client_id(path: &web::Path<String>) -> Result<ClientId, PageError> {
    ClientId::parse(path).map_err(|_| PageError::NotFound)
}

fn live(connection: &mut Connection, id: &ClientId, now: Timestamp) -> Result<u64, StorageError> {
    let filter =
        Filter { client: Some(id.clone()), state: Some(State::Active), ..Filter::default() };
    Ok(u64::try_from(families::count(connection, &filter, now)?).unwrap_or(0))
}

/// The client and how many live sessions it has.
async fn found(context: &Context, id: &ClientId) -> Result<(Client, u64), PageError> {
    let (id, now) = (id.clone(), context.now);
    context
        .state
        .db
        .read(move |connection| match clients::find(connection, &id)? {
            Some(client) => Ok(Some((client, live(connection, &id, now)?))),
            None => Ok(None),
        })
        .await?
        .ok_or(PageError::NotFound)
}

fn sessions(live: u64) -> String {
    count(live, "session", "sessions")
}

/// `GET /admin/clients/new`
pub async fn new(context: Context, admin: Admin) -> Result<HttpResponse, PageError> {
    let page = context.page_for(Nav::AdminClients, &admin.0);
    let usual_window = words::span(usual(&context).retry_window.as_secs());
    context.send(&AdminClientFormView { usual_window, ..AdminClientFormView::new(page) })
}

/// `POST /admin/clients`
pub async fn register(
    context: Context,
    admin: Admin,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let typed = Typed::new(form.0, None);
    let usual = usual(&context);
    let (metadata, mut faults) = typed.metadata(usual);
    let id = typed.client_id().unwrap_or_else(|fault| {
        faults.add("client_id", fault);
        None
    });
    if faults.is_empty() {
        let (act, keyring) = (context.act(&admin.0), context.state.keyring.clone());
        let id = match id {
            Some(id) => id,
            None => ClientId::parse(&acts::made_up_id()).map_err(PageError::internal)?,
        };
        let registered = context
            .state
            .db
            .write(move |connection| {
                acts::register(connection, Some(keyring.client_secrets()), id, metadata, &act)
            })
            .await;
        match registered {
            Ok((client, secret)) => {
                return client_secret::carry(&context, &admin, &client, secret.as_ref(), true);
            }
            Err(StorageError::Duplicate) => {
                faults.add("client_id", "Choose another ID: an app has this one.");
            }
            Err(error) => return Err(error.into()),
        }
    }
    let page = context.page_for(Nav::AdminClients, &admin.0);
    let view = typed.view(page, usual, String::new(), faults);
    context.send_as(StatusCode::UNPROCESSABLE_ENTITY, None, &view)
}

/// `GET /admin/clients/{id}`
pub async fn show(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (client, live) = found(&context, &client_id(&path)?).await?;
    let page = context.page_for(Nav::AdminClients, &admin.0);
    let doubt = doubt(&context, &client);
    let view = client_form::of_stored(page, &client, usual(&context), sessions(live));
    context.send(&AdminClientFormView { doubt, ..view })
}

/// What to say of an app that nobody has looked at.
fn doubt(context: &Context, client: &Client) -> Option<ClientDoubt> {
    let date = When::full_date(client.created_at.as_millis()).text;
    let text = match (client.standing.is_unreviewed(), client.id.document_host()) {
        (false, _) => return None,
        (true, Some(host)) => format!("Its document at {host} was first read on {date}."),
        (true, None) => format!("It registered itself on {date}."),
    };
    let unused = words::span(context.state.settings.registration.unused.as_secs());
    Some(ClientDoubt { text, unused })
}

/// `POST /admin/clients/{id}/review`
pub async fn review(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = client_id(&path)?;
    let (client, _) = found(&context, &id).await?;
    let act = context.act(&admin.0);
    context.state.db.write(move |connection| acts::review(connection, &id, &act)).await?;
    let text =
        format!("{} is reviewed. People aren’t warned of it any more.", client.metadata.name);
    Ok(context.done(&own(&client.id), Tone::Good, &text))
}

/// The path of an app.
fn own(id: &ClientId) -> String {
    format!("/admin/clients/{}", segment(id.as_str()))
}

/// `POST /admin/clients/{id}`
pub async fn update(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = client_id(&path)?;
    let (client, live) = found(&context, &id).await?;
    let typed = Typed::new(form.0, Some(client));
    let usual = usual(&context);
    let (metadata, faults) = typed.metadata(usual);
    if !faults.is_empty() {
        let page = context.page_for(Nav::AdminClients, &admin.0);
        let doubt = typed.stored().and_then(|client| doubt(&context, client));
        let view = typed.view(page, usual, sessions(live), faults);
        let view = AdminClientFormView { doubt, ..view };
        return context.send_as(StatusCode::UNPROCESSABLE_ENTITY, None, &view);
    }
    let (act, keyring) = (context.act(&admin.0), context.state.keyring.clone());
    let (client, secret) = context
        .state
        .db
        .write(move |connection| {
            acts::update(connection, Some(keyring.client_secrets()), &id, &metadata, &act)
        })
        .await?
        .ok_or(PageError::NotFound)?;
    match secret {
        // It became confidential.
        Some(secret) => client_secret::carry(&context, &admin, &client, Some(&secret), false),
        None => {
            let text = format!("{} is changed.", client.metadata.name);
            Ok(context.done(&own(&client.id), Tone::Good, &text))
        }
    }
}

/// `GET /admin/clients/{id}/new-secret`
pub async fn ask_new_secret(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (client, _) = found(&context, &client_id(&path)?).await?;
    if !client.metadata.auth_method.has_secret() {
        return Err(PageError::NotFound);
    }
    let page = context.page_for(Nav::AdminClients, &admin.0);
    context.send(&ConfirmView::new_secret(page, client.id.as_str(), &client.metadata.name))
}

/// `POST /admin/clients/{id}/new-secret`
pub async fn new_secret(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = client_id(&path)?;
    let (client, _) = found(&context, &id).await?;
    let (act, keyring) = (context.act(&admin.0), context.state.keyring.clone());
    let secret = context
        .state
        .db
        .write(move |connection| {
            acts::rotate_secret(connection, Some(keyring.client_secrets()), &id, &act)
        })
        .await?
        .ok_or(PageError::NotFound)?;
    client_secret::carry(&context, &admin, &client, Some(&secret), false)
}

/// `GET /admin/clients/{id}/remove`
pub async fn ask_remove(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (client, live) = found(&context, &client_id(&path)?).await?;
    let page = context.page_for(Nav::AdminClients, &admin.0);
    let name = &client.metadata.name;
    context.send(&ConfirmView::remove_client(page, client.id.as_str(), name, live))
}

/// `POST /admin/clients/{id}/remove`
pub async fn remove(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = client_id(&path)?;
    let (client, live) = found(&context, &id).await?;
    let act = context.act(&admin.0);
    let remove = move |connection: &mut _| acts::remove(connection, &id, &act);
    let (removed, _) = endings::carry_out(&context.state.db, remove).await?;
    if !removed {
        return Err(PageError::NotFound);
    }
    let name = client.metadata.name;
    let text = match live {
        0 => format!("{name} is removed."),
        some => format!("{name} is removed. {} ended.", sessions(some)),
    };
    Ok(context.done("/admin/clients", Tone::Good, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_once() {
        let uris =
            ["https://a.example/cb", "https://a.example/2", "http://127.0.0.1:81/", "com.a.b:/x"]
                .map(str::to_owned);
        assert_eq!(hosts(&uris), "a.example, 127.0.0.1:81, com.a.b:");
        assert_eq!(hosts(&[]), "–");
    }
}
