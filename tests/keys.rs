//! The life of keys: published before they sign, replaced by age and by order, gone when nothing
//! that they made counts any more; and all at once where others may know them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use perennial::crypto::keyring::Keyring;
use perennial::crypto::root_secret::RootSecret;
use perennial::domain::algorithm::Algorithm;
use perennial::domain::key_life::{KEPT_FOR_HINTS, PUBLISHED_AFTER, PUBLISHED_FIRST};
use perennial::domain::refresh_token::RefreshToken;
use perennial::protocol::act::Act;
use perennial::protocol::id_token::read_hint;
use perennial::protocol::key_rotation::{self, Order, Rotated, Which};
use perennial::protocol::keys;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::jwt::{key_set, kids, verified, verify};
use crate::support::local::LocalServer;
use crate::support::oauth::{self, App, TokenEndpoint, Tokens, World, jwt_part, public_client};
use crate::support::pages::Site;
use crate::support::server::TestServer;

const JWKS: &str = "/oauth/jwks.json";
const DAY: u64 = 86_400;
const QUARTER: Option<Duration> = Some(Duration::from_secs(90 * DAY));
/// Where no age counts, only orders.
const NEVER: Option<Duration> = None;

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start_with(database, &[("keys.rotate_seconds", "0")]).await;
    let world = World::on(&server).await;
    (server, world)
}

fn root(server: &LocalServer) -> Arc<RootSecret> {
    Arc::new(RootSecret::load(&server.database.folder().join("keys/perennial.key")).unwrap())
}

async fn order(server: &LocalServer, order: Order, every: Option<Duration>) -> Rotated {
    let act = Act::operator(server.now());
    key_rotation::carry_out(&server.db, &root(server), order, every, act).await.unwrap()
}

fn id_token(tokens: &Tokens) -> &str {
    tokens.answer["id_token"].as_str().unwrap()
}

fn kid(token: &str) -> String {
    jwt_part(token, 0)["kid"].as_str().unwrap().to_owned()
}

fn secret_of(tokens: &Tokens) -> u32 {
    RefreshToken::parse(&tokens.refresh).unwrap().presented.key.0
}

/// Whether everything that a client keeps of these verifies by the key set of now.
async fn verifies(server: &LocalServer, app: &App, tokens: &Tokens) -> bool {
    let set = key_set(&server.http()).await;
    let id = verify(&set, id_token(tokens), &server.issuer, &app.id).is_ok();
    let access = verify(&set, &tokens.access, &server.issuer, &server.issuer).is_ok();
    assert_eq!(id, access, "the keys of both go together");
    id
}

async fn knows_hint(server: &LocalServer, token: &str) -> bool {
    let root = root(server);
    let own = Arc::clone(&root);
    let stored = server.db.read(move |connection| keys::read(connection, &own)).await.unwrap();
    read_hint(&Keyring::new(&root, stored), &server.issuer, token).is_some()
}

fn count(server: &LocalServer, what: &str) -> u64 {
    server.sql(&format!("SELECT count(*) FROM {what}")).parse().unwrap()
}

on_both_databases! {
    async fn the_key_set_is_fit_for_the_public(database: TestDatabase) {
        let (server, world) = begin(database).await;
        // Every algorithm, and keys to come beside those that sign.
        for (algorithm, name) in Algorithm::ALL {
            let mut metadata = public_client("Meadow Notes");
            metadata.details.id_token_signed_response_alg = Some(algorithm);
            let app = oauth::register(&server, &format!("signs-{name}"), metadata).await;
            world.tokens(&app).await;
        }
        order(&server, Order::Rotate(Which::All), NEVER).await;
        let answer = server.http().get(JWKS).await.expect(200);
        assert!(answer.header("content-type").starts_with("application/json"));
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let set = answer.json();
        let all = set["keys"].as_array().unwrap();
        assert_eq!(all.len(), 8);
        let mut kids: Vec<&str> = all.iter().map(|key| key["kid"].as_str().unwrap()).collect();
        kids.sort_unstable();
        kids.dedup();
        assert_eq!(kids.len(), 8, "no kid stands twice");
        for key in all {
            for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                assert_eq!(key.get(private), None, "a private key in public");
            }
            assert_eq!(key["use"], "sig");
            let alg = key["alg"].as_str().unwrap();
            let kind = match alg { "ES256" => "EC", "EdDSA" => "OKP", _ => "RSA" };
            assert_eq!(key["kty"], kind);
            if kind == "RSA" {
                let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
                assert!(modulus.len() >= 256 && modulus[0] >= 0x80, "2048 bits or more");
            }
        }
        // Whoever has it asks again at the price of a header.
        let tag = answer.header("etag").to_owned();
        let http = server.http().with_header("if-none-match", &tag);
        let again = http.get(JWKS).await.expect(304);
        assert_eq!((again.body.as_str(), again.header("etag")), ("", tag.as_str()));
        order(&server, Order::RotateNow(Which::Signing), NEVER).await;
        order(&server, Order::RotateNow(Which::Signing), NEVER).await;
        http.get(JWKS).await.expect(200);
    }

    async fn a_key_is_published_before_it_signs_and_after_it_did(database: TestDatabase) {
        let (one, world) = begin(database).await;
        let two = one.another_node().await;
        let app = &world.public;
        let before = world.tokens(app).await;
        let old = kids(&one.http()).await;

        let ordered = order(&one, Order::Rotate(Which::Signing), NEVER).await;
        assert_eq!((ordered.made.len(), ordered.began.len()), (2, 0), "ES256 and RS256");
        assert_eq!(ordered.due_at, Some(one.now().plus(PUBLISHED_FIRST)));
        for node in [&one, &two] {
            let now = kids(&node.http()).await;
            assert!(old.iter().chain(&ordered.made).all(|kid| now.contains(kid)), "{now:?}");
        }
        // Ordered twice is ordered once, and nobody signs with them yet.
        let again = order(&one, Order::Rotate(Which::Signing), NEVER).await;
        assert_eq!((again.made.len(), again.due_at), (0, ordered.due_at));
        one.travel(PUBLISHED_FIRST - Duration::from_secs(1));
        order(&one, Order::Upkeep, NEVER).await;
        let early = world.tokens(app).await;
        assert_eq!(kid(id_token(&early)), kid(id_token(&before)));

        one.travel_seconds(1);
        order(&one, Order::Upkeep, NEVER).await;
        kids(&one.http()).await;
        let after = world.tokens(app).await;
        for token in [id_token(&after), &after.access] {
            assert!(ordered.made.contains(&kid(token)), "a new key signs");
        }
        let refreshed = world.device(app).refresh(&before.refresh).await.tokens();
        assert!(ordered.made.contains(&kid(id_token(&refreshed))));
        for tokens in [&before, &early, &after] {
            assert!(verifies(&one, app, tokens).await && verifies(&two, app, tokens).await);
        }

        // Gone from the set when the last token that it signed has ended; a hint counts longer.
        one.travel(PUBLISHED_AFTER - Duration::from_secs(1));
        assert!(verifies(&two, app, &before).await);
        one.travel_seconds(1);
        assert!(!verifies(&two, app, &before).await && verifies(&two, app, &after).await);
        order(&one, Order::Upkeep, NEVER).await;
        assert!(knows_hint(&one, id_token(&before)).await);
        one.travel(KEPT_FOR_HINTS);
        order(&one, Order::Upkeep, NEVER).await;
        assert!(!knows_hint(&one, id_token(&before)).await);
        assert!(knows_hint(&one, id_token(&after)).await);
        assert_eq!(count(&one, "signing_keys"), 2);
        assert_eq!(count(&one, "audit_events WHERE action = 'key.rotated'"), 2);
    }

    async fn what_a_client_registers_is_there_before_it_is_needed(database: TestDatabase) {
        let (server, _world) = begin(database).await;
        let algorithms = |set: &jsonwebtoken::jwk::JwkSet| {
            let algorithms = set.keys.iter().map(|key| key.common.key_algorithm.unwrap());
            let mut all: Vec<String> = algorithms.map(|one| one.to_string()).collect();
            all.sort();
            all
        };
        order(&server, Order::Upkeep, NEVER).await;
        assert_eq!(algorithms(&key_set(&server.http()).await), ["ES256", "RS256"]);
        let mut metadata = public_client("Meadow Notes");
        metadata.details.userinfo_signed_response_alg = Some(Algorithm::EdDsa);
        metadata.details.id_token_signed_response_alg = Some(Algorithm::Ps256);
        oauth::register(&server, "unusual", metadata).await;
        for _ in 0..2 {
            order(&server, Order::Upkeep, NEVER).await;
            let all = algorithms(&key_set(&server.http()).await);
            assert_eq!(all, ["ES256", "EdDSA", "PS256", "RS256"]);
        }
    }

    async fn keys_are_replaced_by_age(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let first = kid(id_token(&world.tokens(app).await));
        order(&server, Order::Upkeep, QUARTER).await;
        assert_eq!((count(&server, "signing_keys"), count(&server, "token_keys")), (2, 1));
        // Two weeks ahead the next ones are there.
        server.travel_seconds(77 * DAY);
        order(&server, Order::Upkeep, QUARTER).await;
        assert_eq!((count(&server, "signing_keys"), count(&server, "token_keys")), (4, 2));
        assert_eq!(kid(id_token(&world.tokens(app).await)), first);
        server.travel_seconds(13 * DAY);
        order(&server, Order::Upkeep, QUARTER).await;
        kids(&server.http()).await;
        let tokens = world.tokens(app).await;
        assert_ne!(kid(id_token(&tokens)), first);
        assert_eq!(secret_of(&tokens), 2);
        // And again, with no more keys than it takes.
        for _ in 0..3 {
            for days in [76, 14] {
                server.travel_seconds(days * DAY);
                order(&server, Order::Upkeep, QUARTER).await;
            }
        }
        assert!(count(&server, "signing_keys") <= 6, "{}", server.sql("SELECT * FROM signing_keys"));
        kids(&server.http()).await;
        assert_eq!(secret_of(&world.tokens(app).await), 5);
    }

    async fn a_refresh_token_outlives_the_secret_it_was_made_with(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.opaque);
        let (used, idle) = (world.tokens(&world.opaque).await, world.tokens(&world.opaque).await);
        order(&server, Order::Rotate(Which::Secret), NEVER).await;
        server.travel(PUBLISHED_FIRST);
        order(&server, Order::Upkeep, NEVER).await;
        kids(&server.http()).await;
        assert_eq!((secret_of(&used), secret_of(&world.tokens(&world.opaque).await)), (1, 2));

        // The newest token is of the old secret, and its answer gets lost: both ways work.
        let moved = device.refresh(&used.refresh).await.tokens();
        assert_eq!(secret_of(&moved), 2);
        let retried = device.refresh(&used.refresh).await.tokens();
        assert_eq!(retried.refresh, moved.refresh);
        server.travel_seconds(31);
        let reissued = device.refresh(&used.refresh).await.tokens();
        assert_ne!(reissued.refresh, moved.refresh);

        // The secret stays as long as a session has a token of it that counts.
        let forget = || async {
            key_rotation::forget(&server.db, Act::system(server.now())).await.unwrap()
        };
        server.travel(PUBLISHED_AFTER);
        assert_eq!(forget().await, Vec::<String>::new());
        let second = device.refresh(&reissued.refresh).await.tokens();
        assert_eq!(forget().await, Vec::<String>::new(), "the idle one's");
        let woken = device.refresh(&idle.refresh).await.tokens();
        assert_eq!(forget().await, Vec::<String>::new(), "the one it was exchanged for");
        device.refresh(&woken.refresh).await.tokens();
        assert_eq!(forget().await, ["token secret 1"]);
        kids(&server.http()).await;
        // What it made is refused for good, and not as something that may come yet.
        device.refresh(&idle.refresh).await.refused(400, "invalid_grant");
        device.refresh(&second.refresh).await.tokens();
    }

    async fn a_node_takes_a_token_of_a_secret_that_it_has_not_read_yet(database: TestDatabase) {
        let (one, world) = begin(database).await;
        let two = one.another_node().await;
        order(&one, Order::RotateNow(Which::Secret), NEVER).await;
        kids(&one.http()).await;
        let tokens = world.tokens(&world.public).await;
        assert_eq!(secret_of(&tokens), 2);
        let there = world.device(&world.public).at(&two.origin, "Meadow/1.0 (test)");
        there.refresh(&tokens.refresh).await.tokens();
        // Whoever asks the other node about the newest tokens of both forms learns that they count.
        order(&one, Order::RotateNow(Which::All), NEVER).await;
        kids(&one.http()).await;
        let mut metadata = public_client("Fern Mail");
        metadata.audience = vec!["https://api.example".into()];
        let app = oauth::register(&one, "jwt-for-api", metadata).await;
        for app in [&app, &world.with_audience] {
            let tokens = world.tokens(app).await;
            let api = world.device(&world.api).at(&two.origin, "API/1.0");
            assert_eq!(api.introspect(&tokens.access).await["active"], true, "{}", app.id);
            order(&one, Order::RotateNow(Which::All), NEVER).await;
            kids(&one.http()).await;
        }
        // A secret that nobody has yet may be on its way; its token is refused for now alone.
        let mut bytes = URL_SAFE_NO_PAD.decode(tokens.refresh.strip_prefix("prt_").unwrap()).unwrap();
        bytes[4] = 9;
        let unknown = format!("prt_{}", URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(RefreshToken::parse(&unknown).unwrap().presented.key.0, 9);
        there.refresh(&unknown).await.refused(503, "temporarily_unavailable");
    }

    async fn of_many_who_rotate_at_once_one_does(database: TestDatabase) {
        let (one, _world) = begin(database).await;
        let two = one.another_node().await;
        kids(&one.http()).await;
        let at_once = |order: Order| {
            let tasks = (0..3).flat_map(|_| [&one, &two]).map(|node| {
                let (db, root, now) = (node.db.clone(), root(node), node.now());
                tokio::spawn(async move {
                    key_rotation::carry_out(&db, &root, order, NEVER, Act::system(now)).await
                })
            });
            let tasks: Vec<_> = tasks.collect();
            async {
                for task in tasks {
                    task.await.unwrap().unwrap();
                }
            }
        };
        at_once(Order::Rotate(Which::All)).await;
        assert_eq!((count(&one, "signing_keys"), count(&one, "token_keys")), (4, 2));
        one.travel(PUBLISHED_FIRST);
        at_once(Order::Upkeep).await;
        let current = "signing_keys WHERE current_since IS NOT NULL AND retired_at IS NULL";
        assert_eq!((count(&one, current), count(&one, "signing_keys")), (2, 4));
        assert_eq!(count(&one, "token_keys WHERE retired_at IS NOT NULL"), 1);
        assert_eq!(count(&one, "audit_events WHERE action = 'key.rotated'"), 3, "each once");
        assert_eq!(key_set(&one.http()).await, key_set(&two.http()).await);
        // A secret takes no time to make, so that they come still closer together.
        for round in 2..10 {
            at_once(Order::RotateNow(Which::Secret)).await;
            // Each of them was an order of its own, and none was half carried out.
            assert_eq!(count(&one, "token_keys"), 2 + 6 * (round - 1));
            let current = "token_keys WHERE current_since IS NOT NULL AND retired_at IS NULL";
            assert_eq!(count(&one, current), 1);
        }
    }

    async fn nothing_of_keys_that_others_may_know_counts_any_more(database: TestDatabase) {
        let (one, world) = begin(database).await;
        let two = one.another_node().await;
        let apps = [&world.public, &world.with_audience];
        let [jwt, opaque] = [world.tokens(apps[0]).await, world.tokens(apps[1]).await];
        let old = kids(&one.http()).await;

        let done = order(&one, Order::Compromised, NEVER).await;
        assert_eq!(done.sessions, 2);
        for node in [&one, &two] {
            let now = kids(&node.http()).await;
            assert_eq!(now.len(), 2);
            assert!(!now.iter().any(|kid| old.contains(kid)), "{now:?}");
            assert!(!verifies(node, apps[0], &jwt).await);
            for (app, tokens) in apps.iter().zip([&jwt, &opaque]) {
                let device = world.device(app).at(&node.origin, "Meadow/1.0 (test)");
                device.refresh(&tokens.refresh).await.refused(400, "invalid_grant");
                let api = world.device(&world.api).at(&node.origin, "API/1.0");
                assert_eq!(api.introspect(&tokens.access).await, json!({ "active": false }));
            }
        }
        assert!(!knows_hint(&one, id_token(&jwt)).await);
        // People sign in again, and go on.
        let again = world.tokens(apps[0]).await;
        assert!(verifies(&two, apps[0], &again).await);
        world.device(apps[0]).refresh(&again.refresh).await.tokens();

        // A node that had not heard yet began a session with the old secret.
        let session = again.session();
        one.sql(
            "UPDATE token_families SET key_id = 1 WHERE client_id = 'public' AND ended_at IS NULL",
        );
        let alive = "token_families WHERE ended_at IS NULL";
        assert_eq!((count(&one, alive), session.is_empty()), (1, false));
        one.travel_seconds(121);
        order(&one, Order::Upkeep, NEVER).await;
        assert_eq!((count(&one, alive), count(&one, "token_keys")), (0, 1));
        let reason = "token_families WHERE end_cause = 'admin' AND end_reason LIKE '%may be known%'";
        assert_eq!(count(&one, reason), 3);
    }

    async fn the_command_line_rotates_beneath_a_running_server(database: TestDatabase) {
        let server = TestServer::start_on(database).await;
        let world = World::by_commands(&server);
        let http = server.http();
        let before = world.tokens(&world.public).await;
        let old = kids(&http).await;

        // A new kid at once, the old one beside it.
        let done = server.installation.json(&["key", "rotate", "--now"]);
        let set = key_set(&http).await;
        let now = kids(&http).await;
        assert!(old.iter().all(|kid| now.contains(kid)), "{now:?}");
        assert_eq!(now.len(), 2 * old.len());
        let after = world.tokens(&world.public).await;
        assert!(!old.contains(&kid(id_token(&after))));
        for tokens in [&before, &after] {
            verified(&set, id_token(tokens), &world.issuer, "public");
        }
        assert_eq!(done["in_use"].as_array().unwrap().len(), 3);
        world.device(&world.public).refresh(&before.refresh).await.tokens();

        // Without --now the next ones wait until everybody has them.
        let ordered = server.installation.json(&["key", "rotate", "--only", "signing-keys"]);
        assert_eq!((&ordered["in_use"], ordered["made"].as_array().unwrap().len()), (&json!([]), 2));
        let listed = server.installation.json(&["key", "list"]);
        let states = |state: &str| {
            let all = listed.as_array().unwrap().iter();
            all.filter(|key| key["state"] == state).count()
        };
        assert_eq!((states("current"), states("next"), states("retired")), (3, 2, 3));
        let next: Vec<&Value> =
            listed.as_array().unwrap().iter().filter(|key| key["state"] == "next").collect();
        assert!(next.iter().all(|key| key["due_at"] == ordered["due_at"]), "{next:?}");

        let gone = server.installation.json(&["key", "rotate", "--compromised"]);
        assert_eq!((gone["sessions_ended"].as_u64(), kids(&http).await.len()), (Some(2), 2));
        world.device(&world.public).refresh(&after.refresh).await.refused(400, "invalid_grant");
        let refused = server.installation.run(["key", "rotate", "--compromised", "--now"]);
        assert_eq!(refused.code(), Some(2));
    }

    async fn administrators_rotate_keys_after_a_page_that_says_what_it_does(
        database: TestDatabase
    ) {
        let site = Site::start(database).await;
        let ada = site.browser("ada").await;
        let tokens = site.sign_in_to_app(&ada).await;
        let fern = site.browser("fern").await;
        let page = fern.get("/admin/keys").await.expect(200);
        for words in ["RS256", "ES256", "Signing now", "Secret 1", "In use", "1 session"] {
            assert!(page.text().contains(words), "{words}: {}", page.text());
        }
        for (path, state) in [("/admin/keys/rotate", "Next, published"), ("/admin/keys/secret/rotate", "Secret 2")] {
            assert!(page.body.contains(path), "no link to {path}");
            let ask = fern.get(path).await.expect(200);
            assert!(ask.text().contains("Nobody is signed out"), "{}", ask.text());
            assert!(!fern.get("/admin/keys").await.text().contains(state), "asking changes nothing");
            let form = ask.form(&format!("form[action$='{path}']"));
            ada.submit(&form, &[]).await.expect(403);
            fern.post_form(path, &[]).await.expect(403);
            let done = fern.submit(&form, &[]).await.expect(303);
            let page = fern.follow(done).await.expect(200);
            assert!(page.text().contains(state) && page.text().contains("UTC"), "{}", page.text());
        }
        assert!(site.refresh(&tokens).await.is_some());
        let log = fern.get("/admin/audit?event=key").await.expect(200);
        assert!(log.text().contains("Next key published"), "{}", log.text());
    }
}

#[test]
fn a_key_command_on_an_empty_database_says_so_and_makes_no_key_file() {
    use crate::support::database::{Kind, fresh};
    use crate::support::process::Installation;
    let database = fresh(Kind::Sqlite).unwrap();
    let installation = Installation::on(&database);
    let output = installation.run(["key", "rotate"]);
    assert_eq!(output.code(), Some(1));
    assert!(output.stderr.contains("no keys yet"), "{}", output.stderr);
    assert!(!database.folder().join("keys/perennial.key").exists());
}
