//! Resource indicators (RFC 8707) over HTTP: for whom an access token is.

use perennial::domain::access_token::AccessTokenFormat;
use perennial::domain::client::ClientMetadata;
use serde_json::json;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, App, GivenCode, Request, TokenEndpoint, World, confidential_client, landing,
    public_client,
};

const NOTES: &str = "https://notes.example/v1";
const MAPS: &str = "https://maps.example";
const OPEN: &str = "https://open.example";

async fn begin(database: TestDatabase) -> (LocalServer, World, App) {
    let server = LocalServer::start_with(database, &[("tokens.resources", OPEN)]).await;
    let world = World::on(&server).await;
    let metadata =
        ClientMetadata { audience: vec![NOTES.into(), MAPS.into()], ..public_client("Reader") };
    let app = oauth::register(&server, "reader", metadata).await;
    (server, world, app)
}

async fn exchange(world: &World, app: &App, code: &GivenCode, resources: &[&str]) -> Answer {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.code.as_str()),
        ("code_verifier", code.verifier.as_deref().unwrap()),
        ("redirect_uri", code.redirect_uri.as_deref().unwrap()),
    ];
    fields.extend(resources.iter().map(|one| ("resource", *one)));
    world.device(app).post("/oauth/token", &fields).await
}

async fn refresh(world: &World, app: &App, token: &str, resources: &[&str]) -> Answer {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    fields.extend(resources.iter().map(|one| ("resource", *one)));
    world.device(app).post("/oauth/token", &fields).await
}

async fn code(world: &World, app: &App, resources: &[&str]) -> GivenCode {
    let request = resources.iter().fold(Request::of(app), |all, one| all.and("resource", one));
    world.sign_in(&world.person).await.code(&request).await
}

on_both_databases! {
    async fn a_token_is_for_whom_the_request_names(database: TestDatabase) {
        let (_server, world, app) = begin(database).await;
        for (asked, audience) in [
            (&[][..], json!([NOTES, MAPS])),
            (&[MAPS], json!(MAPS)),
            (&[MAPS, NOTES, MAPS], json!([MAPS, NOTES])),
            (&[OPEN], json!(OPEN)),
        ] {
            let code = code(&world, &app, asked).await;
            let tokens = exchange(&world, &app, &code, &[]).await.tokens();
            assert_eq!(tokens.claims()["aud"], audience);
            let newer = refresh(&world, &app, &tokens.refresh, &[]).await.tokens();
            assert_eq!(newer.claims()["aud"], audience, "the refresh keeps it");
        }
    }

    async fn each_token_may_be_for_fewer_and_the_session_keeps_them_all(database: TestDatabase) {
        let (server, world, app) = begin(database).await;
        let code = code(&world, &app, &[NOTES, MAPS]).await;
        let first = exchange(&world, &app, &code, &[NOTES]).await.tokens();
        assert_eq!(first.claims()["aud"], NOTES);
        let second = refresh(&world, &app, &first.refresh, &[MAPS]).await.tokens();
        assert_eq!(second.claims()["aud"], MAPS);
        // The same again is the same token; for somebody else it is another.
        let again = refresh(&world, &app, &first.refresh, &[MAPS]).await.tokens();
        assert_eq!(again.claims(), second.claims());
        assert_eq!(again.refresh, second.refresh);
        let other = refresh(&world, &app, &first.refresh, &[NOTES]).await.tokens();
        assert_ne!(other.claims()["jti"], second.claims()["jti"]);
        assert_eq!(other.refresh, second.refresh);
        let third = refresh(&world, &app, &second.refresh, &[]).await.tokens();
        assert_eq!(third.claims()["aud"], json!([NOTES, MAPS]));
        // What wasn't granted is refused, and nothing is lost by it.
        let before = server.database.dump();
        for wrong in [OPEN, "https://else.example", "nonsense", "https://maps.example#x"] {
            let told = refresh(&world, &app, &third.refresh, &[MAPS, wrong]).await;
            told.refused(400, "invalid_target");
        }
        assert_eq!(server.database.dump(), before);
        refresh(&world, &app, &third.refresh, &[]).await.tokens();
    }

    async fn a_code_is_good_for_what_was_granted_alone(database: TestDatabase) {
        let (server, world, app) = begin(database).await;
        let code = code(&world, &app, &[NOTES]).await;
        let before = server.database.dump();
        exchange(&world, &app, &code, &[MAPS]).await.refused(400, "invalid_target");
        exchange(&world, &app, &code, &["maps"]).await.refused(400, "invalid_target");
        assert_eq!(server.database.dump(), before);
        exchange(&world, &app, &code, &[NOTES]).await.tokens();
    }

    async fn without_an_audience_the_issuer_is_it(database: TestDatabase) {
        let (_server, world, _) = begin(database).await;
        let app = world.public.clone();
        let issuer = world.issuer.clone();
        let tokens = exchange(&world, &app, &code(&world, &app, &[]).await, &[&issuer]).await;
        let tokens = tokens.tokens();
        assert_eq!(tokens.claims()["aud"], issuer);
        refresh(&world, &app, &tokens.refresh, &[OPEN]).await.refused(400, "invalid_target");
        let newer = refresh(&world, &app, &tokens.refresh, &[&issuer]).await.tokens();
        assert_eq!(newer.claims()["aud"], issuer);
    }

    async fn an_app_may_ask_for_its_own_and_for_everybodys(database: TestDatabase) {
        let (server, world, app) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let before = server.sql("SELECT count(*) FROM authorization_codes");
        for wrong in ["https://else.example", "notes", "https://maps.example/#x", "/v1"] {
            let request = Request::of(&app).and("resource", MAPS).and("resource", wrong);
            let answer = browser.open(&request).await;
            assert_eq!(landing(&answer), app.redirect_uri, "{}", answer.body);
            assert_eq!(answer.location_parameter("error").as_deref(), Some("invalid_target"));
            assert_eq!(answer.location_parameter("state").as_deref(), Some("a state & more"));
        }
        assert_eq!(server.sql("SELECT count(*) FROM authorization_codes"), before);
    }

    async fn opaque_tokens_are_known_to_their_resource_alone(database: TestDatabase) {
        let (server, world, _) = begin(database).await;
        let app = oauth::register(&server, "opaque-reader", ClientMetadata {
            audience: vec![NOTES.into(), MAPS.into()],
            access_token_format: AccessTokenFormat::Opaque,
            ..public_client("Reader")
        })
        .await;
        let api = |audience: &str| ClientMetadata {
            audience: vec![audience.into()],
            may_introspect: true,
            ..confidential_client("API")
        };
        let notes = oauth::register(&server, "notes-api", api(NOTES)).await;
        let maps = oauth::register(&server, "maps-api", api(MAPS)).await;
        let code = code(&world, &app, &[NOTES, MAPS]).await;
        let tokens = exchange(&world, &app, &code, &[NOTES]).await.tokens();
        let told = world.device(&notes).introspect(&tokens.access).await;
        assert_eq!((&told["active"], &told["aud"]), (&json!(true), &json!(NOTES)));
        let told = world.device(&maps).introspect(&tokens.access).await;
        assert_eq!(told, json!({ "active": false }));
    }
}
