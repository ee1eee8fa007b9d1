//! The names behind the ids that rows carry: people and apps, loaded once for a page.

use std::collections::HashMap;

use super::views::AppFace;
use crate::domain::account::Account;
use crate::domain::client::{Client, ClientId};
use crate::domain::id::UserId;
use crate::storage::families::Family;
use crate::storage::{Connection, Result, clients, users};

/// People and apps by their ids. What was removed since has a name all the same.
#[derive(Clone, Debug, Default)]
pub struct Names {
    people: HashMap<UserId, Account>,
    apps: HashMap<String, Client>,
}

impl Names {
    /// The people and apps of these families.
    pub fn of(connection: &mut Connection, families: &[Family]) -> Result<Self> {
        let mut people: Vec<UserId> = families.iter().map(|family| family.user_id).collect();
        // Who ended a session may stand there by id.
        people.extend(
            families.iter().filter_map(|family| family.ended_by.as_deref()?.parse::<UserId>().ok()),
        );
        let apps: Vec<ClientId> = families.iter().map(|family| family.client_id.clone()).collect();
        Self::load(connection, people, apps)
    }

    /// These people and apps.
    pub fn load(
        connection: &mut Connection,
        mut people: Vec<UserId>,
        mut apps: Vec<ClientId>,
    ) -> Result<Self> {
        people.sort_unstable();
        people.dedup();
        apps.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        apps.dedup();
        let people =
            if people.is_empty() { Vec::new() } else { users::find_many(connection, &people)? };
        let apps =
            if apps.is_empty() { Vec::new() } else { clients::find_many(connection, &apps)? };
        Ok(Self {
            people: people.into_iter().map(|account| (account.id, account)).collect(),
            apps: apps.into_iter().map(|client| (client.id.to_string(), client)).collect(),
        })
    }

    /// The account with this id, if it is still there.
    pub fn account(&self, id: UserId) -> Option<&Account> {
        self.people.get(&id)
    }

    /// The person's name.
    pub fn person(&self, id: UserId) -> String {
        self.account(id)
            .map_or_else(|| "A removed person".to_owned(), |account| account.display_name.clone())
    }

    /// The app with this id, if it is still there.
    pub fn client(&self, id: &ClientId) -> Option<&Client> {
        self.apps.get(id.as_str())
    }

    /// The app's name; its id where it was removed.
    pub fn app(&self, id: &str) -> String {
        self.apps.get(id).map_or_else(|| id.to_owned(), |client| client.metadata.name.clone())
    }

    /// The app's face.
    pub fn face(&self, id: &ClientId) -> AppFace {
        AppFace::new(&self.app(id.as_str()))
    }

    /// Who ended a session, as it stands in its row: a person by id, an app by id, or words.
    pub fn ender(&self, by: &str) -> String {
        match by.parse::<UserId>() {
            Ok(id) => self.person(id),
            Err(_) => super::views::words::capital(&self.app(by)),
        }
    }
}
