//! The form of an app: what was typed, what it means, and what is wrong with it.

use std::time::Duration;

use super::client_details;
use crate::domain::access_token::AccessTokenFormat;
use crate::domain::client::{
    AuthMethod, Client, ClientId, ClientMetadata, GrantType, RefreshPolicy,
};
use crate::domain::scope::Scope;
use crate::domain::token_family::Rotation;
use crate::web::form::Fields;
use crate::web::views::{AdminClientFormView, AppFace, ClientDetailsForm, Faults, Page, words};

/// What was typed.
pub struct Typed {
    fields: Fields,
    /// The app as it is stored, when it is being changed.
    stored: Option<Client>,
}

/// The server's own values that a form is judged by.
#[derive(Clone, Copy)]
pub struct Usual {
    /// How long access tokens live.
    pub access_token: Duration,
    /// The retry window of apps without one of their own.
    pub retry_window: Duration,
}

impl Typed {
    /// From a submitted form; `stored` when it changes an app.
    pub fn new(fields: Fields, stored: Option<Client>) -> Self {
        Self { fields, stored }
    }

    /// The app as it is stored, when it is being changed.
    pub fn stored(&self) -> Option<&Client> {
        self.stored.as_ref()
    }

    fn is_public(&self) -> bool {
        self.fields.text("type") != "confidential"
    }

    fn is_strict(&self) -> bool {
        self.fields.text("rotation") == "strict"
    }

    /// The id of a new app: `None` where one is to be made up.
    ///
    /// # Errors
    /// An instruction.
    pub fn client_id(&self) -> Result<Option<ClientId>, String> {
        match self.fields.text("client_id") {
            "" => Ok(None),
            // Its page would be the form's.
            "new" => Err("Choose another ID than “new”.".to_owned()),
            text => ClientId::parse_plain(text).map(Some).map_err(|fault| sentence(&fault)),
        }
    }

    /// What the form means, and what is wrong with it.
    pub fn metadata(&self, usual: Usual) -> (ClientMetadata, Faults) {
        let fields = &self.fields;
        let before = self.stored.as_ref().map(|client| &client.metadata);
        let public = self.is_public();
        let mut faults = Faults::new(Faults::CLIENT);

        let auth_method = if public {
            AuthMethod::None
        } else {
            match AuthMethod::from_name(fields.text("auth_method")) {
                Some(method) if method != AuthMethod::None => method,
                _ => AuthMethod::ClientSecretBasic,
            }
        };
        let scope = fields.text("scope").split_whitespace().collect::<Vec<_>>().join(" ");
        let scope: Scope = scope.parse().unwrap_or_else(|fault: String| {
            faults.add("scope", sentence(&fault));
            Scope::empty()
        });
        let rotation = match before.map(|before| before.rotation) {
            _ if self.is_strict() => Rotation::Strict,
            // The form has no word for it; it stays as the command line set it.
            Some(Rotation::SenderConstrained) if !public => Rotation::SenderConstrained,
            _ => Rotation::Resumable,
        };
        let retry_window = match fields.text("retry_window") {
            "" => None,
            // Strict apps have none.
            _ if self.is_strict() => None,
            text => match text.parse::<u32>() {
                Ok(seconds) => Some(Duration::from_secs(seconds.into())),
                Err(_) => {
                    faults.add("retry_window", "Write a whole number of seconds.");
                    None
                }
            },
        };
        let format = AccessTokenFormat::from_name(fields.text("at"));
        let metadata = ClientMetadata {
            name: fields.text("name").to_owned(),
            auth_method,
            redirect_uris: lines(fields.text("redirect_uris")),
            post_logout_redirect_uris: lines(fields.text("post_logout_redirect_uris")),
            grants: GrantType::ALL
                .iter()
                .filter(|(_, name)| fields.all("grant").any(|own| own == *name))
                .map(|(grant, _)| *grant)
                .collect(),
            scope,
            access_token_format: format.unwrap_or(AccessTokenFormat::Jwt),
            rotation,
            retry_window,
            refresh_policy: before
                .map_or(RefreshPolicy::OfflineAccess, |before| before.refresh_policy),
            audience: fields.text("audience").split_whitespace().map(str::to_owned).collect(),
            may_introspect: fields.ticked("introspect"),
            require_pkce: public || fields.ticked("require_pkce"),
            skip_consent: fields.ticked("skip_consent"),
            details: client_details::read(
                fields,
                before.map(|before| &before.details),
                &mut faults,
            ),
        };
        for (member, fault) in metadata.faults(usual.access_token) {
            faults.add(field_of(member), fault);
        }
        (metadata, faults)
    }

    /// The form again, as it was typed.
    pub fn view(
        &self,
        page: Page,
        usual: Usual,
        sessions: String,
        faults: Faults,
    ) -> AdminClientFormView {
        let fields = &self.fields;
        let text = |name: &str| fields.text(name).to_owned();
        let has = |grant: &str| fields.all("grant").any(|own| own == grant);
        AdminClientFormView {
            stored: self.stored.as_ref().map(|client| AppFace::new(&client.metadata.name)),
            doubt: None,
            sessions,
            name: text("name"),
            client_id: match &self.stored {
                Some(client) => client.id.to_string(),
                None => text("client_id"),
            },
            confidential: !self.is_public(),
            auth_methods: AdminClientFormView::auth_methods(fields.text("auth_method")),
            redirect_uris: text("redirect_uris"),
            post_logout_redirect_uris: text("post_logout_redirect_uris"),
            grant_code: has("authorization_code"),
            grant_refresh: has("refresh_token"),
            require_pkce: fields.ticked("require_pkce"),
            scope: text("scope"),
            skip_consent: fields.ticked("skip_consent"),
            audience: text("audience"),
            introspect: fields.ticked("introspect"),
            jwt: fields.text("at") != "opaque",
            strict: self.is_strict(),
            retry_window: text("retry_window"),
            usual_window: words::span(usual.retry_window.as_secs()),
            details: ClientDetailsForm::new(text),
            faults,
            page,
        }
    }
}

/// The form of a stored app.
pub fn of_stored(
    page: Page,
    client: &Client,
    usual: Usual,
    sessions: String,
) -> AdminClientFormView {
    let metadata = &client.metadata;
    AdminClientFormView {
        stored: Some(AppFace::new(&metadata.name)),
        doubt: None,
        sessions,
        name: metadata.name.clone(),
        client_id: client.id.to_string(),
        confidential: !metadata.is_public(),
        auth_methods: AdminClientFormView::auth_methods(match metadata.auth_method {
            AuthMethod::None => AuthMethod::ClientSecretBasic.name(),
            method => method.name(),
        }),
        redirect_uris: metadata.redirect_uris.join("\n"),
        post_logout_redirect_uris: metadata.post_logout_redirect_uris.join("\n"),
        grant_code: metadata.has_grant(GrantType::AuthorizationCode),
        grant_refresh: metadata.has_grant(GrantType::RefreshToken),
        require_pkce: metadata.require_pkce,
        scope: metadata.scope.to_string(),
        skip_consent: metadata.skip_consent,
        audience: metadata.audience.join(" "),
        introspect: metadata.may_introspect,
        jwt: metadata.access_token_format == AccessTokenFormat::Jwt,
        strict: metadata.rotation == Rotation::Strict,
        retry_window: metadata
            .retry_window
            .map(|window| window.as_secs().to_string())
            .unwrap_or_default(),
        usual_window: words::span(usual.retry_window.as_secs()),
        details: client_details::form(&metadata.details),
        faults: Faults::new(Faults::CLIENT),
        page,
    }
}

/// The field of the form that a member of the metadata stands in.
fn field_of(member: &str) -> &str {
    match member {
        "grants" => "grant-code",
        "may_introspect" => "introspect",
        "rotation" => "rotation-resumable",
        "jwks" | "jwks_uri" | "token_endpoint_auth_signing_alg" => "auth_method",
        other => other,
    }
}

pub(super) fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !lines.iter().any(|own| own == line) {
            lines.push(line.to_owned());
        }
    }
    lines
}

fn sentence(fault: &str) -> String {
    format!("{}.", words::capital(fault.trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Usual =
        Usual { access_token: Duration::from_secs(600), retry_window: Duration::from_secs(30) };

    fn typed(body: &str) -> Typed {
        Typed::new(Fields::parse(body.as_bytes()).unwrap(), None)
    }

    const GOOD: &str = "name=Meadow+Notes&type=public&redirect_uris=https%3A%2F%2Fapp.example%2Fcb\
                        %0D%0Ahttps%3A%2F%2Fapp.example%2Fcb&grant=authorization_code\
                        &grant=refresh_token&scope=openid++email&at=jwt&rotation=resumable";

    #[test]
    fn a_good_form_means_what_it_says() {
        let (metadata, faults) = typed(GOOD).metadata(USUAL);
        assert!(faults.is_empty(), "{:?}", faults.list());
        assert_eq!(metadata.redirect_uris, ["https://app.example/cb"]);
        assert_eq!(metadata.scope.to_string(), "openid email");
        assert!(metadata.is_public() && metadata.require_pkce);
        assert_eq!(metadata.retry_window, None);
        assert_eq!(metadata.grants.len(), 2);
    }

    #[test]
    fn each_fault_stands_at_a_field_of_the_form() {
        let body = "type=public&introspect=1&scope=%22&retry_window=x&redirect_uris=nonsense";
        let (_, faults) = typed(body).metadata(USUAL);
        let fields: Vec<_> = faults.list().iter().map(|fault| fault.field).collect();
        assert_eq!(
            fields,
            ["name", "redirect_uris", "grant-code", "scope", "introspect", "retry_window"]
        );
        let (_, faults) = typed(&format!("{GOOD}&retry_window=601")).metadata(USUAL);
        assert!(faults.of("retry_window").is_some());
    }

    #[test]
    fn a_changed_app_keeps_what_the_form_has_no_word_for() {
        let (mut metadata, _) = typed(&GOOD.replace("public", "confidential")).metadata(USUAL);
        metadata.rotation = Rotation::SenderConstrained;
        metadata.refresh_policy = RefreshPolicy::Always;
        metadata.details.software_id = Some("meadow".into());
        let client = Client {
            id: ClientId::parse("meadow").unwrap(),
            created_at: crate::domain::time::Timestamp::from_millis(0),
            metadata: metadata.clone(),
            secret: None,
            sealed_secret: None,
            standing: crate::domain::client_standing::Standing::default(),
        };
        let fields = Fields::parse(GOOD.replace("public", "confidential").as_bytes()).unwrap();
        let (again, _) = Typed::new(fields, Some(client.clone())).metadata(USUAL);
        assert_eq!(again, metadata);
        let fields = Fields::parse(GOOD.as_bytes()).unwrap();
        let (public, _) = Typed::new(fields, Some(client)).metadata(USUAL);
        assert_eq!(public.rotation, Rotation::Resumable);
    }

    #[test]
    fn ids_are_checked_or_made_up() {
        assert_eq!(typed("client_id=").client_id(), Ok(None));
        assert!(typed("client_id=meadow-notes").client_id().unwrap().is_some());
        assert!(typed("client_id=new").client_id().is_err());
        assert!(typed("client_id=a+b").client_id().is_err());
    }
}
