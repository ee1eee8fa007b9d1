//! A new client secret on its way from the form that made it to the page that shows it once:
//! sealed in a cookie of two minutes, for the administrator who made it.

use actix_web::cookie::time::Duration;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::domain::client::Client;
use crate::domain::secret::PlainSecret;
use crate::web::browser::Admin;
use crate::web::page::{Context, PageError};
use crate::web::views::{AdminClientSecretView, Nav, Tone, segment};

const CONTEXT: &str = "client secret";
const LIFE: Duration = Duration::minutes(2);

#[derive(Serialize, Deserialize)]
struct Carried {
    client_id: String,
    name: String,
    secret: Option<String>,
    created: bool,
    /// The browser session of the administrator.
    session: String,
    /// Milliseconds.
    until: i64,
}

/// On to the page that shows the secret, or, for a public app, what its developers need.
pub fn carry(
    context: &Context,
    admin: &Admin,
    client: &Client,
    secret: Option<&PlainSecret>,
    created: bool,
) -> Result<HttpResponse, PageError> {
    let life = std::time::Duration::try_from(LIFE).unwrap_or_default();
    let carried = Carried {
        client_id: client.id.to_string(),
        name: client.metadata.name.clone(),
        secret: secret.map(|secret| secret.reveal().to_owned()),
        created,
        session: admin.0.session.to_string(),
        until: context.now.plus(life).as_millis(),
    };
    let text =
        serde_json::to_string(&carried).map_err(|error| PageError::internal(error.to_string()))?;
    let sealed = context.state.keyring.forms().seal_text(CONTEXT, &text);
    let cookies = &context.state.cookies;
    let mut response =
        context.see_other(&format!("/admin/clients/{}/secret", segment(client.id.as_str())));
    response
        .add_cookie(&cookies.make(&cookies.secret, sealed, Some(LIFE)))
        .map_err(|error| PageError::internal(error.to_string()))?;
    Ok(response)
}

/// `GET /admin/clients/{id}/secret`
pub async fn show(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let cookies = &context.state.cookies;
    let carried = request
        .cookie(&cookies.secret)
        .and_then(|cookie| context.state.keyring.forms().open_text(CONTEXT, cookie.value()))
        .and_then(|text| serde_json::from_str::<Carried>(&text).ok())
        .filter(|carried| {
            carried.client_id == *path
                && carried.session == admin.0.session.to_string()
                && context.now.as_millis() < carried.until
        });
    let Some(carried) = carried else {
        let text = "A secret is shown once. If it is lost, make a new one.";
        return Ok(context.done("/admin/clients", Tone::Bad, text));
    };
    let view = AdminClientSecretView {
        page: context.page_for(Nav::AdminClients, &admin.0),
        name: carried.name,
        created: carried.created,
        client_id: carried.client_id,
        secret: carried.secret,
        discovery: format!(
            "{}/.well-known/oauth-authorization-server",
            context.state.issuer().trim_end_matches('/')
        ),
    };
    let mut response = context.send(&view)?;
    response
        .add_cookie(&cookies.removal(&cookies.secret))
        .map_err(|error| PageError::internal(error.to_string()))?;
    Ok(response)
}
