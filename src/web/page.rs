//! Pages: what each is given, how it is sent, and what becomes of errors.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use actix_web::body::BoxBody;
use actix_web::cookie::time::Duration;
use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::browser::SignedIn;
use super::form::Fields;
use super::headers::{self, Reach};
use super::pending::Pending;
use super::state::AppState;
use super::views::{ErrorServerView, ErrorView, Flash, Nav, Page, Tone, Viewer};
use crate::crypto::random;
use crate::domain::audit::Actor;
use crate::domain::time::Timestamp;
use crate::protocol::act::Act;
use crate::storage::StorageError;
use crate::telemetry::Reference;

/// What a page handler is given beside its own input: everything to draw a page, to act, and
/// to answer.
pub struct Context {
    /// The shared state.
    pub state: web::Data<AppState>,
    /// When the request arrived.
    pub now: Timestamp,
    /// The request's name in the log.
    pub reference: String,
    /// The address that it came from.
    pub ip: std::net::IpAddr,
    csrf: Csrf,
    flash: Option<Flash>,
}

/// The CSRF token's two halves: a random value in a cookie, and its MAC in the forms. A
/// stranger's visit writes no row, and a form stays good when another tab signs in.
struct Csrf {
    cookie: String,
    is_new: bool,
    token: String,
}

impl FromRequest for Context {
    type Error = PageError;
    type Future = std::future::Ready<Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::of(request))
    }
}

impl Context {
    /// The context of this request.
    ///
    /// # Errors
    /// Only when the server was put together wrongly.
    pub fn of(request: &HttpRequest) -> Result<Self, PageError> {
        let state = request
            .app_data::<web::Data<AppState>>()
            .ok_or_else(|| PageError::internal("no state"))?
            .clone();
        let known = request.cookie(&state.cookies.csrf).map(|cookie| cookie.value().to_owned());
        let csrf = match known.filter(|cookie| cookie.len() >= 22 && cookie.len() <= 64) {
            Some(cookie) => Csrf { token: csrf_token(&state, &cookie), cookie, is_new: false },
            None => {
                let cookie = URL_SAFE_NO_PAD.encode(random::bytes::<16>());
                Csrf { token: csrf_token(&state, &cookie), cookie, is_new: true }
            }
        };
        let flash = request.cookie(&state.cookies.flash).and_then(|cookie| {
            let text = state.keyring.forms().open_text("flash", cookie.value())?;
            let (tone, text) = text.split_once(' ')?;
            let tone = if tone == "bad" { Tone::Bad } else { Tone::Good };
            Some(Flash { tone, text: text.to_owned() })
        });
        Ok(Self {
            now: state.now(),
            reference: reference(request),
            ip: super::client_address::address(request, &state.settings.trusted_proxies),
            csrf,
            flash,
            state,
        })
    }

    /// The page for somebody who may not be signed in.
    pub fn page(&self, nav: Nav, viewer: Option<Viewer>) -> Page {
        let host = url::Url::parse(self.state.issuer())
            .ok()
            .and_then(|issuer| {
                let host = issuer.host_str()?.to_owned();
                Some(issuer.port().map_or(host.clone(), |port| format!("{host}:{port}")))
            })
            .unwrap_or_default();
        Page {
            lang: "en",
            dir: "ltr",
            site: self.state.settings.site_name.clone(),
            host,
            base: self.state.base().to_owned(),
            csrf: self.csrf.token.clone(),
            viewer,
            nav,
            flash: self.flash.clone(),
        }
    }

    /// The page for the person who is signed in.
    pub fn page_for(&self, nav: Nav, who: &SignedIn) -> Page {
        self.page(nav, Some(viewer(&who.account)))
    }

    /// Sends a page.
    ///
    /// # Errors
    /// When the template fails, which tests rule out.
    pub fn send(&self, view: &impl Template) -> Result<HttpResponse, PageError> {
        self.send_as(StatusCode::OK, None, view)
    }

    /// Sends a page with this status, whose forms may lead on to `form_target`.
    ///
    /// # Errors
    /// When the template fails, which tests rule out.
    pub fn send_as(
        &self,
        status: StatusCode,
        form_target: Option<&str>,
        view: &impl Template,
    ) -> Result<HttpResponse, PageError> {
        self.send_reaching(status, Reach { form_target, hands_over: false }, view)
    }

    /// Sends a page with this status, which may do this.
    ///
    /// # Errors
    /// When the template fails, which tests rule out.
    pub fn send_reaching(
        &self,
        status: StatusCode,
        reach: Reach<'_>,
        view: &impl Template,
    ) -> Result<HttpResponse, PageError> {
        let html = view.render().map_err(|error| PageError::internal(error.to_string()))?;
        let mut response = HttpResponse::build(status);
        headers::secure(&mut response, reach, self.state.cookies.secure);
        response.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
        if self.csrf.is_new {
            let cookie = self.csrf.cookie.clone();
            response.cookie(self.state.cookies.make(&self.state.cookies.csrf, cookie, None));
        }
        if self.flash.is_some() {
            response.cookie(self.state.cookies.removal(&self.state.cookies.flash));
        }
        Ok(response.body(html))
    }

    /// After a form: on to another of our pages (303).
    pub fn see_other(&self, path: &str) -> HttpResponse {
        redirect(&format!("{}{path}", self.state.base()))
    }

    /// After a form: on to another of our pages, which says what was done.
    pub fn done(&self, path: &str, tone: Tone, text: &str) -> HttpResponse {
        let mut response = self.see_other(path);
        let tone = if tone == Tone::Bad { "bad" } else { "good" };
        let sealed = self.state.keyring.forms().seal_text("flash", &format!("{tone} {text}"));
        let cookie =
            self.state.cookies.make(&self.state.cookies.flash, sealed, Some(Duration::minutes(2)));
        // The cookie is of our own making, so it is well-formed.
        let _ = response.add_cookie(&cookie);
        response
    }

    /// The circumstances of a change that this person makes.
    pub fn act(&self, who: &SignedIn) -> Act {
        self.act_as(Actor::User(who.account.id))
    }

    /// The circumstances of a change.
    pub fn act_as(&self, actor: Actor) -> Act {
        Act {
            now: self.now,
            actor,
            ip: Some(self.ip.to_string()),
            reference: Some(self.reference.clone()),
        }
    }
}

/// A redirect after a form, or to the next step: 303, never cached.
pub fn redirect(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish()
}

/// An account as the corner of a page shows it.
pub fn viewer(account: &crate::domain::account::Account) -> Viewer {
    Viewer::new(&account.display_name, &account.username, &account.email, account.is_admin)
}

/// The request's name in the log.
pub fn reference(request: &HttpRequest) -> String {
    request.extensions().get::<Reference>().map(ToString::to_string).unwrap_or_default()
}

fn csrf_token(state: &AppState, cookie: &str) -> String {
    URL_SAFE_NO_PAD.encode(state.keyring.callers().key("csrf", &[cookie.as_bytes()]))
}

/// Whether a form carries the token that belongs to this browser's cookie.
pub fn csrf_is_good(request: &HttpRequest, state: &AppState, fields: &Fields) -> bool {
    let (Some(cookie), Some(token)) = (request.cookie(&state.cookies.csrf), fields.get("csrf"))
    else {
        return false;
    };
    let expected = csrf_token(state, cookie.value());
    aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), token.as_bytes()).is_ok()
}

/// What a page handler can fail with. Turned into a page at the edge, where it is logged once.
#[derive(Debug)]
pub enum PageError {
    /// Nobody is signed in: on to the sign-in page, and back to this path after.
    SignInFirst(String),
    /// The person isn't an administrator.
    NotAdmin,
    /// There is no such page, or no such thing.
    NotFound,
    /// The form isn't from this browser.
    StaleForm,
    /// The sign-in that this belongs to is over.
    RequestGone,
    /// The set-up link doesn't count.
    SetupClosed,
    /// The request can't be understood; for the log.
    BadRequest(String),
    /// The request's body is longer than the settings allow; for the log.
    TooLarge(String),
    /// An OAuth request that can't be answered by a redirect, drawn by its own view.
    Drawn(Box<DrawnError>),
    /// The database or the password pool is busy.
    Busy(String),
    /// Our mistake; for the log.
    Internal(String),
}

/// An error page that says more than its kind.
#[derive(Debug)]
pub struct DrawnError {
    /// Its status.
    pub status: StatusCode,
    /// For the log.
    pub cause: String,
    /// Makes the page.
    pub view: DrawnView,
}

/// What the page says.
#[derive(Clone, Debug)]
pub struct DrawnView {
    /// The headline.
    pub heading: String,
    /// The app that it happened with.
    pub app: Option<String>,
    /// What happened.
    pub lead: String,
    /// Whose mistake it is likely to be.
    pub whose: String,
    /// What to do.
    pub what: String,
    /// The error's code and description, the client and what it sent.
    pub error: &'static str,
    /// Its description.
    pub description: String,
    /// The client that was named.
    pub client: Option<String>,
    /// What was sent.
    pub sent: Option<String>,
}

impl PageError {
    /// A request that can't be understood.
    pub fn bad_request(cause: impl Into<String>) -> Self {
        Self::BadRequest(cause.into())
    }

    /// Our mistake.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self::Internal(cause.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::SignInFirst(_) => StatusCode::SEE_OTHER,
            Self::NotAdmin => StatusCode::FORBIDDEN,
            Self::NotFound | Self::SetupClosed => StatusCode::NOT_FOUND,
            Self::StaleForm => StatusCode::FORBIDDEN,
            Self::RequestGone | Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Drawn(drawn) => drawn.status,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The page, drawn for this request.
    pub fn respond(&self, context: &Context) -> HttpResponse {
        match self {
            Self::SignInFirst(path) => {
                let sealed = Pending::new(path, context.now).seal(&context.state);
                return context.see_other(&format!("/login?request={sealed}"));
            }
            Self::Busy(cause) => tracing::warn!(cause, "a page could not be served now"),
            Self::Internal(cause) => tracing::error!(cause, "a page failed"),
            Self::BadRequest(cause) | Self::TooLarge(cause) => {
                tracing::info!(cause, "a page refused its request");
            }
            Self::Drawn(drawn) => tracing::info!(cause = drawn.cause, "a page refused its request"),
            other => tracing::info!(error = %other, "a page refused its request"),
        }
        let page = context.page(Nav::Nowhere, None);
        let reference = context.reference.clone();
        let status = self.status();
        let sent = match self {
            Self::Busy(_) | Self::Internal(_) | Self::SignInFirst(_) => {
                let busy = matches!(self, Self::Busy(_));
                context.send_as(status, None, &ErrorServerView { page, busy, reference })
            }
            Self::NotAdmin => {
                context.send_as(status, None, &ErrorView::not_allowed(page, reference))
            }
            Self::NotFound => context.send_as(status, None, &ErrorView::not_found(page, reference)),
            Self::StaleForm => {
                context.send_as(status, None, &ErrorView::stale_form(page, reference))
            }
            Self::RequestGone => {
                context.send_as(status, None, &ErrorView::request_gone(page, reference))
            }
            Self::SetupClosed => {
                context.send_as(status, None, &ErrorView::setup_closed(page, reference))
            }
            Self::BadRequest(_) | Self::TooLarge(_) => {
                let mut view = ErrorView::stale_form(page, reference);
                view.heading = "We couldn’t read that".into();
                view.lead =
                    "What your browser sent isn’t in the form that this page understands.".into();
                context.send_as(status, None, &view)
            }
            Self::Drawn(drawn) => context.send_as(status, None, &drawn.view.view(context, page)),
        };
        let mut response = sent.unwrap_or_else(|_| HttpResponse::InternalServerError().finish());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}

impl DrawnView {
    fn view(&self, context: &Context, page: Page) -> ErrorView {
        ErrorView {
            page,
            heading: self.heading.clone(),
            app: self.app.clone(),
            lead: self.lead.clone(),
            whose: self.whose.clone(),
            what: self.what.clone(),
            reference: context.reference.clone(),
            go: Some(("/account", "Go to your account")),
            developer: Some(super::views::DeveloperFacts {
                error: self.error.to_owned(),
                description: self.description.clone(),
                client: self.client.clone(),
                sent: self.sent.clone(),
                when: super::views::When::exact(context.now.as_millis()),
            }),
        }
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignInFirst(_) => f.write_str("nobody is signed in"),
            Self::NotAdmin => f.write_str("not an administrator"),
            Self::NotFound => f.write_str("not found"),
            Self::StaleForm => f.write_str("the form isn't from this browser"),
            Self::RequestGone => f.write_str("the sign-in is over"),
            Self::SetupClosed => f.write_str("the set-up link doesn't count"),
            Self::BadRequest(cause)
            | Self::TooLarge(cause)
            | Self::Busy(cause)
            | Self::Internal(cause) => f.write_str(cause),
            Self::Drawn(drawn) => f.write_str(&drawn.cause),
        }
    }
}

/// The body is drawn by [`draw_errors`], which has the request.
impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::build(self.status()).finish()
    }
}

impl From<StorageError> for PageError {
    fn from(error: StorageError) -> Self {
        if error.is_temporary() {
            Self::Busy(error.to_string())
        } else {
            Self::Internal(error.to_string())
        }
    }
}

impl From<crate::crypto::passwords::PasswordError> for PageError {
    fn from(error: crate::crypto::passwords::PasswordError) -> Self {
        match error {
            crate::crypto::passwords::PasswordError::Busy => Self::Busy(error.to_string()),
            crate::crypto::passwords::PasswordError::Failed(cause) => Self::Internal(cause),
        }
    }
}

type Responding =
    Pin<Box<dyn Future<Output = Result<actix_web::dev::ServiceResponse, actix_web::Error>>>>;

/// Draws the page for every error below it: a handler's, an extractor's, and the session
/// store's, which comes as an error of the middleware itself.
pub fn draw_errors(
    request: actix_web::dev::ServiceRequest,
    next: actix_web::middleware::Next<BoxBody>,
) -> Responding {
    Box::pin(async move {
        // A clone of the request itself would keep the router from its work.
        let context = Context::of(request.request())?;
        match next.call(request).await {
            Ok(response) => {
                let drawn = response
                    .response()
                    .error()
                    .and_then(|error| error.as_error::<PageError>())
                    .map(|error| error.respond(&context));
                Ok(match drawn {
                    Some(drawn) => response.into_response(drawn),
                    None => response,
                })
            }
            Err(error) => {
                let drawn = match error.as_error::<PageError>() {
                    Some(own) => own.respond(&context),
                    None => PageError::Busy(error.to_string()).respond(&context),
                };
                Err(InternalError::from_response(error, drawn).into())
            }
        }
    })
}
