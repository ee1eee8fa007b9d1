//! The `prompt` parameter (OpenID Connect Core section 3.1.2.1): what an app wants the person to
//! be asked, whatever is known already.

/// What a request wants to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Nothing may be asked: `none`.
    Silent,
    /// These at least; and what is missing.
    Ask {
        /// The password once more: `login`.
        login: bool,
        /// What the app may do: `consent`.
        consent: bool,
        /// With which account: `select_account`.
        account: bool,
    },
}

impl Prompt {
    /// What is missing, and nothing more: the parameter was left out.
    pub const DEFAULT: Self = Self::Ask { login: false, consent: false, account: false };

    /// Reads the parameter: values with spaces between them.
    ///
    /// # Errors
    /// A clause that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let values: Vec<&str> = text.split(' ').filter(|value| !value.is_empty()).collect();
        let known = ["none", "login", "consent", "select_account"];
        if values.iter().any(|value| !known.contains(value)) {
            return Err("prompt has a value that is not supported; send none, login, consent, \
                        select_account"
                .into());
        }
        let has = |name| values.contains(&name);
        if has("none") {
            return if values.iter().all(|value| *value == "none") {
                Ok(Self::Silent)
            } else {
                Err("prompt has none beside another value; none stands alone".into())
            };
        }
        Ok(Self::Ask {
            login: has("login"),
            consent: has("consent"),
            account: has("select_account"),
        })
    }

    /// Whether nothing may be asked.
    pub fn is_silent(self) -> bool {
        self == Self::Silent
    }

    /// Whether the password must be asked once more.
    pub fn wants_login(self) -> bool {
        matches!(self, Self::Ask { login: true, .. })
    }

    /// Whether consent must be asked once more.
    pub fn wants_consent(self) -> bool {
        matches!(self, Self::Ask { consent: true, .. })
    }

    /// Whether the person must say with which account.
    pub fn wants_account(self) -> bool {
        matches!(self, Self::Ask { account: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_read_and_none_stands_alone() {
        let names = ["login", "consent", "select_account"];
        for mask in 0..8_usize {
            let has = |place: usize| mask & (1 << place) != 0;
            let mut text: Vec<&str> = (0..3).filter(|p| has(*p)).map(|p| names[p]).collect();
            let expected = Prompt::Ask { login: has(0), consent: has(1), account: has(2) };
            assert_eq!(Prompt::parse(&text.join(" ")), Ok(expected));
            text.reverse();
            assert_eq!(Prompt::parse(&text.join(" ")), Ok(expected), "in any order");
            text.push("none");
            let with_none = Prompt::parse(&text.join(" "));
            assert_eq!(with_none.is_ok(), mask == 0, "{text:?}");
            text.push("create");
            assert!(Prompt::parse(&text.join(" ")).is_err());
        }
        assert_eq!(Prompt::parse("login login"), Prompt::parse("login"));
        for bad in ["Login", "login,consent", "none login", "create"] {
            assert!(Prompt::parse(bad).is_err(), "{bad}");
        }
    }
}
