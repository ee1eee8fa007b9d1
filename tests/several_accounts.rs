//! Several people, or several accounts of one, in one browser: added, chosen, left, revoked.

use std::collections::BTreeMap;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::gate::{Step, accounts, add_account, ask, press, step};
use crate::support::http::{Answer, Http};
use crate::support::local::LocalServer;
use crate::support::oauth::{self, Browser, Person, Request, TokenEndpoint, World};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

/// A browser in which Ada signed in, and then Grace.
async fn both(world: &World) -> Browser {
    let browser = world.sign_in(&world.person).await;
    add_account(&browser, &world.admin).await;
    browser
}

/// Whom the browser acts for.
async fn acts_for(http: &Http) -> Option<String> {
    let page = http.get("/account").await;
    if page.status != 200 {
        return None;
    }
    let text = page.text();
    let (_, rest) = text.split_once("You are signed in as ").unwrap();
    rest.split('@').next().map(str::to_owned)
}

/// Everybody who is signed in, in this browser.
async fn everybody(http: &Http) -> Vec<String> {
    let page = http.get("/login/accounts").await;
    if page.status == 200 { accounts(&page) } else { Vec::new() }
}

/// Another browser with a copy of all cookies.
fn copy_of(world: &World, cookies: &BTreeMap<String, String>) -> Browser {
    let copy = world.browser();
    for (name, value) in cookies {
        copy.http.set_cookie(name, value);
    }
    copy
}

fn set_cookie(answer: &Answer, end: &str) -> Option<String> {
    let lines = answer.headers.get_all("set-cookie").iter();
    let mut lines = lines.map(|line| line.to_str().unwrap().to_owned());
    lines.find(|line| line.split('=').next().unwrap().ends_with(end))
}

fn sessions(server: &LocalServer) -> String {
    server.sql("SELECT count(*) FROM browser_sessions")
}

on_both_databases! {
    async fn a_second_account_comes_beside_the_first(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = both(&world).await;
        assert_eq!(acts_for(&browser.http).await.as_deref(), Some("grace"));
        assert_eq!(everybody(&browser.http).await, ["grace", "ada"]);
        assert_eq!(sessions(&server), "2");
        // Over and back, on one's own page.
        for person in [&world.person, &world.admin, &world.person] {
            let page = browser.http.get("/login/accounts").await.expect(200);
            let chosen = press(&browser.http, &page, person).await.expect(303);
            assert_eq!(chosen.location().unwrap().path(), "/account");
            assert_eq!(acts_for(&browser.http).await.as_ref(), Some(&person.username));
            assert_eq!(everybody(&browser.http).await.len(), 2);
            assert_eq!(sessions(&server), "2");
        }
        // Whose page it is stands on it, and the way to change over.
        let page = browser.http.get("/account").await.expect(200);
        assert!(page.text().contains("Switch account"), "{}", page.text());
        // The same account once more is the same.
        add_account(&browser, &world.person).await;
        add_account(&browser, &world.admin).await;
        assert_eq!(everybody(&browser.http).await, ["grace", "ada"]);
        assert_eq!(sessions(&server), "2");
    }

    async fn a_key_is_for_one_use_and_worthless_after(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let mut seen = vec![browser.http.cookies()];
        add_account(&browser, &world.admin).await;
        seen.push(browser.http.cookies());
        let page = browser.http.get("/login/accounts").await.expect(200);
        press(&browser.http, &page, &world.person).await.expect(303);
        // Whoever had a copy of the cookies from before has nothing now.
        for cookies in seen {
            let copy = copy_of(&world, &cookies);
            assert_eq!(acts_for(&copy.http).await, None);
            assert_eq!(everybody(&copy.http).await, Vec::<String>::new());
        }
        assert_eq!(everybody(&browser.http).await, ["ada", "grace"]);
    }

    async fn a_planted_cookie_gives_nobody_anything(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        // The attacker's own accounts, planted in the victim's browser before she signs in.
        let attacker = both(&world).await;
        let planted = attacker.http.cookies();
        let carol = oauth::add_person(&_server, "carol", false).await;
        let victim = copy_of(&world, &planted);
        let login = victim.http.get("/login?another=1").await.expect(200);
        victim.type_password(&login, &carol).await.expect(303);
        assert_eq!(acts_for(&victim.http).await.as_deref(), Some("carol"));
        let copy = copy_of(&world, &planted);
        assert!(!everybody(&copy.http).await.contains(&"carol".to_owned()));
        assert_ne!(acts_for(&copy.http).await.as_deref(), Some("carol"));
        // What isn't ours is as good as nothing.
        let (name, sealed) =
            victim.http.cookies().into_iter().find(|(name, _)| name.ends_with("_accounts")).unwrap();
        for bad in ["made-up", "", &sealed[..sealed.len() - 2]] {
            let other = world.sign_in(&world.person).await;
            other.http.set_cookie(&name, bad);
            assert_eq!(everybody(&other.http).await, ["ada"]);
        }
    }

    async fn only_an_account_of_this_browser_can_be_chosen(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        world.sign_in(&world.admin).await;
        let sql = "SELECT count(*) FROM browser_sessions";
        assert_eq!(server.sql(sql), "2");
        let elsewhere = {
            let (id, now) = (world.admin.id.parse().unwrap(), server.now());
            let find = move |connection: &mut _| {
                perennial::storage::browser_sessions::of_user(connection, id, now)
            };
            server.db.read(find).await.unwrap().remove(0).id.to_string()
        };
        let page = browser.http.get("/login/accounts").await.expect(200);
        let form = &page.forms("li.who form")[0];
        for account in [elsewhere.as_str(), "", "x"] {
            browser.http.submit(form, &[("account", account)]).await.expect(303);
            assert_eq!(acts_for(&browser.http).await.as_deref(), Some("ada"));
            assert_eq!(everybody(&browser.http).await, ["ada"]);
        }
        // Nor can another site have it done.
        let own = form.value("account").unwrap();
        browser.http.post_form("/login/accounts", &[("account", own)]).await.expect(403);
        browser.http.post_form("/login/switch", &[]).await.expect(403);
    }

    async fn a_revocation_reaches_an_account_that_is_kept(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = both(&world).await;
        let app = &world.public;
        let request = Request::of(app).with("login_hint", "ada");
        let code = browser.code(&request).await;
        let tokens = world.device(app).exchange(&code).await.tokens();
        // Ada signs all others out, from elsewhere.
        let elsewhere = world.sign_in(&world.person).await;
        let page = elsewhere.http.get("/account/sessions").await.expect(200);
        let form = page.form("form[action$='/end-others']");
        elsewhere.http.submit(&form, &[]).await.expect(303);
        assert_eq!(everybody(&browser.http).await, ["grace"]);
        assert_eq!(acts_for(&browser.http).await.as_deref(), Some("grace"));
        world.device(app).refresh(&tokens.refresh).await.expect(400);
        let silent = Request::of(app).with("prompt", "none").with("login_hint", "ada");
        // Not for Ada, whoever is named: Grace allowed nothing.
        assert_eq!(step(&ask(&browser, &silent).await), Step::Error("consent_required".into()));
        // An account that is disabled is gone as well; the other stays.
        let browser = both(&world).await;
        server.sql("UPDATE users SET disabled_at = 1 WHERE username = 'ada'");
        assert_eq!(everybody(&browser.http).await, ["grace"]);
        // And one that grew too old.
        server.travel_seconds(400 * 24 * 3600);
        assert_eq!(everybody(&browser.http).await, Vec::<String>::new());
    }

    async fn one_is_left_and_the_others_stay(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = both(&world).await;
        let app = &world.public;
        let mut tokens = BTreeMap::new();
        for name in ["ada", "grace"] {
            let code = browser.code(&Request::of(app).with("login_hint", name)).await;
            tokens.insert(name, world.device(app).exchange(&code).await.tokens());
        }
        // The button in the corner asks first, where there are several.
        let corner = browser.http.get("/account").await.form("header form[action$='/logout']");
        let asked = browser.http.submit(&corner, &[]).await.expect(303);
        let page = browser.http.follow(asked).await.expect(200);
        assert_eq!(accounts(&page), ["grace", "ada"]);
        assert_eq!(sessions(&server), "2");
        let left = press(&browser.http, &page, &world.admin).await.expect(303);
        let page = browser.http.follow(left).await.expect(200);
        assert!(page.text().contains("still signed in as ada"), "{}", page.text());
        assert_eq!(sessions(&server), "1");
        // Her apps went with her, Ada's didn't.
        world.device(app).refresh(&tokens["grace"].refresh).await.expect(400);
        world.device(app).refresh(&tokens["ada"].refresh).await.expect(200);
        // The browser acts for nobody until somebody says for whom.
        assert_eq!(acts_for(&browser.http).await, None);
        let silent = Request::of(app).with("prompt", "none");
        let answer = ask(&browser, &silent).await;
        assert_eq!(step(&answer), Step::Error("account_selection_required".into()));
        let page = browser.open(&Request::of(app)).await.expect(200);
        assert_eq!(accounts(&page), ["ada"]);
        let chosen = press(&browser.http, &page, &world.person).await.expect(303);
        assert_eq!(step(&browser.http.follow(chosen).await), Step::Code);
        assert_eq!(acts_for(&browser.http).await.as_deref(), Some("ada"));
        // One that is kept can be left too.
        add_account(&browser, &world.admin).await;
        let page = browser.http.get("/logout").await.expect(200);
        press(&browser.http, &page, &world.person).await.expect(303);
        assert_eq!(everybody(&browser.http).await, ["grace"]);
        assert_eq!(acts_for(&browser.http).await.as_deref(), Some("grace"));
    }

    async fn all_are_left_at_once(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = both(&world).await;
        let before = browser.http.cookies();
        let page = browser.http.get("/logout").await.expect(200);
        assert!(page.text().contains("Sign out of all"), "{}", page.text());
        let all = page.form("form.tight");
        let left = browser.http.submit(&all, &[]).await.expect(303);
        assert!(set_cookie(&left, "_accounts").unwrap().contains("Max-Age=0"), "{:?}", left.headers);
        let page = browser.http.follow(left).await.expect(200);
        assert!(page.text().contains("no longer has access"), "{}", page.text());
        assert_eq!(sessions(&server), "0");
        let names: Vec<String> = browser.http.cookies().into_keys().collect();
        assert!(!names.iter().any(|name| name.ends_with("_accounts")), "{names:?}");
        let copy = copy_of(&world, &before);
        assert_eq!(everybody(&copy.http).await, Vec::<String>::new());
        let silent = Request::of(&world.public).with("prompt", "none");
        assert_eq!(step(&ask(&copy, &silent).await), Step::Error("login_required".into()));
    }

    async fn a_browser_has_eight_at_most_and_the_oldest_goes(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = world.browser();
        let mut people: Vec<Person> = Vec::new();
        for number in 0..9 {
            let person = oauth::add_person(&server, &format!("person{number}"), false).await;
            add_account(&browser, &person).await;
            people.push(person);
            server.travel_seconds(1);
            let page = browser.http.get("/login/accounts").await.expect(200);
            let more = page.text().contains("Use another account");
            assert_eq!(more, number < 7, "{number}");
        }
        let expected: Vec<String> =
            people.iter().rev().take(8).map(|person| person.username.clone()).collect();
        assert_eq!(everybody(&browser.http).await, expected);
        // Signed out, and not just forgotten.
        assert_eq!(sessions(&server), "8");
        let ended = "SELECT count(*) FROM audit_events WHERE action = 'user.signed_out'";
        assert_eq!(server.sql(ended), "1");
    }

    async fn the_cookie_of_the_others_outlives_the_window_only_if_all_stay(
        database: TestDatabase
    ) {
        let (server, world) = begin(database).await;
        let carol = oauth::add_person(&server, "carol", false).await;
        let sign_in = async |browser: &Browser, person: &Person, stay: bool| {
            let form = browser.http.get("/login?another=1").await.form("form[action$='/login']");
            let mut fields = vec![("username", person.username.as_str()), ("password", &person.password)];
            fields.extend(stay.then_some(("stay", "1")));
            browser.http.submit(&form, &fields).await.expect(303)
        };
        let browser = world.browser();
        let first = sign_in(&browser, &world.person, true).await;
        assert_eq!(set_cookie(&first, "_accounts"), None, "there are no others");
        let second = sign_in(&browser, &world.admin, false).await;
        let cookie = set_cookie(&second, "_accounts").unwrap();
        for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        assert!(!set_cookie(&second, "_session").unwrap().contains("Max-Age"));
        let third = sign_in(&browser, &carol, true).await;
        let cookie = set_cookie(&third, "_accounts").unwrap();
        assert!(!cookie.contains("Max-Age"), "Grace didn't want to stay: {cookie}");
        assert!(set_cookie(&third, "_session").unwrap().contains("Max-Age"));
        // Changing over keeps what each of them wanted.
        let page = browser.http.get("/login/accounts").await.expect(200);
        let over = press(&browser.http, &page, &world.admin).await.expect(303);
        assert!(!set_cookie(&over, "_session").unwrap().contains("Max-Age"));
        assert!(set_cookie(&over, "_accounts").unwrap().contains("Max-Age="));
    }
}
