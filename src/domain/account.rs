//! A person's account.

use super::id::UserId;
use super::profile::Profile;
use super::time::Timestamp;

/// A person who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Their id, the `sub` of their tokens.
    pub id: UserId,
    /// What they type to sign in: see [`check_username`].
    pub username: String,
    /// Their email address.
    pub email: String,
    /// Their name as apps and pages show it.
    pub display_name: String,
    /// Whether they may use the admin pages.
    pub is_admin: bool,
    /// Whether they may sign in.
    pub status: AccountStatus,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub last_sign_in_at: Option<Timestamp>,
    /// When their password was last set.
    pub password_changed_at: Timestamp,
    /// Whether an administrator has found the email address to be theirs.
    pub email_verified: bool,
    /// What they say of themselves beside that.
    pub profile: Profile,
    /// When their name, email address or profile last changed; `None`: not since they were added.
    pub profile_updated_at: Option<Timestamp>,
}

/// Whether a person may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// They may.
    Active,
    /// An administrator disabled the account.
    Disabled {
        /// When.
        at: Timestamp,
    },
}

impl Account {
    /// Whether they may sign in.
    pub fn is_active(&self) -> bool {
        self.status == AccountStatus::Active
    }

    /// Gives it another email address, which nobody has found to be theirs yet.
    ///
    /// # Errors
    /// An instruction for the person who typed it; the address is as it was.
    pub fn set_email(&mut self, typed: &str) -> Result<(), String> {
        let email = typed.trim();
        check_email(email)?;
        if email != self.email {
            self.email_verified = false;
            email.clone_into(&mut self.email);
        }
        Ok(())
    }

    /// Gives it another name for apps and pages.
    ///
    /// # Errors
    /// An instruction for the person who typed it; the name is as it was.
    pub fn set_display_name(&mut self, typed: &str) -> Result<(), String> {
        check_display_name(typed)?;
        typed.trim().clone_into(&mut self.display_name);
        Ok(())
    }

    /// The names of what differs in what two accounts say of their person.
    pub fn changes(&self, other: &Self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.display_name != other.display_name {
            names.push("name");
        }
        if self.email != other.email {
            names.push("email");
        }
        if self.email_verified != other.email_verified {
            names.push("email_verified");
        }
        names.extend(self.profile.changes(&other.profile));
        names
    }
}

/// How names are compared: without case.
pub fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Checks a username: 1 to 64 letters, digits, dots and dashes (underscores too), beginning
/// with a letter or digit.
///
/// # Errors
/// An instruction for the person who typed it.
pub fn check_username(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let good = !name.is_empty()
        && name.chars().count() <= 64
        && name.chars().all(allowed)
        && name.starts_with(char::is_alphanumeric);
    if good {
        Ok(())
    } else {
        Err("Use up to 64 letters, digits, dots and dashes, beginning with a letter or digit."
            .into())
    }
}

/// Checks an email address as far as its form goes: something, one `@`, a host.
///
/// # Errors
/// An instruction for the person who typed it.
pub fn check_email(email: &str) -> Result<(), String> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
    let good = email.len() <= 254
        && email.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty()
                && local.chars().all(plain)
                && !host.is_empty()
                && host.chars().all(plain)
                && !host.starts_with('.')
                && !host.ends_with('.')
        });
    if good { Ok(()) } else { Err("Write the address like ada@example.org.".into()) }
}

/// Checks a display name: 1 to 100 characters, none of them a control character.
///
/// # Errors
/// An instruction for the person who typed it.
pub fn check_display_name(name: &str) -> Result<(), String> {
    let trimmed = name.trim();
    if trimmed.is_empty() || trimmed.chars().count() > 100 || trimmed.chars().any(char::is_control)
    {
        Err("Give a name of 1 to 100 characters.".into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames() {
        for good in ["ada", "Ada.Fern-2", "7", "zoë"] {
            assert!(check_username(good).is_ok(), "{good}");
        }
        for bad in ["", ".ada", "a b", "a@b", "a/b", &"x".repeat(65)] {
            assert!(check_username(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn email_addresses() {
        assert!(check_email("ada@northfield.example").is_ok());
        assert!(check_email("ada@localhost").is_ok());
        for bad in ["", "ada", "@x", "ada@", "a b@x.example", "a@b@c", "a@.x"] {
            assert!(check_email(bad).is_err(), "{bad}");
        }
    }
}
