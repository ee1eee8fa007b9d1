//! `POST /oauth/token` (RFC 6749 section 3.2).

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};

use super::{answer, client, request};
use crate::crypto::signing::Algorithm;
use crate::domain::client::Client;
use crate::domain::resource::Resources;
use crate::domain::scope::OPENID;
use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;
use crate::protocol::access::Issuing;
use crate::protocol::act::Act;
use crate::protocol::client_auth::{self, Credentials};
use crate::protocol::code_grant::{self, Exchange};
use crate::protocol::id_token;
use crate::protocol::known_clients::{self, Known};
use crate::protocol::oauth_error::{Code, OAuthError};
use crate::protocol::refresh::{self, Lifetimes, PATIENCE, RefreshRequest, TokenAnswer};
use crate::settings::{Settings, SigningAlgorithm};
use crate::storage::rotation::{RotateCommand, RotateOutcome};
use crate::telemetry::Routine;
use crate::web::client_address;
use crate::web::form::Fields;
use crate::web::page::reference;
use crate::web::state::AppState;

/// Where it is, below the issuer.
pub const PATH: &str = "/oauth/token";

/// Those that may stand once only, beside those of client authentication.
const SINGLE: [&str; 6] =
    ["grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope"];

/// How often a busy database is asked again within one request, and after how long.
const AGAIN: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(150)];

/// How often one refresh reads its client anew, where clients are changed meanwhile.
const CLIENT_READS: usize = 4;

/// Whether an answer is worth a line in the log: what is unusual is, a quiet refresh is one of
/// thousands, and the session's page counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    ALine,
    NoLine,
}

/// The endpoint.
pub async fn token(
    http: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    state: web::Data<AppState>,
) -> HttpResponse {
    // A request counts from its last byte.
    let arrived = state.now();
    let answered = match body {
        Ok(body) => respond(&http, &body, &state, arrived).await,
        Err(error) => return answer::unread_body("token", &error, state.issuer()),
    };
    match answered {
        Ok((answer, how)) => {
            let mut response = answer::json(&answer);
            if how == Worth::NoLine {
                response.extensions_mut().insert(Routine);
            }
            response
        }
        Err(error) => {
            if error.code == Code::InvalidGrant {
                // A code or a token that was used twice ends its session.
                state.db.call_courier();
            }
            answer::refusal("token", &error, state.issuer())
        }
    }
}

async fn respond(
    http: &HttpRequest,
    body: &web::Bytes,
    state: &web::Data<AppState>,
    arrived: Timestamp,
) -> Result<(TokenAnswer, Worth), OAuthError> {
    let fields = request::fields(http, body, &SINGLE)?;
    let grant = request::required(&fields, "grant_type")?.to_owned();
    let credentials = request::credentials(http, &fields)?;
    if grant == "refresh_token" {
        return refresh(http, &fields, state, &credentials, arrived).await;
    }
    let client = client::prove(state, credentials, PATH, arrived).await?;
    match grant.as_str() {
        "authorization_code" => {
            let answer = exchange(http, &fields, state, client, arrived).await?;
            Ok((answer, Worth::ALine))
        }
        other => Err(OAuthError::new(
            Code::UnsupportedGrantType,
            "grant_type is not supported; send authorization_code or refresh_token",
        )
        .because(format!("grant_type of {} characters", other.chars().count()))),
    }
}

async fn exchange(
    http: &HttpRequest,
    fields: &Fields,
    state: &web::Data<AppState>,
    client: Client,
    arrived: Timestamp,
) -> Result<TokenAnswer, OAuthError> {
    let given = |name| fields.get(name).filter(|value| !value.is_empty());
    let exchange = Exchange {
        code: PlainSecret::new(request::required(fields, "code")?),
        redirect_uri: given("redirect_uri").map(str::to_owned),
        verifier: given("code_verifier").map(PlainSecret::new),
        resources: resources(fields, state)?,
    };
    state.keys.ready(id_token::algorithm(&client.metadata), arrived).await?;
    let caller = client_address::caller(http, state);
    let act = Act {
        now: arrived,
        actor: crate::domain::audit::Actor::Client(client.id.to_string()),
        ip: Some(caller.ip.clone()),
        reference: Some(reference(http)),
    };
    let (keyring, issuing, lifetimes) = (state.keyring.clone(), issuing(state), lifetimes(state));
    let (granted, client, keyring, issuing) = state
        .db
        .write(move |connection| {
            let server = code_grant::Server { keyring: &keyring, issuing: &issuing, lifetimes };
            let granted =
                code_grant::exchange(connection, &server, &client, &exchange, &caller, &act)?;
            Ok((granted, client, keyring, issuing))
        })
        .await?;
    let server = code_grant::Server { keyring: &keyring, issuing: &issuing, lifetimes };
    Ok(code_grant::answer(&server, &client, &granted?, arrived)?)
}

async fn refresh(
    http: &HttpRequest,
    fields: &Fields,
    state: &web::Data<AppState>,
    credentials: &Credentials,
    arrived: Timestamp,
) -> Result<(TokenAnswer, Worth), OAuthError> {
    let mut remembered = state.clients.get(&credentials.client_id);
    let mut assertion_is_used = false;
    for _ in 0..CLIENT_READS {
        let from_memory = remembered.is_some();
        let known = match remembered.take() {
            Some(known) => Some(known),
            None => read_client(state, credentials).await?,
        };
        let proven = match &credentials.assertion {
            None => client_auth::prove(known, credentials),
            Some(assertion) => {
                let used = &mut assertion_is_used;
                prove(state, known, credentials, assertion, used, arrived).await
            }
        };
        let command = match proven.and_then(|known| command(http, fields, state, known, arrived)) {
            // Who is refused by what is remembered may have been changed since.
            Err(_) if from_memory => continue,
            other => other?,
        };
        match rotate(state, &command.1).await? {
            RotateOutcome::ClientsChanged => state.clients.forget(),
            // Of a key that another node has and this one has yet to read.
            RotateOutcome::UnknownKey if state.keys.follow().await? => {}
            outcome => return told(state, &command.0.client, &command.1, outcome).await,
        }
    }
    Err(OAuthError::new(Code::TemporarilyUnavailable, "the server is busy")
        .because("clients are changed faster than they can be read")
        .retry_after(Duration::from_secs(1)))
}

/// Reads the client anew, and remembers it.
async fn read_client(
    state: &web::Data<AppState>,
    credentials: &Credentials,
) -> Result<Option<Known>, OAuthError> {
    let id = credentials.client_id.clone();
    let known = state.db.read(move |connection| known_clients::read(connection, &id)).await?;
    if let Some(known) = &known {
        state.clients.put(known.clone());
    }
    Ok(known)
}

/// The client, if its assertion is good. It is used once, however often its client is read.
async fn prove(
    state: &web::Data<AppState>,
    known: Option<Known>,
    credentials: &Credentials,
    assertion: &str,
    used: &mut bool,
    arrived: Timestamp,
) -> Result<Known, OAuthError> {
    let checked =
        client::check_assertion(state, known, credentials, assertion, PATH, arrived).await;
    let (known, good) = checked?;
    if !*used {
        client::spend(state, good).await?;
        *used = true;
    }
    Ok(known)
}

/// The rotation that a proven client asks for.
fn command(
    http: &HttpRequest,
    fields: &Fields,
    state: &web::Data<AppState>,
    known: Known,
    arrived: Timestamp,
) -> Result<(Known, RotateCommand), OAuthError> {
    let asked = RefreshRequest {
        token: request::required(fields, "refresh_token")?.to_owned(),
        scope: fields.get("scope").map(str::to_owned),
        resources: resources(fields, state)?,
    };
    let command = refresh::command(
        &state.keyring,
        &lifetimes(state),
        &known,
        &asked,
        client_address::caller(http, state),
        arrived,
        &reference(http),
    )?;
    Ok((known, command))
}

/// The `resource` parameters, of which there may be several (RFC 8707 section 2.2).
fn resources(
    fields: &Fields,
    state: &web::Data<AppState>,
) -> Result<Option<Resources>, OAuthError> {
    Resources::parse(fields.all("resource"), state.issuer())
        .map_err(|error| OAuthError::new(Code::InvalidTarget, error))
}

/// The answer to what came of a rotation.
async fn told(
    state: &web::Data<AppState>,
    client: &Client,
    command: &RotateCommand,
    outcome: RotateOutcome,
) -> Result<(TokenAnswer, Worth), OAuthError> {
    let session = session_of(&outcome);
    if matches!(&outcome, RotateOutcome::Given(_, family) if family.scope.contains(OPENID)) {
        state.keys.ready(id_token::algorithm(&client.metadata), state.now()).await?;
    }
    let asked = asked(state, &outcome).await?;
    let issuing = issuing(state);
    let (answer, how) =
        refresh::answer(&state.keyring, &issuing, client, command, outcome, &asked, state.now())?;
    if how == refresh::ROTATED {
        tracing::debug!(how, session, client = %client.id, "refreshed");
        return Ok((answer, Worth::NoLine));
    }
    tracing::info!(how, session, client = %client.id, "refreshed");
    Ok((answer, Worth::ALine))
}

/// The claims that the session's ID tokens carry because they were asked for one by one: few
/// sessions have any, and only those ask the database for them.
async fn asked(
    state: &web::Data<AppState>,
    outcome: &RotateOutcome,
) -> Result<Map<String, Value>, OAuthError> {
    match outcome {
        RotateOutcome::Given(_, family) if family.claims.is_some() => {
            let family = family.clone();
            Ok(state.db.read(move |connection| id_token::asked(connection, &family)).await?)
        }
        _ => Ok(Map::new()),
    }
}

/// Rotates, and asks a busy database a few times more while the client waits.
async fn rotate(
    state: &web::Data<AppState>,
    command: &RotateCommand,
) -> Result<RotateOutcome, OAuthError> {
    let mut waits = AGAIN.iter();
    loop {
        if state.now().since(command.arrived) > PATIENCE {
            return Err(OAuthError::new(Code::TemporarilyUnavailable, "the server is busy")
                .because("the request waited too long for its turn")
                .retry_after(Duration::from_secs(1)));
        }
        match state.db.rotate(command.clone()).await {
            Err(error) if error.is_temporary() => match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(error.into()),
            },
            other => return Ok(other?),
        }
    }
}

fn session_of(outcome: &RotateOutcome) -> Option<String> {
    match outcome {
        RotateOutcome::Given(_, family) => Some(family.id.to_string()),
        _ => None,
    }
}

/// How access tokens are made here.
pub fn issuing(state: &AppState) -> Issuing {
    Issuing {
        issuer: state.issuer().to_owned(),
        life: state.settings.tokens.access_token,
        algorithm: algorithm(&state.settings),
    }
}

/// The algorithm that the settings choose.
pub fn algorithm(settings: &Settings) -> Algorithm {
    match settings.tokens.signing_algorithm {
        SigningAlgorithm::Es256 => Algorithm::Es256,
        SigningAlgorithm::EdDsa => Algorithm::EdDsa,
        SigningAlgorithm::Rs256 => Algorithm::Rs256,
    }
}

fn lifetimes(state: &AppState) -> Lifetimes {
    let tokens = &state.settings.tokens;
    Lifetimes {
        idle: tokens.refresh_idle,
        absolute: tokens.refresh_absolute,
        retry_window: tokens.retry_window,
    }
}
