//! A server with people and an app, and the ways in which tests sign in.

use super::database::TestDatabase;
use super::http::{Answer, Http};
use super::server::TestServer;

/// Everybody's password here.
pub const PASSWORD: &str = "winter garden gate";

/// The example pair of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://app.meadow.example/callback";

/// A server where Ada (`ada`) and the administrator Fern (`fern`) have accounts, and Meadow
/// Notes (`meadow`) is an app without a secret.
pub struct Site {
    /// The server.
    pub server: TestServer,
}

/// What an app holds.
pub struct Tokens {
    /// The newest refresh token.
    pub refresh: String,
}

impl Site {
    /// Starts it.
    pub async fn start(database: TestDatabase) -> Site {
        Site::on(TestServer::start_on(database).await)
    }

    /// With a server that runs already, and has nobody yet.
    pub fn on(server: TestServer) -> Site {
        server.secrets.remember("password", PASSWORD);
        let site = Site { server };
        site.command(&[
            "user",
            "add",
            "ada",
            "--email",
            "ada@northfield.example",
            "--display-name",
            "Ada Rowe",
        ]);
        site.command(&[
            "user",
            "add",
            "fern",
            "--email",
            "fern@northfield.example",
            "--display-name",
            "Fern Holm",
            "--admin",
        ]);
        site.command(&[
            "client",
            "add",
            "--id",
            "meadow",
            "--name",
            "Meadow Notes",
            "--type",
            "public",
            "--redirect-uri",
            CALLBACK,
        ]);
        site
    }

    fn command(&self, line: &[&str]) {
        let mut line = line.to_vec();
        if line[0] == "user" {
            line.push("--password-stdin");
        }
        self.server.installation.run_with_input(&line, PASSWORD).ok();
    }

    /// A browser in which this person is signed in at the site itself.
    pub async fn browser(&self, username: &str) -> Http {
        let http = self.server.http();
        self.sign_in(&http, username, PASSWORD).await.expect(200);
        http
    }

    /// Signs a person in at the site, and returns the page after it.
    pub async fn sign_in(&self, http: &Http, username: &str, password: &str) -> Answer {
        let login = http.follow(http.get("/account").await).await.expect(200);
        let form = login.form("form:has([name=password])");
        let fields = [("username", username), ("password", password)];
        http.follow(http.submit(&form, &fields).await).await
    }

    /// Signs the person of this browser in at Meadow Notes, allowing it where that is asked.
    pub async fn sign_in_to_app(&self, http: &Http) -> Tokens {
        let question = format!(
            "/oauth/authorize?response_type=code&client_id=meadow&redirect_uri={CALLBACK}&state=x\
             &scope=openid+email+offline_access&code_challenge={CHALLENGE}\
             &code_challenge_method=S256"
        );
        let mut answer = http.follow(http.get(&question).await).await;
        if answer.status == 200 {
            let form = answer.form("form:has([name=decision])");
            answer = http.follow(http.submit(&form, &[("decision", "allow")]).await).await;
        }
        let code = answer.location_parameter("code").unwrap_or_else(|| panic!("{answer:?}"));
        self.server.secrets.remember("code", &code);
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", "meadow"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let answer = self.app().post_form("/oauth/token", &fields).await.expect(200);
        self.tokens(&answer)
    }

    /// The app on its device, which keeps no cookies of the person's browser.
    fn app(&self) -> Http {
        self.server.http()
    }

    fn tokens(&self, answer: &Answer) -> Tokens {
        let tokens = answer.json();
        self.server.secrets.remember_answer(&tokens);
        Tokens { refresh: tokens["refresh_token"].as_str().unwrap_or_default().to_owned() }
    }

    /// Refreshes; `None` when the app was signed out.
    pub async fn refresh(&self, tokens: &Tokens) -> Option<Tokens> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", "meadow"),
            ("refresh_token", tokens.refresh.as_str()),
        ];
        let answer = self.app().post_form("/oauth/token", &fields).await;
        if answer.status == 400 {
            assert_eq!(answer.json()["error"], "invalid_grant");
            return None;
        }
        Some(self.tokens(&answer.expect(200)))
    }
}

/// The ids of the sessions that a list of the admin's shows, in order.
pub fn session_ids(list: &Answer) -> Vec<String> {
    list.attributes("tbody a.rowlink", "href")
        .iter()
        .filter_map(|path| path.rsplit('/').next().map(str::to_owned))
        .collect()
}
