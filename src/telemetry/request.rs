//! The middleware that gives each request its reference and writes one line
//! about it: method, path, status, time. Never a query string (it may hold a
//! code), a body, or a header.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use tracing::Instrument as _;

use super::Reference;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// No word of a path that anybody chose is longer; what a path holds beyond
/// that may be a token, which belongs into no log.
const LONGEST_SEGMENT: usize = 40;
const LONGEST_PATH: usize = 200;

/// Put into an answer's extensions: one of thousands alike, not worth a line unless it failed.
#[derive(Clone, Copy, Debug)]
pub struct Routine;

/// Follows a request from its first byte to its answer; the outermost
/// middleware: `.wrap(actix_web::middleware::from_fn(telemetry::follow))`.
///
/// Handlers find the [`Reference`] in the request's extensions, callers in the
/// header `x-request-id`.
pub async fn follow<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let reference = Reference::next();
    let begun = Instant::now();
    request.extensions_mut().insert(reference);
    let path = shown(request.path());
    let quiet = is_routine(request.path());
    let span = tracing::info_span!(
        "request",
        reference = %reference,
        method = %request.method(),
        path = %path,
    );
    async move {
        let mut outcome = next.call(request).await;
        let (status, quiet) = match &mut outcome {
            Ok(response) => {
                name(response.headers_mut(), reference);
                let routine = response.response().extensions().get::<Routine>().is_some();
                (response.status(), quiet || routine)
            }
            Err(error) => (error.as_response_error().status_code(), quiet),
        };
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status_number = status.as_u16();
        if status.is_server_error() && status_number != 503 {
            tracing::error!(status = status_number, milliseconds, "failed");
        } else if quiet && status.is_success() {
            tracing::debug!(status = status_number, milliseconds, "answered");
        } else {
            tracing::info!(status = status_number, milliseconds, "answered");
        }
        outcome.map_err(|error| {
            let mut response = error.error_response();
            name(response.headers_mut(), reference);
            InternalError::from_response(error, response).into()
        })
    }
    .instrument(span)
    .await
}

fn name(headers: &mut HeaderMap, reference: Reference) {
    if let Ok(value) = HeaderValue::from_str(&reference.to_string()) {
        headers.insert(HEADER, value);
    }
}

/// Asked for so often, and so dull, that a line each would hide the rest.
fn is_routine(path: &str) -> bool {
    path.ends_with("/healthz")
        || path.ends_with("/readyz")
        || path.ends_with("/metrics")
        || path.contains("/static/")
}

fn shown(path: &str) -> String {
    let longest = path.split('/').map(str::len).max().unwrap_or(0);
    if path.len() <= LONGEST_PATH && longest <= LONGEST_SEGMENT {
        return path.to_owned();
    }
    let whole: Vec<String> = path
        .split('/')
        .map(|segment| match segment.len() {
            0..=LONGEST_SEGMENT => segment.to_owned(),
            long => format!("({long} characters)"),
        })
        .collect();
    let mut text = whole.join("/");
    if text.len() > LONGEST_PATH {
        text = text.chars().take(LONGEST_PATH).collect();
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_segment_is_counted_and_not_repeated() {
        let token = "x".repeat(43);
        assert_eq!(shown(&format!("/setup/{token}")), "/setup/(43 characters)");
        assert_eq!(
            shown("/admin/sessions/8f14e45f-ceea-467f-a83f-2b0b1c9a7d11"),
            "/admin/sessions/8f14e45f-ceea-467f-a83f-2b0b1c9a7d11"
        );
        assert!(shown(&"/a".repeat(5_000)).len() < 250);
    }
}
