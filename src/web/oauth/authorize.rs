//! `GET, POST /oauth/authorize` (RFC 6749 section 3.1).

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::protocol::authorize::{
    self, Checked, Owner, PageKind, PageRefusal, Parameters, Refused,
};
use crate::protocol::solicitor::{self, Answer};
use crate::storage::consents;
use crate::web::browser::{self, SignedIn};
use crate::web::form::{Fields, is_urlencoded};
use crate::web::page::{Context, DrawnError, DrawnView, PageError, redirect};
use crate::web::pending;
use crate::web::state::AppState;

/// The path that a pending request comes back to.
pub const PATH: &str = "/oauth/authorize";

/// The endpoint: on to sign-in, to consent, or back to the app.
pub async fn authorize(
    http: HttpRequest,
    body: web::Bytes,
    context: Context,
) -> Result<HttpResponse, PageError> {
    if http.method() == Method::POST {
        // A form from another site comes without our cookies; the address that we send the
        // browser to next gets them.
        return Ok(context.see_other(&format!("{PATH}?{}", posted(&http, &body)?)));
    }
    let checked = match check(&context.state, http.query_string()).await? {
        Ok(checked) => checked,
        Err(refused) => return refuse(&context.state, refused),
    };
    let Some(who) = browser::current(&http).await? else {
        return Err(PageError::SignInFirst(format!("{PATH}?{}", http.query_string())));
    };
    let (user, client) = (who.account.id, checked.client.id.clone());
    let remembered =
        context.state.db.read(move |connection| consents::find(connection, user, &client)).await?;
    if solicitor::solicit(&checked, user, remembered.as_ref()) == Answer::Ask {
        let path = format!("{PATH}?{}", http.query_string());
        let sealed = pending::seal(&context.state, &path, context.now);
        return Ok(context.see_other(&format!("/consent?request={sealed}")));
    }
    grant(&context, &who, *checked, false).await
}

/// The parameters that an address stands for. The one place where they are obtained: whatever
/// the address only refers to is put in their place here.
///
/// # Errors
/// A page when they aren't UTF-8.
#[expect(clippy::unused_async, reason = "what is referred to has to be waited for")]
async fn obtain(_state: &AppState, query: &str) -> Result<Result<Parameters, Refused>, PageError> {
    let fields = Fields::parse(query.as_bytes())
        .ok_or_else(|| PageError::bad_request("the authorization request isn't UTF-8"))?;
    Ok(Ok(Parameters::new(fields.pairs().to_vec())))
}

/// Checks the request that a query stands for.
///
/// # Errors
/// A page when it isn't UTF-8, or when the database can't answer.
pub async fn check(
    state: &AppState,
    query: &str,
) -> Result<Result<Box<Checked>, Refused>, PageError> {
    let parameters = match obtain(state, query).await? {
        Ok(parameters) => parameters,
        Err(refused) => return Ok(Err(refused)),
    };
    Ok(state.db.read(move |connection| authorize::check(connection, &parameters)).await?)
}

/// Gives the code and sends the browser back to the app. `remember`: the person has just said
/// yes to all of it.
///
/// # Errors
/// When the database can't answer.
pub async fn grant(
    context: &Context,
    who: &SignedIn,
    checked: Checked,
    remember: bool,
) -> Result<HttpResponse, PageError> {
    let owner = Owner { user: who.account.id, browser: who.session, auth_time: who.signed_in_at };
    let life = context.state.settings.tokens.authorization_code;
    let (issuer, now, act) = (context.state.issuer().to_owned(), context.now, context.act(who));
    let location = context
        .state
        .db
        .write(move |connection| {
            if remember {
                let client = &checked.client.id;
                consents::allow(connection, owner.user, client, &checked.scope, now)?;
                act.record(
                    connection,
                    "consent.granted",
                    Some(("client", client.to_string())),
                    Some(owner.user),
                    Some(client.to_string()),
                    Some(checked.scope.to_string()),
                )?;
            }
            authorize::grant(connection, &checked, owner, life, &issuer, now)
        })
        .await?;
    Ok(redirect(&location))
}

/// A refusal: on a page, or on its way back to the app.
///
/// # Errors
/// The page.
pub fn refuse(state: &AppState, refused: Refused) -> Result<HttpResponse, PageError> {
    match refused {
        Refused::Redirect(answer) => {
            tracing::info!(
                endpoint = "authorize",
                code = answer.code.name(),
                cause = answer.description,
                "refused"
            );
            Ok(redirect(&answer.location(state.issuer())))
        }
        Refused::Page(page) => Err(drawn(page)),
    }
}

fn drawn(page: PageRefusal) -> PageError {
    let name = page.app.clone().unwrap_or_else(|| "An app".to_owned());
    let (error, lead) = match page.kind {
        PageKind::Client => (
            "invalid_client",
            "An app sent you here, but we don’t know it. It may never have been registered, or \
             it was removed."
                .to_owned(),
        ),
        PageKind::RedirectUri => (
            "invalid_request",
            format!(
                "{name} asked us to send you back to an address it hasn’t registered. We don’t \
                 send people to addresses we don’t know."
            ),
        ),
    };
    PageError::Drawn(Box::new(DrawnError {
        status: StatusCode::BAD_REQUEST,
        cause: page.description.clone(),
        view: DrawnView {
            heading: "We stopped before signing you in".into(),
            app: None,
            lead,
            whose: "Most likely the app’s. Nothing is wrong with your account.".into(),
            what: "Go back to the app and try again. If it happens again, tell the people who \
                   make it, and give them the reference below."
                .into(),
            error,
            description: page.description,
            client: page.client_id,
            sent: page.sent,
        },
    }))
}

fn posted(http: &HttpRequest, body: &[u8]) -> Result<String, PageError> {
    let kind = http
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let fields = is_urlencoded(kind).then(|| Fields::parse(body)).flatten();
    let fields = fields
        .ok_or_else(|| PageError::bad_request("the authorization request isn't a form in UTF-8"))?;
    Ok(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields.pairs()).finish())
}
