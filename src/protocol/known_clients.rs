//! What a node remembers of clients, so that a refresh needn't read them anew.
//!
//! Nothing here is believed by itself: a rotation names the count of changes that its client
//! was read at, and the database carries it out only while that count still stands, in the
//! same statement or transaction. A change by another node or a command counts at once.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::client::{Client, ClientId};
use crate::storage::{Connection, Result, clients};

/// How many clients are remembered at most; beyond it, all are forgotten and read anew.
const MOST: usize = 10_000;

/// A client, and when it was read.
#[derive(Clone, Debug)]
pub struct Known {
    /// The client.
    pub client: Arc<Client>,
    /// [`clients::epoch`] as it was.
    pub epoch: i64,
}

impl Borrow<Client> for Known {
    fn borrow(&self) -> &Client {
        &self.client
    }
}

/// The clients of one node. Clones share them.
#[derive(Clone, Default)]
pub struct KnownClients(Arc<RwLock<HashMap<ClientId, Known>>>);

impl KnownClients {
    /// The client with this id, if it is remembered.
    pub fn get(&self, id: &ClientId) -> Option<Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Remembers a client.
    pub fn put(&self, known: Known) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(known.client.id.clone(), known);
    }

    /// Forgets them all.
    pub fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Reads a client, and the count of changes before it, so that one in between makes it old.
pub fn read(connection: &mut Connection, id: &ClientId) -> Result<Option<Known>> {
    let epoch = clients::epoch(connection)?;
    let client = clients::find(connection, id)?;
    Ok(client.map(|client| Known { client: Arc::new(client), epoch }))
}
