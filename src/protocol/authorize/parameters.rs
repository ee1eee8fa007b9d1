//! The parameters of an authorization request, wherever they came from: a query, a form, a
//! pushed request or a request object.

use std::borrow::Cow;

use oxide_auth::code_grant::authorization::Request;

use crate::domain::secret::HashedSecret;

/// The parameters of a request, in order, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
    pushed: Option<HashedSecret>,
}

/// Those that may stand once only (RFC 6749 section 3.1). Of the rest, `resource` may repeat
/// (RFC 8707 section 2), and names that nobody here knows are ignored.
const SINGLE: [&str; 21] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "acr_values",
    "ui_locales",
    "claims_locales",
    "display",
    "claims",
    "request",
    "request_uri",
    "dpop_jkt",
];

impl Parameters {
    /// These names and values.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self { pairs, pushed: None }
    }

    /// The same, as they were pushed under the reference with this hash (RFC 9126).
    #[must_use]
    pub fn pushed_as(self, reference: HashedSecret) -> Self {
        Self { pushed: Some(reference), ..self }
    }

    /// The hash of the reference that they were pushed under, if they were.
    pub fn pushed(&self) -> Option<HashedSecret> {
        self.pushed
    }

    /// All of them, in order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The first value of this name. A parameter without a value counts as left out (RFC 6749
    /// section 3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut own = self.pairs.iter().filter(|(own, value)| own == name && !value.is_empty());
        own.next().map(|(_, value)| value.as_str())
    }

    /// Every value of a name that may stand more than once.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self.pairs.iter().filter(move |(own, value)| own == name && !value.is_empty());
        own.map(|(_, value)| value.as_str())
    }

    /// Whether a name stands more than once, with a value or without.
    pub fn repeated(&self, name: &str) -> bool {
        self.pairs.iter().filter(|(own, _)| own == name).count() > 1
    }

    /// A name that stands more than once and may not.
    pub fn duplicate(&self) -> Option<&'static str> {
        SINGLE.into_iter().find(|name| self.repeated(name))
    }

    /// As the query of an address.
    pub fn to_query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.pairs).finish()
    }
}

/// What oxide-auth's machine reads.
impl Request for Parameters {
    fn valid(&self) -> bool {
        true
    }
    fn client_id(&self) -> Option<Cow<'_, str>> {
        self.get("client_id").map(Cow::Borrowed)
    }
    fn scope(&self) -> Option<Cow<'_, str>> {
        self.get("scope").map(Cow::Borrowed)
    }
    fn redirect_uri(&self) -> Option<Cow<'_, str>> {
        self.get("redirect_uri").map(Cow::Borrowed)
    }
    fn state(&self) -> Option<Cow<'_, str>> {
        self.get("state").map(Cow::Borrowed)
    }
    fn response_type(&self) -> Option<Cow<'_, str>> {
        self.get("response_type").map(Cow::Borrowed)
    }
    fn extension(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).map(Cow::Borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_empty_is_left_out_and_what_stands_twice_is_named() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let parameters = Parameters::new(vec![
            pair("prompt", ""),
            pair("resource", "https://a.example"),
            pair("resource", "https://b.example"),
            pair("x", "1"),
            pair("x", "2"),
        ]);
        assert_eq!(parameters.get("prompt"), None);
        assert_eq!(parameters.all("resource").count(), 2);
        assert_eq!(parameters.duplicate(), None);
        let mut pairs = parameters.pairs().to_vec();
        pairs.push(pair("prompt", "login"));
        assert_eq!(Parameters::new(pairs).duplicate(), Some("prompt"));
    }
}
