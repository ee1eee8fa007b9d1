//! Where an authorization request leads a person: which page, or what goes to the app.

use std::collections::BTreeMap;

use url::Url;

use super::http::{Answer, Http};
use super::oauth::{Browser, Person, Request};

/// Where a request leads first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The sign-in page, for somebody or for somebody else.
    SignIn,
    /// The page on which to choose an account.
    Choose,
    /// The password once more.
    Again,
    /// The consent page.
    Consent,
    /// A code for the app.
    Code,
    /// An error for the app.
    Error(String),
}

/// Where this answer leads.
#[track_caller]
pub fn step(answer: &Answer) -> Step {
    let to = answer.location().unwrap_or_else(|| panic!("{}\n{}", answer.status, answer.body));
    if let Some(error) = answer.location_parameter("error") {
        return Step::Error(error);
    }
    if answer.location_parameter("code").is_some() {
        return Step::Code;
    }
    match to.path() {
        "/login" => Step::SignIn,
        "/login/accounts" => Step::Choose,
        "/login/again" => Step::Again,
        "/consent" => Step::Consent,
        other => panic!("leads to {other}"),
    }
}

/// What a request is answered with at first.
pub async fn ask(browser: &Browser, request: &Request) -> Answer {
    browser.http.get(&request.path()).await
}

/// Fills in the page that asks for the password once more.
pub async fn confirm(http: &Http, page: &Answer, password: &str) -> Answer {
    http.submit(&page.form("form[action$='/login/again']"), &[("password", password)]).await
}

/// Signs one more person in, beside whoever is signed in already.
pub async fn add_account(browser: &Browser, person: &Person) {
    let login = browser.http.get("/login?another=1").await.expect(200);
    browser.type_password(&login, person).await.expect(303);
}

/// The forms of a page that lists accounts, by the email address beside each.
pub fn accounts(page: &Answer) -> Vec<String> {
    page.attributes("li.who button", "aria-label")
        .into_iter()
        .map(|label| label.rsplit(", ").next().unwrap().split('@').next().unwrap().to_owned())
        .collect()
}

/// Presses the button beside this person on a page that lists accounts.
pub async fn press(http: &Http, page: &Answer, person: &Person) -> Answer {
    let place = accounts(page).iter().position(|name| *name == person.username);
    let place = place.unwrap_or_else(|| panic!("{} isn't in {}", person.username, page.text()));
    http.submit(&page.forms("li.who form")[place], &[]).await
}

/// The names and values in an address's fragment.
pub fn in_fragment(url: &Url) -> BTreeMap<String, String> {
    let fragment = url.fragment().unwrap_or_default();
    url::form_urlencoded::parse(fragment.as_bytes()).into_owned().collect()
}
