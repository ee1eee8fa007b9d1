//! What the programs in `examples/` need of the demo: where they may come back to, what their
//! access tokens are for, and how each is started.

use std::fmt::Write as _;

use super::Failure;
use crate::domain::access_token::AccessTokenFormat;
use crate::domain::client::{AuthMethod, ClientId, ClientMetadata, GrantType};
use crate::domain::secret::PlainSecret;
use crate::protocol::act::Act;
use crate::protocol::clients;
use crate::storage::{Connection, Result as Stored, StorageError};

/// Where the programs of `examples/` listen, once they are started.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Ports {
    /// The port of examples/express-app
    #[arg(long = "express-port", value_name = "PORT", default_value_t = 8082)]
    express: u16,
    /// The port of examples/spa
    #[arg(long = "spa-port", value_name = "PORT", default_value_t = 8083)]
    spa: u16,
    /// The port of examples/resource-server
    #[arg(long = "api-port", value_name = "PORT", default_value_t = 8084)]
    api: u16,
}

const EXPRESS_ID: &str = "express-app";
const SPA_ID: &str = "spa";
const API_ID: &str = "notes-api";
const SCOPE: &str = "openid profile email notes.read notes.write offline_access";

/// Whom the access tokens of both apps are for: the API of `examples/resource-server`.
const AUDIENCE: &str = "https://notes.example/api";

/// The clients, before they are registered.
pub(super) struct Examples {
    express: (ClientId, ClientMetadata),
    spa: (ClientId, ClientMetadata),
    api: (ClientId, ClientMetadata),
}

/// What registering made up.
pub(super) struct Secrets {
    pub(super) express: PlainSecret,
    pub(super) api: PlainSecret,
}

impl Examples {
    /// For programs at these ports.
    pub(super) fn new(ports: Ports) -> Result<Self, Failure> {
        let app = |name, method, port: u16| {
            let home = format!("http://localhost:{port}");
            let scope = SCOPE.parse().map_err(Failure::Failed)?;
            let mut metadata = ClientMetadata {
                redirect_uris: vec![format!("{home}/callback")],
                post_logout_redirect_uris: vec![format!("{home}/signed-out")],
                audience: vec![AUDIENCE.to_owned()],
                ..ClientMetadata::new(name, method, scope)
            };
            metadata.details.client_uri = Some(home);
            Ok::<_, Failure>(metadata)
        };
        let mut express = app("Express app", AuthMethod::ClientSecretBasic, ports.express)?;
        // Its API asks about them, and so hears of an end at once.
        express.access_token_format = AccessTokenFormat::Opaque;
        express.details.backchannel_logout_uri =
            Some(format!("http://localhost:{}/backchannel-logout", ports.express));
        express.details.backchannel_logout_session_required = true;
        let spa = app("Single-page app", AuthMethod::None, ports.spa)?;
        let scope = "notes.read notes.write".parse().map_err(Failure::Failed)?;
        let api = ClientMetadata {
            // Nobody signs in to it; it asks about tokens.
            grants: vec![GrantType::RefreshToken],
            audience: vec![AUDIENCE.to_owned()],
            may_introspect: true,
            ..ClientMetadata::new("Notes API", AuthMethod::ClientSecretBasic, scope)
        };
        let id = |text| ClientId::parse(text).map_err(Failure::Failed);
        Ok(Self {
            express: (id(EXPRESS_ID)?, express),
            spa: (id(SPA_ID)?, spa),
            api: (id(API_ID)?, api),
        })
    }

    /// Registers them.
    pub(super) fn register(self, connection: &mut Connection, act: &Act) -> Stored<Secrets> {
        let mut register = |(id, metadata)| clients::register(connection, None, id, metadata, act);
        let no_secret = || StorageError::Corrupt("an example got no secret".into());
        register(self.spa)?;
        Ok(Secrets {
            express: register(self.express)?.1.ok_or_else(no_secret)?,
            api: register(self.api)?.1.ok_or_else(no_secret)?,
        })
    }
}

/// How each of them is started, from the top of a checkout.
pub(super) fn guide(site: &str, ports: Ports, secrets: &Secrets) -> String {
    let Ports { express, spa, api } = ports;
    let api_url = format!("http://localhost:{api}");
    let mut text = String::from(
        "To copy from: the programs in examples/, each in a terminal of its own, from the top of a
checkout (Node.js 20 or newer):\n",
    );
    for (folder, what, variables, program) in [
        (
            "resource-server",
            format!("the API that both apps call, {api_url}"),
            format!(
                "PORT={api} AUDIENCE={AUDIENCE} CLIENT_ID={API_ID} CLIENT_SECRET={} \
                 ALLOWED_ORIGINS=http://localhost:{spa}",
                secrets.api.reveal()
            ),
            "server.js",
        ),
        (
            "express-app",
            format!("its sessions renew themselves, http://localhost:{express}"),
            format!(
                "PORT={express} API_URL={api_url} CLIENT_ID={EXPRESS_ID} CLIENT_SECRET={}",
                secrets.express.reveal()
            ),
            "app.js",
        ),
        (
            "spa",
            format!("everything in the browser, http://localhost:{spa}"),
            format!("PORT={spa} API_URL={api_url} CLIENT_ID={SPA_ID}"),
            "server.js",
        ),
    ] {
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "     cd examples/{folder} && npm ci && ISSUER={site} {variables} node {program}\n         \
             {what}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PORTS: Ports = Ports { express: 1, spa: 2, api: 3 };

    #[test]
    fn the_clients_are_without_fault() {
        let Examples { express, spa, api } = Examples::new(PORTS).unwrap();
        for (_, client) in [express, spa, api] {
            assert_eq!(client.faults(Duration::from_secs(20)), []);
        }
    }

    #[test]
    fn the_guide_starts_each_with_what_was_registered() {
        let secrets =
            Secrets { express: PlainSecret::new("pcs_express"), api: PlainSecret::new("pcs_api") };
        let text = guide("http://localhost:9", PORTS, &secrets);
        for part in ["pcs_express", "pcs_api", "ISSUER=http://localhost:9 PORT=2 ", AUDIENCE] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
