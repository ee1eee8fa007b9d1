//! RP-initiated logout over HTTP: whom an app may sign out, who is asked first, and where nobody
//! is ever sent.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use perennial::crypto::signing::{self, Algorithm, SigningKey};
use perennial::domain::client::{AuthMethod, ClientMetadata};
use perennial::domain::client_details::{ClientDetails, SubjectType};
use reqwest::Method;

use crate::on_both_databases;
use crate::support::browser::{Browser as Chromium, DESKTOP, Scheme};
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::listener::Listener;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, App, Browser, Request, SCOPE, TokenEndpoint, Tokens, World, confidential_client, jwt_part,
};
use crate::support::server::TestServer;

const AFTER: &str = "https://app.example/signed-out";
const WITH_QUERY: &str = "https://app.example/bye?tenant=a";
const LONG_SESSIONS: &[(&str, &str)] =
    &[("sessions.absolute_seconds", "31536000"), ("sessions.idle_seconds", "31536000")];

struct House {
    server: LocalServer,
    world: World,
    app: App,
}

impl House {
    async fn start(database: TestDatabase) -> House {
        let server = LocalServer::start_with(database, LONG_SESSIONS).await;
        let world = World::on(&server).await;
        let app = oauth::register(&server, "rp", relying_party("Meadow Notes")).await;
        House { server, world, app }
    }

    /// A browser in which the person is signed in at the app, and the app's tokens.
    async fn signed_in(&self) -> (Browser, Tokens) {
        let browser = self.world.sign_in(&self.world.person).await;
        let tokens = self.tokens(&browser, &self.app, SCOPE).await;
        (browser, tokens)
    }

    async fn tokens(&self, browser: &Browser, app: &App, scope: &str) -> Tokens {
        let code = browser.code(&Request::of(app).with("scope", scope)).await;
        self.world.device(app).exchange(&code).await.tokens()
    }

    /// Nobody is signed in with this browser, as apps and people see it.
    async fn assert_signed_out(&self, browser: &Browser) {
        assert!(!is_signed_in(&browser.http).await);
        let request = Request::of(&self.app).with("prompt", "none");
        let answer = browser.open(&request).await;
        match answer.location_parameter("error") {
            Some(error) => assert_eq!(error, "login_required"),
            None => assert_eq!(answer.forms("form[action$='/login']").len(), 1, "{}", answer.body),
        }
    }
}

fn relying_party(name: &str) -> ClientMetadata {
    ClientMetadata {
        post_logout_redirect_uris: vec![AFTER.to_owned(), WITH_QUERY.to_owned()],
        ..confidential_client(name)
    }
}

async fn is_signed_in(http: &Http) -> bool {
    let answer = http.get("/account").await;
    match answer.status.as_u16() {
        200 => true,
        303 => false,
        other => panic!("{other}\n{}", answer.body),
    }
}

fn id_token(tokens: &Tokens) -> String {
    tokens.answer["id_token"].as_str().unwrap().to_owned()
}

fn path(fields: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("/oauth/logout?{query}")
}

/// Where an answer leads, with its query.
fn location(answer: &Answer) -> String {
    answer.header("location").to_owned()
}

/// The page that asks.
const QUESTION: &str = "form[action$='/oauth/logout/confirm']";

#[track_caller]
fn assert_asks(answer: Answer) -> Answer {
    let answer = answer.expect(200);
    assert_eq!(answer.forms(QUESTION).len(), 1, "{}", answer.body);
    answer
}

async fn say_yes(http: &Http, question: &Answer) -> Answer {
    http.submit(&question.form(QUESTION), &[]).await
}

/// A token with this header and these claims, signed by nobody.
fn unsigned(header: &serde_json::Value, claims: &serde_json::Value, signature: &str) -> String {
    let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

on_both_databases! {
    async fn a_hint_of_this_sign_in_signs_out_at_once_and_leads_back(database: TestDatabase) {
        let house = House::start(database).await;
        for (uri, state, expected) in [
            (AFTER, Some("a state & more"), format!("{AFTER}?state=a+state+%26+more")),
            (AFTER, None, AFTER.to_owned()),
            (WITH_QUERY, Some("x"), format!("{WITH_QUERY}&state=x")),
            (WITH_QUERY, None, WITH_QUERY.to_owned()),
        ] {
            let (browser, tokens) = house.signed_in().await;
            let hint = id_token(&tokens);
            let mut fields =
                vec![("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", uri)];
            fields.extend(state.map(|state| ("state", state)));
            let answer = browser.http.get(&path(&fields)).await.expect(303);
            assert_eq!(location(&answer), expected);
            assert_eq!(answer.header("cache-control"), "no-store");
            house.assert_signed_out(&browser).await;
            // Once more: nobody is signed in, and the app gets its person back all the same.
            let again = browser.http.get(&path(&fields)).await.expect(303);
            assert_eq!(location(&again), expected);
        }
        let said = house.server.sql("SELECT DISTINCT action || ' ' || client_id \
             FROM audit_events WHERE action = 'user.signed_out'");
        assert_eq!(said, "user.signed_out rp");
    }

    async fn further_parameters_are_taken(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, tokens) = house.signed_in().await;
        let answer = browser.http.get(&path(&[
            ("id_token_hint", &id_token(&tokens)),
            ("client_id", "rp"),
            ("post_logout_redirect_uri", AFTER),
            ("logout_hint", "ada"),
            ("ui_locales", "se fr-CA"),
            ("extra", "foobar"),
        ])).await.expect(303);
        assert_eq!(location(&answer), AFTER);
        house.assert_signed_out(&browser).await;
    }

    async fn without_an_address_the_person_reads_that_they_are_signed_out(
        database: TestDatabase
    ) {
        let house = House::start(database).await;
        // No parameter at all, and only a state: asked first.
        for fields in [vec![], vec![("state", "x")]] {
            let (browser, _) = house.signed_in().await;
            let question = assert_asks(browser.http.get(&path(&fields)).await);
            assert!(is_signed_in(&browser.http).await, "nothing has happened yet");
            let answer = say_yes(&browser.http, &question).await.expect(303);
            let page = browser.http.follow(answer).await.expect(200);
            assert!(page.text().contains("You are signed out"), "{}", page.body);
            assert!(!page.body.contains(AFTER), "nobody is led there");
            house.assert_signed_out(&browser).await;
        }
        // A hint, and no address.
        let (browser, tokens) = house.signed_in().await;
        let hint = id_token(&tokens);
        let answer = browser.http.get(&path(&[("id_token_hint", &hint), ("state", "x")])).await;
        let page = browser.http.follow(answer.expect(303)).await.expect(200);
        assert!(page.text().contains("You are signed out"), "{}", page.body);
        house.assert_signed_out(&browser).await;
        // Nobody is signed in.
        let page = browser.http.get("/oauth/logout").await.expect(200);
        assert!(page.text().contains("You are signed out"), "{}", page.body);
    }

    async fn nobody_is_sent_to_an_address_that_is_not_registered(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, tokens) = house.signed_in().await;
        let hint = id_token(&tokens);
        let query_added = format!("{AFTER}?foo=bar");
        let query_more = format!("{WITH_QUERY}&foo=bar");
        for uri in [
            "https://evil.example/signed-out",
            &query_added,
            &query_more,
            "https://app.example/bye",
            "https://app.example/signed-out/",
            "https://app.example/Signed-Out",
            "https://app.example:443/signed-out",
            "https://app.example/signed-out#x",
            // Registered, but to come back to with a code.
            "https://app.example/callback",
        ] {
            for proof in [("id_token_hint", hint.as_str()), ("client_id", "rp")] {
                let fields = [proof, ("post_logout_redirect_uri", uri), ("state", "x")];
                let page = browser.http.get(&path(&fields)).await.expect(400);
                assert_eq!(location(&page), "");
                assert!(page.text().contains("Meadow Notes asked us to sign you out"));
                assert!(page.text().contains("post_logout_redirect_uri is not one that is"));
                assert!(is_signed_in(&browser.http).await, "{uri}");
            }
        }
    }

    async fn requests_that_contradict_themselves_are_refused(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, tokens) = house.signed_in().await;
        let hint = id_token(&tokens);
        for (fields, told) in [
            (vec![("client_id", "nobody")], "client_id is not known"),
            (vec![("client_id", "no/id")], "client_id is not known"),
            (
                vec![("id_token_hint", hint.as_str()), ("client_id", "public")],
                "client_id is not the client that the id_token_hint was given to",
            ),
            (vec![("state", "x"), ("state", "y")], "state stands more than once"),
            (
                vec![
                    ("id_token_hint", &hint),
                    ("post_logout_redirect_uri", AFTER),
                    ("post_logout_redirect_uri", AFTER),
                ],
                "post_logout_redirect_uri stands more than once",
            ),
        ] {
            let page = browser.http.get(&path(&fields)).await.expect(400);
            assert!(page.text().contains(told), "{told}: {}", page.text());
            assert!(page.body.contains("/logout\""), "a way to sign out here");
            assert!(is_signed_in(&browser.http).await);
        }
        browser.http.get("/oauth/logout?state=%ff").await.expect(400);
        browser.http.get("/oauth/logout?request=made-up").await.expect(200);
    }

    async fn a_hint_that_we_have_not_signed_leads_nowhere(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, tokens) = house.signed_in().await;
        let good = id_token(&tokens);
        let (header, claims) = (jwt_part(&good, 0), jwt_part(&good, 1));
        let mut none = header.clone();
        none["alg"] = "none".into();
        let signature = good.rsplit('.').next().unwrap();
        // Somebody else's key, under the name of ours.
        let private = signing::generate(Algorithm::Rs256).unwrap();
        let other = SigningKey::from_private(Algorithm::Rs256, &private).unwrap();
        let foreign = other.sign("JWT", &claims).unwrap();
        let named = unsigned(&header, &claims, foreign.rsplit('.').next().unwrap());
        let mut changed = claims.clone();
        changed["aud"] = "public".into();
        for hint in [
            unsigned(&none, &claims, ""),
            unsigned(&none, &claims, signature),
            unsigned(&header, &claims, ""),
            unsigned(&header, &changed, signature),
            foreign,
            named,
            good[..good.len() - 4].to_owned(),
            tokens.access.clone(),
            tokens.refresh.clone(),
            "nonsense".to_owned(),
        ] {
            for more in [None, Some(("client_id", "rp"))] {
                let (browser, _) = house.signed_in().await;
                let mut fields = vec![
                    ("id_token_hint", hint.as_str()),
                    ("post_logout_redirect_uri", AFTER),
                    ("state", "x"),
                ];
                fields.extend(more);
                let question = assert_asks(browser.http.get(&path(&fields)).await);
                assert!(question.text().contains("not an ID token that this server has signed"));
                assert!(!question.header("content-security-policy").contains("app.example"));
                assert!(is_signed_in(&browser.http).await);
                let answer = say_yes(&browser.http, &question).await.expect(303);
                assert!(location(&answer).ends_with("/signed-out"), "{}", location(&answer));
                assert!(!location(&answer).starts_with(AFTER), "{}", location(&answer));
                house.assert_signed_out(&browser).await;
                // Nor is anybody sent there who isn't signed in.
                let page = browser.http.get(&path(&fields)).await.expect(200);
                assert!(!page.body.contains(AFTER));
            }
        }
        assert!(is_signed_in(&browser.http).await, "another browser is nobody's business");
    }

    async fn a_hint_that_has_ended_still_counts(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, tokens) = house.signed_in().await;
        house.server.travel_seconds(40 * 86_400);
        let hint = id_token(&tokens);
        let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", AFTER)];
        let answer = browser.http.get(&path(&fields)).await.expect(303);
        assert_eq!(location(&answer), AFTER);
        house.assert_signed_out(&browser).await;
    }

    async fn an_address_alone_leads_nowhere(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, _) = house.signed_in().await;
        let fields = [("post_logout_redirect_uri", AFTER), ("state", "x")];
        let question = assert_asks(browser.http.get(&path(&fields)).await);
        assert!(question.text().contains("without an id_token_hint or a client_id"));
        let answer = say_yes(&browser.http, &question).await.expect(303);
        assert!(location(&answer).ends_with("/signed-out"));
        assert!(!location(&answer).starts_with("https://app.example"));
        house.assert_signed_out(&browser).await;
    }

    async fn an_app_that_only_says_who_it_is_asks_first(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, _) = house.signed_in().await;
        let fields = [("client_id", "rp"), ("post_logout_redirect_uri", AFTER), ("state", "x")];
        let question = assert_asks(browser.http.get(&path(&fields)).await);
        assert!(question.text().contains("Meadow Notes asks to sign you out."));
        let policy = question.header("content-security-policy");
        assert!(policy.contains("form-action 'self' https: https://app.example;"), "{policy}");
        assert!(is_signed_in(&browser.http).await);
        let answer = say_yes(&browser.http, &question).await.expect(303);
        assert_eq!(location(&answer), format!("{AFTER}?state=x"));
        house.assert_signed_out(&browser).await;
        // The form that is sent again, as by a second press.
        let again = say_yes(&browser.http, &question).await.expect(303);
        assert_eq!(location(&again), format!("{AFTER}?state=x"));
        // Nobody is signed in: a link, and no redirect.
        let page = browser.http.get(&path(&fields)).await.expect(200);
        assert!(page.text().contains("Go to Meadow Notes"));
        assert_eq!(page.attributes("main a.quiet", "href"), [format!("{AFTER}?state=x")]);
    }

    async fn a_hint_of_another_sign_in_asks_first(database: TestDatabase) {
        let house = House::start(database).await;
        let (elsewhere, tokens) = house.signed_in().await;
        let hint = id_token(&tokens);
        let fields = [
            ("id_token_hint", hint.as_str()),
            ("post_logout_redirect_uri", AFTER),
            ("state", "x"),
        ];
        // The same person in another browser, and somebody else.
        for person in [&house.world.person, &house.world.admin] {
            let browser = house.world.sign_in(person).await;
            let question = assert_asks(browser.http.get(&path(&fields)).await);
            assert!(question.text().contains(&person.username), "who would be signed out");
            assert!(is_signed_in(&browser.http).await);
            let answer = say_yes(&browser.http, &question).await.expect(303);
            assert_eq!(location(&answer), format!("{AFTER}?state=x"));
            house.assert_signed_out(&browser).await;
        }
        assert!(is_signed_in(&elsewhere.http).await);
        house.world.device(&house.app).refresh(&tokens.refresh).await.tokens();
        // The sign-in that the hint is of is over, and a new one is there.
        let answer = elsewhere.http.get(&path(&fields)).await.expect(303);
        assert_eq!(location(&answer), format!("{AFTER}?state=x"));
        let login = elsewhere.http.get("/login").await.expect(200);
        elsewhere.type_password(&login, &house.world.person).await.expect(303);
        assert_asks(elsewhere.http.get(&path(&fields)).await);
    }

    async fn the_question_can_not_be_answered_from_elsewhere(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, tokens) = house.signed_in().await;
        let question = assert_asks(browser.http.get("/oauth/logout").await);
        let form = question.form(QUESTION);
        let request = form.fields.iter().find(|(name, _)| name == "request").unwrap().1.clone();
        for fields in [vec![("request", request.as_str())], vec![("csrf", "made-up")], vec![]] {
            let answer = browser.http.post_form("/oauth/logout/confirm", &fields).await;
            answer.expect(403);
        }
        let all: Vec<(&str, &str)> =
            form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let foreign = browser
            .http
            .request(Method::POST, "/oauth/logout/confirm")
            .header("origin", "https://evil.example")
            .header("sec-fetch-site", "cross-site")
            .form(&all);
        browser.http.send(foreign).await.expect(403);
        assert!(is_signed_in(&browser.http).await);
        house.world.device(&house.app).refresh(&tokens.refresh).await.tokens();
        // A page that was open for too long signs out all the same, and leads nowhere.
        let fields = [("client_id", "rp"), ("post_logout_redirect_uri", AFTER)];
        let question = assert_asks(browser.http.get(&path(&fields)).await);
        house.server.travel_seconds(2 * 3600);
        let answer = say_yes(&browser.http, &question).await.expect(303);
        assert!(location(&answer).ends_with("/signed-out"));
        house.assert_signed_out(&browser).await;
    }

    async fn the_question_is_about_the_person_that_it_shows(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, _) = house.signed_in().await;
        let fields = [("client_id", "rp"), ("post_logout_redirect_uri", AFTER)];
        let question = assert_asks(browser.http.get(&path(&fields)).await);
        // Meanwhile, in another tab.
        let other = assert_asks(browser.http.get(&path(&fields)).await);
        say_yes(&browser.http, &other).await.expect(303);
        let login = browser.http.get("/login").await.expect(200);
        browser.type_password(&login, &house.world.admin).await.expect(303);
        let answer = say_yes(&browser.http, &question).await.expect(303);
        assert_eq!(location(&answer), AFTER);
        assert!(is_signed_in(&browser.http).await, "somebody else, who wasn't asked");
    }

    async fn a_form_of_the_apps_own_page_works_as_well(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, tokens) = house.signed_in().await;
        let hint = id_token(&tokens);
        // From another site: our cookies don't come with it.
        let post = house
            .server
            .http()
            .with_header("origin", "https://app.example")
            .with_header("sec-fetch-site", "cross-site");
        let fields = [
            ("id_token_hint", hint.as_str()),
            ("post_logout_redirect_uri", AFTER),
            ("state", "x"),
        ];
        let answer = post.post_form("/oauth/logout", &fields).await.expect(303);
        let next = answer.location().unwrap();
        assert_eq!(next.path(), "/oauth/logout");
        assert!(!next.as_str().contains(&hint), "no token in an address of ours");
        assert!(is_signed_in(&browser.http).await);
        let answer = browser.http.get(next.as_str()).await.expect(303);
        assert_eq!(location(&answer), format!("{AFTER}?state=x"));
        house.assert_signed_out(&browser).await;
        post.post_raw("/oauth/logout", "application/json", b"{}".to_vec()).await.expect(400);
        post.post_raw("/oauth/logout", "application/x-www-form-urlencoded", b"a=%ff".to_vec())
            .await
            .expect(400);
    }

    async fn what_an_apps_logout_ends(database: TestDatabase) {
        let house = House::start(database).await;
        for all in [false, true] {
            let name = |name: &str| format!("{name}-{all}");
            let other = oauth::register(&house.server, &name("other"), relying_party("Fern Mail")).await;
            let brief = oauth::register(&house.server, &name("brief"), relying_party("Moss")).await;
            let always = ClientMetadata {
                refresh_policy: perennial::domain::client::RefreshPolicy::Always,
                ..relying_party("Always")
            };
            let always = oauth::register(&house.server, &name("always"), always).await;
            let (browser, own) = house.signed_in().await;
            let second = house.tokens(&browser, &house.app, SCOPE).await;
            let lasting = house.tokens(&browser, &other, SCOPE).await;
            house.tokens(&browser, &brief, "openid").await;
            let bound = house.tokens(&browser, &always, "openid").await;
            let (elsewhere, spared) = house.signed_in().await;
            if all {
                let question = assert_asks(browser.http.get(&path(&[("client_id", "rp")])).await);
                assert!(question.text().contains("Fern Mail. Phones and other computers stay"));
                let form = question.form(QUESTION);
                browser.http.submit(&form, &[("apps", "1")]).await.expect(303);
            } else {
                let hint = id_token(&own);
                browser.http.get(&path(&[("id_token_hint", &hint)])).await.expect(303);
            }
            let cause = |app: &str| {
                house.server.sql(&format!(
                    "SELECT coalesce(end_cause, 'lives') FROM token_families WHERE client_id = '{app}' \
                     ORDER BY created_at, id"
                ))
            };
            // The app that asked is signed out altogether, whatever it was given.
            for tokens in [&own, &second] {
                let refused = house.world.device(&house.app).refresh(&tokens.refresh).await;
                assert!(refused.refused(400, "invalid_grant").contains("signed out"));
            }
            assert_eq!(cause(&name("brief")), "signed_out");
            house.world.device(&always).refresh(&bound.refresh).await.refused(400, "invalid_grant");
            // Another app keeps what it was given for when the person is away, unless they say.
            let other = house.world.device(&other).refresh(&lasting.refresh).await;
            if all {
                other.refused(400, "invalid_grant");
            } else {
                other.tokens();
            }
            // And no other browser has anything to do with it.
            house.world.device(&house.app).refresh(&spared.refresh).await.tokens();
            assert!(is_signed_in(&elsewhere.http).await);
        }
    }

    async fn an_app_with_names_of_its_own_for_people_is_known_by_its_hint(
        database: TestDatabase
    ) {
        let house = House::start(database).await;
        let pairwise = ClientMetadata {
            details: ClientDetails { subject_type: SubjectType::Pairwise, ..Default::default() },
            auth_method: AuthMethod::None,
            ..relying_party("Moss")
        };
        let app = oauth::register(&house.server, "moss", pairwise).await;
        let browser = house.world.sign_in(&house.world.person).await;
        let tokens = house.tokens(&browser, &app, SCOPE).await;
        let hint = id_token(&tokens);
        assert_ne!(jwt_part(&hint, 1)["sub"], house.world.person.id.as_str());
        let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", AFTER)];
        let answer = browser.http.get(&path(&fields)).await.expect(303);
        assert_eq!(location(&answer), AFTER);
        house.assert_signed_out(&browser).await;
    }

    async fn the_hint_of_an_app_that_is_gone_leads_nowhere(database: TestDatabase) {
        let house = House::start(database).await;
        let (browser, tokens) = house.signed_in().await;
        let (id, act) = (
            perennial::domain::client::ClientId::parse("rp").unwrap(),
            perennial::protocol::act::Act::operator(house.server.now()),
        );
        let remove = move |connection: &mut _| {
            perennial::protocol::clients::remove(connection, &id, &act)
        };
        assert!(house.server.db.write(remove).await.unwrap());
        let hint = id_token(&tokens);
        let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", AFTER)];
        let question = assert_asks(browser.http.get(&path(&fields)).await);
        let answer = say_yes(&browser.http, &question).await.expect(303);
        assert!(location(&answer).ends_with("/signed-out"));
        assert!(!is_signed_in(&browser.http).await);
    }
}

/// The pages in a real browser, and what leads on from them: the answer's redirect passes the
/// page's policy, and a form of another site gets our cookies at the second step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_look_right_and_lead_back_to_the_app() {
    let Some(mut chromium) = Chromium::start(DESKTOP.0, DESKTOP.1, Scheme::Light).await else {
        return;
    };
    let server = TestServer::start().await;
    let world = World::by_commands(&server);
    let app = Listener::start().await;
    let after = app.url("/signed-out");
    let line = ["client", "update", "public", "--post-logout-redirect-uri", &after];
    server.installation.run(line).ok();
    let origin = server.origin();
    let came_back =
        |url: &url::Url| url.port() == Some(app.port) && url.query() == Some("state=a+%26+b");

    // Signed in at two apps; Chromium gets the cookies.
    let signed_in = async |chromium: &Chromium| {
        let person = world.sign_in(&world.person).await;
        let mut tokens = Vec::new();
        for app in [&world.public, &world.confidential] {
            let code = person.code(&Request::of(app)).await;
            tokens.push(world.device(app).exchange(&code).await.tokens());
        }
        chromium.goto(&format!("{origin}/login")).await.unwrap();
        for (name, value) in person.http.cookies() {
            let cookie = serde_json::json!({ "name": name, "value": value, "url": origin,
                "httpOnly": true, "sameSite": "Lax" });
            let set = chromium.cdp("Network.setCookie", cookie).await;
            assert_ne!(set["success"], false, "{set}");
        }
        tokens
    };

    let fields = [("post_logout_redirect_uri", after.as_str()), ("state", "a & b")];
    let by_id = format!("{origin}{}", path(&[&[("client_id", "public")], &fields[..]].concat()));
    signed_in(&chromium).await;
    chromium.goto(&by_id).await.unwrap();
    chromium.wait_for_text("Meadow Notes asks to sign you out.").await;
    chromium.wait_for_text("Also sign out of the apps in this browser").await;
    chromium.wait_for_text("Fern Mail. Phones and other computers stay signed in.").await;
    chromium.check_looks("logout", None).await;
    chromium.click_text("Sign out").await;
    chromium.wait_for_address(came_back).await;

    chromium.goto(&by_id).await.unwrap();
    chromium.wait_for_text("Go to Meadow Notes").await;
    chromium.check_looks("signed-out-back", None).await;
    chromium.click_text("Go to Meadow Notes").await;
    chromium.wait_for_address(came_back).await;

    let tokens = signed_in(&chromium).await;
    chromium.goto(&format!("{origin}{}", path(&fields))).await.unwrap();
    chromium.wait_for_text("Phones and other computers stay signed in.").await;
    chromium.click_text("For the app’s developers").await;
    chromium.wait_for_text("without an id_token_hint or a client_id").await;
    chromium.check_looks("logout-nobody", None).await;
    let wrong = [("client_id", "public"), ("post_logout_redirect_uri", "https://evil.example/")];
    chromium.goto(&format!("{origin}{}", path(&wrong))).await.unwrap();
    chromium.wait_for_text("We couldn’t sign you out for the app").await;
    chromium.check_looks("logout-error", Some(400)).await;
    chromium.click_text("Sign out here").await;
    chromium.wait_for_text("Stay signed in").await;

    // A form of a page that isn't ours.
    let hint = id_token(&tokens[0]);
    let page = format!(
        "data:text/html,<form method=post action='{origin}/oauth/logout'>\
         <input name=id_token_hint value='{hint}'>\
         <input name=post_logout_redirect_uri value='{after}'>\
         <input name=state value='a %26amp; b'><button>Log out</button></form>"
    );
    chromium.goto(&page).await.unwrap();
    chromium.click_text("Log out").await;
    chromium.wait_for_address(came_back).await;
    chromium.goto(&format!("{origin}/account")).await.unwrap();
    chromium.wait_for_address(|url| url.path() == "/login").await;
}
