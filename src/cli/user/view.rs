//! An account as commands show it.

use serde::Serialize;

use crate::cli::answer::{facts, yes_no};
use crate::domain::account::{Account, AccountStatus};
use crate::domain::profile::{Field, Profile};
use crate::domain::time::Timestamp;

#[derive(Serialize)]
pub(super) struct UserView {
    pub(super) id: String,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) email_verified: bool,
    pub(super) display_name: String,
    pub(super) admin: bool,
    pub(super) state: &'static str,
    pub(super) created_at: String,
    pub(super) last_sign_in_at: Option<String>,
    pub(super) password_changed_at: String,
    pub(super) disabled_at: Option<String>,
    profile: Profile,
    profile_updated_at: Option<String>,
}

impl From<&Account> for UserView {
    fn from(account: &Account) -> Self {
        let disabled_at = match account.status {
            AccountStatus::Active => None,
            AccountStatus::Disabled { at } => Some(at.to_rfc3339()),
        };
        Self {
            id: account.id.to_string(),
            username: account.username.clone(),
            email: account.email.clone(),
            email_verified: account.email_verified,
            display_name: account.display_name.clone(),
            admin: account.is_admin,
            state: if disabled_at.is_some() { "disabled" } else { "active" },
            created_at: account.created_at.to_rfc3339(),
            last_sign_in_at: account.last_sign_in_at.map(Timestamp::to_rfc3339),
            password_changed_at: account.password_changed_at.to_rfc3339(),
            disabled_at,
            profile: account.profile.clone(),
            profile_updated_at: account.profile_updated_at.map(Timestamp::to_rfc3339),
        }
    }
}

impl UserView {
    pub(super) fn lines(&self) -> String {
        let verified = |text: &str, verified: bool| match (text, verified) {
            ("", _) => String::new(),
            (text, true) => format!("{text} (verified)"),
            (text, false) => format!("{text} (not verified)"),
        };
        let said = Field::ALL.iter().map(|(field, name)| {
            let text = self.profile.get(*field).replace('\n', ", ");
            match field {
                Field::PhoneNumber => (*name, verified(&text, self.profile.phone_number_verified)),
                _ => (*name, text),
            }
        });
        let account = [
            ("username", self.username.clone()),
            ("email", verified(&self.email, self.email_verified)),
            ("name", self.display_name.clone()),
            ("administrator", yes_no(self.admin)),
            ("state", self.state.to_owned()),
            ("id", self.id.clone()),
            ("added", self.created_at.clone()),
            ("last sign-in", self.last_sign_in_at.clone().unwrap_or_else(|| "never".into())),
            ("password set", self.password_changed_at.clone()),
            ("disabled", self.disabled_at.clone().unwrap_or_default()),
        ];
        facts(account.into_iter().chain(said))
    }
}
