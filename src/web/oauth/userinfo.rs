//! `GET, POST /oauth/userinfo` (OpenID Connect Core section 5.3).

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::answer;
use crate::protocol::oauth_error::OAuthError;
use crate::protocol::userinfo::{self, Refusal, UserInfo};
use crate::web::form::{Fields, is_urlencoded};
use crate::web::state::AppState;

/// The endpoint.
pub async fn userinfo(
    http: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let body = match body {
        Ok(body) => body,
        Err(error) => return answer::unread_body("userinfo", &error, state.issuer()),
    };
    let token = match token(&http, &body) {
        Ok(token) => token,
        Err(refusal) => return refuse(&refusal),
    };
    state.keys.follow_for(&token).await;
    let (keyring, issuer, now) = (state.keyring.clone(), state.issuer().to_owned(), state.now());
    let told = state
        .db
        .read(move |connection| userinfo::userinfo(connection, &keyring, &issuer, &token, now))
        .await;
    match told {
        Ok(Ok(UserInfo::Plain(claims))) => answer::json(&claims),
        Ok(Ok(UserInfo::Signed(jwt))) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::PRAGMA, "no-cache"))
            .content_type("application/jwt")
            .body(jwt),
        Ok(Err(refusal)) => refuse(&refusal),
        Err(error) => answer::refusal("userinfo", &OAuthError::from(error), state.issuer()),
    }
}

/// Another method than GET and POST.
pub async fn only_get_and_post() -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((header::ALLOW, "GET, POST"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(serde_json::json!({
            "error": "invalid_request",
            "error_description": "send a GET or POST request",
        }))
}

/// The bearer token of a request, from its one allowed place (RFC 6750 section 2): the header,
/// or the form of a POST. Never the address, which ends up in logs.
fn token(http: &HttpRequest, body: &[u8]) -> Result<String, Refusal> {
    let invalid = |description| Err(Refusal::InvalidRequest(description));
    let in_address = http.query_string().split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_encoding::percent_decode_str(name).eq(b"access_token".iter().copied())
    });
    if in_address {
        return invalid("send the access token in the Authorization header, not in the address");
    }
    let header = in_header(http)?;
    let form = if *http.method() == Method::POST { in_form(http, body)? } else { None };
    match (header, form) {
        (Some(_), Some(_)) => {
            invalid("send the access token in the Authorization header or in the body, not in both")
        }
        (Some(token), None) | (None, Some(token)) => Ok(token),
        (None, None) => Err(Refusal::NoToken),
    }
}

/// RFC 6750 section 2.1. Another scheme is no token.
fn in_header(http: &HttpRequest) -> Result<Option<String>, Refusal> {
    let mut headers = http.headers().get_all(header::AUTHORIZATION);
    let Some(value) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(Refusal::InvalidRequest("there is more than one Authorization header"));
    }
    let value = value
        .to_str()
        .map_err(|_| Refusal::InvalidRequest("the Authorization header is not text"))?;
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Ok(None);
    }
    let token = rest.trim();
    if token.is_empty() || !is_b64token(token) {
        return Err(Refusal::InvalidRequest("the Authorization header holds no bearer token"));
    }
    Ok(Some(token.to_owned()))
}

/// RFC 6750 section 2.2. A body of another type holds no token.
fn in_form(http: &HttpRequest, body: &[u8]) -> Result<Option<String>, Refusal> {
    let kind = http.headers().get(header::CONTENT_TYPE);
    if !kind.and_then(|kind| kind.to_str().ok()).is_some_and(is_urlencoded) {
        return Ok(None);
    }
    let fields = Fields::parse(body)
        .ok_or(Refusal::InvalidRequest("the body is not UTF-8 text without NUL"))?;
    if fields.duplicate(&["access_token"]).is_some() {
        return Err(Refusal::InvalidRequest("access_token stands more than once"));
    }
    Ok(fields.get("access_token").filter(|token| !token.is_empty()).map(str::to_owned))
}

fn is_b64token(text: &str) -> bool {
    text.bytes().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
    })
}

/// A refusal by RFC 6750 section 3, logged here and nowhere else.
fn refuse(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .insert_header((header::WWW_AUTHENTICATE, refusal.challenge()));
    let Some((code, description)) = refusal.error() else {
        // Whoever sent no token is told no error (RFC 6750 section 3.1).
        return response.finish();
    };
    let cause = match refusal {
        Refusal::InvalidToken(_, cause) => cause,
        _ => description,
    };
    tracing::info!(endpoint = "userinfo", code, cause, "refused");
    response.json(serde_json::json!({ "error": code, "error_description": description }))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn header(value: &str) -> Result<String, Refusal> {
        token(&TestRequest::get().insert_header(("authorization", value)).to_http_request(), b"")
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_another_scheme_is_no_token() {
        for good in ["Bearer pat_x-y.z~", "bearer pat_x-y.z~", "BEARER  pat_x-y.z~ "] {
            assert_eq!(header(good).as_deref(), Ok("pat_x-y.z~"), "{good}");
        }
        for none in ["Basic eDp5", "DPoP pat_x", "Bearerpat_x", ""] {
            assert_eq!(header(none), Err(Refusal::NoToken), "{none}");
        }
        for bad in ["Bearer", "Bearer ", "Bearer a b", "Bearer \"a\"", "Bearer a,b"] {
            assert!(matches!(header(bad), Err(Refusal::InvalidRequest(_))), "{bad}");
        }
    }

    #[test]
    fn a_form_counts_for_a_post_and_the_address_never() {
        let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let read = |request: TestRequest, body: &[u8]| token(&request.to_http_request(), body);
        let body = b"access_token=pat_x&y=z";
        let post = || TestRequest::post().insert_header(form);
        assert_eq!(read(post(), body).as_deref(), Ok("pat_x"));
        assert_eq!(read(TestRequest::get().insert_header(form), body), Err(Refusal::NoToken));
        assert_eq!(read(TestRequest::post(), body), Err(Refusal::NoToken));
        let both = post().insert_header(("authorization", "Bearer pat_x"));
        let twice = b"access_token=pat_x&access_token=pat_x";
        for (request, body) in [
            (both, &body[..]),
            (post(), &twice[..]),
            (post(), &b"access_token=%ff"[..]),
            (post().uri("/oauth/userinfo?access_token=pat_x"), &b""[..]),
            (TestRequest::get().uri("/oauth/userinfo?a=b&access%5Ftoken=pat_x"), &b""[..]),
        ] {
            assert!(matches!(read(request, body), Err(Refusal::InvalidRequest(_))));
        }
    }
}
