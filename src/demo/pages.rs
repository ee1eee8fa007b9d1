//! The app's pages, and who is looking at them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::PkceCodeVerifier;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::AppConfig;
use super::issuer::Issuer;
use super::keeper::Keeper;
use super::session::{Answer, End, Session, State, ago, remaining, seconds, shortened};

const COOKIE: &str = "demo_app";
/// A browser may begin so many sign-ins, in as many tabs, before the first is forgotten.
const PENDING: usize = 8;
const VISITORS: usize = 500;

/// The app's memory.
pub(super) struct Meadow {
    config: AppConfig,
    issuer: Arc<Issuer>,
    visitors: Mutex<HashMap<String, Visitor>>,
}

/// One browser.
struct Visitor {
    seen: Instant,
    pending: Vec<Pending>,
    keeper: Option<Keeper>,
}

/// A sign-in that went off to the server.
struct Pending {
    state: String,
    verifier: PkceCodeVerifier,
}

impl Meadow {
    pub(super) fn new(config: AppConfig) -> Result<Self, reqwest::Error> {
        Ok(Self {
            issuer: Arc::new(Issuer::new(config.clone())?),
            config,
            visitors: Mutex::default(),
        })
    }

    /// Does something to a visitor's memory; never across an await.
    fn with<T>(&self, request: &HttpRequest, act: impl FnOnce(&mut Visitor) -> T) -> Option<T> {
        let id = request.cookie(COOKIE)?;
        let mut visitors = self.lock();
        let visitor = visitors.get_mut(id.value())?;
        visitor.seen = Instant::now();
        Some(act(visitor))
    }

    fn session(&self, request: &HttpRequest) -> Option<Session> {
        self.with(request, |visitor| visitor.keeper.as_ref().map(Keeper::session)).flatten()
    }

    /// Remembers a visitor under a new id, which goes into a cookie.
    fn admit(&self, visitor: Visitor) -> Result<Cookie<'static>, Error> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes)
            .map_err(|_| actix_web::error::ErrorInternalServerError("no randomness"))?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        let mut visitors = self.lock();
        if visitors.len() >= VISITORS {
            let oldest = visitors.iter().min_by_key(|(_, visitor)| visitor.seen);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                visitors.remove(&oldest);
            }
        }
        visitors.insert(id.clone(), visitor);
        Ok(Cookie::build(COOKIE, id)
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.config.base_url.starts_with("https:"))
            .finish())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Visitor>> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a form came from a page of this app. Cookies don't know ports,
    /// so `SameSite` alone wouldn't tell the server's pages on localhost from ours.
    fn is_own_form(&self, request: &HttpRequest) -> bool {
        let text = |name: HeaderName| request.headers().get(name).map(HeaderValue::to_str);
        match text(HeaderName::from_static("sec-fetch-site")) {
            Some(site) => matches!(site, Ok("same-origin" | "none")),
            None => match text(header::ORIGIN) {
                Some(origin) => origin.is_ok_and(|origin| origin == self.config.base_url),
                None => true,
            },
        }
    }
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(home))
        .route("/status.json", web::get().to(status))
        .route("/sign-in", web::post().to(sign_in))
        .route("/callback", web::get().to(callback))
        .route("/refresh", web::post().to(refresh))
        .route("/sign-out", web::post().to(sign_out))
        .route("/meadow.css", web::get().to(style))
        .route("/meadow.js", web::get().to(script))
        .route("/meadow.svg", web::get().to(icon))
        .default_service(web::to(nowhere));
}

/// Puts the security headers on every answer.
pub(super) async fn headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let policy = request.app_data::<web::Data<Meadow>>().map(|meadow| {
        // The sign-in form ends up at the server, and Chromium wants that said.
        let mut targets = vec![origin_of(&meadow.config.issuer)];
        targets.extend(meadow.issuer.authorization_origin());
        targets.dedup();
        format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
             img-src 'self'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
            targets.join(" ")
        )
    });
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    if let Some(policy) = policy.and_then(|policy| HeaderValue::from_str(&policy).ok()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn origin_of(url: &str) -> String {
    url::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// What changes by the second, already in words: the page and the script show the same.
#[derive(Debug, Default, Serialize)]
struct Live {
    /// Which page this is; the script loads it anew when it is another one.
    page: &'static str,
    left: String,
    left_seconds: u64,
    life_seconds: u64,
    refreshed: String,
    access: String,
    refresh: String,
    trouble: String,
    ended: String,
    events: Vec<LiveEvent>,
}

#[derive(Debug, Serialize)]
struct LiveEvent {
    text: String,
    ago: String,
}

#[derive(Template)]
#[template(path = "demo/home.html")]
struct HomeView<'a> {
    issuer: &'a str,
    client_id: &'a str,
    scope: String,
    live: Live,
    /// What the server said when it ended the session.
    refusal: Option<RefusalView>,
}

struct RefusalView {
    error: String,
    description: Option<String>,
    uri: Option<String>,
}

#[derive(Template)]
#[template(path = "demo/message.html")]
struct MessageView<'a> {
    title: &'a str,
    text: &'a str,
    detail: Option<String>,
}

fn live(session: Option<&Session>, now: Instant) -> Live {
    let Some(session) = session else {
        return Live { page: "signed-out", ..Live::default() };
    };
    let since = |at: Instant| ago(now.saturating_duration_since(at));
    let events = session
        .events
        .iter()
        .map(|event| LiveEvent { text: event.text.clone(), ago: since(event.at) });
    let mut live = Live { events: events.collect(), ..Live::default() };
    match &session.state {
        State::Ended { at, why } => {
            live.page = match why {
                End::ByServer(_) => "ended",
                End::Here => "signed-out",
            };
            live.ended = since(*at);
        }
        State::SignedIn(held) => {
            live.page = "signed-in";
            let left = remaining(held, now);
            live.left = match left {
                None => "The server didn't say how long".to_owned(),
                Some(left) if left.is_zero() => "It has ended".to_owned(),
                Some(left) => format!("{} left", seconds(left)),
            };
            live.left_seconds = left.unwrap_or_default().as_secs();
            live.life_seconds = held.tokens.life.unwrap_or_default().as_secs();
            live.refreshed = match held.refreshes {
                0 => "Not refreshed yet".to_owned(),
                1 => format!("Refreshed once, {}", since(held.obtained)),
                times => format!("Refreshed {times} times, last {}", since(held.obtained)),
            };
            live.access = shortened(held.tokens.access.expose_secret());
            live.refresh = match &held.tokens.refresh {
                Some(token) => shortened(token.expose_secret()),
                None => "None: the server gave none, so this ends with the access token".to_owned(),
            };
            if let Some(trouble) = &held.trouble {
                let wait = trouble.next_try.saturating_duration_since(now);
                live.trouble = format!(
                    "{}. The session isn't lost: next try in {}.",
                    trouble.what,
                    seconds(wait)
                );
            }
        }
    }
    live
}

fn home_of(meadow: &Meadow, session: Option<&Session>) -> Result<HttpResponse, Error> {
    let refusal = match session.map(|session| &session.state) {
        Some(State::Ended { why: End::ByServer(refusal), .. }) => Some(RefusalView {
            error: refusal.error.clone(),
            description: refusal.description.clone(),
            uri: refusal
                .uri
                .clone()
                .filter(|uri| uri.starts_with("https://") || uri.starts_with("http://")),
        }),
        _ => None,
    };
    let scope = match session.map(|session| &session.state) {
        Some(State::SignedIn(held)) => held.tokens.scope.clone(),
        _ => None,
    };
    let view = HomeView {
        issuer: &meadow.config.issuer,
        client_id: &meadow.config.client_id,
        scope: scope.unwrap_or_else(|| meadow.config.scope.clone()),
        live: live(session, Instant::now()),
        refusal,
    };
    html(StatusCode::OK, &view)
}

fn html(status: StatusCode, view: &impl Template) -> Result<HttpResponse, Error> {
    let page = view.render().map_err(actix_web::error::ErrorInternalServerError)?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(page))
}

fn message(
    status: StatusCode,
    title: &str,
    text: &str,
    detail: Option<String>,
) -> Result<HttpResponse, Error> {
    html(status, &MessageView { title, text, detail })
}

fn see_other(place: &str) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((header::LOCATION, place));
    response
}

async fn home(request: HttpRequest, meadow: web::Data<Meadow>) -> Result<HttpResponse, Error> {
    home_of(&meadow, meadow.session(&request).as_ref())
}

async fn status(request: HttpRequest, meadow: web::Data<Meadow>) -> HttpResponse {
    HttpResponse::Ok().json(live(meadow.session(&request).as_ref(), Instant::now()))
}

fn not_our_form() -> Result<HttpResponse, Error> {
    message(
        StatusCode::FORBIDDEN,
        "That didn't come from this page",
        "Another site sent your browser here. Nothing was done.",
        None,
    )
}

async fn sign_in(request: HttpRequest, meadow: web::Data<Meadow>) -> Result<HttpResponse, Error> {
    if !meadow.is_own_form(&request) {
        return not_our_form();
    }
    let begun = match meadow.issuer.begin().await {
        Ok(begun) => begun,
        Err(why) => {
            return message(
                StatusCode::BAD_GATEWAY,
                "Signing in isn't possible right now",
                "Meadow Notes can't talk to the server that signs you in. Try again in a moment.",
                Some(why),
            );
        }
    };
    let (state, verifier) = (begun.state, begun.verifier);
    let mut pending = Some(Pending { state, verifier });
    meadow.with(&request, |visitor| {
        visitor.pending.extend(pending.take());
        let surplus = visitor.pending.len().saturating_sub(PENDING);
        visitor.pending.drain(..surplus);
    });
    let mut response = see_other(&begun.url);
    if let Some(pending) = pending {
        response.cookie(meadow.admit(Visitor {
            seen: Instant::now(),
            pending: vec![pending],
            keeper: None,
        })?);
    }
    Ok(response.finish())
}

/// What the server sends back with the browser.
#[derive(Deserialize)]
struct Returned {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

async fn callback(request: HttpRequest, meadow: web::Data<Meadow>) -> Result<HttpResponse, Error> {
    let returned = web::Query::<Returned>::from_query(request.query_string());
    let Ok(web::Query(returned)) = returned else {
        return stray();
    };
    // Whatever comes of it, a state is good for one return.
    let pending = meadow
        .with(&request, |visitor| {
            let place = visitor
                .pending
                .iter()
                .position(|pending| returned.state.as_deref() == Some(pending.state.as_str()))?;
            Some(visitor.pending.remove(place))
        })
        .flatten();
    let Some(pending) = pending else {
        return stray();
    };
    match meadow.issuer.is_from_here(returned.iss.as_deref()).await {
        Ok(true) => {}
        Ok(false) => {
            return message(
                StatusCode::BAD_REQUEST,
                "That answer came from another server",
                "Meadow Notes asked one server to sign you in, and another one answered. You are not signed in.",
                None,
            );
        }
        Err(why) => return unfinished(why),
    }
    if let Some(error) = returned.error {
        let text = match error.as_str() {
            "access_denied" => "You chose not to let Meadow Notes in. That's fine.",
            _ => "The server ended the sign-in before it was done.",
        };
        let detail = match returned.error_description {
            Some(description) => format!("{error}: {description}"),
            None => error,
        };
        return message(StatusCode::OK, "You are not signed in", text, Some(detail));
    }
    let Some(code) = returned.code else {
        return stray();
    };
    match meadow.issuer.exchange(code, pending.verifier).await {
        Answer::Tokens(tokens) => {
            let keeper = Keeper::begin(tokens, Arc::clone(&meadow.issuer));
            // A new id at sign-in, so that nobody holds one from before.
            let old =
                request.cookie(COOKIE).and_then(|cookie| meadow.lock().remove(cookie.value()));
            let pending = match old {
                Some(old) => {
                    if let Some(old) = old.keeper {
                        tokio::spawn(async move { old.sign_out().wait().await });
                    }
                    old.pending
                }
                None => Vec::new(),
            };
            let cookie =
                meadow.admit(Visitor { seen: Instant::now(), pending, keeper: Some(keeper) })?;
            Ok(see_other("/").cookie(cookie).finish())
        }
        Answer::Refused(refusal) => unfinished(match refusal.description {
            Some(description) => format!("{}: {description}", refusal.error),
            None => refusal.error,
        }),
        Answer::Unavailable { what, .. } => unfinished(what),
    }
}

fn stray() -> Result<HttpResponse, Error> {
    message(
        StatusCode::BAD_REQUEST,
        "This sign-in wasn't begun here",
        "It may be an old link, or it was begun in another browser. Begin again from the first page.",
        None,
    )
}

fn unfinished(why: String) -> Result<HttpResponse, Error> {
    message(
        StatusCode::BAD_GATEWAY,
        "The sign-in couldn't be finished",
        "You came back from the server, but it gave Meadow Notes no tokens. Begin again from the first page.",
        Some(why),
    )
}

async fn refresh(request: HttpRequest, meadow: web::Data<Meadow>) -> Result<HttpResponse, Error> {
    if !meadow.is_own_form(&request) {
        return not_our_form();
    }
    let done = meadow.with(&request, |visitor| visitor.keeper.as_ref().map(Keeper::refresh));
    if let Some(done) = done.flatten() {
        done.wait().await;
    }
    Ok(see_other("/").finish())
}

async fn sign_out(request: HttpRequest, meadow: web::Data<Meadow>) -> Result<HttpResponse, Error> {
    if !meadow.is_own_form(&request) {
        return not_our_form();
    }
    let done = meadow.with(&request, |visitor| visitor.keeper.as_ref().map(Keeper::sign_out));
    if let Some(done) = done.flatten() {
        done.wait().await;
    }
    Ok(see_other("/").finish())
}

async fn nowhere() -> Result<HttpResponse, Error> {
    message(StatusCode::NOT_FOUND, "There is nothing here", "Meadow Notes has only one page.", None)
}

async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .body(include_str!("assets/meadow.css"))
}

async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .body(include_str!("assets/meadow.js"))
}

async fn icon() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").body(include_str!("assets/meadow.svg"))
}
