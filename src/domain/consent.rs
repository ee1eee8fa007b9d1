//! What a person allowed an app, and when they must be asked.

use super::scope::Scope;
use super::time::Timestamp;

/// What a person allowed an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The scope they allowed.
    pub scope: Scope,
    /// When they first allowed the app something.
    pub granted_at: Timestamp,
    /// When they last did.
    pub updated_at: Timestamp,
}

/// Whether the person must be asked before `requested` is granted: when anything of it was not
/// allowed before, or when nothing assures that the app is the one it says it is (OAuth 2.1
/// section 7.3.1: any program on a computer can pretend to be another's public client).
pub fn must_ask(
    remembered: Option<&Consent>,
    requested: &Scope,
    skip_consent: bool,
    identity_assured: bool,
) -> bool {
    if skip_consent && identity_assured {
        return false;
    }
    !identity_assured || remembered.is_none_or(|consent| !requested.is_subset_of(&consent.scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_something_new_is_asked_again() {
        let at = Timestamp::default();
        let consent =
            Consent { scope: "openid email".parse().unwrap(), granted_at: at, updated_at: at };
        let ask = |scope: &str| must_ask(Some(&consent), &scope.parse().unwrap(), false, true);
        assert!(!ask("openid"));
        assert!(!ask("email openid"));
        assert!(ask("openid profile"));
        assert!(must_ask(None, &Scope::empty(), false, true));
        assert!(!must_ask(None, &Scope::empty(), true, true));
        assert!(must_ask(None, &Scope::empty(), true, false));
        assert!(must_ask(Some(&consent), &consent.scope, false, false), "somebody else's program");
    }
}
