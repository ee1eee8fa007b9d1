//! RFC 7662 over HTTP.

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::local::LocalServer;
use crate::support::oauth::{TokenEndpoint, World};

on_both_databases! {
    async fn a_refresh_token_is_its_own_clients_business(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let tokens = world.tokens(&world.api).await;
        let device = world.device(&world.api);
        assert_eq!(device.introspect(&tokens.refresh).await["active"], true);
        let next = device.refresh(&tokens.refresh).await.tokens();
        assert_eq!(device.introspect(&tokens.refresh).await["active"], false);
        assert_eq!(device.introspect(&next.refresh).await["active"], true);
    }
}
