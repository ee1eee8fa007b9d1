//! `GET, POST /oauth/logout` (OpenID Connect RP-Initiated Logout), and the page that asks first.

use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::client::ClientId;
use crate::domain::redirect_uri::form_action_source;
use crate::domain::scope::OFFLINE_ACCESS;
use crate::domain::time::Timestamp;
use crate::protocol::logout::{self, Asked, Back, Refused, Step};
use crate::protocol::oauth_error;
use crate::protocol::sessions::Apps;
use crate::storage::clients;
use crate::storage::families::{self, Filter, Sort, State};
use crate::web::browser::{self, SignedIn};
use crate::web::form::{Fields, SubmittedForm, is_urlencoded};
use crate::web::page::{Context, PageError, redirect, viewer};
use crate::web::views::{
    AppFace, DeveloperFacts, ErrorView, GoBack, LogoutView, Nav, SignedOutView, When,
};

/// The endpoint.
pub const PATH: &str = "/oauth/logout";
/// Where its page's form goes.
const CONFIRM: &str = "/oauth/logout/confirm";
/// How many sessions of a browser the page looks at for the names of their apps.
const LOOK: i64 = 100;
/// How long the question may stand.
const LIFE: Duration = Duration::from_secs(3600);

/// The routes of this endpoint: pages, with the browser's session.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route(PATH, web::get().to(logout))
        .route(PATH, web::post().to(logout))
        .route(CONFIRM, web::post().to(confirm));
}

async fn logout(
    http: HttpRequest,
    body: web::Bytes,
    context: Context,
) -> Result<HttpResponse, PageError> {
    if http.method() == Method::POST {
        // A form from another site comes without our cookies; the address that we send the
        // browser to next gets them. Sealed, so that no ID token stands in an address of ours.
        let sealed = seal(&context, &posted(&http, &body)?);
        return Ok(context.see_other(&format!("{PATH}?request={sealed}")));
    }
    let sent = Fields::parse(http.query_string().as_bytes())
        .ok_or_else(|| PageError::bad_request("the logout request isn't UTF-8"))?;
    let parameters = match sent.get("request") {
        Some(sealed) => open(&context, sealed).unwrap_or_default(),
        None => sent,
    };
    let asked = match check(&context, &parameters).await? {
        Ok(asked) => asked,
        Err(refused) => return refuse(&context, refused),
    };
    let here = signed_in_here(&http).await?;
    let sessions: Vec<_> = here.iter().map(|who| (who.session, who.account.id)).collect();
    let found = |id| here.iter().find(|who| who.session == id);
    match asked.step(&context.state.keyring, &sessions) {
        Step::SignOut(session) => {
            if let Some(who) = found(session) {
                end(&http, &context, who, &asked, false).await?;
            }
            Ok(leave(&context, asked.back.as_ref()))
        }
        Step::Ask(session) => match found(session) {
            Some(who) => ask(&context, who, &asked, &parameters).await,
            None => say(&context, &asked, None),
        },
        Step::GoBack(back) => Ok(redirect(&back.location())),
        Step::Say(back) => say(&context, &asked, back.as_ref()),
    }
}

/// The person said yes.
async fn confirm(
    http: HttpRequest,
    context: Context,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    // A page that was open for very long still signs out, but leads nowhere.
    let parameters = open(&context, form.text("request")).unwrap_or_default();
    let asked = match check(&context, &parameters).await? {
        Ok(asked) => asked,
        Err(refused) => return refuse(&context, refused),
    };
    let here = signed_in_here(&http).await?;
    if let Some(who) = here.iter().find(|who| who.session.to_string() == form.text("account")) {
        end(&http, &context, who, &asked, form.ticked("apps")).await?;
    }
    Ok(leave(&context, asked.back.as_ref()))
}

fn leave(context: &Context, back: Option<&Back>) -> HttpResponse {
    match back {
        Some(back) => redirect(&back.location()),
        None => context.see_other("/signed-out"),
    }
}

async fn check(context: &Context, sent: &Fields) -> Result<Result<Asked, Refused>, PageError> {
    let parameters = sent.pairs().to_vec();
    let (keyring, issuer) = (context.state.keyring.clone(), context.state.issuer().to_owned());
    let check = move |connection: &mut _| logout::check(connection, &keyring, &issuer, &parameters);
    Ok(context.state.db.read(check).await?)
}

/// Who is signed in, in this browser; for whom it acts first.
async fn signed_in_here(http: &HttpRequest) -> Result<Vec<SignedIn>, PageError> {
    Ok(browser::accounts(http).await?.all().cloned().collect())
}

/// Ends one sign-in of this browser. The one place where a request of an app does.
async fn end(
    http: &HttpRequest,
    context: &Context,
    who: &SignedIn,
    asked: &Asked,
    all: bool,
) -> Result<(), PageError> {
    let app = asked.app.as_ref().map(|app| app.id.clone());
    tracing::info!(endpoint = "logout", client = app.as_ref().map(ClientId::as_str), "signed out");
    let apps = if all { Apps::All } else { Apps::AskedBy(app) };
    browser::leave(http, &context.state, who, apps, &context.act(who)).await
}

async fn ask(
    context: &Context,
    who: &SignedIn,
    asked: &Asked,
    sent: &Fields,
) -> Result<HttpResponse, PageError> {
    if let Some(problem) = asked.problem {
        tracing::info!(endpoint = "logout", cause = problem, "won't lead back to the app");
    }
    let view = LogoutView {
        page: context.page(Nav::Nowhere, None),
        app: asked.app.as_ref().map(|app| AppFace::new(&app.metadata.name)),
        who: viewer(&who.account),
        account: who.session.to_string(),
        request: seal(context, sent),
        apps: lasting_apps(context, who, asked).await?.join(", "),
        developer: asked.problem.map(|problem| DeveloperFacts {
            error: "invalid_request".to_owned(),
            description: problem.to_owned(),
            client: sent.get("client_id").map(str::to_owned),
            sent: sent.get("post_logout_redirect_uri").map(str::to_owned),
            when: When::exact(context.now.as_millis()),
        }),
    };
    let target = asked.back.as_ref().and_then(|back| form_action_source(&back.uri));
    context.send_as(StatusCode::OK, target.as_deref(), &view)
}

/// The names of the other apps that would stay signed in, since they were given offline access.
async fn lasting_apps(
    context: &Context,
    who: &SignedIn,
    asked: &Asked,
) -> Result<Vec<String>, PageError> {
    let (now, session) = (context.now, who.session);
    let own = asked.app.as_ref().map(|app| app.id.clone());
    let names = move |connection: &mut _| {
        let filter =
            Filter { browser: Some(session), state: Some(State::Active), ..Filter::default() };
        let all = families::list(connection, &filter, Sort::default(), None, LOOK, now)?;
        let mut ids: Vec<ClientId> = Vec::new();
        for family in all {
            let lasts = family.scope.contains(OFFLINE_ACCESS);
            if lasts && own.as_ref() != Some(&family.client_id) && !ids.contains(&family.client_id)
            {
                ids.push(family.client_id);
            }
        }
        let mut names: Vec<String> = clients::find_many(connection, &ids)?
            .into_iter()
            .map(|client| client.metadata.name)
            .collect();
        names.sort();
        Ok(names)
    };
    Ok(context.state.db.read(names).await?)
}

/// Nobody is signed in. An app that only says who it is may offer a way back, not send anybody.
fn say(context: &Context, asked: &Asked, back: Option<&Back>) -> Result<HttpResponse, PageError> {
    let app = asked.app.as_ref().map(|app| app.metadata.name.clone());
    let back = back.zip(app).map(|(back, name)| GoBack { address: back.location(), name });
    let page = context.page(Nav::Nowhere, None);
    context.send(&SignedOutView { page, others: None, back })
}

fn refuse(context: &Context, refused: Refused) -> Result<HttpResponse, PageError> {
    let code = oauth_error::Code::InvalidRequest.name();
    tracing::info!(endpoint = "logout", code, cause = refused.description, "refused");
    let name = refused.app.clone().unwrap_or_else(|| "An app".to_owned());
    let view = ErrorView {
        page: context.page(Nav::Nowhere, None),
        heading: "We couldn’t sign you out for the app".to_owned(),
        app: None,
        lead: format!(
            "{name} asked us to sign you out, but there is a mistake in what it sent. You are \
             still signed in here, if you were."
        ),
        whose: "Most likely the app’s. Nothing is wrong with your account.".to_owned(),
        what: "Sign out here instead. If it happens again, tell the people who make the app, and \
               give them the reference below."
            .to_owned(),
        reference: context.reference.clone(),
        go: Some(("/logout", "Sign out here")),
        developer: Some(DeveloperFacts {
            error: code.to_owned(),
            description: refused.description,
            client: refused.client_id,
            sent: refused.sent,
            when: When::exact(context.now.as_millis()),
        }),
    };
    context.send_as(StatusCode::BAD_REQUEST, None, &view)
}

fn posted(http: &HttpRequest, body: &[u8]) -> Result<Fields, PageError> {
    let kind = http
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let fields = is_urlencoded(kind).then(|| Fields::parse(body)).flatten();
    fields.ok_or_else(|| PageError::bad_request("the logout request isn't a form in UTF-8"))
}

/// What was sent, so that it survives a form and a step of ours; for an hour.
fn seal(context: &Context, sent: &Fields) -> String {
    let query =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(sent.pairs()).finish();
    let text = format!("{} {query}", context.now.as_millis());
    context.state.keyring.forms().seal_text("logout", &text)
}

fn open(context: &Context, sealed: &str) -> Option<Fields> {
    let text = context.state.keyring.forms().open_text("logout", sealed)?;
    let (at, query) = text.split_once(' ')?;
    let at = Timestamp::from_millis(at.parse().ok()?);
    (context.now.since(at) <= LIFE).then(|| Fields::parse(query.as_bytes())).flatten()
}
