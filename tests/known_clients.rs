//! What a node remembers of clients never outlives a change: each counts at the very next
//! refresh, on every node.

use perennial::domain::client::{Client, ClientId, GrantType};
use perennial::domain::secret::PlainSecret;
use perennial::domain::token_family::Rotation;
use perennial::protocol::act::Act;
use perennial::protocol::clients;
use perennial::storage;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::local::LocalServer;
use crate::support::oauth::{App, Device, TokenEndpoint, World};

const AGENT: &str = "Meadow/1.0 (test)";

/// Two nodes that both have the client in memory, and a session of it.
struct Scene {
    server: LocalServer,
    world: World,
    other: LocalServer,
    token: String,
}

impl Scene {
    async fn of(database: TestDatabase, app: fn(&World) -> &App) -> Scene {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let other = server.another_node().await;
        let mut token = world.tokens(app(&world)).await.refresh;
        for origin in [&server.origin, &other.origin] {
            let device = world.device(app(&world)).at(origin, AGENT);
            token = device.refresh(&token).await.tokens().refresh;
        }
        Scene { server, world, other, token }
    }

    /// The app's device, at either node.
    fn devices(&self, app: &App) -> [Device; 2] {
        [&self.other.origin, &self.server.origin]
            .map(|origin| self.world.device(app).at(origin, AGENT))
    }

    /// Changes a client at the first node's database.
    async fn change<T: Send + 'static>(
        &self,
        app: &App,
        change: impl FnOnce(&mut storage::Connection, &ClientId, &Act) -> storage::Result<T>
        + Send
        + 'static,
    ) -> T {
        let (id, act) = (ClientId::parse(&app.id).unwrap(), Act::operator(self.server.now()));
        self.server.db.write(move |connection| change(connection, &id, &act)).await.unwrap()
    }
}

fn stored(connection: &mut storage::Connection, id: &ClientId) -> storage::Result<Client> {
    Ok(storage::clients::find(connection, id)?.unwrap())
}

on_both_databases! {
    async fn a_new_secret_counts_and_the_old_one_does_not(database: TestDatabase) {
        let scene = Scene::of(database, |world| &world.confidential).await;
        let app = scene.world.confidential.clone();
        let secret = scene
            .change(&app, |connection, id, act| {
                let client = stored(connection, id)?;
                clients::rotate_secret(connection, None, &client.id, act)
            })
            .await
            .map(|secret: PlainSecret| secret.reveal().to_owned());
        let renewed = App { secret, ..app.clone() };
        for (old, new) in scene.devices(&app).iter().zip(&scene.devices(&renewed)) {
            old.refresh(&scene.token).await.refused(401, "invalid_client");
            new.refresh(&scene.token).await.tokens();
        }
    }

    async fn a_new_rule_of_rotation_counts(database: TestDatabase) {
        let scene = Scene::of(database, |world| &world.public).await;
        let app = scene.world.public.clone();
        scene
            .change(&app, |connection, id, act| {
                let mut metadata = stored(connection, id)?.metadata;
                metadata.rotation = Rotation::Strict;
                clients::update(connection, None, id, &metadata, act)
            })
            .await;
        let [there, here] = scene.devices(&app);
        there.refresh(&scene.token).await.tokens();
        let why = here.refresh(&scene.token).await.refused(400, "invalid_grant");
        assert!(why.contains("two holders"), "{why}");
    }

    async fn a_grant_that_was_taken_away_or_given_back_counts(database: TestDatabase) {
        let scene = Scene::of(database, |world| &world.public).await;
        let app = scene.world.public.clone();
        for with in [false, true] {
            scene
                .change(&app, move |connection, id, act| {
                    let mut metadata = stored(connection, id)?.metadata;
                    metadata.grants = vec![GrantType::AuthorizationCode];
                    if with {
                        metadata.grants.push(GrantType::RefreshToken);
                    }
                    clients::update(connection, None, id, &metadata, act)
                })
                .await;
            for device in &scene.devices(&app) {
                let answer = device.refresh(&scene.token).await;
                if with {
                    answer.tokens();
                } else {
                    answer.refused(400, "unauthorized_client");
                }
            }
        }
    }

    async fn a_client_that_was_removed_is_none(database: TestDatabase) {
        let scene = Scene::of(database, |world| &world.public).await;
        let app = scene.world.public.clone();
        scene.change(&app, clients::remove).await;
        for device in &scene.devices(&app) {
            device.refresh(&scene.token).await.refused(401, "invalid_client");
        }
    }
}
