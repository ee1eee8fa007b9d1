//! What every page has: the site, the viewer, the place, and the small faces of things.

use super::words;
use crate::web::assets;

/// What the layouts need, embedded in every view as `page`.
#[derive(Clone, Debug)]
pub struct Page {
    /// The language of the page, for `<html lang>`.
    pub lang: &'static str,
    /// The direction of writing, `ltr` or `rtl`.
    pub dir: &'static str,
    /// The name of the site, as people know it.
    pub site: String,
    /// The host that people should see in the address bar.
    pub host: String,
    /// The path of the issuer without its last slash: empty, or such as `/id`.
    pub base: String,
    /// The CSRF token of this browser, for every form.
    pub csrf: String,
    /// Who is signed in, if anybody.
    pub viewer: Option<Viewer>,
    /// The place in the navigation that is lit.
    pub nav: Nav,
    /// What the last form brought about, shown once.
    pub flash: Option<Flash>,
}

impl Page {
    /// The URL of a static file, with its fingerprint.
    pub fn asset(&self, name: &str) -> String {
        assets::url(&self.base, name)
    }

    /// Whether an administrator looks at the page.
    pub fn is_admin(&self) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.is_admin)
    }
}

/// The person who is signed in.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// The display name.
    pub name: String,
    /// One or two letters that stand for the person.
    pub initials: String,
    /// The name to sign in with.
    pub username: String,
    /// The email address.
    pub email: String,
    /// Whether the person may administer the site.
    pub is_admin: bool,
}

impl Viewer {
    /// A viewer whose initials come from the name.
    pub fn new(name: &str, username: &str, email: &str, is_admin: bool) -> Self {
        Self {
            name: name.to_owned(),
            initials: words::initials(name),
            username: username.to_owned(),
            email: email.to_owned(),
            is_admin,
        }
    }
}

/// The places of the account and of the administration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nav {
    /// A page outside both.
    Nowhere,
    /// `/account`
    Account,
    /// `/account/sessions`
    AccountSessions,
    /// `/account/apps`
    AccountApps,
    /// `/account/security`
    AccountSecurity,
    /// `/admin`
    Admin,
    /// `/admin/sessions`
    AdminSessions,
    /// `/admin/users`
    AdminUsers,
    /// `/admin/clients`
    AdminClients,
    /// `/admin/audit`
    AdminAudit,
    /// `/admin/keys`
    AdminKeys,
}

/// One line of the navigation.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Which place it is.
    pub nav: Nav,
    /// The path below the base.
    pub path: &'static str,
    /// The icon's name in the sprite.
    pub icon: &'static str,
    /// The word beside it.
    pub label: &'static str,
}

const fn place(nav: Nav, path: &'static str, icon: &'static str, label: &'static str) -> Place {
    Place { nav, path, icon, label }
}

const PERSON: [Place; 4] = [
    place(Nav::Account, "/account", "home", "Overview"),
    place(Nav::AccountSessions, "/account/sessions", "laptop", "Sessions"),
    place(Nav::AccountApps, "/account/apps", "apps", "Apps"),
    place(Nav::AccountSecurity, "/account/security", "shield", "Security"),
];

const ADMIN: [Place; 6] = [
    place(Nav::Admin, "/admin", "gauge", "Overview"),
    place(Nav::AdminSessions, "/admin/sessions", "renew", "Sessions"),
    place(Nav::AdminUsers, "/admin/users", "users", "People"),
    place(Nav::AdminClients, "/admin/clients", "apps", "Apps"),
    place(Nav::AdminAudit, "/admin/audit", "list", "Audit"),
    place(Nav::AdminKeys, "/admin/keys", "key", "Keys"),
];

impl Nav {
    /// Whether the place belongs to the administration.
    pub fn is_admin(self) -> bool {
        ADMIN.iter().any(|place| place.nav == self)
    }

    /// The list that this place stands in.
    pub fn places(self) -> &'static [Place] {
        if self.is_admin() { &ADMIN } else { &PERSON }
    }
}

/// How a message, a badge or a tile is meant. Always beside a word and an icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// No colour.
    Plain,
    /// Something to know.
    Note,
    /// Well.
    Good,
    /// Needs a look.
    Warn,
    /// Needs an act.
    Bad,
}

impl Tone {
    /// The class, with a space before it, or nothing.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Note => " note",
            Self::Good => " good",
            Self::Warn => " warn",
            Self::Bad => " bad",
        }
    }

    /// The icon that a message in this tone wears.
    pub fn icon(&self) -> &'static str {
        match self {
            Self::Plain | Self::Note => "info",
            Self::Good => "check-circle",
            Self::Warn | Self::Bad => "alert",
        }
    }
}

/// A message that the page after a form shows once.
#[derive(Clone, Debug)]
pub struct Flash {
    /// How it is meant.
    pub tone: Tone,
    /// The sentence.
    pub text: String,
}

/// A state in a word or two, with an icon and a colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    /// The colour.
    pub tone: Tone,
    /// The icon's name in the sprite.
    pub icon: &'static str,
    /// The words.
    pub text: String,
}

impl Badge {
    /// Any badge.
    pub fn new(tone: Tone, icon: &'static str, text: impl Into<String>) -> Self {
        Self { tone, icon, text: text.into() }
    }

    /// A live session, a person who may sign in.
    pub fn active() -> Self {
        Self::new(Tone::Good, "check", "Active")
    }

    /// A session that was not used lately.
    pub fn quiet() -> Self {
        Self::new(Tone::Warn, "clock", "Quiet")
    }

    /// A session that ended because a token was used twice.
    pub fn reuse() -> Self {
        Self::new(Tone::Bad, "fork", "Token reuse")
    }

    /// A session that an administrator or its app revoked.
    pub fn revoked() -> Self {
        Self::new(Tone::Plain, "x", "Revoked")
    }

    /// A session that its person ended.
    pub fn signed_out() -> Self {
        Self::new(Tone::Plain, "out", "Signed out")
    }

    /// A session that reached its end by itself.
    pub fn expired() -> Self {
        Self::new(Tone::Plain, "clock", "Expired")
    }

    /// A person who may not sign in.
    pub fn disabled() -> Self {
        Self::new(Tone::Plain, "x", "Disabled")
    }

    /// The icon's classes: "out" turns around in right-to-left pages.
    pub fn icon_class(&self) -> &'static str {
        if self.icon == "out" { "icon icon-turn" } else { "icon" }
    }
}

/// An app as people see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppFace {
    /// Its name.
    pub name: String,
    /// The letter on its tile.
    pub letter: String,
    /// Where this server shows its logo, if it has one.
    pub logo: Option<String>,
    /// Its own pages: words and address.
    pub pages: Vec<(&'static str, String)>,
}

impl AppFace {
    /// The face of an app by its name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), letter: words::letter(name), ..Self::default() }
    }
}
