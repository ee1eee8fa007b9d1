//! The rotation of refresh tokens, row by row of its table, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::connection::SimpleConnection;
use diesel::{Connection as _, SqliteConnection};
use perennial::domain::account::fold;
use perennial::domain::client::ClientId;
use perennial::domain::token_family::{EndCause, Rotation};
use perennial::protocol::act::Act;
use perennial::protocol::{accounts, clients, sessions};
use perennial::storage::{Connection, Result, users};

use crate::on_both_databases;
use crate::support::database::{self, Kind, TestDatabase};
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, Device, Request, SCOPE, TokenEndpoint, Tokens, World, confidential_client, public_client,
};

const ELSEWHERE: &str = "Elsewhere/2.0";

/// A server with its people and clients.
async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

/// The same session's next answer: another refresh token, another access token.
fn assert_next(before: &Tokens, after: &Tokens) {
    assert_eq!(before.session(), after.session());
    assert_ne!(before.refresh, after.refresh);
    assert_ne!(before.claims()["jti"], after.claims()["jti"]);
}

/// The very same answer again.
fn assert_same(first: &Tokens, again: &Tokens) {
    assert_eq!(first.refresh, again.refresh);
    for claim in ["jti", "iat", "exp", "scope", "sub", "aud", "sid"] {
        assert_eq!(first.claims()[claim], again.claims()[claim], "{claim}");
    }
}

fn timeline(server: &LocalServer) -> String {
    server.sql("SELECT history FROM token_families")
}

fn audited(server: &LocalServer, action: &str) -> bool {
    server.sql(&format!("SELECT count(*) FROM audit_events WHERE action = '{action}'")) != "0"
}

fn is_live(server: &LocalServer) -> bool {
    server.sql("SELECT count(*) FROM token_families WHERE ended_at IS NULL") == "1"
}

fn alarmed(server: &LocalServer) -> bool {
    server.sql("SELECT count(*) FROM token_families WHERE alarm_at IS NOT NULL") == "1"
}

#[track_caller]
fn assert_reuse(server: &LocalServer, answer: Answer) {
    let description = answer.refused(400, "invalid_grant");
    assert!(description.starts_with(EndCause::Reuse.description()), "{description}");
    assert!(!is_live(server));
    assert!(alarmed(server));
    assert!(timeline(server).contains("\"reuse\""), "{}", timeline(server));
    assert!(audited(server, "session.token_reuse"));
}

/// What a token holds, and where: version, key id, family id, generation, time, MAC.
mod part {
    pub const KEY: usize = 4;
    pub const FAMILY: usize = 5;
    pub const GENERATION: usize = 28;
    pub const TIME: usize = 36;
    pub const MAC: usize = 68;
}

/// The token with one byte changed.
fn altered(token: &str, byte: usize) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix("prt_").unwrap()).unwrap();
    bytes[byte] ^= 1;
    format!("prt_{}", URL_SAFE_NO_PAD.encode(bytes))
}

on_both_databases! {
    async fn the_newest_token_is_exchanged_for_the_next(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let mut tokens = world.tokens(&world.public).await;
        for _ in 0..4 {
            server.travel_seconds(300);
            let next = device.refresh(&tokens.refresh).await.tokens();
            assert_next(&tokens, &next);
            assert_eq!(next.expires_in(), 600);
            assert_eq!(next.answer["scope"], SCOPE);
            tokens = next;
        }
        assert_eq!(server.sql("SELECT generation FROM token_families"), "5");
    }

    async fn a_retry_within_the_window_gets_the_same_answer_and_mints_nothing(
        database: TestDatabase
    ) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        server.travel_seconds(60);
        let next = device.refresh(&first.refresh).await.tokens();
        // The window begins anew with each time it is given out.
        for _ in 0..3 {
            server.travel_seconds(25);
            let again = device.refresh(&first.refresh).await.tokens();
            assert_same(&next, &again);
        }
        let again = device.refresh(&first.refresh).await.tokens();
        assert_eq!(next.expires_in() - again.expires_in(), 75);
        assert!(timeline(&server).contains("\"retry\""));
        // The answer can be used as if it had come at once.
        device.refresh(&again.refresh).await.tokens();
        assert!(is_live(&server) && !alarmed(&server));
    }

    async fn a_confidential_client_may_retry_from_anywhere(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let first = world.tokens(&world.confidential).await;
        let next = world.device(&world.confidential).refresh(&first.refresh).await.tokens();
        let worker = world.device_called(&world.confidential, ELSEWHERE);
        assert_same(&next, &worker.refresh(&first.refresh).await.tokens());
        assert!(is_live(&server) && !alarmed(&server));
    }

    async fn known_callers_may_retry_for_each_other(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let (here, there) = (world.device(&world.public), world.device_called(&world.public, ELSEWHERE));
        let mut tokens = world.tokens(&world.public).await;
        for device in [&there, &here, &there] {
            tokens = device.refresh(&tokens.refresh).await.tokens();
        }
        let next = here.refresh(&tokens.refresh).await.tokens();
        assert_same(&next, &there.refresh(&tokens.refresh).await.tokens());
        assert!(is_live(&server) && !alarmed(&server));
    }

    async fn after_the_window_the_answer_is_issued_anew(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        let lost = device.refresh(&first.refresh).await.tokens();
        server.travel_seconds(31);
        let reissued = device.refresh(&first.refresh).await.tokens();
        assert_next(&lost, &reissued);
        assert!(timeline(&server).contains("\"reissue\""), "{}", timeline(&server));
        assert!(!alarmed(&server), "it had gone to the same caller");
        let next = device.refresh(&reissued.refresh).await.tokens();
        assert_next(&reissued, &next);
        assert!(is_live(&server));
    }

    async fn the_generation_that_a_reissue_leaves_behind_is_dead(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        let lost = device.refresh(&first.refresh).await.tokens();
        server.travel_seconds(31);
        let reissued = device.refresh(&first.refresh).await.tokens();
        assert_reuse(&server, device.refresh(&lost.refresh).await);
        device.refresh(&reissued.refresh).await.refused(400, "invalid_grant");
    }

    async fn another_caller_within_the_window_gets_no_copy_and_theft_shows(
        database: TestDatabase
    ) {
        let (server, world) = begin(database).await;
        let (honest, thief) = (world.device(&world.public), world.device_called(&world.public, ELSEWHERE));
        let first = world.tokens(&world.public).await;
        // The thief is first: the honest client's turn raises the alarm.
        let stolen = thief.refresh(&first.refresh).await.tokens();
        let reissued = honest.refresh(&first.refresh).await.tokens();
        assert_next(&stolen, &reissued);
        assert!(alarmed(&server));
        assert!(timeline(&server).contains("\"reissue_alarm\""), "{}", timeline(&server));
        assert!(audited(&server, "session.reissued_after_stranger"));
        // The thief's next turn ends it.
        assert_reuse(&server, thief.refresh(&stolen.refresh).await);
    }

    async fn another_caller_after_the_honest_one_splits_from_it_too(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let (honest, thief) = (world.device(&world.public), world.device_called(&world.public, ELSEWHERE));
        let first = world.tokens(&world.public).await;
        let next = honest.refresh(&first.refresh).await.tokens();
        let stolen = thief.refresh(&first.refresh).await.tokens();
        assert_next(&next, &stolen);
        assert!(is_live(&server));
        assert_reuse(&server, honest.refresh(&next.refresh).await);
        let told = thief.refresh(&stolen.refresh).await.refused(400, "invalid_grant");
        assert!(told.contains("two holders"), "{told}");
    }

    async fn a_token_overtaken_by_its_own_retry_is_asked_to_come_again(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        let second = device.refresh(&first.refresh).await.tokens();
        let third = device.refresh(&second.refresh).await.tokens();
        let chain = "SELECT generation, parent, given_at, parent_given_at, row_version FROM token_families";
        let before = server.sql(chain);
        let late = device.refresh(&first.refresh).await;
        assert!(late.header("retry-after").parse::<u32>().unwrap() >= 1);
        late.refused(503, "temporarily_unavailable");
        assert_eq!(server.sql(chain), before);
        assert!(timeline(&server).contains("\"late\""));
        device.refresh(&third.refresh).await.tokens();
        assert!(is_live(&server) && !alarmed(&server));
    }

    async fn an_old_generation_is_reuse_and_ends_the_session(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        let second = device.refresh(&first.refresh).await.tokens();
        let third = device.refresh(&second.refresh).await.tokens();
        server.travel_seconds(31);
        assert_reuse(&server, device.refresh(&first.refresh).await);
        // The holder of the newest one learns why, and again.
        for _ in 0..2 {
            let told = device.refresh(&third.refresh).await.refused(400, "invalid_grant");
            assert!(told.starts_with(EndCause::Reuse.description()), "{told}");
            assert!(told.contains("reference"), "{told}");
        }
        assert_eq!(server.sql("SELECT count(*) FROM audit_events WHERE action = 'session.token_reuse'"), "1");
    }

    async fn a_token_newer_than_the_database_is_adopted(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        for lost_commits in [1, 2] {
            let newest = if lost_commits == 1 { first.clone() } else {
                device.refresh(&first.refresh).await.tokens()
            };
            save_row(&server);
            let mut ahead = newest.clone();
            for _ in 0..lost_commits {
                server.travel_seconds(40);
                ahead = device.refresh(&ahead.refresh).await.tokens();
            }
            restore_row(&server);
            let before: u64 = server.sql("SELECT generation FROM token_families").parse().unwrap();
            server.travel_seconds(40);
            let next = device.refresh(&ahead.refresh).await.tokens();
            assert_next(&ahead, &next);
            let after: u64 = server.sql("SELECT generation FROM token_families").parse().unwrap();
            assert_eq!(after, before + lost_commits + 1);
            assert!(timeline(&server).contains("\"ahead\""), "{}", timeline(&server));
            // The adopted one is the parent now, and may be retried.
            assert_same(&next, &device.refresh(&ahead.refresh).await.tokens());
            let newest = device.refresh(&next.refresh).await.tokens();
            assert!(is_live(&server) && !alarmed(&server));
            if lost_commits == 1 {
                // Back to where the second round begins.
                restore_row(&server);
                server.sql("DROP TABLE saved");
                assert_ne!(newest.refresh, next.refresh);
            }
        }
    }

    async fn a_token_too_far_ahead_of_the_database_is_reuse(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let mut tokens = world.tokens(&world.public).await;
        save_row(&server);
        for _ in 0..3 {
            server.travel_seconds(40);
            tokens = device.refresh(&tokens.refresh).await.tokens();
        }
        restore_row(&server);
        assert_reuse(&server, device.refresh(&tokens.refresh).await);
    }

    async fn a_token_ahead_of_a_row_that_was_written_since_is_reuse(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        save_row(&server);
        server.travel_seconds(40);
        let forgotten = device.refresh(&first.refresh).await.tokens();
        restore_row(&server);
        server.travel_seconds(40);
        let third = device.refresh(&device.refresh(&first.refresh).await.tokens().refresh).await;
        third.tokens();
        save_and_set_generation(&server, 1);
        assert_reuse(&server, device.refresh(&forgotten.refresh).await);
    }

    async fn what_is_not_authentic_changes_nothing(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        let other = world.tokens(&world.public).await;
        let second = device.refresh(&first.refresh).await.tokens();
        let third = device.refresh(&second.refresh).await.tokens();
        server.travel_seconds(40);
        let token = third.refresh.as_str();
        let bytes = |token: &str| URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
        let foreign = [&bytes(&other.refresh)[..part::GENERATION], &bytes(token)[part::GENERATION..]].concat();
        let mut wrong = vec![
            altered(token, part::FAMILY),
            altered(token, part::GENERATION),
            altered(token, part::TIME),
            altered(token, part::MAC),
            // An old generation that nobody can prove ends nothing.
            altered(&first.refresh, part::MAC),
            token[..token.len() - 1].to_owned(),
            token[..60].to_owned(),
            format!("{token}A"),
            format!("{token}="),
            token.replacen("prt_", "PRT_", 1),
            format!("prt_{}", "A".repeat(token.len() - 4)),
            format!("prt_{}", URL_SAFE_NO_PAD.encode(foreign)),
            third.access.clone(),
            "prt_".to_owned(),
            "nonsense".to_owned(),
        ];
        // The version is part of the form.
        wrong.push(altered(token, 0));
        let before = server.database.dump();
        for wrong in &wrong {
            let answer = device.refresh(wrong).await;
            if answer.status == 503 {
                panic!("a key that was never there: {wrong}");
            }
            let told = answer.refused(400, "invalid_grant");
            assert_eq!(told, "the refresh token is not valid", "all the same");
        }
        assert_eq!(server.database.dump(), before);
        device.refresh(token).await.tokens();
    }

    async fn an_unknown_key_is_asked_to_come_again(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let tokens = world.tokens(&world.public).await;
        let before = server.database.dump();
        // An id below the newest is of a secret that is gone, or never was.
        let older = device.refresh(&altered(&tokens.refresh, part::KEY)).await;
        older.refused(400, "invalid_grant");
        let answer = device.refresh(&altered(&tokens.refresh, part::KEY - 1)).await;
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
        answer.refused(503, "temporarily_unavailable");
        assert_eq!(server.database.dump(), before);
        device.refresh(&tokens.refresh).await.tokens();
    }

    async fn another_clients_token_is_refused_and_does_no_harm(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        let second = device.refresh(&first.refresh).await.tokens();
        let third = device.refresh(&second.refresh).await.tokens();
        server.travel_seconds(60);
        let families = "SELECT generation, row_version, given_at, written_at, history FROM token_families";
        let before = server.sql(families);
        for other in [&world.strict, &world.confidential] {
            // Even a generation that would be reuse from its own client.
            for token in [&first.refresh, &third.refresh] {
                let told = world.device(other).refresh(token).await.refused(400, "invalid_grant");
                assert_eq!(told, "the refresh token is not valid");
            }
        }
        assert_eq!(server.sql(families), before);
        assert!(audited(&server, "session.other_clients_token"));
        device.refresh(&third.refresh).await.tokens();
    }

    async fn every_cause_that_ends_a_session_is_told_to_its_app(database: TestDatabase) {
        let (server, world) = begin(database).await;
        for (cause, _) in EndCause::ALL {
            let person = oauth::add_person(&server, &format!("zoe-{}", cause.name()), false).await;
            let app = oauth::register(&server, &format!("app-{}", cause.name()), public_client("App")).await;
            let device = world.device(&app);
            let browser = world.sign_in(&person).await;
            let code = browser.code(&Request::of(&app)).await;
            let tokens = device.exchange(&code).await.tokens();
            let session = tokens.session();
            let act = Act::operator(server.now());
            let name = person.username.clone();
            match cause {
                EndCause::SignedOut => {
                    let page = browser.http.get("/logout").await.expect(200);
                    let forms = page.forms("form[action$='/logout']");
                    browser.http.submit(&forms[0], &[]).await.expect(303);
                }
                EndCause::Person | EndCause::Admin => {
                    write(&server, move |connection| {
                        sessions::end_family(connection, session.parse().unwrap(), cause, Some("a reason"), &act)
                    }).await;
                }
                EndCause::Client => { device.revoke(&tokens.refresh).await.expect(200); }
                EndCause::Reuse => {
                    let second = device.refresh(&tokens.refresh).await.tokens();
                    device.refresh(&second.refresh).await.tokens();
                    server.travel_seconds(40);
                    device.refresh(&tokens.refresh).await.refused(400, "invalid_grant");
                }
                EndCause::CodeReuse => {
                    server.travel_seconds(6);
                    device.exchange(&code).await.refused(400, "invalid_grant");
                }
                EndCause::PasswordChanged => {
                    write(&server, move |connection| {
                        let user = user_id(connection, &name)?;
                        accounts::change_password(connection, user, "$argon2id$x", None, &act)
                    }).await;
                }
                EndCause::UserDisabled => {
                    write(&server, move |connection| {
                        let user = user_id(connection, &name)?;
                        accounts::disable(connection, user, &act)
                    }).await;
                }
                EndCause::UserRemoved => {
                    write(&server, move |connection| {
                        let user = user_id(connection, &name)?;
                        accounts::remove(connection, user, &act)
                    }).await;
                }
                EndCause::ClientRemoved => {
                    let id = ClientId::parse(&app.id).unwrap();
                    write(&server, move |connection| clients::remove(connection, &id, &act)).await;
                    device.refresh(&tokens.refresh).await.refused(401, "invalid_client");
                    // Another client under the same name doesn't inherit the session.
                    oauth::register(&server, &app.id, public_client("App")).await;
                }
                EndCause::ConsentWithdrawn => {
                    let id = ClientId::parse(&app.id).unwrap();
                    write(&server, move |connection| {
                        let user = user_id(connection, &name)?;
                        sessions::remove_app(connection, user, &id, &act)
                    }).await;
                }
            }
            let told = device.refresh(&tokens.refresh).await.refused(400, "invalid_grant");
            assert!(told.starts_with(cause.description()), "{}: {told}", cause.name());
            assert!(told.contains("(reference "), "{told}");
            let count = server.sql(&format!(
                "SELECT count(*) FROM token_families WHERE end_cause = '{}'", cause.name()
            ));
            assert_eq!(count, "1", "{}", cause.name());
        }
    }

    async fn an_unused_session_ends_and_says_so(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let tokens = world.tokens(&world.public).await;
        let idle = tokens.answer["refresh_token_timeout"].as_i64().unwrap();
        assert_eq!(idle, 30 * 24 * 3600);
        server.travel_seconds(29 * 24 * 3600);
        let tokens = device.refresh(&tokens.refresh).await.tokens();
        assert_eq!(tokens.answer["refresh_token_timeout"].as_i64().unwrap(), idle);
        server.travel_seconds(29 * 24 * 3600);
        let tokens = device.refresh(&tokens.refresh).await.tokens();
        server.travel_seconds(30 * 24 * 3600);
        let before = server.database.dump();
        let told = device.refresh(&tokens.refresh).await.refused(400, "invalid_grant");
        assert!(told.starts_with("the session expired because it was not used"), "{told}");
        assert_eq!(server.database.dump(), before);
    }

    async fn rotation_never_moves_the_absolute_end(database: TestDatabase) {
        let settings = [("tokens.refresh_absolute_seconds", "3600")];
        let server = LocalServer::start_with(database, &settings).await;
        let world = World::on(&server).await;
        let device = world.device(&world.public);
        let mut tokens = world.tokens(&world.public).await;
        let end = |tokens: &Tokens| tokens.answer["authorization_expires_in"].as_i64().unwrap();
        assert_eq!(end(&tokens), 3600);
        for quarter in 1..=3 {
            server.travel_seconds(900);
            tokens = device.refresh(&tokens.refresh).await.tokens();
            assert_eq!(end(&tokens), 3600 - quarter * 900);
            let timeout = tokens.answer["refresh_token_timeout"].as_i64().unwrap();
            assert_eq!(timeout, end(&tokens), "the end comes before idleness does");
        }
        server.travel_seconds(600);
        tokens = device.refresh(&tokens.refresh).await.tokens();
        assert_eq!(tokens.expires_in(), 300, "no access token outlives the session");
        server.travel_seconds(300);
        let told = device.refresh(&tokens.refresh).await.refused(400, "invalid_grant");
        assert!(told.starts_with("the session reached its end"), "{told}");
    }

    async fn strict_rotation_takes_any_second_use_for_reuse(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.strict);
        let first = world.tokens(&world.strict).await;
        let second = device.refresh(&first.refresh).await.tokens();
        assert_reuse(&server, device.refresh(&first.refresh).await);
        device.refresh(&second.refresh).await.refused(400, "invalid_grant");
    }

    async fn sender_constrained_rotation_serves_a_client_that_proves_itself(
        database: TestDatabase
    ) {
        let (server, world) = begin(database).await;
        let mut metadata = confidential_client("Bound");
        metadata.rotation = Rotation::SenderConstrained;
        let app = oauth::register(&server, "bound", metadata).await;
        let first = world.tokens(&app).await;
        let device = world.device(&app);
        let second = device.refresh(&first.refresh).await.tokens();
        assert_same(&second, &device.refresh(&first.refresh).await.tokens());
        server.travel_seconds(31);
        assert_next(&second, &device.refresh(&first.refresh).await.tokens());
        assert!(is_live(&server));
    }

    async fn a_client_may_have_a_window_of_its_own(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut metadata = public_client("Quick");
        metadata.retry_window = Some(Duration::from_secs(5));
        let app = oauth::register(&server, "quick", metadata).await;
        let device = world.device(&app);
        let first = world.tokens(&app).await;
        let second = device.refresh(&first.refresh).await.tokens();
        server.travel_seconds(4);
        assert_same(&second, &device.refresh(&first.refresh).await.tokens());
        server.travel_seconds(6);
        assert_next(&second, &device.refresh(&first.refresh).await.tokens());
    }

    async fn a_narrower_scope_is_for_one_access_token_alone(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = world.tokens(&world.public).await;
        let narrow = device.refresh_for(&first.refresh, "notes.read openid").await.tokens();
        assert_eq!(narrow.claims()["scope"], "notes.read openid");
        assert_eq!(narrow.answer["scope"], "notes.read openid");
        let whole = device.refresh(&narrow.refresh).await.tokens();
        assert_eq!(whole.claims()["scope"], SCOPE);
        // Two tabs that want different things share the refresh token, not the access token.
        let other = device.refresh_for(&narrow.refresh, "notes.write").await.tokens();
        assert_eq!(other.refresh, whole.refresh);
        assert_eq!(other.claims()["scope"], "notes.write");
        assert_ne!(other.claims()["jti"], whole.claims()["jti"]);
    }

    async fn a_scope_beyond_what_was_granted_changes_nothing(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let tokens = world.tokens_for(&world.public, "openid offline_access notes.read").await;
        let before = server.database.dump();
        for scope in ["notes.write", "openid notes.read notes.write", "admin", "a\"b"] {
            device.refresh_for(&tokens.refresh, scope).await.refused(400, "invalid_scope");
        }
        assert_eq!(server.database.dump(), before);
        let next = device.refresh(&tokens.refresh).await.tokens();
        assert_eq!(next.answer["scope"], "openid offline_access notes.read");
    }

    async fn storage_does_not_grow_with_refreshes(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let mut tokens = world.tokens(&world.public).await;
        let room = |server: &LocalServer| {
            let size = match server.database.kind {
                Kind::Postgres => "SELECT pg_column_size(t.*) FROM token_families AS t",
                Kind::Sqlite => "SELECT length(history) + length(known_callers) + length(caller_ip) \
                    + length(caller_agent) + length(given_to) + length(scope) FROM token_families",
            };
            (server.database.row_count(), server.sql(size))
        };
        let mut early = None;
        for n in 1..=300 {
            tokens = device.refresh(&tokens.refresh).await.tokens();
            if n == 5 {
                early = Some(room(&server));
            }
        }
        assert_eq!(Some(room(&server)), early);
        assert_eq!(server.sql("SELECT generation FROM token_families"), "301");
        drop(world);
        updated_in_place(server).await;
    }

    async fn many_callers_take_bounded_room(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut tokens = world.tokens(&world.public).await;
        let mut early = 0;
        for n in 0..60 {
            let device = world.device_called(&world.public, &format!("Agent/{n:03} ({})", "x".repeat(180)));
            tokens = device.refresh(&tokens.refresh).await.tokens();
            let size = "SELECT length(history) + length(known_callers) FROM token_families";
            let size: usize = server.sql(size).parse().unwrap();
            if n == 40 {
                early = size;
            }
            assert!(size < 8_192, "{size} bytes after {n}");
            assert!(n <= 40 || size <= early + 64, "{size} bytes after {n}, {early} after 40");
        }
        assert!(is_live(&server));
    }

    async fn two_hundred_uses_at_once_give_one_successor(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let first = world.tokens(&world.public).await;
        let device = Arc::new(world.device(&world.public));
        let answers = at_once(std::slice::from_ref(&device), &first.refresh, 200).await;
        assert_eq!(answers.len(), 200);
        assert_all_same(&answers);
        assert_eq!(server.sql("SELECT generation, parent FROM token_families"), "2|1");
        device.refresh(&answers[0].refresh).await.tokens();
        assert!(is_live(&server) && !alarmed(&server));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_one_database_give_one_successor() {
    let Some(database) = database::fresh(Kind::Postgres) else { return };
    let (server, world) = begin(database).await;
    let other = server.another_node().await;
    let first = world.tokens(&world.public).await;
    let here = Arc::new(world.device(&world.public));
    let there = Arc::new(here.at(&other.origin, "Meadow/1.0 (test)"));
    let mut tokens = first;
    for round in 2..=4 {
        let answers = at_once(&[here.clone(), there.clone()], &tokens.refresh, 60).await;
        assert_all_same(&answers);
        assert_eq!(server.sql("SELECT generation FROM token_families"), round.to_string());
        tokens = answers.into_iter().next().unwrap();
    }
    assert!(is_live(&server) && !alarmed(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_database_is_asked_again_and_then_the_client() {
    let database = database::fresh(Kind::Sqlite).unwrap();
    let server = LocalServer::start_with(database, &[("database.busy_seconds", "1")]).await;
    let world = World::on(&server).await;
    let device = world.device(&world.public);
    let tokens = world.tokens(&world.public).await;
    let before = server.database.dump();
    let mut other =
        SqliteConnection::establish(server.database.url.trim_start_matches("sqlite://")).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let answer = device.refresh(&tokens.refresh).await;
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    answer.refused(503, "temporarily_unavailable");
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(server.database.dump(), before);
    device.refresh(&tokens.refresh).await.tokens();
}

async fn at_once(devices: &[Arc<Device>], token: &str, times: usize) -> Vec<Tokens> {
    let mut running = Vec::new();
    for n in 0..times {
        let (device, token) = (Arc::clone(&devices[n % devices.len()]), token.to_owned());
        running.push(tokio::spawn(async move { device.refresh(&token).await.tokens() }));
    }
    let mut answers = Vec::new();
    for one in running {
        answers.push(one.await.unwrap());
    }
    answers
}

#[track_caller]
fn assert_all_same(answers: &[Tokens]) {
    for answer in answers {
        assert_same(&answers[0], answer);
    }
}

/// Keeps the row as it is now.
fn save_row(server: &LocalServer) {
    server.sql("CREATE TABLE saved AS SELECT * FROM token_families");
}

/// Loses every commit since, as a failover to a lagging replica does.
fn restore_row(server: &LocalServer) {
    server.sql("DELETE FROM token_families");
    server.sql("INSERT INTO token_families SELECT * FROM saved");
}

/// A row that was written just now, at an older generation.
fn save_and_set_generation(server: &LocalServer, generation: u64) {
    server.sql(&format!("UPDATE token_families SET generation = {generation}, parent = NULL"));
}

async fn write<T: Send + 'static>(
    server: &LocalServer,
    work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
) -> T {
    server.db.write(work).await.unwrap()
}

fn user_id(connection: &mut Connection, name: &str) -> Result<perennial::domain::id::UserId> {
    Ok(users::find_by_name(connection, &fold(name))?.unwrap().account.id)
}

/// On Postgres: that refreshes were HOT updates. Its counters are complete once the server's
/// connections are closed.
async fn updated_in_place(server: LocalServer) {
    let database = Arc::clone(&server.database);
    drop(server);
    if database.kind != Kind::Postgres {
        return;
    }
    let others = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let begun = std::time::Instant::now();
    while database.sql(others) != "0" {
        assert!(begun.elapsed() < Duration::from_secs(30), "connections are still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let counts = database.sql(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'token_families'",
    );
    let (all, hot) = counts.split_once('|').unwrap();
    let (all, hot): (u64, u64) = (all.parse().unwrap(), hot.parse().unwrap());
    assert!(all >= 300 && hot * 10 >= all * 9, "{hot} of {all} updates were in place");
}
