//! The security headers of pages.

use actix_web::HttpResponseBuilder;
use actix_web::http::header;

/// The Content-Security-Policy of a page whose forms may lead to `form_targets` beside us.
///
/// Chromium holds `form-action` against every later hop of a redirect after a form, so a form
/// whose answer goes back to an app must allow `https:` and the app's own origin or scheme.
pub fn content_security_policy(form_target: Option<&str>) -> String {
    let targets = form_target.map(|target| format!(" https: {target}")).unwrap_or_default();
    format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{targets}; \
         base-uri 'none'; frame-ancestors 'none'"
    )
}

/// Puts the headers of a page on an answer.
pub fn secure(response: &mut HttpResponseBuilder, form_target: Option<&str>, tls: bool) {
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, content_security_policy(form_target)))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // `no-referrer` would make Chromium send `Origin: null` with our own forms.
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header(("permissions-policy", "camera=(), geolocation=(), microphone=()"))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    if tls {
        response.insert_header((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    }
}
