//! The `claims` parameter (OpenID Connect Core section 5.5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest that one may be, in bytes.
const LONGEST: usize = 4_096;

/// The claims that a request asks for one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimsRequest {
    /// Those for the UserInfo endpoint.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: BTreeMap<String, Option<ClaimAsked>>,
    /// Those for the ID token.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: BTreeMap<String, Option<ClaimAsked>>,
}

/// How one claim is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimAsked {
    /// Whether the app can't do well without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// The one value that it wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The values that it wants, the best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

impl ClaimAsked {
    /// Whether this value would do.
    pub fn accepts(&self, value: &Value) -> bool {
        match &self.value {
            Some(wanted) => wanted == value,
            None => self.values.is_empty() || self.values.contains(value),
        }
    }
}

impl ClaimsRequest {
    /// Reads the parameter. Members and claims that nobody here knows are kept, and mean nothing.
    ///
    /// # Errors
    /// A clause that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("claims is longer than {LONGEST} bytes"));
        }
        // As values first: a struct would be read from an array as well.
        let read = serde_json::from_str::<Value>(text).ok().filter(is_well_formed);
        read.and_then(|read| serde_json::from_value(read).ok()).ok_or_else(|| {
            "claims is not the JSON of OpenID Connect Core section 5.5, such as \
             {\"userinfo\":{\"name\":{\"essential\":true}}}"
                .to_owned()
        })
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// As JSON, to be stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Whether it is an object, and what it asks for one by one are objects too, or null.
fn is_well_formed(request: &Value) -> bool {
    let Some(members) = request.as_object() else { return false };
    ["userinfo", "id_token"].iter().filter_map(|name| members.get(*name)).all(|claims| {
        claims
            .as_object()
            .is_some_and(|claims| claims.values().all(|asked| asked.is_object() || asked.is_null()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for() {
        let text = r#"{"userinfo":{"name":{"essential":true},"email":null},
                       "id_token":{"acr":{"values":["1","0"]},"sub":{"value":"x"}}}"#;
        let asked = ClaimsRequest::parse(text).unwrap();
        assert!(asked.userinfo["name"].as_ref().unwrap().essential);
        assert_eq!(asked.userinfo["email"], None);
        let acr = asked.id_token["acr"].as_ref().unwrap();
        assert!(acr.accepts(&Value::from("0")) && !acr.accepts(&Value::from("2")));
        assert!(!asked.id_token["sub"].as_ref().unwrap().accepts(&Value::from("y")));
        assert_eq!(ClaimsRequest::parse(&asked.to_json()), Ok(asked));
    }

    #[test]
    fn what_is_no_request() {
        for bad in [
            "",
            "x",
            "[]",
            "1",
            r#"{"userinfo":[]}"#,
            r#"{"id_token":{"a":1}}"#,
            r#"{"id_token":{"a":[]}}"#,
        ] {
            assert!(ClaimsRequest::parse(bad).is_err(), "{bad}");
        }
        assert!(ClaimsRequest::parse(&format!("{{\"x\":\"{}\"}}", "y".repeat(5_000))).is_err());
        assert!(ClaimsRequest::parse("{}").unwrap().is_empty());
    }
}
