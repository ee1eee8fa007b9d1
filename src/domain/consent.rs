//! What a person allowed an app, and when they must be asked.

use std::collections::BTreeSet;

use super::claims;
use super::scope::Scope;
use super::time::Timestamp;

/// What a person allowed an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The scope they allowed.
    pub scope: Scope,
    /// The claims that they allowed one by one, beside the scope.
    pub claims: BTreeSet<String>,
    /// When they first allowed the app something.
    pub granted_at: Timestamp,
    /// When they last did.
    pub updated_at: Timestamp,
}

impl Consent {
    /// Whether all of this was allowed. A claim is by itself, or by its scope.
    pub fn covers(&self, scope: &Scope, claims: &BTreeSet<&str>) -> bool {
        scope.is_subset_of(&self.scope)
            && claims
                .iter()
                .all(|claim| self.claims.contains(*claim) || claims::is_given(&self.scope, claim))
    }
}

/// Whether the person must be asked before `requested`, and `claims` beside it, are granted: when anything of it was not
/// allowed before, or when nothing assures that the app is the one it says it is (OAuth 2.1
/// section 7.3.1: any program on a computer can pretend to be another's public client).
pub fn must_ask(
    remembered: Option<&Consent>,
    requested: &Scope,
    claims: &BTreeSet<&str>,
    skip_consent: bool,
    identity_assured: bool,
) -> bool {
    if skip_consent && identity_assured {
        return false;
    }
    !identity_assured || remembered.is_none_or(|consent| !consent.covers(requested, claims))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_something_new_is_asked_again() {
        let at = Timestamp::default();
        let consent = Consent {
            scope: "openid email".parse().unwrap(),
            claims: BTreeSet::from(["name".to_owned()]),
            granted_at: at,
            updated_at: at,
        };
        let none = BTreeSet::new();
        let ask = |scope: &str, claims: &[&str]| {
            let claims = claims.iter().copied().collect();
            must_ask(Some(&consent), &scope.parse().unwrap(), &claims, false, true)
        };
        assert!(!ask("openid", &[]));
        assert!(!ask("email openid", &[]));
        assert!(ask("openid profile", &[]));
        assert!(!ask("openid", &["name"]));
        assert!(!ask("openid", &["email_verified"]), "the scope gave it");
        assert!(ask("openid", &["name", "picture"]));
        assert!(must_ask(None, &Scope::empty(), &none, false, true));
        assert!(!must_ask(None, &Scope::empty(), &none, true, true));
        assert!(must_ask(None, &Scope::empty(), &none, true, false));
        let strange = must_ask(Some(&consent), &consent.scope, &none, false, false);
        assert!(strange, "somebody else's program");
    }
}
