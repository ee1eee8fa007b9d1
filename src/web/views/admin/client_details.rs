//! The fields of an app's form that say what the app says of itself.

use crate::web::views::form::Choice;

/// The fields, as they are typed: each under its member's registered name.
#[derive(Clone, Debug)]
pub struct ClientDetailsForm {
    /// The app's own page.
    pub client_uri: String,
    /// Its picture.
    pub logo_uri: String,
    /// What it does with people's data.
    pub policy_uri: String,
    /// Its terms of service.
    pub tos_uri: String,
    /// One email address a line.
    pub contacts: String,
    /// Whether it runs on a server.
    pub application_type: Vec<Choice>,
    /// Whether its subjects are its own.
    pub subject_type: Vec<Choice>,
    /// Where the redirect URIs of its sector are listed.
    pub sector_identifier_uri: String,
    /// What its ID tokens are signed with.
    pub id_token_alg: Vec<Choice>,
    /// What its UserInfo answers are signed with.
    pub userinfo_alg: Vec<Choice>,
    /// How long ago people may have signed in, in seconds.
    pub default_max_age: String,
    /// The authentication contexts that it asks for, separated by spaces.
    pub default_acr_values: String,
    /// Where others may begin a sign-in.
    pub initiate_login_uri: String,
    /// Where it is told that somebody has signed out.
    pub backchannel_logout_uri: String,
}

impl ClientDetailsForm {
    /// The fields that are folded away, in their order.
    pub const RARER: [&'static str; 13] = [
        "logo_uri",
        "policy_uri",
        "tos_uri",
        "contacts",
        "application_type",
        "backchannel_logout_uri",
        "subject_type",
        "sector_identifier_uri",
        "id_token_signed_response_alg",
        "userinfo_signed_response_alg",
        "default_max_age",
        "default_acr_values",
        "initiate_login_uri",
    ];

    /// The form of these texts, by the names of their fields.
    pub fn new(text: impl Fn(&str) -> String) -> Self {
        let algorithms = |member: &str, usual: &str| {
            let all = [
                ("", usual),
                ("ES256", "ES256"),
                ("EdDSA", "EdDSA"),
                ("RS256", "RS256"),
                ("PS256", "PS256"),
            ];
            Choice::list(&all, &text(member))
        };
        Self {
            client_uri: text("client_uri"),
            logo_uri: text("logo_uri"),
            policy_uri: text("policy_uri"),
            tos_uri: text("tos_uri"),
            contacts: text("contacts"),
            application_type: Choice::list(
                &[("", "Not said"), ("web", "On a server"), ("native", "On people’s devices")],
                &text("application_type"),
            ),
            subject_type: Choice::list(
                &[("public", "The same as for other apps"), ("pairwise", "One of its own")],
                &match text("subject_type").as_str() {
                    "pairwise" => "pairwise".to_owned(),
                    _ => "public".to_owned(),
                },
            ),
            sector_identifier_uri: text("sector_identifier_uri"),
            id_token_alg: algorithms("id_token_signed_response_alg", "RS256, as usual"),
            userinfo_alg: algorithms("userinfo_signed_response_alg", "Not signed, as usual"),
            default_max_age: text("default_max_age"),
            default_acr_values: text("default_acr_values"),
            initiate_login_uri: text("initiate_login_uri"),
            backchannel_logout_uri: text("backchannel_logout_uri"),
        }
    }

    /// Whether any of the folded fields says something.
    pub fn is_filled(&self) -> bool {
        let texts = [
            &self.logo_uri,
            &self.policy_uri,
            &self.tos_uri,
            &self.contacts,
            &self.sector_identifier_uri,
            &self.default_max_age,
            &self.default_acr_values,
            &self.initiate_login_uri,
            &self.backchannel_logout_uri,
        ];
        let choices =
            [&self.application_type, &self.subject_type, &self.id_token_alg, &self.userinfo_alg];
        texts.iter().any(|text| !text.is_empty())
            || choices.iter().any(|list| list.iter().skip(1).any(|choice| choice.chosen))
    }
}
