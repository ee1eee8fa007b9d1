//! What the pages show, already in words: one struct a page, and the pure
//! functions that turn numbers, times, programs and scopes into words.
//!
//! A handler fills a struct and renders it; nothing here reads a database, asks
//! the time or makes anything up.

pub mod account;
pub mod admin;
pub mod claims;
pub mod device;
pub mod form;
pub mod gate;
pub mod page;
pub mod profile;
pub mod scopes;
pub mod spark;
pub mod stem;
pub mod table;
pub mod words;

#[cfg(test)]
mod tests;

pub use account::{
    AccountAppsView, AccountSecurityView, AccountSessionsView, AccountView, Alarm, AppThing,
    EndedThing, EventLine, SessionThing, Tease, Tick,
};
pub use admin::{
    AdminClientFormView, AdminClientSecretView, AdminClientsView, AdminKeysView, AdminRevokeView,
    AdminSessionView, AdminSessionsView, AdminUserView, AdminUsersView, AdminView, AlarmBox,
    AlarmLine, AuditRow, AuditView, BusyApp, Caller, ClientDetailsForm, ClientDoubt, ClientRow,
    ConfirmView, Figure, HealthLine, KeyRow, Link, Reading, RecoveryNotice, RevokeThing,
    SecretLine, SessionRow, UserRow, UserSession, segment,
};
pub use device::{Device, device, program};
pub use form::{Choice, Fault, Faults};
pub use gate::{
    AccountLine, ConsentView, DeveloperFacts, ErrorServerView, ErrorView, FormPostView, GoBack,
    LoginAccountsView, LoginAgainView, LoginState, LoginView, LogoutView, SetupView, SignOutView,
    SignedOutView, Unreviewed,
};
pub use page::{AppFace, Badge, Flash, Nav, Page, Tone, Viewer};
pub use profile::{AccountProfileView, AdminUserProfileView, ProfileForm};
pub use scopes::{
    Risk, ScopeBlock, ScopeGroup, ScopeInfo, ScopeLine, ScopeWords, scope_blocks, scope_lines,
    third_person,
};
pub use spark::{Spark, meter_widths, spark};
pub use stem::{Entry, Facts, Knot, Stem};
pub use table::{Caption, Column, Direction, Empty, Head, Pager, heads, href};
pub use words::{When, count, initials, letter, thousands};
