//! The authorization request of OpenID Connect Core section 3.1.2 over HTTP: what a person is
//! asked, and what the app is told.

use std::collections::BTreeMap;

use perennial::domain::client::{AuthMethod, ClientMetadata};
use perennial::domain::client_details::{ClientDetails, SubjectType};
use serde_json::Value;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::gate::{Step, accounts, add_account, ask, confirm, press, step};
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, App, Browser, PASSWORD, Request, TokenEndpoint, World, confidential_client, jwt_part,
    landing, public_client,
};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

/// A request of this app that asks for little.
fn request(app: &App) -> Request {
    Request::of(app).with("scope", "openid profile")
}

/// The claims of the ID token that an answer with a code is exchanged for.
async fn id_token(world: &World, app: &App, request: &Request, answer: &Answer) -> Value {
    jwt_part(&raw_id_token(world, app, request, answer).await, 1)
}

async fn raw_id_token(world: &World, app: &App, request: &Request, answer: &Answer) -> String {
    let code = oauth::GivenCode {
        code: answer
            .location_parameter("code")
            .unwrap_or_else(|| panic!("{:?}", answer.location())),
        verifier: Some(request.pkce.verifier.clone()),
        redirect_uri: Some(app.redirect_uri.clone()),
    };
    let tokens = world.device(app).exchange(&code).await.tokens();
    tokens.answer["id_token"].as_str().unwrap().to_owned()
}

/// An ID token of this app for whoever is signed in alone in this browser.
async fn hint(world: &World, browser: &Browser, app: &App) -> String {
    let request = request(app);
    let answer = browser.allow(&request).await;
    raw_id_token(world, app, &request, &answer).await
}

#[track_caller]
fn assert_refused(answer: &Answer, error: &str) {
    assert_eq!(step(answer), Step::Error(error.to_owned()));
    let location = answer.location().unwrap();
    let names: Vec<String> = location.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["error", "error_description", "state", "iss"]);
    let description = answer.location_parameter("error_description").unwrap();
    let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    assert!(!description.is_empty() && description.chars().all(plain), "{description}");
}

/// What is expected of every combination: the first line that fits. `*` fits everything, `+login`
/// every prompt with login in it, `!none` everything but none.
///
/// Signed in: `nobody`; `ada` just now; `old`: Ada long ago; `both`: Grace, and Ada beside her;
/// `aside`: Ada kept while the browser acts for nobody. The hint is an ID token of that person.
const EXPECTED: &str = "
    # prompt           signed in  consent     max_age  hint    ->
    # Whoever the hint is about isn't here.
    none               *          *           *        grace/absent   login_required
    +select_account    !nobody    *           *        grace/absent   choose
    *                  *          *           *        grace/absent   sign-in
    none               nobody     *           *        *              login_required
    *                  nobody     *           *        *              sign-in
    # With which account?
    +select_account    *          *           *        *              choose
    none               aside      *           *        no             account_selection_required
    *                  aside      *           *        no             choose
    # Signed in recently enough?
    none               *          *           0        *              login_required
    *                  *          *           0        *              again
    none               old        *           100      *              login_required
    *                  old        *           100      *              again
    +login             *          *           *        *              again
    # Allowed?
    +consent           *          *           *        *              consent
    none               *          missing     *        *              consent_required
    *                  *          missing     *        *              consent
    *                  *          remembered  *        *              code
";

fn fits(pattern: &str, value: &str) -> bool {
    match pattern.split_at(1) {
        ("*", _) => true,
        ("+", word) => value.split(' ').any(|part| part == word),
        ("!", word) => value != word,
        _ => pattern == value,
    }
}

fn expected(combination: [&str; 5]) -> &'static str {
    let lines = EXPECTED.lines().map(str::trim);
    let mut rules = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rule = rules.find(|line| {
        line.split_whitespace().zip(combination).all(|(pattern, value)| fits(pattern, value))
    });
    rule.unwrap_or_else(|| panic!("nothing says {combination:?}"))
        .split_whitespace()
        .last()
        .unwrap()
}

on_both_databases! {
    async fn what_every_combination_of_prompt_age_consent_and_hint_leads_to(
        database: TestDatabase
    ) {
        let (server, world) = begin(database).await;
        let (ada, grace) = (&world.person, &world.admin);
        let apps = [("remembered", &world.public), ("missing", &world.confidential)];
        let mut hints = BTreeMap::new();
        for person in [ada, grace] {
            for (consent, app) in apps {
                let browser = world.sign_in(person).await;
                let token = hint(&world, &browser, app).await;
                hints.insert((person.username.clone(), consent), token);
            }
        }
        server.sql("DELETE FROM consents WHERE client_id = 'confidential'");
        let old = world.sign_in(ada).await;
        server.travel_seconds(1_000);
        let both = world.sign_in(ada).await;
        add_account(&both, grace).await;
        let aside = world.sign_in(ada).await;
        add_account(&aside, grace).await;
        let page = aside.http.get("/logout").await.expect(200);
        press(&aside.http, &page, grace).await.expect(303);
        let browsers = [
            ("nobody", world.browser()),
            ("ada", world.sign_in(ada).await),
            ("old", old),
            ("both", both),
            ("aside", aside),
        ];
        let prompts = [
            "", "none", "login", "consent", "select_account", "login consent",
            "login select_account", "consent select_account", "select_account consent login",
        ];
        let mut seen = BTreeMap::<&str, usize>::new();
        for prompt in prompts {
            for (present, browser) in &browsers {
                for (consent, app) in apps {
                    for max_age in ["", "0", "100"] {
                        for hinted in ["no", "ada", "grace"] {
                            let mut request = request(app);
                            for (name, value) in [("prompt", prompt), ("max_age", max_age)] {
                                request = request.with(name, value);
                            }
                            if let Some(token) = hints.get(&(hinted.to_owned(), consent)) {
                                request = request.with("id_token_hint", token);
                            }
                            let absent = hinted == "grace" && *present != "both";
                            let about = if absent { "grace/absent" } else { hinted };
                            let combination = [prompt, *present, consent, max_age, about];
                            let expected = expected(combination);
                            *seen.entry(expected).or_default() += 1;
                            let answer = ask(browser, &request).await;
                            let found = match step(&answer) {
                                Step::SignIn => "sign-in".to_owned(),
                                Step::Choose => "choose".to_owned(),
                                Step::Again => "again".to_owned(),
                                Step::Consent => "consent".to_owned(),
                                Step::Code => "code".to_owned(),
                                Step::Error(error) => {
                                    assert_refused(&answer, &error);
                                    error
                                }
                            };
                            assert_eq!(found, expected, "{combination:?}");
                            let person = match (*present, hinted) {
                                ("both", "no" | "grace") => grace,
                                _ => ada,
                            };
                            match expected {
                                "code" => {
                                    let claims = id_token(&world, app, &request, &answer).await;
                                    assert_eq!(claims["sub"], *person.id, "{combination:?}");
                                }
                                "again" | "consent" => {
                                    let page = browser.http.follow(answer).await.expect(200);
                                    let email = format!("{}@", person.username);
                                    assert!(page.text().contains(&email), "{combination:?}");
                                }
                                _ => {}
                            }
                        }
                    }
                }
            }
        }
        // Each outcome was met, or the table proves less than it says.
        assert_eq!(seen.len(), 8, "{seen:?}");
        assert!(seen.values().all(|times| *times >= 6), "{seen:?}");
    }

    async fn prompt_login_asks_once_and_again_for_every_visit(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        let first = request(app);
        let answer = browser.allow(&first).await;
        let before = id_token(&world, app, &first, &answer).await;
        let cookie = session_cookie(&browser);

        server.travel_seconds(60);
        let again = request(app).with("prompt", "login");
        for round in 1..=2 {
            // The address itself asks each time, however often it is opened.
            for _ in 0..2 {
                assert_eq!(step(&ask(&browser, &again).await), Step::Again);
            }
            let page = browser.open(&again).await.expect(200);
            assert!(page.text().contains("Confirm it’s you"), "{}", page.text());
            assert!(page.text().contains("Meadow Notes"), "{}", page.text());
            server.travel_seconds(5);
            let wrong = confirm(&browser.http, &page, "not the password").await.expect(422);
            assert!(wrong.text().contains("That didn’t match"), "{}", wrong.text());
            let confirmed = confirm(&browser.http, &wrong, PASSWORD).await.expect(303);
            let answer = browser.http.follow(confirmed).await;
            let after = id_token(&world, app, &again, &answer).await;
            assert_eq!(after["sub"], before["sub"]);
            assert_eq!(after["sid"], before["sid"], "the same person's session goes on");
            let later = after["auth_time"].as_i64().unwrap() - before["auth_time"].as_i64().unwrap();
            assert_eq!(later, 60 + 5 * round);
        }
        // The key from before opens nothing any more, and there is one session still.
        assert_ne!(session_cookie(&browser), cookie);
        assert_eq!(server.sql("SELECT count(*) FROM browser_sessions"), "1");
        let thief = world.browser();
        thief.http.set_cookie(&cookie.0, &cookie.1);
        thief.http.get("/account").await.expect(303);
    }

    async fn a_sign_in_from_before_the_request_does_not_count_as_one_for_it(
        database: TestDatabase
    ) {
        let (server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        browser.allow(&request(&world.public)).await.expect(303);
        server.travel_seconds(10);
        let asked = ask(&browser, &request(&world.public).with("prompt", "login")).await;
        let sealed = asked.location_parameter("request").unwrap();
        // What is sealed is no way around the page, on whichever page of ours it is tried.
        for path in ["/login/continue", "/login", "/consent"] {
            let answer = browser.http.get(&format!("{path}?request={sealed}")).await;
            if path == "/consent" {
                let consent = answer.expect(200);
                let allowed = browser.decide(&consent, "allow").await;
                assert_eq!(step(&allowed), Step::Again);
            } else {
                let page = browser.http.follow(answer).await.expect(200);
                assert!(page.text().contains("Confirm it’s you"), "{path}");
            }
        }
        // Nor is one that has grown too old, or that somebody made up.
        server.travel_seconds(3_700);
        for bad in [sealed.as_str(), "made-up", ""] {
            browser.http.get(&format!("/login/continue?request={bad}")).await.expect(400);
            browser.http.get(&format!("/login/again?request={bad}")).await.expect(400);
        }
    }

    async fn who_signs_in_for_the_request_is_not_asked_twice(database: TestDatabase) {
        let (server, world) = begin(database).await;
        world.sign_in(&world.person).await.allow(&request(&world.public)).await.expect(303);
        for (prompt, max_age) in
            [("login", ""), ("select_account", ""), ("login select_account", ""), ("", "0")]
        {
            let browser = world.browser();
            let request = request(&world.public).with("prompt", prompt).with("max_age", max_age);
            let login = browser.open(&request).await.expect(200);
            server.travel_seconds(1);
            let signed_in = browser.type_password(&login, &world.person).await.expect(303);
            let answer = browser.http.follow(signed_in).await;
            assert_eq!(step(&answer), Step::Code, "{prompt} {max_age}");
        }
    }

    async fn everything_may_be_asked_in_one_round(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        browser.allow(&request(app)).await.expect(303);
        add_account(&browser, &world.admin).await;
        server.travel_seconds(10);
        let request = request(app).with("prompt", "login consent select_account");
        let page = browser.open(&request).await.expect(200);
        assert_eq!(accounts(&page), ["grace", "ada"]);
        let chosen = press(&browser.http, &page, &world.person).await.expect(303);
        let page = browser.http.follow(chosen).await.expect(200);
        assert!(page.text().contains("Confirm it’s you"), "{}", page.text());
        assert!(page.text().contains("ada@northfield.example"), "{}", page.text());
        server.travel_seconds(1);
        let confirmed = confirm(&browser.http, &page, PASSWORD).await.expect(303);
        let consent = browser.http.follow(confirmed).await.expect(200);
        assert!(consent.text().contains("ada@northfield.example"), "{}", consent.text());
        let answer = browser.decide(&consent, "allow").await;
        let claims = id_token(&world, app, &request, &answer).await;
        assert_eq!(claims["sub"], *world.person.id);
        assert_eq!(claims["auth_time"], server.now().as_seconds());
    }

    async fn guessing_waits_on_the_page_that_asks_again_too(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let page = browser.open(&request(&world.public).with("max_age", "0")).await.expect(200);
        for _ in 0..4 {
            confirm(&browser.http, &page, "not the password").await.expect(422);
        }
        let wait = confirm(&browser.http, &page, "not the password").await.expect(429);
        assert!(wait.text().contains("Too many tries"), "{}", wait.text());
        let seconds: u64 = wait.header("retry-after").parse().unwrap();
        // Not even the right one; and whoever is signed in stays so.
        confirm(&browser.http, &page, PASSWORD).await.expect(429);
        browser.http.get("/account").await.expect(200);
        server.travel_seconds(seconds + 1);
        confirm(&browser.http, &page, PASSWORD).await.expect(303);
    }

    async fn who_cancels_goes_back_with_nothing(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let page = browser.open(&request(&world.public).with("prompt", "login")).await.expect(200);
        let cancel = page.form("form[action$='/login/cancel']");
        let answer = browser.http.submit(&cancel, &[]).await;
        assert_refused(&answer, "access_denied");
        // Nobody else can press it for them.
        world.browser().http.post_form("/login/cancel", &[]).await.expect(403);
        browser.http.post_form("/login/again", &[("password", PASSWORD)]).await.expect(403);
    }

    async fn not_you_leads_to_another_account_and_keeps_the_first(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        let request = request(app).with("prompt", "login");
        let page = browser.open(&request).await.expect(200);
        server.travel_seconds(1);
        let switched = browser.http.submit(&page.form("form[action$='/login/switch']"), &[]).await;
        let login = browser.http.follow(switched.expect(303)).await.expect(200);
        assert!(login.text().contains("to continue to Meadow Notes"), "{}", login.text());
        let signed_in = browser.type_password(&login, &world.admin).await.expect(303);
        // The sign-in just now is the one that was asked for.
        let consent = browser.http.follow(signed_in).await.expect(200);
        assert!(consent.text().contains("grace@northfield.example"), "{}", consent.text());
        let answer = browser.decide(&consent, "allow").await;
        let claims = id_token(&world, app, &request, &answer).await;
        assert_eq!(claims["sub"], *world.admin.id);
        let page = browser.http.get("/login/accounts").await.expect(200);
        assert_eq!(accounts(&page), ["grace", "ada"]);
    }

    async fn wrong_values_are_told_and_others_ignored(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        browser.allow(&request(&world.public)).await.expect(303);
        let good = || request(&world.public);
        let before = server.database.dump();
        for (name, value) in [
            ("prompt", "none login"),
            ("prompt", "login none consent"),
            ("prompt", "create"),
            ("prompt", "LOGIN"),
            ("max_age", "-1"),
            ("max_age", "soon"),
            ("max_age", "1.5"),
            ("id_token_hint", "x"),
            ("id_token_hint", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."),
            ("claims", "{"),
            ("claims", "[]"),
            ("claims", "{\"id_token\":{\"name\":7}}"),
            ("response_mode", "query.jwt"),
        ] {
            for browser in [&browser, &world.browser()] {
                let answer = ask(browser, &good().with(name, value)).await;
                let refused = Step::Error("invalid_request".to_owned());
                assert_eq!(step(&answer), refused, "{name}={value}");
                assert_refused(&answer, "invalid_request");
            }
        }
        for name in [
            "prompt", "max_age", "login_hint", "id_token_hint", "acr_values", "ui_locales",
            "claims_locales", "display", "claims", "response_mode", "scope", "nonce",
        ] {
            let twice = good().without(name).and(name, "1").and(name, "1");
            let answer = ask(&browser, &twice).await;
            assert_refused(&answer, "invalid_request");
            let description = answer.location_parameter("error_description").unwrap();
            assert!(description.contains(name), "{description}");
        }
        let refused = ask(&browser, &good().with("registration", "{}")).await;
        assert_refused(&refused, "registration_not_supported");
        assert_eq!(server.database.dump(), before);

        for (name, value) in [
            ("display", "page"),
            ("display", "popup"),
            ("display", "touch"),
            ("display", "wap"),
            ("display", "hologram"),
            ("ui_locales", "se"),
            ("ui_locales", "de-AT fr"),
            ("claims_locales", "se"),
            ("acr_values", "urn:mace:incommon:iap:silver 1"),
            ("login_hint", "nobody we know"),
            ("max_age", "99999999999999999999999999"),
            ("prompt", ""),
            ("extra", "foobar"),
            ("claims", "{\"other\":{},\"userinfo\":{\"x\":null}}"),
        ] {
            let answer = ask(&browser, &good().with(name, value)).await;
            assert_eq!(step(&answer), Step::Code, "{name}={value}");
            let page = world.browser().open(&good().with(name, value)).await.expect(200);
            assert_eq!(page.forms("form[action$='/login']").len(), 1, "{name}={value}");
        }
    }

    async fn an_app_that_opened_a_popup_finds_its_window_again(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let popup = request(&world.public).with("display", "popup").with("prompt", "login");
        let signed_in = world.sign_in(&world.person).await;
        for browser in [&world.browser(), &signed_in] {
            let page = browser.open(&popup).await.expect(200);
            assert_eq!(page.header("cross-origin-opener-policy"), "");
            assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
        }
        // Our own pages have nothing to do with whoever opened them.
        let own = world.browser().http.get("/login").await.expect(200);
        assert_eq!(own.header("cross-origin-opener-policy"), "same-origin");
    }

    async fn a_session_young_enough_is_taken_as_it_is(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        let first = request(app).with("max_age", "15000");
        let answer = browser.allow(&first).await;
        let first = id_token(&world, app, &first, &answer).await;
        server.travel_seconds(30);
        let second = request(app).with("max_age", "10000");
        let answer = ask(&browser, &second).await;
        let second = id_token(&world, app, &second, &answer).await;
        assert_eq!(first["auth_time"], second["auth_time"]);
        let silent = request(app).with("prompt", "none");
        let answer = ask(&browser, &silent).await;
        let silent = id_token(&world, app, &silent, &answer).await;
        assert_eq!((&silent["sub"], &silent["auth_time"]), (&first["sub"], &first["auth_time"]));
        // Two seconds are more than one.
        server.travel_seconds(2);
        let third = request(app).with("max_age", "1");
        let page = browser.open(&third).await.expect(200);
        server.travel_seconds(1);
        let confirmed = confirm(&browser.http, &page, PASSWORD).await.expect(303);
        let answer = browser.http.follow(confirmed).await;
        let third = id_token(&world, app, &third, &answer).await;
        assert_eq!(third["auth_time"].as_i64(), Some(server.now().as_seconds()));
    }

    async fn a_client_may_have_an_age_of_its_own(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let metadata = ClientMetadata {
            details: ClientDetails { default_max_age: Some(60), ..ClientDetails::default() },
            ..public_client("Careful")
        };
        let app = oauth::register(&server, "careful", metadata).await;
        let browser = world.sign_in(&world.person).await;
        browser.allow(&request(&app)).await.expect(303);
        assert_eq!(step(&ask(&browser, &request(&app)).await), Step::Code);
        server.travel_seconds(61);
        assert_eq!(step(&ask(&browser, &request(&app)).await), Step::Again);
        // What the request says goes before.
        let patient = request(&app).with("max_age", "3600");
        assert_eq!(step(&ask(&browser, &patient).await), Step::Code);
        let silent = request(&app).with("prompt", "none");
        assert_refused(&ask(&browser, &silent).await, "login_required");
    }

    async fn a_hint_is_an_id_token_of_this_client_however_old(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        let own = hint(&world, &browser, app).await;
        let others = hint(&world, &browser, &world.confidential).await;
        let silent = |hint: &str| {
            request(app).with("prompt", "none").with("id_token_hint", hint)
        };
        assert_eq!(step(&ask(&browser, &silent(&own)).await), Step::Code);
        // Another client's would tell this one who is signed in here.
        assert_refused(&ask(&browser, &silent(&others)).await, "invalid_request");
        let mut forged = own.clone();
        forged.truncate(own.len() - 4);
        forged.push_str("AAAA");
        assert_refused(&ask(&browser, &silent(&forged)).await, "invalid_request");
        let unsigned = format!("{}.{}.", "eyJhbGciOiJub25lIn0", own.split('.').nth(1).unwrap());
        assert_refused(&ask(&browser, &silent(&unsigned)).await, "invalid_request");
        // An access token isn't one.
        let tokens = world.tokens(app).await;
        assert_refused(&ask(&browser, &silent(&tokens.access)).await, "invalid_request");
        // It has expired long ago, and is as good.
        server.travel_seconds(40 * 24 * 3600);
        let later = world.sign_in(&world.person).await;
        assert_eq!(step(&ask(&later, &silent(&own)).await), Step::Code);
        // Somebody else is signed in: not silently, and not after all either.
        let grace = world.sign_in(&world.admin).await;
        assert_refused(&ask(&grace, &silent(&own)).await, "login_required");
        let about_ada = request(app).with("id_token_hint", &own);
        let login = grace.open(&about_ada).await.expect(200);
        let grace_again = grace.type_password(&login, &world.admin).await.expect(303);
        assert_refused(&grace.http.follow(grace_again).await, "login_required");
        let login = grace.open(&about_ada).await.expect(200);
        let ada = grace.type_password(&login, &world.person).await.expect(303);
        let answer = grace.http.follow(ada).await;
        let claims = id_token(&world, app, &about_ada, &answer).await;
        assert_eq!(claims["sub"], *world.person.id);
    }

    async fn a_pairwise_subject_is_as_good_a_hint(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let metadata = ClientMetadata {
            details: ClientDetails {
                subject_type: SubjectType::Pairwise,
                ..ClientDetails::default()
            },
            ..confidential_client("Pairwise")
        };
        let app = oauth::register(&server, "pairwise", metadata).await;
        let browser = world.sign_in(&world.person).await;
        let own = hint(&world, &browser, &app).await;
        let subject = jwt_part(&own, 1)["sub"].as_str().unwrap().to_owned();
        assert_ne!(subject, world.person.id);
        let silent = request(&app).with("prompt", "none");
        let hinted = silent.clone().with("id_token_hint", &own);
        assert_eq!(step(&ask(&browser, &hinted).await), Step::Code);
        let claims = format!("{{\"id_token\":{{\"sub\":{{\"value\":\"{subject}\"}}}}}}");
        assert_eq!(step(&ask(&browser, &silent.clone().with("claims", &claims)).await), Step::Code);
        // Their own id isn't what this client knows them by.
        let claims = claims.replace(&subject, &world.person.id);
        assert_refused(&ask(&browser, &silent.with("claims", &claims)).await, "login_required");
        let grace = world.sign_in(&world.admin).await;
        assert_refused(&ask(&grace, &hinted).await, "login_required");
    }

    async fn the_sub_that_claims_ask_for_must_be_the_one(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        browser.allow(&request(app)).await.expect(303);
        add_account(&browser, &world.admin).await;
        let (ada, grace) = (&world.person.id, &world.admin.id);
        for (claims, expected) in [
            (format!(r#"{{"id_token":{{"sub":{{"value":"{ada}"}}}}}}"#), Some(ada)),
            (format!(r#"{{"userinfo":{{"sub":{{"value":"{ada}"}}}}}}"#), Some(ada)),
            (format!(r#"{{"id_token":{{"sub":{{"values":["x","{ada}"]}}}}}}"#), Some(ada)),
            (r#"{"id_token":{"sub":{"value":"nobody"}}}"#.to_owned(), None),
            (format!(r#"{{"id_token":{{"sub":{{"value":"{ada}"}}}},"userinfo":{{"sub":{{"value":"{grace}"}}}}}}"#), None),
        ] {
            let request = request(app).with("prompt", "none").with("claims", &claims);
            let answer = ask(&browser, &request).await;
            match expected {
                Some(id) => {
                    let token = id_token(&world, app, &request, &answer).await;
                    assert_eq!(token["sub"], **id);
                }
                None => assert_refused(&answer, "login_required"),
            }
        }
    }

    async fn a_kind_of_sign_in_that_there_is_not_is_refused_only_where_it_is_essential(
        database: TestDatabase
    ) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        browser.allow(&request(app)).await.expect(303);
        let own = browser.allow(&request(app)).await;
        assert_eq!(step(&own), Step::Code);
        for (claims, error) in [
            (r#"{"id_token":{"acr":{"essential":true,"values":["gold","silver"]}}}"#, true),
            (r#"{"id_token":{"acr":{"essential":true,"value":"gold"}}}"#, true),
            (r#"{"id_token":{"acr":{"essential":true,"values":["gold","1"]}}}"#, false),
            (r#"{"id_token":{"acr":{"values":["gold"]}}}"#, false),
            (r#"{"id_token":{"acr":{"essential":true}}}"#, false),
            (r#"{"id_token":{"acr":null}}"#, false),
            (r#"{"userinfo":{"acr":{"essential":true,"value":"gold"}}}"#, false),
        ] {
            let request = request(app).with("claims", claims);
            let answer = ask(&browser, &request).await;
            if error {
                assert_refused(&answer, "unmet_authentication_requirements");
            } else {
                let token = id_token(&world, app, &request, &answer).await;
                assert_eq!(token["acr"], "1", "{claims}");
            }
        }
        let wanted = request(app).with("acr_values", "1 gold");
        let answer = ask(&browser, &wanted).await;
        assert_eq!(id_token(&world, app, &wanted, &answer).await["acr"], "1");
    }

    async fn what_claims_ask_for_travels_with_the_code(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        let claims = r#"{"userinfo":{"name":{"essential":true}},"id_token":{"email":null}}"#;
        let request = request(app).with("claims", claims);
        let answer = browser.allow(&request).await;
        let stored = server.sql("SELECT claims FROM authorization_codes");
        let stored: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored, serde_json::from_str::<Value>(claims).unwrap());
        let token = id_token(&world, app, &request, &answer).await;
        assert_eq!(token["email"], "ada@northfield.example");
    }

    async fn plain_oauth_stays_plain(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        // What only OpenID Connect knows is ignored, as anything unknown.
        let request = Request::of(app)
            .with("scope", "notes.read")
            .with("claims", "{")
            .with("id_token_hint", "x")
            .with("registration", "{}");
        let answer = browser.allow(&request).await;
        assert_eq!(step(&answer), Step::Code);
        assert_eq!(server.sql("SELECT count(*) FROM authorization_codes WHERE claims IS NOT NULL"), "0");
        let code = oauth::GivenCode {
            code: answer.location_parameter("code").unwrap(),
            verifier: Some(request.pkce.verifier.clone()),
            redirect_uri: Some(app.redirect_uri.clone()),
        };
        let tokens = world.device(app).exchange(&code).await.tokens();
        assert!(tokens.answer.get("id_token").is_none(), "{}", tokens.answer);
    }

    async fn neither_nonce_nor_pkce_is_needed_where_the_client_is_registered_so(
        database: TestDatabase
    ) {
        let (server, world) = begin(database).await;
        let metadata = ClientMetadata {
            require_pkce: false,
            auth_method: AuthMethod::ClientSecretPost,
            ..confidential_client("Suite")
        };
        let app = oauth::register(&server, "suite", metadata).await;
        let browser = world.sign_in(&world.person).await;
        let request = request(&app).without("code_challenge").without("code_challenge_method");
        let code = browser.code(&request).await;
        let secret = app.secret.clone().unwrap();
        let fields = [
            ("grant_type", "authorization_code"), ("code", &code.code), ("client_id", &app.id),
            ("redirect_uri", &app.redirect_uri), ("client_secret", &secret),
        ];
        let answer = server.http().post_form("/oauth/token", &fields).await.tokens().answer;
        let token = jwt_part(answer["id_token"].as_str().unwrap(), 1);
        assert_eq!(token.get("nonce"), None, "{token}");
        // With both, and in another order.
        let mut request = oauth::Request::of(&app).with("nonce", "n-1").with("scope", "profile openid");
        request.parameters.reverse();
        let answer = browser.allow(&request).await;
        assert_eq!(landing(&answer), app.redirect_uri);
        assert_eq!(step(&answer), Step::Code);
    }

    async fn a_login_hint_fills_the_form_and_picks_among_accounts(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let name = |page: &Answer| page.form("form[action$='/login']").value("username").map(str::to_owned);
        for hint in ["ada@northfield.example", "<b>\"x\"</b>", "ada"] {
            let page = world.browser().open(&request(app).with("login_hint", hint)).await;
            assert_eq!(name(&page.expect(200)).as_deref(), Some(hint));
        }
        let long = "x".repeat(5_000);
        let page = world.browser().open(&request(app).with("login_hint", &long)).await.expect(200);
        assert_eq!(name(&page).unwrap().len(), 254);

        let browser = world.sign_in(&world.person).await;
        browser.allow(&request(app)).await.expect(303);
        add_account(&browser, &world.admin).await;
        for (hint, person) in [
            ("", &world.admin), ("ada", &world.person), ("ADA@northfield.example", &world.person),
            ("grace", &world.admin), ("nobody", &world.admin),
        ] {
            let request = request(app).with("login_hint", hint).with("prompt", "consent");
            let page = browser.open(&request).await.expect(200);
            let email = format!("{}@northfield.example", person.username);
            assert!(page.text().contains(&email), "{hint}: {}", page.text());
        }
    }

    async fn prompt_consent_asks_again_and_nothing_silent_does(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        let silent = request(app).with("prompt", "none");
        assert_refused(&ask(&browser, &silent).await, "consent_required");
        browser.allow(&request(app)).await.expect(303);
        assert_eq!(step(&ask(&browser, &silent).await), Step::Code);
        let more = Request::of(app).with("prompt", "none");
        assert_refused(&ask(&browser, &more).await, "consent_required");
        for _ in 0..2 {
            let page = browser.open(&request(app).with("prompt", "consent")).await.expect(200);
            assert_eq!(step(&browser.decide(&page, "allow").await), Step::Code);
        }
        let page = browser.open(&request(app).with("prompt", "consent")).await.expect(200);
        assert_refused(&browser.decide(&page, "deny").await, "access_denied");
        // What was allowed before stays allowed.
        assert_eq!(step(&ask(&browser, &silent).await), Step::Code);
    }

    async fn a_consent_is_given_by_whoever_the_page_named(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        let request = request(app);
        let consent = browser.open(&request).await.expect(200);
        // Another tab changes over meanwhile.
        add_account(&browser, &world.admin).await;
        let answer = browser.decide(&consent, "allow").await;
        let claims = id_token(&world, app, &request, &answer).await;
        assert_eq!(claims["sub"], *world.person.id);
        // Signed out meanwhile: whoever is left isn't taken for them.
        let asked = request.with("prompt", "consent").with("login_hint", "ada");
        let consent = browser.open(&asked).await.expect(200);
        let page = browser.http.get("/logout").await.expect(200);
        press(&browser.http, &page, &world.person).await.expect(303);
        let answer = browser.decide(&consent, "allow").await;
        let page = browser.http.follow(answer).await.expect(200);
        assert!(page.text().contains("grace@northfield.example"), "{}", page.text());
    }

    async fn a_very_long_request_goes_all_the_way(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let state = "s".repeat(12_000);
        let nonce = "n".repeat(400);
        let request = request(app).with("state", &state).with("nonce", &nonce);
        for by_post in [false, true] {
            let browser = world.browser();
            let opened = if by_post {
                let fields: Vec<(&str, &str)> =
                    request.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                let answer = browser.http.post_form("/oauth/authorize", &fields).await.expect(303);
                browser.http.follow(answer).await
            } else {
                browser.open(&request).await
            };
            let signed_in = browser.type_password(&opened.expect(200), &world.person).await;
            let mut answer = browser.http.follow(signed_in.expect(303)).await;
            if answer.location().is_none() {
                answer = browser.decide(&answer, "allow").await;
            }
            assert_eq!(answer.location_parameter("state").as_deref(), Some(state.as_str()));
            let token = id_token(&world, app, &request, &answer).await;
            assert_eq!(token["nonce"], nonce.as_str());
        }
        // One that can't go all the way is refused at its beginning, however it comes.
        let state = "s".repeat(16_384);
        let fields = [("client_id", app.id.as_str()), ("state", &state)];
        let browser = world.browser();
        browser.http.post_form("/oauth/authorize", &fields).await.expect(413);
        browser.http.get(&format!("/oauth/authorize?client_id=public&state={state}")).await.expect(414);
    }
}

fn session_cookie(browser: &Browser) -> (String, String) {
    let mut cookies = browser.http.cookies().into_iter();
    cookies.find(|(name, _)| name.ends_with("_session")).unwrap()
}
