//! Resource indicators (RFC 8707): for which resource servers an access token is.

/// The most that one request may name.
const MOST: usize = 16;
/// The longest that one may be, in bytes.
const LONGEST: usize = 2_000;

/// Checks the form of a resource: an absolute URI without a fragment (RFC 8707 section 2).
///
/// # Errors
/// A clause that says what would be right.
pub fn check(resource: &str) -> Result<(), String> {
    if resource.len() > LONGEST {
        return Err(format!("resource is longer than {LONGEST} bytes"));
    }
    let plain = resource.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    match url::Url::parse(resource) {
        Ok(url) if plain && url.fragment().is_none() && !resource.contains('#') => Ok(()),
        _ => Err("resource is not an absolute URI without a fragment, such as \
                  https://api.example"
            .to_owned()),
    }
}

/// The resources that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    asked: Vec<String>,
    issuer: String,
}

impl Resources {
    /// Reads all `resource` parameters of one request; `None` when there are none. `issuer` is
    /// whom a token is for that was granted for nobody by name.
    ///
    /// # Errors
    /// A clause that says what would be right.
    pub fn parse<'a>(
        parameters: impl Iterator<Item = &'a str>,
        issuer: &str,
    ) -> Result<Option<Self>, String> {
        let mut asked: Vec<String> = Vec::new();
        for resource in parameters.filter(|resource| !resource.is_empty()) {
            check(resource)?;
            if !asked.iter().any(|before| before == resource) {
                asked.push(resource.to_owned());
            }
        }
        if asked.len() > MOST {
            return Err(format!("there are more than {MOST} resources"));
        }
        Ok((!asked.is_empty()).then(|| Self { asked, issuer: issuer.to_owned() }))
    }

    /// Whether what was granted covers them; granted to nobody by name means the issuer.
    pub fn are_within(&self, granted: &[String]) -> bool {
        self.asked
            .iter()
            .all(|one| granted.contains(one) || granted.is_empty() && *one == self.issuer)
    }

    /// Whether a client may ask for them: it has them as its audience, every client may, or it
    /// is the issuer itself.
    pub fn may_be_asked(&self, own: &[String], of_all: &[String]) -> bool {
        self.asked
            .iter()
            .all(|one| own.contains(one) || of_all.contains(one) || *one == self.issuer)
    }

    /// They themselves, each once.
    pub fn asked(&self) -> &[String] {
        &self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(resources: &[&str]) -> Resources {
        Resources::parse(resources.iter().copied(), "https://id.example").unwrap().unwrap()
    }

    #[test]
    fn what_a_resource_is() {
        for good in ["https://api.example", "https://api.example/v1?x=1", "urn:example:notes"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["api", "/v1", "https://a.example#f", "https://a.example#", "https://a b", "x\""]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_covers_what() {
        let notes = "https://notes.example".to_owned();
        let one = asked(&["https://notes.example", "https://notes.example", ""]);
        assert_eq!(one.asked(), std::slice::from_ref(&notes));
        assert!(one.are_within(std::slice::from_ref(&notes)));
        assert!(!one.are_within(&[]), "nobody by name is the issuer alone");
        assert!(asked(&["https://id.example"]).are_within(&[]));
        let two = asked(&["https://notes.example", "https://id.example"]);
        assert!(!two.are_within(std::slice::from_ref(&notes)));
        assert!(two.may_be_asked(&[], std::slice::from_ref(&notes)));
        assert!(two.may_be_asked(&[notes], &[]) && !two.may_be_asked(&[], &[]));
        assert_eq!(Resources::parse(["", ""].into_iter(), "x"), Ok(None));
    }
}
