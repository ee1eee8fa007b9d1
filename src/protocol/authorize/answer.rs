//! What goes back to the app, and by which way (OAuth 2.0 Multiple Response Type Encoding
//! Practices section 2.1, OAuth 2.0 Form Post Response Mode).

use std::borrow::Cow;

use crate::protocol::oauth_error::{Code, plain};

/// How an answer travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    #[default]
    Query,
    /// In its fragment.
    Fragment,
    /// In the body of a POST to it.
    FormPost,
}

impl ResponseMode {
    /// All of them, with their registered names.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Query, "query"), (Self::Fragment, "fragment"), (Self::FormPost, "form_post")];

    /// The mode with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(mode, _)| *mode)
    }
}

/// Where answers to a request go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// The redirect URI.
    pub redirect_uri: String,
    /// How.
    pub mode: ResponseMode,
    /// The app's name.
    pub app: String,
    /// What every answer repeats.
    pub state: Option<String>,
}

/// An answer on its way to the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where it goes, and how.
    pub to: Return,
    /// Its parameters.
    pub parameters: Vec<(&'static str, String)>,
}

/// An error on its way back to the app.
#[derive(Clone, Debug)]
pub struct ErrorAnswer {
    /// Where it goes, and how.
    pub to: Return,
    /// The registered code.
    pub code: Code,
    /// For the app's developer.
    pub description: Cow<'static, str>,
}

impl ErrorAnswer {
    /// The answer, in the name of this issuer (RFC 9207).
    pub fn answer(self, issuer: &str) -> Answer {
        let mut parameters = vec![
            ("error", self.code.name().to_owned()),
            ("error_description", plain(&self.description)),
        ];
        parameters.extend(self.to.state.clone().map(|state| ("state", state)));
        parameters.push(("iss", issuer.to_owned()));
        Answer { to: self.to, parameters }
    }
}

impl Answer {
    /// A code, in the name of this issuer (RFC 9207).
    pub fn code(to: Return, code: &str, issuer: &str) -> Self {
        let mut parameters = vec![("code", code.to_owned())];
        parameters.extend(to.state.clone().map(|state| ("state", state)));
        parameters.push(("iss", issuer.to_owned()));
        Self { to, parameters }
    }

    /// The whole address to send the browser to; none where a form does it.
    pub fn location(&self) -> Option<String> {
        let encoded = || -> String {
            url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&self.parameters)
                .finish()
        };
        let uri = &self.to.redirect_uri;
        match self.to.mode {
            ResponseMode::Query => Some(with_query(uri, &encoded())),
            // No redirect URI that is registered has a fragment of its own.
            ResponseMode::Fragment => Some(format!("{uri}#{}", encoded())),
            ResponseMode::FormPost => None,
        }
    }
}

/// Adds parameters to a URI; what it has stays to the letter (RFC 6749 section 3.1.2).
pub(in crate::protocol) fn with_query(uri: &str, query: &str) -> String {
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_keeps_its_own_query() {
        let answer = |uri: &str, mode| Answer {
            to: Return { redirect_uri: uri.into(), mode, app: "A".into(), state: None },
            parameters: vec![("code", "x y".into())],
        };
        let at = |uri| answer(uri, ResponseMode::Query).location().unwrap();
        assert_eq!(at("https://a.example/cb"), "https://a.example/cb?code=x+y");
        assert_eq!(at("https://a.example/cb?t=1"), "https://a.example/cb?t=1&code=x+y");
        assert_eq!(at("com.example.app:/cb"), "com.example.app:/cb?code=x+y");
        let in_fragment = answer("https://a.example/cb?t=1", ResponseMode::Fragment);
        assert_eq!(in_fragment.location().unwrap(), "https://a.example/cb?t=1#code=x+y");
        assert_eq!(answer("https://a.example/cb", ResponseMode::FormPost).location(), None);
    }

    #[test]
    fn a_description_has_no_letter_that_may_not_stand_in_one() {
        let to = Return {
            redirect_uri: "https://a.example/cb".into(),
            mode: ResponseMode::Query,
            app: "A".into(),
            state: Some("s".into()),
        };
        let error = ErrorAnswer {
            to,
            code: Code::InvalidRequest,
            description: "claims {\"a\"} \\ é\n".into(),
        };
        let answer = error.answer("https://id.example");
        let names: Vec<&str> = answer.parameters.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["error", "error_description", "state", "iss"]);
        assert_eq!(answer.parameters[1].1, "claims {'a'} ' ??");
    }
}
