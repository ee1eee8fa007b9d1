//! The rotations that wait at one moment, on Postgres: one statement reads their families, one
//! over arrays carries out all that are quiet, with one commit. What has more to say (an entry
//! in the timeline, an end) is carried out by itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Nullable};

use super::super::connection::Connection;
use super::super::error::{Result, StorageError};
use super::super::families::{self, Family};
use super::super::job::Rotation;
use super::alone::carry_out;
use super::{RotateCommand, RotateOutcome, TRIES, Verdict, given, is_quiet, judge};
use crate::domain::id::FamilyId;
use crate::domain::token_family::{Chain, Given};

/// Carries out a batch. Each that was carried out has its outcome, also where an error cut
/// the rest short: on Postgres each statement here is a transaction of its own.
pub(in crate::storage) fn rotate_together(
    connection: &mut Connection,
    batch: &mut [Rotation],
) -> Result<()> {
    for rotation in &mut *batch {
        let command = &rotation.command;
        if !command.authenticity.knows(command.token.presented.key) {
            rotation.done = Some(RotateOutcome::UnknownKey);
        }
    }
    for _ in 0..TRIES {
        if batch.iter().all(|rotation| rotation.done.is_some()) {
            return Ok(());
        }
        round(connection, batch)?;
    }
    Err(StorageError::Unavailable("this session is refreshed from too many places at once".into()))
}

/// Lets every family that is asked for take one step. A statement would change a family that
/// stands in it twice only once, so that the second of two has to wait for the next round.
fn round(connection: &mut Connection, batch: &mut [Rotation]) -> Result<()> {
    let mut turn: BTreeMap<FamilyId, &mut Rotation> = BTreeMap::new();
    for rotation in batch.iter_mut().filter(|rotation| rotation.done.is_none()) {
        turn.entry(rotation.command.token.family).or_insert(rotation);
    }
    let ids: Vec<FamilyId> = turn.keys().copied().collect();
    let mut found: HashMap<FamilyId, (Family, i64)> =
        families::find_for_rotation(connection, &ids)?
            .into_iter()
            .map(|(family, epoch)| (family.id, (family, epoch)))
            .collect();

    let mut quiet = Vec::new();
    for (id, rotation) in turn {
        let family = match found.remove(&id) {
            Some((_, epoch)) if epoch != rotation.command.clients_epoch => {
                rotation.done = Some(RotateOutcome::ClientsChanged);
                continue;
            }
            found => found.map(|(family, _)| family),
        };
        match judge(connection, &rotation.command, family)? {
            Verdict::Give { family, how, chain } if is_quiet(&family, how, &chain) => {
                quiet.push(Step { rotation, family, how, chain });
            }
            verdict => rotation.done = carry_out(connection, &rotation.command, verdict)?,
        }
    }
    if quiet.is_empty() {
        return Ok(());
    }
    let Connection::Postgres(postgres) = connection else {
        return Err(StorageError::Unavailable("not a Postgres connection".into()));
    };
    let written = update_chains(postgres, &quiet)?;
    for Step { rotation, family, how, chain } in quiet {
        if written.contains(&family.id) {
            rotation.done = Some(given(family, how, chain, rotation.command.write_id));
        }
    }
    Ok(())
}

/// One family's next state, and who asked for it.
struct Step<'a> {
    rotation: &'a mut Rotation,
    family: Box<Family>,
    how: Given,
    chain: Chain,
}

/// Which of these families had not been written since they were read, and have now.
fn update_chains(postgres: &mut PgConnection, steps: &[Step]) -> Result<HashSet<FamilyId>> {
    let mut update = UpdateChains::default();
    for step in steps {
        update.add(&step.family, &step.chain, &step.rotation.command)?;
    }
    let ids: Vec<Vec<u8>> = update.load(postgres)?;
    ids.iter()
        .map(|id| {
            FamilyId::from_slice(id).ok_or_else(|| StorageError::Corrupt("a family's id".into()))
        })
        .collect()
}

/// The guarded update of [`super::alone`] over arrays. It locks the rows in the order of their
/// ids, since two nodes that lock the same ones in another order would wait for each other.
#[derive(Default, QueryId)]
struct UpdateChains {
    id: Vec<Vec<u8>>,
    expected: Vec<i64>,
    generation: Vec<i64>,
    key_id: Vec<i64>,
    issued_at: Vec<i64>,
    given_at: Vec<i64>,
    given_to: Vec<Vec<u8>>,
    parent: Vec<Option<i64>>,
    parent_key_id: Vec<Option<i64>>,
    parent_given_at: Vec<Option<i64>>,
    known_callers: Vec<Vec<u8>>,
    written_at: Vec<i64>,
    row_version: Vec<i64>,
}

impl UpdateChains {
    fn add(&mut self, family: &Family, chain: &Chain, command: &RotateCommand) -> Result<()> {
        let parent = chain.parent;
        self.id.push(family.id.as_bytes().to_vec());
        self.expected.push(family.row_version);
        self.generation.push(families::to_i64(chain.generation)?);
        self.key_id.push(i64::from(chain.key.0));
        self.issued_at.push(chain.issued_at.as_millis());
        self.given_at.push(chain.given_at.as_millis());
        self.given_to.push(chain.given_to.as_bytes().to_vec());
        self.parent.push(parent.map(|p| families::to_i64(p.generation)).transpose()?);
        self.parent_key_id.push(parent.map(|p| i64::from(p.key.0)));
        self.parent_given_at.push(parent.map(|p| p.given_at.as_millis()));
        self.known_callers.push(families::callers_to_bytes(&chain.known));
        self.written_at.push(chain.written_at.as_millis());
        self.row_version.push(command.write_id);
        Ok(())
    }
}

impl QueryFragment<Pg> for UpdateChains {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH asked AS MATERIALIZED (SELECT * FROM unnest(");
        out.push_bind_param::<Array<Binary>, _>(&self.id)?;
        for numbers in
            [&self.expected, &self.generation, &self.key_id, &self.issued_at, &self.given_at]
        {
            out.push_sql(", ");
            out.push_bind_param::<Array<BigInt>, _>(numbers)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.given_to)?;
        for numbers in [&self.parent, &self.parent_key_id, &self.parent_given_at] {
            out.push_sql(", ");
            out.push_bind_param::<Array<Nullable<BigInt>>, _>(numbers)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.known_callers)?;
        for numbers in [&self.written_at, &self.row_version] {
            out.push_sql(", ");
            out.push_bind_param::<Array<BigInt>, _>(numbers)?;
        }
        out.push_sql(
            ") AS a (id, expected, generation, key_id, issued_at, given_at, given_to, parent, \
             parent_key_id, parent_given_at, known_callers, written_at, row_version)\
             ), held AS MATERIALIZED (\
             SELECT a.* FROM asked a JOIN token_families f ON f.id = a.id \
             ORDER BY f.id FOR UPDATE OF f) \
             UPDATE token_families f SET generation = h.generation, key_id = h.key_id, \
             issued_at = h.issued_at, given_at = h.given_at, given_to = h.given_to, \
             parent = h.parent, parent_key_id = h.parent_key_id, \
             parent_given_at = h.parent_given_at, known_callers = h.known_callers, \
             written_at = h.written_at, row_version = h.row_version \
             FROM held h \
             WHERE f.id = h.id AND f.row_version = h.expected AND f.ended_at IS NULL \
             RETURNING f.id",
        );
        Ok(())
    }
}

impl Query for UpdateChains {
    type SqlType = Binary;
}

impl RunQueryDsl<PgConnection> for UpdateChains {}
