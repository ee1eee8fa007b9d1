//! Limits that hold for every request.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use super::state::AppState;

/// The longest address that others may send people to, path and query together, in bytes.
pub const LONGEST_ADDRESS: usize = 16 * 1024;

/// The longest that is read: a whole authorization request, sealed into a page's own address.
const LONGEST_OWN_ADDRESS: usize = 24 * 1024;

/// Whether a body couldn't be read because it is longer than the settings allow: one that
/// didn't say its length beforehand.
pub fn is_too_large(error: &Error) -> bool {
    error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE
}

fn is_too_long(request: &ServiceRequest) -> bool {
    let authorize = request.path().ends_with(super::oauth::authorize::PATH);
    let longest = if authorize { LONGEST_ADDRESS } else { LONGEST_OWN_ADDRESS };
    request.uri().path_and_query().is_some_and(|it| it.as_str().len() > longest)
}

/// Refuses requests with too many headers, a body that says it is too long, or an address
/// beyond all reason; gives up on those that take too long.
pub async fn limits<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(state) = request.app_data::<web::Data<AppState>>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let limits = &state.settings.limits;
    let too_many = request.headers().len() > limits.header_count;
    let declared = request
        .headers()
        .get("content-length")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    let status = if too_many {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else if declared.is_some_and(|length| length > limits.body_bytes) {
        Some(StatusCode::PAYLOAD_TOO_LARGE)
    } else if is_too_long(&request) {
        Some(StatusCode::URI_TOO_LONG)
    } else {
        None
    };
    if let Some(status) = status {
        let answer = HttpResponse::build(status).json(serde_json::json!({
            "error": "invalid_request",
            "error_description": status.canonical_reason().unwrap_or("the request is too large"),
        }));
        return Ok(request.into_response(answer));
    }
    match tokio::time::timeout(limits.request, next.call(request)).await {
        Ok(answered) => Ok(answered?.map_into_boxed_body()),
        Err(_) => {
            tracing::warn!("a request took too long");
            let answer = HttpResponse::ServiceUnavailable()
                .insert_header(("retry-after", "1"))
                .json(serde_json::json!({
                    "error": "temporarily_unavailable",
                    "error_description": "the server is busy; try again in a moment",
                }));
            Err(InternalError::from_response("a request took too long", answer).into())
        }
    }
}
