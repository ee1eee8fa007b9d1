//! The names and attributes of our cookies (RFC 6265bis section 4.1.3).
//!
//! With TLS they are `__Host-` at the root of a host and `__Secure-` below a path. Cookies
//! ignore ports, so the port stands in the name where it isn't the scheme's own.

use actix_web::cookie::{Cookie, SameSite, time::Duration};

use crate::settings::Issuer;

/// The cookies of one server.
#[derive(Clone, Debug)]
pub struct CookieNames {
    /// The browser session.
    pub session: String,
    /// The keys of the accounts that are signed in beside it.
    pub accounts: String,
    /// What CSRF tokens are made from.
    pub csrf: String,
    /// A message for the next page.
    pub flash: String,
    /// A client secret on its way to the page that shows it once.
    pub secret: String,
    /// Their path.
    pub path: String,
    /// Whether they are for TLS alone.
    pub secure: bool,
}

impl CookieNames {
    /// For this issuer.
    pub fn new(issuer: &Issuer) -> Self {
        let port = url::Url::parse(issuer.as_str())
            .ok()
            .and_then(|url| url.port())
            .map(|port| format!("_{port}"))
            .unwrap_or_default();
        let prefix = match (issuer.is_https(), issuer.path().is_empty()) {
            (true, true) => "__Host-",
            (true, false) => "__Secure-",
            (false, _) => "",
        };
        let name = |what: &str| format!("{prefix}perennial{port}_{what}");
        Self {
            session: name("session"),
            accounts: name("accounts"),
            csrf: name("csrf"),
            flash: name("flash"),
            secret: name("secret"),
            path: if issuer.path().is_empty() { "/".into() } else { issuer.path().to_owned() },
            secure: issuer.is_https(),
        }
    }

    /// A cookie of ours that lasts as long as the browser is open, or for `max_age`.
    pub fn make(&self, name: &str, value: String, max_age: Option<Duration>) -> Cookie<'static> {
        let mut cookie = Cookie::build(name.to_owned(), value)
            .path(self.path.clone())
            .secure(self.secure)
            .http_only(true)
            .same_site(SameSite::Lax)
            .finish();
        cookie.set_max_age(max_age);
        cookie
    }

    /// A cookie that removes the one of this name.
    pub fn removal(&self, name: &str) -> Cookie<'static> {
        self.make(name, String::new(), Some(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_issuer() {
        let session = |issuer: &str| CookieNames::new(&Issuer::parse(issuer).unwrap()).session;
        assert_eq!(session("https://id.example"), "__Host-perennial_session");
        assert_eq!(session("https://id.example:8443"), "__Host-perennial_8443_session");
        assert_eq!(session("https://example.org/id"), "__Secure-perennial_session");
        assert_eq!(session("http://localhost:8080"), "perennial_8080_session");
        let names = CookieNames::new(&Issuer::parse("https://id.example").unwrap());
        assert_eq!(names.accounts, "__Host-perennial_accounts");
        let cookie = names.make(&names.accounts, "x".into(), None).to_string();
        assert_eq!(cookie, "__Host-perennial_accounts=x; HttpOnly; SameSite=Lax; Secure; Path=/");
    }
}
