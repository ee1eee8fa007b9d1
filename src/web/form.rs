//! Submitted forms: read once, and believed only when they come from our own page.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};

use super::limits::is_too_large;
use super::page::PageError;
use super::state::AppState;

/// A form's fields in order. A repeated name stays repeated.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded` bytes; `None` when they aren't UTF-8.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut fields = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.push((decode(name)?, decode(value)?));
        }
        Some(Self(fields))
    }

    /// The parameters of a request's address; none where they aren't UTF-8.
    pub fn of_query(request: &HttpRequest) -> Self {
        Self::parse(request.query_string().as_bytes()).unwrap_or_default()
    }

    /// The first value under this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The first value under this name, trimmed; "" where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default().trim()
    }

    /// All values under this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box of this name was ticked.
    pub fn ticked(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_empty())
    }

    /// A name that stands more than once with a value, among those that may stand once only.
    pub fn duplicate<'a>(&self, single: &[&'a str]) -> Option<&'a str> {
        single.iter().copied().find(|name| self.all(name).count() > 1)
    }

    /// All names and values.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Percent-decoding with "+" for a space; `None` when the result isn't UTF-8 or holds a NUL.
fn decode(text: &str) -> Option<String> {
    let text = if text.contains('+') {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok()?.into_owned()
    } else {
        percent_encoding::percent_decode_str(text).decode_utf8().ok()?.into_owned()
    };
    // No field of ours may hold one, and Postgres takes none in a text.
    (!text.contains('\0')).then_some(text)
}

/// A form that one of our own pages in this very browser submitted. The one way in for every
/// change that a person makes: it holds the CSRF token against the cookie, and believes the
/// browser where that says that another site sent it.
#[derive(Clone, Debug)]
pub struct SubmittedForm(pub Fields);

impl FromRequest for SubmittedForm {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Bytes::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let body = body.await.map_err(|error| {
                let cause = format!("the form's body can't be read: {error}");
                if is_too_large(&error) {
                    PageError::TooLarge(cause)
                } else {
                    PageError::BadRequest(cause)
                }
            })?;
            let kind = request
                .headers()
                .get(header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            if !is_urlencoded(kind) {
                return Err(PageError::bad_request(
                    "the form isn't application/x-www-form-urlencoded",
                ));
            }
            let fields = Fields::parse(&body)
                .ok_or_else(|| PageError::bad_request("the form isn't UTF-8"))?;
            let state = request
                .app_data::<web::Data<AppState>>()
                .ok_or_else(|| PageError::internal("no state"))?;
            if from_elsewhere(&request, state)
                || !super::page::csrf_is_good(&request, state, &fields)
            {
                return Err(PageError::StaleForm);
            }
            Ok(Self(fields))
        })
    }
}

/// Whether a content type is that of a form.
pub fn is_urlencoded(content_type: &str) -> bool {
    content_type
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Whether the browser itself says that another site's page sent this.
fn from_elsewhere(request: &HttpRequest, state: &AppState) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let site = header("sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    header("origin").is_some_and(|origin| origin != state.settings.issuer.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_bad_ones_are_not_guessed() {
        let fields = Fields::parse(b"a=1&b=x+y%21&a=2&c").unwrap();
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(fields.get("b"), Some("x y!"));
        assert_eq!(fields.get("c"), Some(""));
        assert_eq!(fields.duplicate(&["b", "a"]), Some("a"));
        assert!(Fields::parse(b"a=%ff").is_none());
        assert!(Fields::parse(b"a=x%00").is_none());
        assert!(Fields::parse(b"\xff").is_none());
    }
}
