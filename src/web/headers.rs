//! The security headers of pages.

use actix_web::HttpResponseBuilder;
use actix_web::http::header;

/// What a page may do beyond showing itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach<'a> {
    /// Where its forms may lead on to beside us: an app's origin or scheme.
    pub form_target: Option<&'a str>,
    /// Whether it is the page that hands an answer to an app by a form, which a script of ours
    /// submits.
    pub hands_over: bool,
}

/// The Content-Security-Policy of a page.
///
/// Chromium holds `form-action` against every later hop of a redirect after a form, so a form
/// whose answer goes back to an app must allow `https:` and the app's own origin or scheme.
pub fn content_security_policy(reach: Reach<'_>) -> String {
    let targets = reach.form_target.map(|target| format!(" https: {target}")).unwrap_or_default();
    let scripts = if reach.hands_over { "script-src 'self'; " } else { "" };
    format!(
        "default-src 'none'; {scripts}style-src 'self'; img-src 'self'; \
         form-action 'self'{targets}; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// Puts the headers of a page on an answer.
pub fn secure(response: &mut HttpResponseBuilder, reach: Reach<'_>, tls: bool) {
    // `no-referrer` would make Chromium send `Origin: null` with our own forms; what goes to an
    // app by a form names our origin and no more.
    let referrer = if reach.hands_over { "origin" } else { "same-origin" };
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, content_security_policy(reach)))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, referrer))
        .insert_header(("permissions-policy", "camera=(), geolocation=(), microphone=()"))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    if reach.form_target.is_none() {
        // An app that opened its sign-in as a popup must find that window again.
        response.insert_header(("cross-origin-opener-policy", "same-origin"));
    }
    if tls {
        response.insert_header((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    }
}
