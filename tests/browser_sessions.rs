//! Sign-ins of browsers over HTTP: their keys, their ends, forms from elsewhere, and whoever
//! guesses passwords.

use std::collections::BTreeMap;
use std::time::Duration;

use perennial::domain::secret::HashedSecret;
use reqwest::Method;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::local::LocalServer;
use crate::support::oauth::{Browser, PASSWORD, Person, Request, World};

/// The value of the cookie whose name ends like this.
fn cookie(http: &Http, end: &str) -> Option<(String, String)> {
    http.cookies().into_iter().find(|(name, _)| name.ends_with(end))
}

/// The `Set-Cookie` line of the cookie whose name ends like this.
fn set_cookie(answer: &Answer, end: &str) -> Option<String> {
    answer.headers.get_all("set-cookie").iter().find_map(|line| {
        let line = line.to_str().unwrap();
        line.split('=').next().unwrap().ends_with(end).then(|| line.to_owned())
    })
}

fn sessions(server: &LocalServer) -> String {
    server.sql("SELECT count(*) FROM browser_sessions")
}

async fn is_signed_in(http: &Http) -> bool {
    let answer = http.get("/account").await;
    match answer.status.as_u16() {
        200 => true,
        303 => {
            assert!(answer.location().unwrap().path().ends_with("/login"));
            false
        }
        other => panic!("{other}\n{}", answer.body),
    }
}

async fn try_password(http: &Http, name: &str, password: &str) -> Answer {
    let form = http.get("/login").await.expect(200).form("form[action$='/login']");
    http.submit(&form, &[("username", name), ("password", password)]).await
}

async fn wrong(http: &Http, name: &str) -> Answer {
    try_password(http, name, "not the password").await
}

/// From an address of its own, by way of a proxy that the server trusts.
fn from(server: &LocalServer, ip: &str) -> Http {
    server.http().with_header("x-forwarded-for", ip)
}

const BEHIND_A_PROXY: &[(&str, &str)] = &[("trusted_proxies", "127.0.0.1/32")];

on_both_databases! {
    async fn a_strangers_visit_writes_nothing(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let counts = || {
            ["browser_sessions", "authorization_codes", "sign_in_failures", "audit_events", "meta"]
                .map(|table| server.sql(&format!("SELECT count(*) FROM {table}")))
        };
        let before = counts();
        let browser = world.browser();
        for path in ["/login", "/signed-out", "/account", "/admin", "/nothing", "/"] {
            browser.http.get(path).await;
        }
        let login = browser.open(&Request::of(&world.public)).await.expect(200);
        assert_eq!(login.forms("form[action$='/login']").len(), 1);
        assert_eq!(counts(), before);
        assert_eq!(cookie(&browser.http, "_session"), None);
        assert!(cookie(&browser.http, "_csrf").is_some());
    }

    async fn a_session_planted_before_the_sign_in_is_not_the_one_after_it(
        database: TestDatabase
    ) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        // The attacker's own, valid session, planted in the victim's browser.
        let attacker = world.sign_in(&world.person).await;
        let (name, planted) = cookie(&attacker.http, "_session").unwrap();
        let victim = world.browser();
        victim.http.set_cookie(&name, &planted);
        // Somebody is signed in there already; the form comes from another tab.
        let form = server.http();
        let login = form.get("/login").await.expect(200);
        for (name, value) in form.cookies() {
            victim.http.set_cookie(&name, &value);
        }
        victim.type_password(&login, &world.admin).await.expect(303);
        let (_, own) = cookie(&victim.http, "_session").unwrap();
        assert_ne!(own, planted);
        let owner = |http: &Http| {
            let cookies = http.cookies();
            let http = server.http();
            for (name, value) in cookies {
                http.set_cookie(&name, &value);
            }
            async move { http.get("/admin").await.status.as_u16() }
        };
        assert_eq!(owner(&victim.http).await, 200, "the administrator");
        assert_ne!(owner(&attacker.http).await, 200, "the planted key opens nothing of hers");
        // A made-up key is no session, and doesn't become one.
        let made_up = world.browser();
        made_up.http.set_cookie(&name, "made-up");
        let login = made_up.http.get("/login").await.expect(200);
        made_up.type_password(&login, &world.person).await.expect(303);
        assert_ne!(cookie(&made_up.http, "_session").unwrap().1, "made-up");
    }

    async fn signing_in_again_ends_the_session_before(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let browser = world.browser();
        let login = browser.http.get("/login").await.expect(200);
        browser.type_password(&login, &world.person).await.expect(303);
        let first = cookie(&browser.http, "_session").unwrap();
        // The second tab's form was open all along.
        browser.type_password(&login, &world.person).await.expect(303);
        let second = cookie(&browser.http, "_session").unwrap();
        assert_ne!(first, second);
        assert_eq!(sessions(&server), "1");
        assert!(is_signed_in(&browser.http).await);
        browser.http.set_cookie(&first.0, &first.1);
        assert!(!is_signed_in(&browser.http).await);
    }

    async fn the_cookie_is_not_what_the_database_holds(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let browser = world.sign_in(&world.person).await;
        let (_, value) = cookie(&browser.http, "_session").unwrap();
        let dump = server.sql("SELECT state FROM browser_sessions");
        let text = percent_encoding::percent_decode_str(&value).decode_utf8().unwrap();
        // What is signed is the key; its hash is the row's name.
        assert!(!dump.contains(text.rsplit('=').next().unwrap()), "{dump}");
        assert_eq!(sessions(&server), "1");
    }

    async fn a_revoked_session_does_not_come_back_by_a_late_update(database: TestDatabase) {
        use perennial::storage::browser_sessions as stored;
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let browser = world.sign_in(&world.person).await;
        let id = world.person.id.parse().unwrap();
        let now = server.now();
        let session = server
            .db
            .read(move |connection| stored::of_user(connection, id, now))
            .await
            .unwrap()
            .remove(0);
        let key = server
            .db
            .read(move |connection| stored::find_by_id(connection, session.id))
            .await
            .unwrap()
            .unwrap()
            .key_hash;
        server
            .db
            .write(move |connection| stored::remove_by_id(connection, session.id))
            .await
            .unwrap();
        // What a request that had read the session before would still write.
        let late = server.db.write(move |connection| {
            stored::touch(connection, key, now.plus(Duration::from_secs(3600)))?;
            stored::update(connection, key, "{}")
        });
        assert!(!late.await.unwrap());
        assert_eq!(sessions(&server), "0");
        assert!(!is_signed_in(&browser.http).await);
        assert_eq!(sessions(&server), "0");
        let unknown = HashedSecret::of(b"nothing");
        let write = server.db.write(move |connection| stored::update(connection, unknown, "{}"));
        assert!(!write.await.unwrap());
    }

    async fn a_session_ends_unused_and_at_its_end(database: TestDatabase) {
        let server = LocalServer::start_with(
            database,
            &[("sessions.idle_seconds", "600"), ("sessions.absolute_seconds", "1500")],
        )
        .await;
        let world = World::on(&server).await;
        let idle = world.sign_in(&world.person).await;
        let used = world.sign_in(&world.person).await;
        for _ in 0..2 {
            server.travel_seconds(590);
            assert!(is_signed_in(&used.http).await);
        }
        assert!(!is_signed_in(&idle.http).await, "unused for longer than it may be");
        server.travel_seconds(310);
        assert!(is_signed_in(&used.http).await);
        server.travel_seconds(11);
        assert!(!is_signed_in(&used.http).await, "used, and at its end all the same");
    }

    async fn staying_signed_in_is_a_lasting_cookie_and_only_then(database: TestDatabase) {
        let server = LocalServer::start_with(
            database,
            &[("sessions.idle_seconds", "600"), ("sessions.stay_seconds", "86400")],
        )
        .await;
        let world = World::on(&server).await;
        let sign_in = async |stay: &[(&str, &str)]| {
            let browser = world.browser();
            let login = browser.http.get("/login").await.expect(200);
            let form = login.form("form[action$='/login']");
            let fields = [&[("username", "ada"), ("password", PASSWORD)], stay].concat();
            let answer = browser.http.submit(&form, &fields).await.expect(303);
            (browser, set_cookie(&answer, "_session").unwrap())
        };
        let (brief, cookie) = sign_in(&[]).await;
        for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        for part in ["Max-Age", "Expires", "Domain", "Secure"] {
            assert!(!cookie.contains(part), "{cookie}");
        }
        let (stays, cookie) = sign_in(&[("stay", "1")]).await;
        assert!(cookie.contains("Max-Age=86400"), "{cookie}");
        for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        server.travel_seconds(3_600);
        assert!(!is_signed_in(&brief.http).await);
        assert!(is_signed_in(&stays.http).await);
        server.travel_seconds(86_400);
        assert!(!is_signed_in(&stays.http).await);
    }

    async fn the_last_use_is_written_at_most_once_a_minute(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let browser = world.sign_in(&world.person).await;
        let seen = || {
            let row = server.sql("SELECT last_seen_at FROM browser_sessions");
            row.parse::<i64>().unwrap()
        };
        let first = seen();
        for _ in 0..5 {
            assert!(is_signed_in(&browser.http).await);
        }
        assert_eq!(seen(), first);
        server.travel_seconds(50);
        assert!(is_signed_in(&browser.http).await);
        assert_eq!(seen(), first, "not a minute yet");
        server.travel_seconds(15);
        assert!(is_signed_in(&browser.http).await);
        let second = seen();
        assert!(second >= first + 60_000);
        assert!(is_signed_in(&browser.http).await);
        assert_eq!(seen(), second);
    }

    async fn a_form_without_this_browsers_token_changes_nothing(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let foreign = server.http().get("/login").await.form("form[action$='/login']");
        let foreign = foreign.value("csrf").unwrap().to_owned();
        let signed_in = world.sign_in(&world.person).await;
        let own = signed_in.http.get("/logout").await.form("form[action$='/logout']");
        let own = own.value("csrf").unwrap().to_owned();
        let post = |fields: &[(&str, &str)], headers: &[(&'static str, &str)]| {
            let mut request = signed_in.http.request(Method::POST, "/logout").form(fields);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            signed_in.http.send(request)
        };
        let origin = server.origin.as_str();
        let good = [("origin", origin), ("sec-fetch-site", "same-origin")];
        let csrf = [("csrf", own.as_str())];
        for (what, fields, headers) in [
            ("no token", &[][..], &good[..]),
            ("an empty token", &[("csrf", "")], &good),
            ("another browser's token", &[("csrf", foreign.as_str())], &good),
            ("another site's page", &csrf, &[("sec-fetch-site", "cross-site")]),
            ("a sibling's page", &csrf, &[("sec-fetch-site", "same-site")]),
            ("another origin", &csrf, &[("origin", "https://evil.example")]),
            ("an opaque origin", &csrf, &[("origin", "null")]),
        ] {
            let page = post(fields, headers).await.expect(403);
            assert!(page.text().contains(page.header("x-request-id")), "{what}");
            assert!(is_signed_in(&signed_in.http).await, "{what}");
        }
        assert_eq!(sessions(&server), "1");
        // The same, as our own page sends it.
        post(&csrf, &good).await.expect(303);
        assert_eq!(sessions(&server), "0");
        assert!(!is_signed_in(&signed_in.http).await);
    }

    async fn nobody_is_signed_in_by_another_sites_form(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let _world = World::on(&server).await;
        let http = server.http();
        let form = http.get("/login").await.expect(200).form("form[action$='/login']");
        let fields = [
            ("username", "ada"),
            ("password", PASSWORD),
            ("csrf", form.value("csrf").unwrap()),
        ];
        let request = http.request(Method::POST, "/login").form(&fields);
        http.send(request.header("sec-fetch-site", "cross-site")).await.expect(403);
        http.post_form("/login", &fields[..2]).await.expect(403);
        assert_eq!(sessions(&server), "0");
        // Refused before the password was judged: it is no failure either.
        assert_eq!(server.sql("SELECT count(*) FROM sign_in_failures"), "0");
        http.submit(&form, &fields[..2]).await.expect(303);
        assert_eq!(sessions(&server), "1");
    }

    async fn whoever_guesses_must_wait_on_every_node_and_the_person_elsewhere_need_not(
        database: TestDatabase
    ) {
        let server = LocalServer::start_with(database, BEHIND_A_PROXY).await;
        let world = World::on(&server).await;
        let other_node = server.another_node().await;
        let guesser = from(&server, "203.0.113.7");
        for left in (1..5).rev() {
            let page = wrong(&guesser, "ada").await.expect(422);
            assert_eq!(page.text().contains(&format!("{left} tr")), left <= 3, "{}", page.text());
        }
        let page = wrong(&guesser, "ADA").await.expect(429);
        assert!(page.text().contains("Too many tries"), "{}", page.text());
        let wait: u64 = page.header("retry-after").parse().unwrap();
        assert!((29..=31).contains(&wait), "{wait}");

        // Not even the right password, and not on the other node either.
        try_password(&guesser, "ada", PASSWORD).await.expect(429);
        let there = from(&other_node, "203.0.113.7");
        try_password(&there, "ada", PASSWORD).await.expect(429);
        let neighbour = from(&other_node, "203.0.113.99");
        try_password(&neighbour, "ada", PASSWORD).await.expect(429);
        // A header that the guesser adds by himself doesn't help: the proxy's comes last.
        let liar = from(&server, "198.51.100.1, 203.0.113.7");
        try_password(&liar, "ada", PASSWORD).await.expect(429);
        // Nor is anybody else kept out, nor the person herself where she is.
        try_password(&from(&server, "203.0.113.7"), "grace", PASSWORD).await.expect(303);
        try_password(&from(&other_node, "198.51.100.20"), "ada", PASSWORD).await.expect(303);

        try_password(&guesser, "ada", PASSWORD).await.expect(429);
        server.travel_seconds(wait + 1);
        // Each further failure doubles the pause.
        let page = wrong(&guesser, "ada").await.expect(429);
        let longer: u64 = page.header("retry-after").parse().unwrap();
        assert!((59..=61).contains(&longer), "{longer}");
        server.travel_seconds(longer + 1);
        try_password(&guesser, "ada", PASSWORD).await.expect(303);
        // Signed in: forgotten.
        wrong(&from(&server, "203.0.113.7"), "ada").await.expect(422);
        let _ = world;
    }

    async fn an_account_that_does_not_exist_is_answered_like_one_that_does(
        database: TestDatabase
    ) {
        let server = LocalServer::start(database).await;
        let _world = World::on(&server).await;
        let mut seen: BTreeMap<&str, Vec<(u16, String)>> = BTreeMap::new();
        for name in ["ada", "bob"] {
            for _ in 0..6 {
                let page = wrong(&server.http(), name).await;
                let text = page.text().replace(name, "NAME");
                // The time until when to wait differs by seconds.
                let text = text.split("Try again after").next().unwrap().to_owned();
                seen.entry(name).or_default().push((page.status.as_u16(), text));
            }
        }
        assert_eq!(seen["ada"], seen["bob"]);
        let statuses: Vec<u16> = seen["ada"].iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [422, 422, 422, 422, 429, 429]);
    }

    async fn many_guesses_at_once_are_no_way_around_the_wait(database: TestDatabase) {
        let first = LocalServer::start(database).await;
        let world = World::on(&first).await;
        // Hashes that take so long that all guesses have begun before one is judged.
        let server = first
            .another_node_with(|settings| {
                settings.passwords.memory_kib = 8 * 1024;
                settings.passwords.iterations = 3;
                settings.limits.request = Duration::from_secs(60);
            })
            .await;
        try_password(&server.http(), "ada", PASSWORD).await.expect(303);
        let http = std::sync::Arc::new(server.http());
        let form = http.get("/login").await.expect(200).form("form[action$='/login']");
        let guesses: Vec<_> = (0..24)
            .map(|_| {
                let (http, form) = (std::sync::Arc::clone(&http), form.clone());
                tokio::spawn(async move {
                    let fields = [("username", "ada"), ("password", "not the password")];
                    http.submit(&form, &fields).await.status.as_u16()
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for guess in guesses {
            statuses.push(guess.await.unwrap());
        }
        statuses.sort_unstable();
        // Whatever their order, as many are judged as in a row.
        assert_eq!(statuses[..4], [422; 4], "{statuses:?}");
        assert!(statuses[4..].iter().all(|status| *status == 429), "{statuses:?}");
        let _ = world;
    }

    async fn a_right_password_that_was_judged_while_others_failed_waits_too(
        database: TestDatabase
    ) {
        use perennial::crypto::tokens::CallerHasher;
        use perennial::domain::throttle::Limit;
        use perennial::protocol::act::Act;
        use perennial::protocol::sign_in::{self, Begun, Keys, Limits, Succeeded};
        let server = LocalServer::start(database).await;
        let _world = World::on(&server).await;
        let keys = Keys::new(&CallerHasher::new(&[7; 32]), "ada", "203.0.113.7".parse().unwrap());
        let limit = |tries| {
            let span = Duration::from_secs(900);
            Limit { tries, window: span, longest_pause: span }
        };
        let limits = Limits { account: limit(5), network: limit(50) };
        let now = server.now();
        let judged = server
            .db
            .write(move |connection| {
                let Begun::Judge(Some(stored)) = sign_in::begin(connection, "ada", &keys, now)?
                else {
                    panic!("nobody failed yet")
                };
                // While its hash is made, others fail.
                for _ in 0..5 {
                    sign_in::fail(connection, "ada", &keys, &limits, &Act::operator(now))?;
                }
                sign_in::succeed(connection, &stored, None, &keys, &Act::operator(now))
            })
            .await
            .unwrap();
        assert!(matches!(judged, Succeeded::Wait(until) if until > now));
    }

    async fn a_password_is_hashed_anew_when_the_settings_ask_for_more(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let hash = || server.sql("SELECT password_hash FROM users WHERE username = 'ada'");
        let made = hash();
        world.sign_in(&world.person).await;
        assert_eq!(hash(), made, "the same settings");
        let harder = node_with_harder_hashes(&server).await;
        let ada = Person { ..world.person.clone() };
        wrong(&harder.http(), "ada").await.expect(422);
        assert_eq!(hash(), made, "only the right password is hashed anew");
        try_password(&harder.http(), &ada.username, &ada.password).await.expect(303);
        let anew = hash();
        assert_ne!(anew, made);
        assert!(anew.contains("m=16,"), "{anew}");
        // Still the same password, and its sessions go on.
        try_password(&harder.http(), &ada.username, &ada.password).await.expect(303);
        assert_eq!(hash(), anew);
    }

    async fn a_disabled_person_is_signed_out_at_once(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let browser: Browser = world.sign_in(&world.person).await;
        assert!(is_signed_in(&browser.http).await);
        server.sql("UPDATE users SET disabled_at = 1 WHERE username = 'ada'");
        assert!(!is_signed_in(&browser.http).await);
        let answer = try_password(&server.http(), "ada", PASSWORD).await.expect(422);
        assert!(answer.text().contains("That didn’t match"), "{}", answer.text());
    }
}

/// A node of the same installation that asks more of a hash.
async fn node_with_harder_hashes(server: &LocalServer) -> LocalServer {
    server.another_node_with(|settings| settings.passwords.memory_kib = 16).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_at_the_same_moment_are_all_counted() {
    use perennial::domain::throttle::Limit;
    use perennial::domain::time::Timestamp;
    use perennial::storage::{Database, throttle};
    use std::sync::{Arc, Barrier};
    const AT_ONCE: u32 = 6;
    let Some(database) = crate::support::database::fresh(crate::support::database::Kind::Postgres)
    else {
        return;
    };
    let mut options = crate::storage::options(&database);
    options.connections = AT_ONCE;
    let opened = Database::open(&options).unwrap();
    opened.migrate().unwrap();
    let limit = Limit {
        tries: 5,
        window: Duration::from_secs(900),
        longest_pause: Duration::from_secs(900),
    };
    let now = Timestamp::from_millis(1_000_000);
    for round in 1..=3 {
        let together = Arc::new(Barrier::new(AT_ONCE as usize));
        let adds: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (opened, together) = (opened.clone(), Arc::clone(&together));
                tokio::spawn(async move {
                    opened
                        .write(move |connection| {
                            // All transactions are open before one of them counts.
                            together.wait();
                            throttle::add(connection, &[7; 32], now, &limit)
                        })
                        .await
                })
            })
            .collect();
        let mut counts = Vec::new();
        for add in adds {
            counts.push(add.await.unwrap().unwrap().count);
        }
        counts.sort_unstable();
        let expected: Vec<u32> = ((round - 1) * AT_ONCE + 1..=round * AT_ONCE).collect();
        assert_eq!(counts, expected);
    }
}
