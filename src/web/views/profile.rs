//! The form of what an account says of its person, for themselves and for administrators.

use askama::Template;

use super::form::Faults;
use super::page::Page;

/// The form, as it is typed.
#[derive(Clone, Debug)]
pub struct ProfileForm {
    /// What stands in the fields, by their names.
    pub values: Vec<(&'static str, String)>,
    /// The name to sign in with, which stays.
    pub username: String,
    /// The email address.
    pub email: String,
    /// Whether the email address was found to be theirs.
    pub email_verified: bool,
    /// Whether the telephone number was.
    pub phone_number_verified: bool,
    /// What an administrator may say beyond the person: the address, and what is confirmed.
    pub by_admin: bool,
    /// What is to be put right, by [`Faults::PROFILE`].
    pub faults: Faults,
}

impl ProfileForm {
    /// The form of these texts, by the names of their fields.
    pub fn new(text: impl Fn(&'static str) -> String, faults: Faults) -> Self {
        Self {
            values: Faults::PROFILE.iter().map(|name| (*name, text(name))).collect(),
            username: String::new(),
            email: String::new(),
            email_verified: false,
            phone_number_verified: false,
            by_admin: false,
            faults,
        }
    }

    /// What a browser may fill in: nothing of its own person's into somebody else's form.
    pub fn fills<'a>(&self, kind: &'a str) -> &'a str {
        if self.by_admin { "off" } else { kind }
    }

    /// What stands in a field.
    pub fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(own, _)| *own == name).map_or("", |(_, text)| text)
    }
}

/// `GET, POST /account/profile`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/account_profile.html")]
pub struct AccountProfileView {
    /// The page.
    pub page: Page,
    /// The form's fields.
    pub fields: ProfileForm,
}

/// `GET, POST /admin/users/{id}/profile`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_user_profile.html")]
pub struct AdminUserProfileView {
    /// The page.
    pub page: Page,
    /// What stands in the path.
    pub id: String,
    /// The name, as it is stored.
    pub name: String,
    /// The form's fields.
    pub fields: ProfileForm,
}

impl AccountProfileView {
    /// The path of the overview.
    pub fn overview(&self) -> String {
        format!("{}/account", self.page.base)
    }
}

impl AdminUserProfileView {
    /// The path of this person.
    pub fn own(&self) -> String {
        format!("{}/admin/users/{}", self.page.base, super::admin::segment(&self.id))
    }
}
