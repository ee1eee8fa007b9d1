//! Redirect URIs: what may be registered, and what matches (RFC 9700 sections 2.1 and 4.1.3).

use url::{Host, Url};

/// The longest redirect URI that may be registered or sent, in bytes.
pub const MAX_BYTES: usize = 2048;

/// Checks a URI that someone wants to register.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn check(uri: &str) -> Result<(), String> {
    if uri.len() > MAX_BYTES {
        return Err(format!("the redirect URI is longer than {MAX_BYTES} bytes"));
    }
    if !uri.is_ascii() {
        return Err(format!(
            "\"{uri}\" has letters beyond ASCII; write the host in punycode and percent-encode the rest"
        ));
    }
    let parsed = Url::parse(uri).map_err(|_| {
        format!("\"{uri}\" is not an absolute URI; write it like https://app.example/callback")
    })?;
    if uri.contains('#') {
        return Err(format!("\"{uri}\" has a fragment; leave out everything from \"#\" on"));
    }
    if uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("\"{}\" has a space or a control character", uri.escape_debug()));
    }
    match parsed.scheme() {
        "https" => named_host(&parsed, uri),
        "http" if is_loopback(&parsed) => Ok(()),
        "http" => Err(format!("\"{uri}\" is plain http; use https (http is for loopback only)")),
        "javascript" | "data" | "file" | "vbscript" | "blob" | "about" | "ws" | "wss" | "ftp" => {
            Err(format!("\"{uri}\" has a scheme that can't carry an answer to an app"))
        }
        // RFC 8252 section 7.1: a native app's own scheme is a domain name, reversed.
        scheme if scheme.contains('.') => Ok(()),
        scheme => Err(format!(
            "the scheme \"{scheme}\" has no dot; a native app's own scheme is a reversed domain \
             name, such as com.example.app:/callback"
        )),
    }
}

fn named_host(parsed: &Url, uri: &str) -> Result<(), String> {
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(format!("\"{uri}\" names a user; leave out everything before \"@\""));
    }
    parsed.host().map(|_| ()).ok_or_else(|| format!("\"{uri}\" has no host"))
}

/// Whether the URI points at this machine's loopback interface.
pub fn is_loopback(uri: &Url) -> bool {
    match uri.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether `presented` is `registered`: the same string, except that the port of an http
/// loopback address may be any (RFC 8252 section 7.3: a native app listens where it can).
pub fn matches(registered: &str, presented: &str) -> bool {
    if registered == presented {
        return true;
    }
    match (loopback_without_port(registered), loopback_without_port(presented)) {
        (Some(registered), Some(presented)) => registered == presented,
        _ => false,
    }
}

/// `http://127.0.0.1:51000/cb?x` as (`127.0.0.1`, `/cb?x`). By the text, not by its parse:
/// nothing is normalised, so everything but the port stays exact.
fn loopback_without_port(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse::<u16>().ok()?;
            host
        }
        _ => authority,
    };
    matches!(host, "127.0.0.1" | "[::1]" | "localhost").then_some((host, tail))
}

/// What a page's `form-action` must allow, beside `https:`, for a redirect to this URI and for
/// the app's own redirects after it: its origin where it is https, else its scheme. An http URI is
/// one of this machine, whose apps send browsers on from port to port; and no source can name
/// `[::1]`.
pub fn form_action_source(uri: &str) -> Option<String> {
    let parsed = Url::parse(uri).ok()?;
    match parsed.scheme() {
        "https" => Some(parsed.origin().ascii_serialization()),
        scheme => Some(format!("{scheme}:")),
    }
}

/// Where an answer to this URI goes, as a person reads it: a host, or the app itself.
pub fn host_in_words(uri: &str) -> String {
    let parsed = Url::parse(uri).ok();
    match parsed.as_ref().and_then(|uri| Some((uri.host_str()?, uri.port()))) {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => "the app".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for good in [
            "https://app.example/callback",
            "https://app.example/callback?tenant=a",
            "http://127.0.0.1/callback",
            "http://localhost:8081/callback",
            "http://[::1]:9000/",
            "com.example.app:/callback",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "http://app.example/callback",
            "https://app.example/#x",
            "https://app.example/#",
            "/callback",
            "javascript:alert(1)",
            "myapp://callback",
            "https://user@app.example/",
            "https://app.example/a b",
            "https://app.example/größe",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn forms_may_lead_to_the_app_and_on() {
        for (uri, source) in [
            ("https://app.example/callback", Some("https://app.example")),
            ("http://[::1]:9000/", Some("http:")),
            ("com.example.app:/callback", Some("com.example.app:")),
            ("/callback", None),
        ] {
            assert_eq!(form_action_source(uri).as_deref(), source, "{uri}");
        }
    }

    #[test]
    fn only_a_loopback_port_may_vary() {
        assert!(matches("http://127.0.0.1/cb", "http://127.0.0.1:51000/cb"));
        assert!(matches("http://[::1]:1/cb?a=b", "http://[::1]:2/cb?a=b"));
        assert!(matches("http://localhost:1/cb", "http://localhost:2/cb"));
        for (registered, presented) in [
            ("https://app.example/cb", "https://app.example:444/cb"),
            ("https://app.example/cb", "https://app.example/cb/"),
            ("http://127.0.0.1/cb", "http://127.0.0.2/cb"),
            ("http://127.0.0.1/cb", "http://localhost/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1/cb#x"),
            ("http://localhost/cb", "http://localhost.evil.example/cb"),
        ] {
            assert!(!matches(registered, presented), "{presented}");
        }
    }

    #[test]
    fn form_action_names_the_origin_or_the_scheme() {
        assert_eq!(
            form_action_source("https://app.example:8443/cb?x=1").as_deref(),
            Some("https://app.example:8443")
        );
        assert_eq!(form_action_source("com.example.app:/cb").as_deref(), Some("com.example.app:"));
    }
}
