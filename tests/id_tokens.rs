//! ID tokens (OpenID Connect Core sections 2, 3.1.3 and 12.2), as a client verifies them, and
//! what its people are called.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use perennial::crypto::keyring::Keyring;
use perennial::crypto::root_secret::RootSecret;
use perennial::crypto::signing::{self, SigningKey};
use perennial::domain::access_token::AccessTokenFormat;
use perennial::domain::algorithm::Algorithm;
use perennial::domain::client::ClientMetadata;
use perennial::domain::client_details::SubjectType;
use perennial::protocol::id_token::{Hint, read_hint};
use perennial::protocol::keys;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::jwt::{at_hash, key_set, verified, verify};
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, App, Request, TokenEndpoint, Tokens, World, confidential_client, jwt_part, public_client,
};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

fn id_token(tokens: &Tokens) -> &str {
    tokens.answer["id_token"].as_str().unwrap_or_else(|| panic!("none in {}", tokens.answer))
}

/// The claims of the ID token, verified as its client does it.
async fn claims(server: &LocalServer, app: &App, tokens: &Tokens) -> Value {
    verified(&key_set(&server.http()).await, id_token(tokens), &server.issuer, &app.id)
}

async fn signed_in(world: &World, app: &App, request: Request) -> Tokens {
    let code = world.sign_in(&world.person).await.code(&request).await;
    world.device(app).exchange(&code).await.tokens()
}

/// The keys of a server, read as it reads them.
async fn keyring(server: &LocalServer) -> Keyring {
    let key_file = server.database.folder().join("keys/perennial.key");
    let root = RootSecret::load_or_create(&key_file).unwrap();
    let stored = server
        .db
        .read(move |connection| {
            let root = RootSecret::load_or_create(&key_file).unwrap();
            keys::read(connection, &root)
        })
        .await
        .unwrap();
    Keyring::new(&root, stored)
}

fn pairwise(name: &str, redirect_uris: &[&str]) -> ClientMetadata {
    let mut metadata = confidential_client(name);
    metadata.redirect_uris = redirect_uris.iter().map(|uri| (*uri).to_owned()).collect();
    metadata.details.subject_type = SubjectType::Pairwise;
    metadata
}

on_both_databases! {
    async fn an_id_token_says_who_signed_in_when_and_how(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.confidential;
        let browser = world.sign_in(&world.person).await;
        let signed_in_at = server.now().as_seconds();
        server.travel_seconds(90);
        let request = Request::of(app).with("nonce", "n-0S6_WzA2Mj & more");
        let code = browser.code(&request).await;
        let tokens = world.device(app).exchange(&code).await.tokens();

        let header = jwt_part(id_token(&tokens), 0);
        assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("JWT")));
        let claims = claims(&server, app, &tokens).await;
        assert_eq!(claims["iss"], server.issuer);
        assert_eq!(claims["sub"], world.person.id);
        assert_eq!(claims["aud"], json!("confidential"), "one audience, and so no azp");
        assert_eq!(claims.get("azp"), None);
        assert_eq!(claims["iat"], server.now().as_seconds());
        assert_eq!(claims["exp"], server.now().as_seconds() + 600);
        assert_eq!(claims["auth_time"], signed_in_at);
        assert_eq!(claims["nonce"], "n-0S6_WzA2Mj & more");
        assert_eq!(claims["acr"], "1");
        assert_eq!(claims["amr"], json!(["pwd"]));
        assert_eq!(claims["at_hash"], at_hash("RS256", &tokens.access));
        assert!(claims["sid"].as_str().unwrap().len() >= 22);
    }

    async fn no_nonce_comes_of_none_and_no_id_token_without_openid(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let tokens = world.tokens(&world.public).await;
        assert_eq!(claims(&server, &world.public, &tokens).await.get("nonce"), None);

        let plain = world.tokens_for(&world.public, "offline_access notes.read").await;
        assert_eq!(plain.answer.get("id_token"), None);
        let device = world.device(&world.public);
        let refreshed = device.refresh(&plain.refresh).await.tokens();
        assert_eq!(refreshed.answer.get("id_token"), None);
        // Whoever asks for less at a refresh gets no more than that.
        let narrow = device.refresh_for(&tokens.refresh, "notes.read").await.tokens();
        assert_eq!(narrow.answer.get("id_token"), None);
        let wide = device.refresh(&narrow.refresh).await.tokens();
        assert_eq!(claims(&server, &world.public, &wide).await["sub"], world.person.id);
    }

    async fn a_long_nonce_comes_back_whole(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let nonce = "x".repeat(384);
        let request = Request::of(&world.public).with("nonce", &nonce);
        let tokens = signed_in(&world, &world.public, request).await;
        assert_eq!(claims(&server, &world.public, &tokens).await["nonce"], nonce);
    }

    async fn a_refresh_tells_the_same_person_and_the_first_sign_in(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.confidential;
        let first = signed_in(&world, app, Request::of(app).with("nonce", "abc")).await;
        let was = claims(&server, app, &first).await;
        server.travel_seconds(300);
        let second = world.device(app).refresh(&first.refresh).await.tokens();
        let is = claims(&server, app, &second).await;
        for same in ["iss", "sub", "aud", "auth_time", "azp", "acr", "amr", "sid"] {
            assert_eq!(is.get(same), was.get(same), "{same}");
        }
        assert_eq!(is["iat"], was["iat"].as_i64().unwrap() + 300);
        assert_eq!(is["exp"], was["exp"].as_i64().unwrap() + 300);
        assert_eq!(is.get("nonce"), None);
        assert_eq!(is["at_hash"], at_hash("RS256", &second.access));

        // A retry of that refresh tells what the lost answer told.
        server.travel_seconds(7);
        let again = world.device(app).refresh(&first.refresh).await.tokens();
        assert_eq!(again.refresh, second.refresh);
        let retried = claims(&server, app, &again).await;
        for same in ["iat", "exp", "sub", "sid", "auth_time"] {
            assert_eq!(retried[same], is[same], "{same}");
        }
        assert_eq!(retried["at_hash"], at_hash("RS256", &again.access));
    }

    async fn each_client_gets_the_algorithm_it_registered(database: TestDatabase) {
        let (server, world) = begin(database).await;
        for (algorithm, name) in Algorithm::ALL {
            let mut metadata = public_client("Meadow Notes");
            metadata.details.id_token_signed_response_alg = Some(algorithm);
            // Opaque access tokens have their hash as well.
            metadata.access_token_format = AccessTokenFormat::Opaque;
            let app = oauth::register(&server, &format!("signs-{name}"), metadata).await;
            let tokens = world.tokens(&app).await;
            assert_eq!(jwt_part(id_token(&tokens), 0)["alg"], name);
            let first = claims(&server, &app, &tokens).await;
            assert_eq!(first["at_hash"], at_hash(name, &tokens.access), "{name}");
            let refreshed = world.device(&app).refresh(&tokens.refresh).await.tokens();
            assert_eq!(claims(&server, &app, &refreshed).await["sub"], first["sub"], "{name}");

            // Not one letter of it can be changed, and it is for nobody else.
            let set = key_set(&server.http()).await;
            let token = id_token(&tokens);
            let place = token.find('.').unwrap() + 30;
            let letter = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
            let altered = format!("{}{letter}{}", &token[..place], &token[place + 1..]);
            verify(&set, &altered, &server.issuer, &app.id).unwrap_err();
            verify(&set, token, &server.issuer, "public").unwrap_err();
        }
    }

    async fn what_was_asked_for_one_by_one_stands_in_it(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let code = world.sign_in(&world.person).await.code(&Request::of(app)).await;
        let asked = json!({ "id_token": {
            "email": { "essential": true },
            "name": null,
            "preferred_username": { "value": "somebody-else" },
            "shoe_size": null,
            "sub": null,
            "exp": { "value": 1 },
        }});
        server.sql(&format!("UPDATE authorization_codes SET claims = '{asked}'"));
        let mut tokens = world.device(app).exchange(&code).await.tokens();
        for _ in 0..2 {
            let claims = claims(&server, app, &tokens).await;
            assert_eq!(claims["email"], "ada@northfield.example");
            assert_eq!(claims["name"], "ada");
            assert_eq!(claims.get("preferred_username"), None, "not the value that was wanted");
            assert_eq!(claims.get("shoe_size"), None);
            assert_eq!(claims["exp"], server.now().as_seconds() + 600);
            tokens = world.device(app).refresh(&tokens.refresh).await.tokens();
        }
    }

    async fn a_browsers_apps_share_no_session_id(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let mut sids = Vec::new();
        for app in [&world.public, &world.public, &world.confidential] {
            let code = browser.code(&Request::of(app)).await;
            let tokens = world.device(app).exchange(&code).await.tokens();
            sids.push(claims(&server, app, &tokens).await["sid"].as_str().unwrap().to_owned());
        }
        assert_eq!(sids[0], sids[1], "the same browser at the same app");
        assert_ne!(sids[0], sids[2], "another app can't tell that it is the same browser");
        let elsewhere = world.tokens(&world.public).await;
        assert_ne!(claims(&server, &world.public, &elsewhere).await["sid"], sids[0].as_str());
    }

    async fn a_sector_knows_people_by_names_of_its_own(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let garden = ["https://garden.example/a", "https://garden.example/b?c=d"];
        let native = ["http://127.0.0.1/callback"];
        let many = ["https://one.example/", "https://two.example/"];
        let mut named = pairwise("Two Hosts", &many);
        named.details.sector_identifier_uri = Some("https://garden.example/uris.json".into());
        let (mut subs, mut apps) = (Vec::new(), Vec::new());
        for (id, metadata) in [
            ("garden-web", pairwise("Garden", &garden)),
            ("garden-shop", pairwise("Garden Shop", &garden[..1])),
            ("garden-named", named),
            ("meadow", pairwise("Meadow", &["https://meadow.example/"])),
            ("native-a", pairwise("Native", &native)),
            ("native-b", pairwise("Native", &native)),
        ] {
            let mut metadata = metadata;
            metadata.may_introspect = true;
            let opaque = id == "meadow";
            if opaque {
                metadata.access_token_format = AccessTokenFormat::Opaque;
            }
            let app = oauth::register(&server, id, metadata).await;
            let tokens = world.tokens(&app).await;
            let sub = claims(&server, &app, &tokens).await["sub"].as_str().unwrap().to_owned();
            // Every answer to this client calls the person the same, and none gives them away.
            let readable = if opaque {
                let bytes = URL_SAFE_NO_PAD.decode(tokens.access.strip_prefix("pat_").unwrap());
                String::from_utf8_lossy(&bytes.unwrap()).into_owned()
            } else {
                jwt_part(&tokens.access, 1).to_string()
            };
            assert!(readable.contains(&sub) && !readable.contains(&world.person.id), "{readable}");
            let device = world.device(&app);
            for token in [&tokens.access, &tokens.refresh] {
                let told = device.introspect(token).await;
                assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!(sub)), "{id}");
                assert_eq!(told.get("username"), None, "{id}");
            }
            let refreshed = device.refresh(&tokens.refresh).await.tokens();
            assert_eq!(claims(&server, &app, &refreshed).await["sub"], sub.as_str());
            subs.push(sub);
            apps.push(app);
        }
        assert_eq!((&subs[0], &subs[0]), (&subs[1], &subs[2]), "one sector");
        for (place, sub) in subs.iter().enumerate().skip(2) {
            assert!(!subs[..place].contains(sub) || place == 2, "another sector");
            assert_ne!(*sub, world.person.id);
            assert!(sub.is_ascii() && sub.len() <= 255);
        }
        // Another person is somebody else to the same client.
        let app = &apps[0];
        let code = world.sign_in(&world.admin).await.code(&Request::of(app)).await;
        let tokens = world.device(app).exchange(&code).await.tokens();
        let grace = claims(&server, app, &tokens).await["sub"].as_str().unwrap().to_owned();
        assert!(!subs.contains(&grace) && grace != world.admin.id);
    }

    async fn a_hint_is_a_genuine_id_token_however_old(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.confidential;
        let browser = world.sign_in(&world.person).await;
        let code = browser.code(&Request::of(app)).await;
        let tokens = world.device(app).exchange(&code).await.tokens();
        let claims = claims(&server, app, &tokens).await;
        server.travel_seconds(86_400);
        let keyring = keyring(&server).await;
        let read = |text: &str| read_hint(&keyring, &server.issuer, text);
        let hint = Hint {
            subject: world.person.id.clone(),
            audience: vec!["confidential".into()],
            sid: claims["sid"].as_str().map(str::to_owned),
            auth_time: None,
        };
        let found = read(id_token(&tokens)).unwrap();
        assert_eq!(found.auth_time.unwrap().as_seconds(), claims["auth_time"]);
        assert_eq!(Hint { auth_time: None, ..found }, hint);

        // Another issuer's, an access token, no signature, and somebody else's signature.
        assert_eq!(read_hint(&keyring, "https://other.example", id_token(&tokens)), None);
        assert_eq!(read(&tokens.access), None);
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = jwt_part(id_token(&tokens), 0);
        for alg in ["none", "None", "HS256"] {
            let mut other = header.clone();
            other["alg"] = json!(alg);
            let unsigned = format!("{}.{}.", encode(&other), encode(&claims));
            assert_eq!(read(&unsigned), None, "{alg}");
        }
        let other = signing::generate(Algorithm::Rs256).unwrap();
        let other = SigningKey::from_private(Algorithm::Rs256, &other).unwrap();
        let forged = other.sign("JWT", &claims).unwrap();
        assert_eq!(read(&forged), None);
        let signature = forged.rsplit('.').next().unwrap();
        assert_eq!(read(&format!("{}.{}.{signature}", encode(&header), encode(&claims))), None);
        for nonsense in ["", ".", "..", "a.b.c", "é"] {
            assert_eq!(read(nonsense), None);
        }
    }
}
