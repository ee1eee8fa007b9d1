//! The form of what an account says of its person: from an account, and back to it.

use super::form::Fields;
use super::views::{Faults, ProfileForm};
use crate::domain::account::Account;
use crate::domain::profile::Field;

/// Who fills it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The person themselves.
    Person,
    /// An administrator, who also changes the email address and says what is confirmed.
    Admin,
}

/// The form of an account as it is stored.
pub fn of_account(account: &Account, by: By) -> ProfileForm {
    let text = |name| match (name, Field::from_name(name)) {
        ("display_name", _) => account.display_name.clone(),
        ("email", _) => account.email.clone(),
        (_, Some(field)) => account.profile.get(field).to_owned(),
        (_, None) => String::new(),
    };
    filled(ProfileForm::new(text, Faults::new(Faults::PROFILE)), account, by)
}

/// The form as it was typed, with what is wrong with it.
pub fn typed(fields: &Fields, faults: Faults, account: &Account, by: By) -> ProfileForm {
    let text = |name| fields.get(name).unwrap_or_default().to_owned();
    let mut form = filled(ProfileForm::new(text, faults), account, by);
    if by == By::Admin {
        form.email_verified = fields.ticked("email_verified");
        form.phone_number_verified = fields.ticked("phone_number_verified");
    }
    form
}

fn filled(form: ProfileForm, account: &Account, by: By) -> ProfileForm {
    ProfileForm {
        username: account.username.clone(),
        email: account.email.clone(),
        email_verified: account.email_verified,
        phone_number_verified: account.profile.phone_number_verified,
        by_admin: by == By::Admin,
        ..form
    }
}

/// Does to an account what was typed, and says what is wrong with it.
pub fn apply(fields: &Fields, account: &mut Account, by: By) -> Faults {
    let mut faults = Faults::new(Faults::PROFILE);
    let mut note = |name: &str, done: Result<(), String>| {
        if let Err(fault) = done {
            faults.add(name, fault);
        }
    };
    if by == By::Admin {
        // Before what they are about: another address or number is unconfirmed again.
        account.email_verified = fields.ticked("email_verified");
        account.profile.phone_number_verified = fields.ticked("phone_number_verified")
            && !account.profile.get(Field::PhoneNumber).is_empty();
        note("email", account.set_email(fields.text("email")));
    }
    note("display_name", account.set_display_name(fields.text("display_name")));
    for (field, name) in Field::ALL {
        // What a form doesn't have stays as it is.
        if let Some(text) = fields.get(name) {
            note(name, account.profile.set(field, text));
        }
    }
    faults
}

/// What an account says of its person, for an administrator's page: what, the text, and whether
/// it is confirmed.
pub fn facts(account: &Account) -> Vec<(&'static str, String, bool)> {
    let profile = &account.profile;
    let said = |label, field| (label, profile.get(field).to_owned(), false);
    let all = vec![
        ("Phone", profile.get(Field::PhoneNumber).to_owned(), profile.phone_number_verified),
        ("Postal address", profile.address_line(), false),
        said("First names", Field::GivenName),
        said("Middle names", Field::MiddleName),
        said("Last names", Field::FamilyName),
        said("Nickname", Field::Nickname),
        said("Birthday", Field::Birthdate),
        said("Gender", Field::Gender),
        said("Picture", Field::Picture),
        said("Profile page", Field::Profile),
        said("Website", Field::Website),
        said("Time zone", Field::Zoneinfo),
        said("Language", Field::Locale),
    ];
    all.into_iter().filter(|(_, text, _)| !text.is_empty()).collect()
}
