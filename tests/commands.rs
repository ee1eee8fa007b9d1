//! Every command, by the real binary, on both databases.

use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::{self, Kind, TestDatabase};
use crate::support::http::Http;
use crate::support::logs::Secrets;
use crate::support::process::{Installation, Output, Server};
use crate::support::tools;

const PASSWORD: &str = "winter garden gate";

/// The example pair of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// An installation, and what its commands may never write to standard error.
struct Bench {
    installation: Installation,
    secrets: Secrets,
}

impl Bench {
    fn on(database: &TestDatabase) -> Bench {
        let secrets = Secrets::default();
        secrets.remember("password", PASSWORD);
        Bench { installation: Installation::on(database), secrets }
    }

    fn run(&self, line: &[&str], input: &str) -> Output {
        let output = self.installation.run_with_input(line, input);
        let leaks = self.secrets.found_in(&output.stderr);
        assert!(leaks.is_empty(), "{line:?}: {leaks:#?}");
        output
    }

    /// Runs a command that must succeed, and reads its JSON.
    #[track_caller]
    fn json(&self, line: &[&str]) -> Value {
        let answer = self.run(&[line, &["--json"]].concat(), PASSWORD).ok().json();
        self.secrets.remember_answer(&answer);
        answer
    }

    /// Runs a command that must fail, and returns what it complained of.
    #[track_caller]
    fn refused(&self, line: &[&str], code: i32) -> String {
        let output = self.run(line, PASSWORD);
        assert_eq!(output.code(), Some(code), "{line:?}: {output:?}");
        assert_eq!(output.stdout, "", "{line:?}");
        assert!(output.stderr.starts_with("error: "), "{line:?}: {output:?}");
        output.stderr
    }

    #[track_caller]
    fn add_ada(&self) -> Value {
        self.json(&["user", "add", "ada", "--email", "ada@northfield.example", "--password-stdin"])
    }

    /// Signs ada in at a running server as the app would, and returns the app's tokens.
    async fn sign_in(&self, origin: &str, app: (&str, &str)) -> Value {
        let http = Http::new(origin);
        let callback = "https://app.example/callback";
        let question = format!(
            "/oauth/authorize?response_type=code&client_id=app&redirect_uri={callback}&state=x\
             &scope=openid+offline_access&code_challenge={CHALLENGE}&code_challenge_method=S256"
        );
        let login = http.follow(http.get(&question).await).await;
        let fields = [("username", "ada"), ("password", PASSWORD)];
        let form = login.form("form:has([name=password])");
        let mut answer = http.follow(http.submit(&form, &fields).await).await;
        if answer.status == 200 {
            let form = answer.form("form:has([name=decision])");
            answer = http.follow(http.submit(&form, &[("decision", "allow")]).await).await;
        }
        let code = answer.location_parameter("code").unwrap_or_else(|| panic!("{answer:?}"));
        self.secrets.remember("code", &code);
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", callback),
            ("code_verifier", VERIFIER),
        ];
        let tokens = http.post_form_as("/oauth/token", app, &fields).await.expect(200).json();
        self.secrets.remember_answer(&tokens);
        tokens
    }

    #[track_caller]
    fn add_app(&self) -> Value {
        self.json(&[
            "client",
            "add",
            "--id",
            "app",
            "--name",
            "App",
            "--type",
            "confidential",
            "--redirect-uri",
            "https://app.example/callback",
        ])
    }
}

on_both_databases! {
    async fn accounts_are_added_listed_disabled_and_removed(database: TestDatabase) {
        let bench = Bench::on(&database);
        assert_eq!(bench.json(&["user", "list"]), json!([]));
        let ada = bench.add_ada();
        assert_eq!(ada["username"], "ada");
        assert_eq!(ada["display_name"], "ada");
        assert_eq!(ada["email"], "ada@northfield.example");
        assert_eq!((&ada["admin"], &ada["state"]), (&json!(false), &json!("active")));

        let id = ada["id"].as_str().unwrap();
        for name in ["ada", "ADA", "Ada@Northfield.example", id] {
            assert_eq!(bench.json(&["user", "show", name]), ada, "{name}");
        }
        assert_eq!(bench.json(&["user", "list"]), json!([ada]));

        let disabled = bench.json(&["user", "disable", "ada"]);
        assert_eq!(disabled["state"], "disabled");
        assert!(disabled["disabled_at"].is_string());
        assert_eq!(bench.json(&["user", "disable", "ada"]), disabled);
        assert_eq!(bench.json(&["user", "enable", id])["state"], "active");

        let changed = bench.run(
            &["user", "password", "ada", "--password-stdin", "--json"],
            "seven slow herons\n",
        );
        assert_eq!(changed.ok().json()["sessions_ended"], 0);

        assert_eq!(bench.json(&["user", "remove", "ada"])["removed"], true);
        assert_eq!(bench.json(&["user", "list"]), json!([]));
        assert!(bench.refused(&["user", "show", "ada"], 1).contains("no account"));
        let actions = database.sql("SELECT actor_kind, action FROM audit_events ORDER BY at, id");
        assert_eq!(
            actions,
            "operator|user.added\noperator|user.disabled\noperator|user.enabled\n\
             operator|user.password_changed\noperator|user.removed"
        );
    }

    async fn a_new_account_is_judged_before_it_is_made(database: TestDatabase) {
        let bench = Bench::on(&database);
        bench.add_ada();
        for line in [
            ["user", "add", "Ada", "--email", "other@northfield.example", "--password-stdin"],
            ["user", "add", "other", "--email", "ADA@northfield.example", "--password-stdin"],
        ] {
            assert!(bench.refused(&line, 1).contains("already"));
        }
        let line = ["user", "add", "a b", "--email", "nowhere", "--password-stdin"];
        let faults = bench.run(&line, "short");
        assert_eq!(faults.code(), Some(2), "{faults:?}");
        for part in ["NAME: ", "--email: ", "the password: "] {
            assert!(faults.stderr.contains(part), "{faults:?}");
        }
        // Nobody is at a terminal here.
        let line = ["user", "add", "bea", "--email", "bea@northfield.example"];
        assert!(bench.refused(&line, 2).contains("--password-stdin"));
        let weak = bench.run(&["user", "password", "ada", "--password-stdin"], "ada");
        assert_eq!(weak.code(), Some(2), "{weak:?}");
        assert_eq!(database.sql("SELECT count(*) FROM users"), "1");
    }

    async fn clients_are_registered_changed_and_removed(database: TestDatabase) {
        let bench = Bench::on(&database);
        let added = bench.add_app();
        let secret = added["client_secret"].as_str().unwrap();
        assert!(secret.starts_with("pcs_"));
        let mut expected = json!({
            "client_id": "app",
            "client_id_issued_at": added["client_id_issued_at"],
            "client_name": "App",
            "client_type": "confidential",
            "redirect_uris": ["https://app.example/callback"],
            "post_logout_redirect_uris": [],
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": "openid profile email offline_access",
            "token_endpoint_auth_method": "client_secret_basic",
            "access_token_format": "jwt",
            "rotation": "resumable",
            "retry_window_seconds": null,
            "refresh_tokens": "offline_access",
            "audience": [],
            "introspect": false,
            "require_pkce": true,
            "skip_consent": false,
            "subject_type": "public",
            "origin": "administrator",
        });
        // The secret is shown at its making alone.
        assert_eq!(bench.json(&["client", "show", "app"]), expected);
        assert_eq!(bench.json(&["client", "list"]), json!([expected]));
        expected["client_secret"] = secret.into();
        assert_eq!(added, expected);
        let human = bench.run(&["client", "show", "app"], "").ok().stdout;
        assert!(human.contains("app") && !human.contains("pcs_"), "{human}");

        let updated = bench.json(&[
            "client", "update", "app", "--access-token", "opaque", "--retry-window", "7",
            "--audience", "https://api.example", "--introspect",
        ]);
        let object = expected.as_object_mut().unwrap();
        object.remove("client_secret");
        object.insert("access_token_format".into(), "opaque".into());
        object.insert("retry_window_seconds".into(), 7.into());
        object.insert("audience".into(), json!(["https://api.example"]));
        object.insert("introspect".into(), true.into());
        assert_eq!(updated, expected);

        let stored = || database.sql("SELECT count(*) FROM clients WHERE secret_hash IS NOT NULL");
        let rotated = bench.json(&["client", "rotate-secret", "app"]);
        assert_ne!(rotated["client_secret"], secret);
        assert_eq!(stored(), "1");
        // A public client has no secret; one that becomes confidential gets a new one.
        let public = bench.json(&["client", "update", "app", "--type", "public", "--no-introspect"]);
        assert_eq!(public["token_endpoint_auth_method"], "none");
        assert_eq!((stored(), public.get("client_secret")), ("0".into(), None));
        assert!(bench.refused(&["client", "rotate-secret", "app"], 1).contains("has no secret"));
        let back = bench.json(&["client", "update", "app", "--type", "confidential"]);
        assert!(back["client_secret"].is_string());

        assert_eq!(bench.json(&["client", "remove", "app"])["removed"], true);
        assert!(bench.refused(&["client", "remove", "app"], 1).contains("no client"));
        assert_eq!(bench.json(&["client", "list"]), json!([]));
    }

    async fn a_client_that_can_not_be_is_refused(database: TestDatabase) {
        let bench = Bench::on(&database);
        bench.add_app();
        let add = ["client", "add", "--name", "N", "--type"];
        let uri = "https://app.example/cb";
        for (rest, part) in [
            (&["public"][..], "--redirect-uri: "),
            (&["public", "--redirect-uri", "http://app.example/cb"], "https"),
            (&["public", "--redirect-uri", uri, "--no-pkce"], "--no-pkce: "),
            (&["public", "--redirect-uri", uri, "--introspect"], "--introspect: "),
            (&["public", "--redirect-uri", uri, "--auth-method", "client_secret_post"], "--auth-method: "),
            (&["confidential", "--redirect-uri", uri, "--auth-method", "none"], "--auth-method: "),
            (&["confidential", "--redirect-uri", uri, "--retry-window", "99999"], "--retry-window: "),
            (&["confidential", "--redirect-uri", uri, "--id", "a b"], "--id"),
        ] {
            let said = bench.refused(&[&add[..], rest].concat(), 2);
            assert!(said.contains(part), "{rest:?}: {said}");
        }
        let again = [&add[..], &["public", "--redirect-uri", uri, "--id", "app"]].concat();
        assert!(bench.refused(&again, 1).contains("already"));
        assert_eq!(database.sql("SELECT count(*) FROM clients"), "1");
        let made_up = bench.json(&[&add[..], &["public", "--redirect-uri", uri]].concat());
        assert!(made_up["client_id"].as_str().unwrap().starts_with("client-"));
        assert_eq!(made_up.get("client_secret"), None);
    }

    async fn scopes_are_described(database: TestDatabase) {
        let bench = Bench::on(&database);
        let read = bench.json(&["scope", "add", "notes.read", "--description", "Read your notes"]);
        let expected =
            json!({ "name": "notes.read", "description": "Read your notes", "risk": "read" });
        assert_eq!(read, expected);
        let line = ["scope", "add", "notes.read", "--description", "Again"];
        assert!(bench.refused(&line, 1).contains("already"));
        let changed = bench.json(&["scope", "update", "notes.read", "--risk", "write"]);
        assert_eq!(changed["risk"], "write");
        assert_eq!(changed["description"], "Read your notes");
        assert_eq!(bench.json(&["scope", "list"]), json!([changed]));
        bench.refused(&["scope", "update", "notes.read"], 2);
        bench.refused(&["scope", "update", "other", "--risk", "read"], 1);
        assert_eq!(bench.json(&["scope", "remove", "notes.read"])["removed"], true);
        bench.refused(&["scope", "remove", "notes.read"], 1);
    }

    async fn sessions_are_listed_and_revoked(database: TestDatabase) {
        let bench = Bench::on(&database);
        bench.add_ada();
        bench.add_app();
        assert_eq!(bench.json(&["session", "list", "--user", "ada", "--client", "app"]), json!([]));
        assert_eq!(
            bench.json(&["session", "revoke", "--user", "ada", "--reason", "stolen laptop"]),
            json!({ "ended": 0 })
        );
        let before = ["session", "revoke", "--client", "app", "--before", "2026-11-23T14:00:00Z"];
        assert_eq!(bench.json(&before), json!({ "ended": 0 }));
        bench.refused(&["session", "revoke"], 2);
        bench.refused(&["session", "revoke", "--user", "nobody"], 1);
        bench.refused(&["session", "list", "--client", "nothing"], 1);
        bench.refused(&["session", "revoke", "0190a5b2-7d4e-7c3a-9f00-000000000001"], 1);
    }

    async fn migrations_are_listed_and_applied(database: TestDatabase) {
        let bench = Bench::on(&database);
        let waiting = bench.json(&["migrate", "--status"]);
        let all = waiting.as_array().unwrap().len();
        assert!(all > 0 && waiting.as_array().unwrap().iter().all(|it| it["applied"] == false));

        // Commands apply them where `serve` would, and only there.
        let manual = Bench {
            installation: Installation::on(&database).with("PERENNIAL_AUTO_MIGRATE", "false"),
            secrets: Secrets::default(),
        };
        assert!(manual.refused(&["user", "list"], 1).contains("perennial migrate"));

        let applied = bench.json(&["migrate"]);
        assert_eq!(applied["applied"].as_array().unwrap().len(), all);
        assert_eq!(bench.json(&["migrate"]), json!({ "applied": [] }));
        let status = bench.json(&["migrate", "--status"]);
        assert!(status.as_array().unwrap().iter().all(|it| it["applied"] == true), "{status}");
        assert_eq!(manual.json(&["user", "list"]), json!([]));
    }

    async fn keys_are_listed_without_their_secrets(database: TestDatabase) {
        let bench = Bench::on(&database);
        assert_eq!(bench.json(&["key", "list"]), json!([]));
        let mut server = bench.installation.serve().await;
        // The key of ID tokens is made beside the first requests; the key set waits for it.
        Http::new(&server.origin()).get("/oauth/jwks.json").await.expect(200);
        server.terminate();
        let keys = bench.json(&["key", "list"]);
        let uses: Vec<&str> =
            keys.as_array().unwrap().iter().map(|key| key["use"].as_str().unwrap()).collect();
        assert_eq!(uses, ["signing", "signing", "token_secret"]);
        for key in keys.as_array().unwrap() {
            assert_eq!(key["state"], "current");
            assert_eq!(key["current_since"], key["created_at"]);
            let mut members: Vec<&String> = key.as_object().unwrap().keys().collect();
            members.sort();
            let all = [
                "alg", "created_at", "current_since", "due_at", "kid", "published_until",
                "retired_at", "state", "use",
            ];
            assert_eq!(members, all);
        }
    }

    async fn prune_counts_what_it_removed(database: TestDatabase) {
        let bench = Bench::on(&database);
        bench.add_ada();
        let none = json!({
            "sessions": 0,
            "authorization_codes": 0,
            "browser_sessions": 0,
            "revoked_access_tokens": 0,
            "client_assertions": 0,
            "pushed_requests": 0,
            "sign_in_failures": 0,
            "unused_clients": 0,
            "audit_events": 0,
        });
        assert_eq!(bench.json(&["prune"]), none);
        database.sql("UPDATE audit_events SET at = 0");
        assert_eq!(bench.json(&["prune"])["audit_events"], 1);
        assert_eq!(bench.json(&["prune"]), none);
    }

    async fn what_a_command_writes_reaches_a_running_server(database: TestDatabase) {
        let bench = Bench::on(&database);
        assert!(bench.refused(&["healthcheck"], 1).contains("nothing listens"));
        let mut server = bench.installation.serve().await;
        server.secrets = bench.secrets.clone();
        let ready = bench.run(&["healthcheck"], "").ok();
        assert!(ready.stdout.starts_with("ready: "), "{ready:?}");

        // Nothing of this was there when the server started.
        let ada = bench.add_ada();
        let secret = bench.add_app()["client_secret"].as_str().unwrap().to_owned();
        let tokens = bench.sign_in(&server.origin(), ("app", &secret)).await;
        let listed = bench.json(&["session", "list", "--user", "ada", "--client", "app"]);
        let session = &listed[0];
        assert_eq!(listed.as_array().unwrap().len(), 1);
        assert_eq!((&session["user"], &session["client_id"]), (&json!("ada"), &json!("app")));
        assert_eq!((&session["user_id"], &session["state"]), (&ada["id"], &json!("active")));
        assert_eq!((&session["generation"], &session["last_refreshed_at"]), (&json!(1), &json!(null)));

        let http = Http::new(&server.origin());
        let refresh = async |token: &Value, secret: &str| {
            let fields =
                [("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap())];
            let answer = http.post_form_as("/oauth/token", ("app", secret), &fields).await;
            bench.secrets.remember_answer(&answer.json());
            (answer.status.as_u16(), answer.json())
        };
        let rotated = bench.json(&["client", "rotate-secret", "app"]);
        let new_secret = rotated["client_secret"].as_str().unwrap();
        assert_eq!(refresh(&tokens["refresh_token"], &secret).await.0, 401);
        let (status, next) = refresh(&tokens["refresh_token"], new_secret).await;
        assert_eq!(status, 200, "{next}");
        let session = &bench.json(&["session", "list"])[0];
        assert_eq!(session["generation"], 2);
        assert!(session["last_refreshed_at"].is_string());

        let id = session["id"].as_str().unwrap();
        let revoke = ["session", "revoke", id, "--reason", "stolen laptop"];
        assert_eq!(bench.json(&revoke), json!({ "ended": 1 }));
        assert_eq!(bench.json(&revoke), json!({ "ended": 0 }));
        let (status, refusal) = refresh(&next["refresh_token"], new_secret).await;
        assert_eq!((status, &refusal["error"]), (400, &json!("invalid_grant")));
        let session = &bench.json(&["session", "list", "--state", "ended"])[0];
        assert_eq!((&session["id"], &session["end_cause"]), (&json!(id), &json!("admin")));
        assert_eq!(session["end_reason"], "stolen laptop");

        for line in [
            &["session", "revoke", "--user", "ada"][..],
            &["session", "revoke", "--client", "app", "--before", "2100-01-01T00:00:00Z"],
        ] {
            bench.sign_in(&server.origin(), ("app", new_secret)).await;
            assert_eq!(bench.json(line), json!({ "ended": 1 }), "{line:?}");
            assert_eq!(bench.json(line), json!({ "ended": 0 }), "{line:?}");
        }

        assert!(server.terminate().success());
        let output = server.output();
        assert!(output.contains(&format!("answers at {}", server.origin())), "{output}");
        assert!(output.contains("/setup?link="), "{output}");
    }
}

/// The database's folder goes with it, so it is handed out too.
fn sqlite() -> (TestDatabase, Bench) {
    let database = database::fresh(Kind::Sqlite).expect("SQLite is always there");
    let bench = Bench::on(&database);
    (database, bench)
}

#[test]
fn a_wrong_setting_names_the_key_the_place_and_what_is_right() {
    let (_database, bench) = sqlite();
    let unknown = bench.refused(&["user", "list", "--set", "tokens.acess_token_seconds=300"], 2);
    assert!(unknown.contains("tokens.access_token_seconds"), "{unknown}");
    let value = bench.refused(&["prune", "--listen", "everywhere"], 2);
    assert!(value.contains("listen = \"everywhere\" (flag --listen)"), "{value}");
    let database = bench.refused(&["user", "list", "--database-url", "mysql://a:secret@h/d"], 2);
    assert!(database.contains("database_url") && !database.contains("secret@"), "{database}");
    let file = bench.refused(&["user", "list", "--config", "nowhere.toml"], 2);
    assert!(file.contains("nowhere.toml"), "{file}");
}

#[test]
fn help_is_an_answer_and_bad_usage_is_none() {
    let (_database, bench) = sqlite();
    let help = bench.run(&["serve", "--help"], "").ok();
    assert!(help.stdout.contains("tokens.access_token_seconds = 600"), "{help:?}");
    for line in [&["frobnicate"][..], &["user"], &["user", "add"], &["client", "show", "a b"]] {
        let output = bench.run(line, "");
        assert_eq!((output.code(), output.stdout.as_str()), (Some(2), ""), "{line:?}");
    }
}

#[test]
fn a_taken_port_says_how_to_choose_another() {
    let (_database, bench) = sqlite();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let free = tools::free_port().to_string();
    let said = bench.refused(&["demo", "--port", &port, "--app-port", &free], 1);
    assert!(said.contains(&port) && said.contains("choose another with --port"), "{said}");
    let said = bench.refused(&["demo", "--port", "0", "--app-port", &port], 1);
    assert!(said.contains(&port) && said.contains("choose another with --app-port"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_runs_until_it_is_interrupted_and_leaves_nothing() {
    let (database, bench) = sqlite();
    let folder = database.folder().join("tmp");
    std::fs::create_dir(&folder).unwrap();
    let installation = bench.installation.clone().with("TMPDIR", folder.to_str().unwrap());
    // Port 0: any that is free. What the environment sets is none of the demo's business.
    let mut demo = Server::start(installation, &["demo", "--port", "0", "--app-port", "0"]);
    let start = std::time::Instant::now();
    while !demo.log.text().contains("Ctrl-C ends the demo") {
        assert!(start.elapsed().as_secs() < 60, "{}", demo.log.text());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let guide = demo.log.text();
    let address = |path: &str| {
        let mut lines = guide.lines().map(str::trim).filter(|line| line.starts_with("http://"));
        lines.find(|line| line.ends_with(path)).unwrap().trim_end_matches(path).to_owned()
    };
    let site = address("/.well-known/oauth-authorization-server");
    let app = address("");
    let metadata = Http::new(&site).get("/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata.expect(200).json()["issuer"], site);
    let home = Http::new(&app).get("/").await.expect(200);
    assert!(home.text().contains("Meadow Notes"), "{home:?}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);

    demo.signal("INT");
    assert!(demo.wait().success());
    let output = demo.output();
    assert!(output.contains("everything that it stored is gone"), "{output}");
    assert!(!output.contains("WARN") && !output.contains("ERROR"), "{output}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}
