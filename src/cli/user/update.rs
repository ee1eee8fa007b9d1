//! `perennial user update`: what an account says of its person.

use super::view::UserView;
use super::{Which, label};
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::domain::account::Account;
use crate::domain::profile::Field;
use crate::protocol::profiles;
use crate::storage::StorageError;

/// What isn't given stays; an empty text takes a value away.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub(super) struct Update {
    #[command(flatten)]
    which: Which,
    /// Their name, as apps and pages show it
    #[arg(long, value_name = "NAME", group = "change")]
    display_name: Option<String>,
    /// Their email address; another one is unverified
    #[arg(long, value_name = "ADDRESS", group = "change")]
    email: Option<String>,
    /// Whether the email address was found to be theirs
    #[arg(long, value_name = "true|false", group = "change")]
    email_verified: Option<bool>,
    /// First names
    #[arg(long, value_name = "NAME", group = "change")]
    given_name: Option<String>,
    /// Names between
    #[arg(long, value_name = "NAME", group = "change")]
    middle_name: Option<String>,
    /// Last names
    #[arg(long, value_name = "NAME", group = "change")]
    family_name: Option<String>,
    /// What they are called
    #[arg(long, value_name = "NAME", group = "change")]
    nickname: Option<String>,
    /// In their own word
    #[arg(long, value_name = "WORD", group = "change")]
    gender: Option<String>,
    /// 1990-12-24, 1990, or 0000-12-24 without the year
    #[arg(long, value_name = "DAY", group = "change")]
    birthdate: Option<String>,
    /// The address of a picture of them
    #[arg(long, value_name = "URL", group = "change")]
    picture: Option<String>,
    /// The address of a page about them
    #[arg(long, value_name = "URL", group = "change")]
    profile: Option<String>,
    /// The address of their own page
    #[arg(long, value_name = "URL", group = "change")]
    website: Option<String>,
    /// Their time zone, such as Europe/London
    #[arg(long, value_name = "ZONE", group = "change")]
    zoneinfo: Option<String>,
    /// Their language, such as en-GB
    #[arg(long, value_name = "TAG", group = "change")]
    locale: Option<String>,
    /// Their telephone number, such as +442079460958; another one is unverified
    #[arg(long, value_name = "NUMBER", group = "change")]
    phone_number: Option<String>,
    /// Whether the telephone number was found to be theirs
    #[arg(long, value_name = "true|false", group = "change")]
    phone_number_verified: Option<bool>,
    /// Street and house of their postal address
    #[arg(long, value_name = "LINES", group = "change")]
    street_address: Option<String>,
    /// City
    #[arg(long, value_name = "NAME", group = "change")]
    locality: Option<String>,
    /// State, province, county
    #[arg(long, value_name = "NAME", group = "change")]
    region: Option<String>,
    /// Postcode
    #[arg(long, value_name = "CODE", group = "change")]
    postal_code: Option<String>,
    /// Country
    #[arg(long, value_name = "NAME", group = "change")]
    country: Option<String>,
    /// The whole postal address, as it stands on an envelope
    #[arg(long, value_name = "LINES", group = "change")]
    formatted: Option<String>,
}

impl Update {
    fn given(&self, field: Field) -> Option<&str> {
        match field {
            Field::GivenName => &self.given_name,
            Field::MiddleName => &self.middle_name,
            Field::FamilyName => &self.family_name,
            Field::Nickname => &self.nickname,
            Field::Gender => &self.gender,
            Field::Birthdate => &self.birthdate,
            Field::Picture => &self.picture,
            Field::Profile => &self.profile,
            Field::Website => &self.website,
            Field::Zoneinfo => &self.zoneinfo,
            Field::Locale => &self.locale,
            Field::PhoneNumber => &self.phone_number,
            Field::StreetAddress => &self.street_address,
            Field::Locality => &self.locality,
            Field::Region => &self.region,
            Field::PostalCode => &self.postal_code,
            Field::Country => &self.country,
            Field::Formatted => &self.formatted,
        }
        .as_deref()
    }

    /// Does to an account what was asked, and says what is wrong with it.
    fn apply(&self, account: &mut Account) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut note = |name: &str, done: Result<(), String>| {
            faults.extend(done.err().map(|fault| (label(name), fault)));
        };
        if let Some(name) = &self.display_name {
            note("display_name", account.set_display_name(name));
        }
        if let Some(email) = &self.email {
            note("email", account.set_email(email));
        }
        for (field, name) in Field::ALL {
            if let Some(text) = self.given(field) {
                note(name, account.profile.set(field, text));
            }
        }
        if let Some(verified) = self.email_verified {
            account.email_verified = verified;
        }
        match self.phone_number_verified {
            Some(true) if account.profile.get(Field::PhoneNumber).is_empty() => {
                let fault = "Give a number with --phone-number.".to_owned();
                note("phone_number_verified", Err(fault));
            }
            Some(verified) => account.profile.phone_number_verified = verified,
            None => {}
        }
        faults
    }

    pub(super) async fn run(self, context: Context) -> Result<Answer, Failure> {
        let found = self.which.find(&context).await?;
        let faults = self.apply(&mut found.clone());
        let faults = faults.iter().map(|(flag, fault)| (flag.as_str(), fault.clone()));
        if let Some(failure) = Failure::of_faults(faults) {
            return Err(failure);
        }
        let (id, act, user) = (found.id, context.act.clone(), self.which.user.clone());
        let taken = self.email.clone().unwrap_or_default();
        let changed = context
            .database
            .write(move |connection| {
                let rule = |account: &mut Account| drop(self.apply(account));
                profiles::change(connection, id, rule, &act)
            })
            .await
            .map_err(|error| match error {
                StorageError::Duplicate => {
                    Failure::Failed(format!("there is an account with the address {taken} already"))
                }
                other => other.into(),
            })?
            .ok_or_else(|| super::unknown(&user))?;
        let view = UserView::from(&changed.account);
        let text = if changed.names.is_empty() {
            format!("{} was so already.", view.username)
        } else {
            format!("Changed {} of {}:\n{}", changed.names.join(", "), view.username, view.lines())
        };
        Answer::new(&view, text)
    }
}
