//! The sector of a client: the clients of one sector know a person by the same pairwise `sub`
//! (OpenID Connect Core section 8.1).

use std::collections::BTreeSet;

use url::Url;

use super::client::ClientMetadata;
use super::redirect_uri::is_loopback;

/// The host that names the client's sector: that of its `sector_identifier_uri`, else the only
/// one of its redirect URIs. None where they have several, or none of their own: an address of
/// the person's own machine, or an app's own scheme, is anybody's.
pub fn of(metadata: &ClientMetadata) -> Option<String> {
    if let Some(uri) = &metadata.details.sector_identifier_uri {
        return Url::parse(uri).ok()?.host_str().map(str::to_lowercase);
    }
    let hosts: BTreeSet<Option<String>> =
        metadata.redirect_uris.iter().map(|uri| own(uri)).collect();
    match hosts.into_iter().collect::<Vec<_>>().as_slice() {
        [only] => only.clone(),
        _ => None,
    }
}

fn own(uri: &str) -> Option<String> {
    let uri = Url::parse(uri).ok()?;
    let web = matches!(uri.scheme(), "https" | "http") && !is_loopback(&uri);
    if web { uri.host_str().map(str::to_lowercase) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::AuthMethod;
    use crate::domain::scope::Scope;

    fn sector(redirect_uris: &[&str], identifier: Option<&str>) -> Option<String> {
        let mut metadata = ClientMetadata::new("Meadow", AuthMethod::None, Scope::empty());
        metadata.redirect_uris = redirect_uris.iter().map(|uri| (*uri).to_owned()).collect();
        metadata.details.sector_identifier_uri = identifier.map(str::to_owned);
        of(&metadata)
    }

    #[test]
    fn the_only_host_or_the_one_that_is_named() {
        let one = ["https://app.example/a", "https://APP.example/b?c"];
        assert_eq!(sector(&one, None).as_deref(), Some("app.example"));
        let named = Some("https://Sector.example/uris.json");
        let two = ["https://a.example/", "https://b.example/"];
        assert_eq!(sector(&two, named).as_deref(), Some("sector.example"));
        assert_eq!(sector(&two, None), None);
    }

    #[test]
    fn what_is_anybodys_names_no_sector() {
        for uri in ["http://127.0.0.1/cb", "http://localhost:80/cb", "com.example.app:/cb"] {
            assert_eq!(sector(&[uri], None), None, "{uri}");
            assert_eq!(sector(&[uri, "https://app.example/"], None), None, "{uri}");
        }
        assert_eq!(sector(&[], None), None);
    }
}
