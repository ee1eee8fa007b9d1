//! `POST /oauth/register` (RFC 7591), and `GET`, `PUT`, `DELETE /oauth/register/{client_id}`
//! (RFC 7592).

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::audit::Actor;
use crate::domain::client::{Client, ClientMetadata};
use crate::domain::secret::PlainSecret;
use crate::protocol::act::Act;
use crate::protocol::registration::{self, Policy, Rates, Refusal};
use crate::protocol::{clients, endings};
use crate::settings::RegistrationMode;
use crate::storage::{Connection, registration_tokens};
use crate::web::client_address;
use crate::web::limits::is_too_large;
use crate::web::page::reference;
use crate::web::state::AppState;

type Body = Result<web::Bytes, actix_web::Error>;
type State = web::Data<AppState>;

/// `POST /oauth/register`
pub async fn register(http: HttpRequest, body: Body, state: State) -> HttpResponse {
    answer(registered(&http, body, &state).await)
}

/// `GET /oauth/register/{client_id}`
pub async fn read(http: HttpRequest, id: web::Path<String>, state: State) -> HttpResponse {
    let read = async {
        let (client, token) = authenticated(&http, &state, &id).await?;
        Ok((StatusCode::OK, registration::information(&client, state.issuer(), None, &token)))
    };
    answer(read.await)
}

/// `PUT /oauth/register/{client_id}`
pub async fn update(
    http: HttpRequest,
    id: web::Path<String>,
    body: Body,
    state: State,
) -> HttpResponse {
    answer(updated(&http, &id, body, &state).await)
}

/// `DELETE /oauth/register/{client_id}`
pub async fn remove(http: HttpRequest, id: web::Path<String>, state: State) -> HttpResponse {
    match removed(&http, &id, &state).await {
        Ok(()) => {
            HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, "no-store")).finish()
        }
        Err(refusal) => refuse(&refusal),
    }
}

async fn registered(
    http: &HttpRequest,
    body: Body,
    state: &State,
) -> Result<(StatusCode, Value), Refusal> {
    let settings = &state.settings.registration;
    if settings.mode == RegistrationMode::Off {
        return Err(Refusal::off());
    }
    let act = act(http, state, Actor::Anonymous);
    let initial = bearer(http)?;
    match &initial {
        Some(token) => {
            let (hash, now) = (token.hash(), act.now);
            let found = state
                .db
                .read(move |connection| registration_tokens::find(connection, hash))
                .await?;
            if !found.is_some_and(|token| token.works(now)) {
                let description = "the initial access token is unknown, spent or has ended";
                return Err(Refusal::invalid_token(description));
            }
        }
        None if settings.mode == RegistrationMode::Token => {
            return Err(Refusal::no_token(
                "registration needs an initial access token in the Authorization header; ask the \
                 people who run this server",
            ));
        }
        None => {}
    }
    let metadata = registration::read(&object(http, body)?, None, &policy(state))?;
    take(http, state).await?;
    sector(state, &metadata).await?;
    let keyring = state.keyring.clone();
    let made = state
        .db
        .write(move |connection| {
            registration::register(
                connection,
                keyring.client_secrets(),
                metadata,
                initial.as_ref(),
                &act,
            )
        })
        .await??;
    tracing::info!(client = %made.client.id, "registered");
    let told =
        registration::information(&made.client, state.issuer(), made.secret.as_ref(), &made.token);
    Ok((StatusCode::CREATED, told))
}

async fn updated(
    http: &HttpRequest,
    id: &str,
    body: Body,
    state: &State,
) -> Result<(StatusCode, Value), Refusal> {
    let (client, token) = authenticated(http, state, id).await?;
    let body = object(http, body)?;
    registration::check_update(&body, &client)?;
    let metadata = registration::read(&body, Some(&client.metadata), &policy(state))?;
    if metadata.details.sector_identifier_uri.is_some() {
        take(http, state).await?;
        sector(state, &metadata).await?;
    }
    let act = act(http, state, Actor::Client(client.id.to_string()));
    let keyring = state.keyring.clone();
    let (client, secret) = state
        .db
        .write(move |connection| {
            registration::replace(connection, keyring.client_secrets(), &client, metadata, &act)
        })
        .await??;
    tracing::info!(client = %client.id, "changed its registration");
    let told = registration::information(&client, state.issuer(), secret.as_ref(), &token);
    Ok((StatusCode::OK, told))
}

async fn removed(http: &HttpRequest, id: &str, state: &State) -> Result<(), Refusal> {
    let (client, _) = authenticated(http, state, id).await?;
    let act = act(http, state, Actor::Client(client.id.to_string()));
    tracing::info!(client = %client.id, "removes its registration");
    let remove = move |connection: &mut Connection| clients::remove(connection, &client.id, &act);
    endings::carry_out(&state.db, remove).await?;
    Ok(())
}

/// The client of this address, if the request has its registration access token.
async fn authenticated(
    http: &HttpRequest,
    state: &State,
    id: &str,
) -> Result<(Client, PlainSecret), Refusal> {
    let token = bearer(http)?.ok_or_else(|| {
        Refusal::no_token("send the registration access token in the Authorization header")
    })?;
    let (id, held) = (id.to_owned(), token.clone());
    let client = state
        .db
        .read(move |connection| registration::authenticate(connection, &id, &held))
        .await??;
    Ok((client, token))
}

/// The token of the Authorization header (RFC 6750 section 2.1).
fn bearer(http: &HttpRequest) -> Result<Option<PlainSecret>, Refusal> {
    let Some(value) = http.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| PlainSecret::new(token.trim()))
    });
    token.map(Some).ok_or_else(|| Refusal::invalid_token("the Authorization header is not Bearer"))
}

/// The JSON of a body. serde_json goes no deeper than 128 levels.
fn object(http: &HttpRequest, body: Body) -> Result<Value, Refusal> {
    let body = body.map_err(|error| {
        let mut refusal = Refusal::request(format!("the body: {error}"));
        if is_too_large(&error) {
            refusal.status = 413;
        }
        refusal
    })?;
    let kind = http
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Err(Refusal::request("the body is not application/json"));
    }
    serde_json::from_slice(&body)
        .map_err(|error| Refusal::request(format!("the body is not JSON: {error}")))
}

/// What clients that come by themselves may have here.
pub fn policy(state: &AppState) -> Policy {
    Policy {
        scopes: state.settings.registration.scopes.clone(),
        access_token_life: state.settings.tokens.access_token,
    }
}

/// Counts a registration.
async fn take(http: &HttpRequest, state: &State) -> Result<(), Refusal> {
    let settings = &state.settings.registration;
    let ip = client_address::address(http, &state.settings.trusted_proxies);
    let rates = Rates::new(
        state.keyring.callers(),
        "registration",
        ip,
        settings.per_address_hourly,
        settings.hourly,
    );
    let now = state.now();
    let taken = state.db.write(move |connection| rates.take(connection, now)).await?;
    taken.map_err(Refusal::too_many)
}

/// OpenID Connect Registration section 5: the document lists each redirect URI.
async fn sector(state: &State, metadata: &ClientMetadata) -> Result<(), Refusal> {
    let Some(uri) = &metadata.details.sector_identifier_uri else { return Ok(()) };
    let refuse = |why: String| Err(Refusal::metadata(format!("sector_identifier_uri: {why}")));
    let fetched = match state.fetcher.get(uri, state.fetcher.limits()).await {
        Ok(fetched) => fetched,
        Err(error) => return refuse(format!("it can not be read: {error}")),
    };
    let Ok(listed) = serde_json::from_slice::<Vec<String>>(&fetched.body) else {
        return refuse("it is not a JSON list of texts".to_owned());
    };
    match metadata.redirect_uris.iter().find(|uri| !listed.contains(uri)) {
        Some(missing) => refuse(format!("its list lacks the redirect URI {missing}")),
        None => Ok(()),
    }
}

fn act(http: &HttpRequest, state: &State, actor: Actor) -> Act {
    let ip = client_address::address(http, &state.settings.trusted_proxies);
    Act { now: state.now(), actor, ip: Some(ip.to_string()), reference: Some(reference(http)) }
}

fn answer(answered: Result<(StatusCode, Value), Refusal>) -> HttpResponse {
    match answered {
        Ok((status, body)) => HttpResponse::build(status)
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::PRAGMA, "no-cache"))
            .json(body),
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse(refusal: &Refusal) -> HttpResponse {
    let (code, cause) = (refusal.code, refusal.cause.as_str());
    if refusal.status == 500 {
        tracing::error!(endpoint = "register", code, cause, "failed");
    } else {
        tracing::info!(endpoint = "register", code, cause, "refused");
    }
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"));
    if status == StatusCode::UNAUTHORIZED {
        // RFC 6750 section 3.1: no error code for who brought no token.
        let challenge = match code {
            "" => "Bearer realm=\"registration\"".to_owned(),
            code => format!("Bearer realm=\"registration\", error=\"{code}\""),
        };
        response.insert_header((header::WWW_AUTHENTICATE, challenge));
    }
    if let Some(span) = refusal.retry_after {
        response.insert_header((header::RETRY_AFTER, (span.as_secs() + 1).to_string()));
    }
    let code = if code.is_empty() { "invalid_token" } else { code };
    response.json(json!({ "error": code, "error_description": refusal.description }))
}

/// Another method than those that an address knows.
pub async fn other_method(http: HttpRequest) -> HttpResponse {
    let managed = http.match_info().get("client_id").is_some();
    let allowed = if managed { "GET, PUT, DELETE" } else { "POST" };
    HttpResponse::MethodNotAllowed()
        .insert_header((header::ALLOW, allowed))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({
            "error": "invalid_request",
            "error_description": format!("send one of {allowed}"),
        }))
}
