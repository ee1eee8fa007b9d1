//! The part of an app's form that says what the app says of itself.

use super::client_form::lines;
use crate::domain::algorithm::Algorithm;
use crate::domain::client_details::{ApplicationType, ClientDetails, SubjectType};
use crate::web::form::Fields;
use crate::web::views::{ClientDetailsForm, Faults};

/// What the fields mean; what the form has no field for stays as it is stored.
pub fn read(fields: &Fields, before: Option<&ClientDetails>, faults: &mut Faults) -> ClientDetails {
    let text = |name: &str| Some(fields.text(name).to_owned()).filter(|text| !text.is_empty());
    let default_max_age = text("default_max_age").and_then(|typed| {
        let seconds = typed.parse().ok();
        if seconds.is_none() {
            faults.add("default_max_age", "Write a whole number of seconds.");
        }
        seconds
    });
    ClientDetails {
        client_uri: text("client_uri"),
        logo_uri: text("logo_uri"),
        policy_uri: text("policy_uri"),
        tos_uri: text("tos_uri"),
        contacts: lines(fields.text("contacts")),
        application_type: ApplicationType::from_name(fields.text("application_type")),
        subject_type: SubjectType::from_name(fields.text("subject_type")).unwrap_or_default(),
        sector_identifier_uri: text("sector_identifier_uri"),
        id_token_signed_response_alg: Algorithm::from_name(
            fields.text("id_token_signed_response_alg"),
        ),
        userinfo_signed_response_alg: Algorithm::from_name(
            fields.text("userinfo_signed_response_alg"),
        ),
        default_max_age,
        default_acr_values: fields
            .text("default_acr_values")
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        initiate_login_uri: text("initiate_login_uri"),
        backchannel_logout_uri: text("backchannel_logout_uri"),
        ..before.cloned().unwrap_or_default()
    }
}

/// The fields of what is stored.
pub fn form(details: &ClientDetails) -> ClientDetailsForm {
    let algorithm = |chosen: Option<Algorithm>| chosen.map(Algorithm::name).unwrap_or_default();
    ClientDetailsForm::new(|name| match name {
        "client_uri" => details.client_uri.clone().unwrap_or_default(),
        "logo_uri" => details.logo_uri.clone().unwrap_or_default(),
        "policy_uri" => details.policy_uri.clone().unwrap_or_default(),
        "tos_uri" => details.tos_uri.clone().unwrap_or_default(),
        "contacts" => details.contacts.join("\n"),
        "application_type" => {
            details.application_type.map(ApplicationType::name).unwrap_or_default().to_owned()
        }
        "subject_type" => details.subject_type.name().to_owned(),
        "sector_identifier_uri" => details.sector_identifier_uri.clone().unwrap_or_default(),
        "id_token_signed_response_alg" => {
            algorithm(details.id_token_signed_response_alg).to_owned()
        }
        "userinfo_signed_response_alg" => {
            algorithm(details.userinfo_signed_response_alg).to_owned()
        }
        "default_max_age" => {
            details.default_max_age.map(|seconds| seconds.to_string()).unwrap_or_default()
        }
        "default_acr_values" => details.default_acr_values.join(" "),
        "initiate_login_uri" => details.initiate_login_uri.clone().unwrap_or_default(),
        "backchannel_logout_uri" => details.backchannel_logout_uri.clone().unwrap_or_default(),
        _ => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(form: &ClientDetailsForm) -> Fields {
        let chosen = |choices: &[crate::web::views::Choice]| {
            choices.iter().find(|choice| choice.chosen).map(|choice| choice.value.clone())
        };
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_uri", &form.client_uri)
            .append_pair("logo_uri", &form.logo_uri)
            .append_pair("policy_uri", &form.policy_uri)
            .append_pair("tos_uri", &form.tos_uri)
            .append_pair("contacts", &form.contacts)
            .append_pair("application_type", &chosen(&form.application_type).unwrap())
            .append_pair("subject_type", &chosen(&form.subject_type).unwrap())
            .append_pair("sector_identifier_uri", &form.sector_identifier_uri)
            .append_pair("id_token_signed_response_alg", &chosen(&form.id_token_alg).unwrap())
            .append_pair("userinfo_signed_response_alg", &chosen(&form.userinfo_alg).unwrap())
            .append_pair("default_max_age", &form.default_max_age)
            .append_pair("default_acr_values", &form.default_acr_values)
            .append_pair("initiate_login_uri", &form.initiate_login_uri)
            .append_pair("backchannel_logout_uri", &form.backchannel_logout_uri)
            .finish();
        Fields::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_stored_comes_back_as_it_was() {
        let stored: ClientDetails = serde_json::from_value(serde_json::json!({
            "client_uri": "https://app.example",
            "logo_uri": "https://app.example/logo.png",
            "policy_uri": "https://app.example/policy",
            "tos_uri": "https://app.example/tos",
            "contacts": ["ada@app.example", "bea@app.example"],
            "software_id": "the form has no field for it",
            "application_type": "web",
            "subject_type": "pairwise",
            "sector_identifier_uri": "https://app.example/sector",
            "id_token_signed_response_alg": "ES256",
            "userinfo_signed_response_alg": "PS256",
            "default_max_age": 60,
            "default_acr_values": ["a", "b"],
            "initiate_login_uri": "https://app.example/login",
            "backchannel_logout_uri": "https://app.example/bye",
        }))
        .unwrap();
        let mut faults = Faults::new(Faults::CLIENT);
        let read = read(&fields(&form(&stored)), Some(&stored), &mut faults);
        assert_eq!(read, stored);
        assert!(faults.is_empty());

        let nothing = ClientDetails::default();
        let mut faults = Faults::new(Faults::CLIENT);
        assert_eq!(super::read(&fields(&form(&nothing)), None, &mut faults), nothing);
    }
}
