//! Faults of forms, and the choices in them.

/// One thing to put right in a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The id of the field, which is its name too.
    pub field: &'static str,
    /// The instruction, as it stands at the field.
    pub text: String,
}

/// What is to be put right in one form, in the order of its fields.
///
/// It knows the ids of its form, so that each line of the summary leads to a
/// field that is there: a fault of an unknown field is laid on the first one.
#[derive(Clone, Debug)]
pub struct Faults {
    fields: &'static [&'static str],
    list: Vec<Fault>,
}

impl Faults {
    /// The sign-in form.
    pub const LOGIN: &'static [&'static str] = &["username", "password"];
    /// The form of the first administrator.
    pub const SETUP: &'static [&'static str] = &["display_name", "email", "username", "password"];
    /// The form that changes a password.
    pub const PASSWORD: &'static [&'static str] = &["current", "password"];
    /// The form of what an account says of its person.
    pub const PROFILE: &'static [&'static str] = &[
        "display_name",
        "given_name",
        "middle_name",
        "family_name",
        "nickname",
        "email",
        "phone_number",
        "birthdate",
        "gender",
        "picture",
        "profile",
        "website",
        "zoneinfo",
        "locale",
        "street_address",
        "postal_code",
        "locality",
        "region",
        "country",
        "formatted",
    ];
    /// The form of an app.
    pub const CLIENT: &'static [&'static str] = &[
        "name",
        "client_id",
        "client_uri",
        "type-public",
        "auth_method",
        "redirect_uris",
        "post_logout_redirect_uris",
        "grant-code",
        "require_pkce",
        "scope",
        "audience",
        "introspect",
        "at-jwt",
        "rotation-resumable",
        "retry_window",
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
    /// The form that revokes sessions.
    pub const REVOKE: &'static [&'static str] = &["reason-lost", "note"];

    /// No fault yet in a form of these fields.
    pub fn new(fields: &'static [&'static str]) -> Self {
        Self { fields, list: Vec::new() }
    }

    /// Adds one; the list keeps the order of the form.
    pub fn add(&mut self, field: &str, text: impl Into<String>) {
        let place = self.fields.iter().position(|known| *known == field).unwrap_or(0);
        if let Some(field) = self.fields.get(place) {
            self.list.push(Fault { field, text: text.into() });
            let fields = self.fields;
            self.list.sort_by_key(|fault| fields.iter().position(|known| *known == fault.field));
        }
    }

    /// The same with one more.
    #[must_use]
    pub fn with(mut self, field: &str, text: impl Into<String>) -> Self {
        self.add(field, text);
        self
    }

    /// The first fault of a field.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.list.iter().find(|fault| fault.field == field).map(|fault| fault.text.as_str())
    }

    /// All of them, in the order of the form.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The headline of the summary.
    pub fn headline(&self) -> String {
        match self.list.len() {
            1 => "There is a problem".to_owned(),
            many => format!("There are {many} problems"),
        }
    }
}

/// One option of a select or a set of radio buttons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

impl Choice {
    /// Options from pairs of value and label, with the one of value `chosen` chosen.
    pub fn list<V: AsRef<str>, L: AsRef<str>>(pairs: &[(V, L)], chosen: &str) -> Vec<Self> {
        pairs
            .iter()
            .map(|(value, label)| Self {
                value: value.as_ref().to_owned(),
                label: label.as_ref().to_owned(),
                chosen: value.as_ref() == chosen,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_stand_in_the_order_of_the_form_and_on_fields_that_exist() {
        let faults = Faults::new(Faults::SETUP)
            .with("password", "Longer.")
            .with("email", "An address.")
            .with("x", "?");
        let fields: Vec<_> = faults.list().iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["display_name", "email", "password"]);
        assert_eq!(faults.of("email"), Some("An address."));
        assert_eq!(faults.of("username"), None);
        assert_eq!(faults.headline(), "There are 3 problems");
    }

    #[test]
    fn one_choice_is_chosen() {
        let list = Choice::list(&[("", "All"), ("quiet", "Quiet")], "quiet");
        assert_eq!(list.iter().filter(|choice| choice.chosen).count(), 1);
    }
}
