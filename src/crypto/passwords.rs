//! Passwords, by Argon2id on a bounded pool.
//!
//! A hash takes some 20 ms and 19 MiB by design, so only a few run at once: a flood of
//! sign-ins waits in line here, and neither takes the memory nor the threads that
//! refreshes need. A line that is too long is answered "try again".

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use crossbeam_channel::{Sender, bounded};
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::sync::oneshot;

use super::random;
use crate::domain::secret::PlainSecret;

/// How hard a hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

/// How many wait in line for each one that is hashed.
const WAITING_PER_HASH: usize = 64;

/// Why a password wasn't judged.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are waiting.
    #[error("too many sign-ins at once")]
    Busy,
    /// The hash couldn't be made.
    #[error("the password hash failed: {0}")]
    Failed(String),
}

/// What a verification found.
#[derive(Debug, PartialEq, Eq)]
pub enum Verified {
    /// Right; where the hash was made with another cost, a new one to store.
    Right {
        /// The hash to store in its place.
        rehashed: Option<String>,
    },
    /// Wrong, or there is no such account.
    Wrong,
}

/// One hash to make or to hold against.
type Job = Box<dyn FnOnce() + Send>;

/// The pool. Clones share it.
#[derive(Clone)]
pub struct Passwords {
    cost: Cost,
    line: Sender<Job>,
    dummy: Arc<str>,
}

/// How far the pool's threads step back behind those that refresh (`nice`): under full load
/// they get about a tenth of a core's time, with nothing else to do all of it.
const STEP_BACK: i32 = 10;

impl Passwords {
    /// A pool that hashes at most `at_once` at a time.
    ///
    /// # Errors
    /// When Argon2 refuses the cost, or there are no threads.
    pub fn new(cost: Cost, at_once: usize) -> Result<Self, PasswordError> {
        let dummy = hash(cost, random::secret("").reveal())?;
        let (line, jobs) = bounded::<Job>(at_once.max(1) * WAITING_PER_HASH);
        for n in 0..at_once.max(1) {
            let jobs = jobs.clone();
            thread::Builder::new()
                .name(format!("password-{n}"))
                .spawn(move || {
                    if let Err(error) = setpriority_process(Some(gettid()), STEP_BACK) {
                        tracing::debug!(cause = %error, "password hashes run at full priority");
                    }
                    jobs.iter().for_each(|job| job());
                })
                .map_err(|error| PasswordError::Failed(error.to_string()))?;
        }
        Ok(Self { cost, line, dummy: dummy.into() })
    }

    /// The hash to store for a new password, as a PHC string.
    ///
    /// # Errors
    /// When too many are waiting.
    pub async fn hash(&self, password: PlainSecret) -> Result<String, PasswordError> {
        let cost = self.cost;
        self.run(move || hash(cost, password.reveal())).await
    }

    /// Judges a password. Without a stored hash (no such account) it takes as long as with one.
    ///
    /// # Errors
    /// When too many are waiting.
    pub async fn verify(
        &self,
        password: PlainSecret,
        stored: Option<String>,
    ) -> Result<Verified, PasswordError> {
        let (cost, dummy) = (self.cost, Arc::clone(&self.dummy));
        self.run(move || {
            let right = verify(password.reveal(), stored.as_deref().unwrap_or(&dummy));
            match stored {
                Some(stored) if right => {
                    let rehashed = if is_of_cost(&stored, cost) {
                        None
                    } else {
                        Some(hash(cost, password.reveal())?)
                    };
                    Ok(Verified::Right { rehashed })
                }
                _ => Ok(Verified::Wrong),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (reply, answer) = oneshot::channel();
        let job = move || {
            // Nobody waits for it any more: the next one's turn.
            if reply.is_closed() {
                return;
            }
            let done = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|_| Err(PasswordError::Failed("it broke off".to_owned())));
            let _ = reply.send(done);
        };
        self.line.try_send(Box::new(job)).map_err(|_| PasswordError::Busy)?;
        answer.await.map_err(|error| PasswordError::Failed(error.to_string()))?
    }
}

/// A hash made on this thread: for commands, which have nothing else to do.
///
/// # Errors
/// When Argon2 refuses the cost.
pub fn hash(cost: Cost, password: &str) -> Result<String, PasswordError> {
    argon2(cost)?
        .hash_password_with_salt(password.as_bytes(), &random::bytes::<16>())
        .map(|hash| hash.to_string())
        .map_err(|error| PasswordError::Failed(error.to_string()))
}

fn verify(password: &str, stored: &str) -> bool {
    // The cost that counts is the stored hash's own.
    PasswordHash::new(stored)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

fn argon2(cost: Cost) -> Result<Argon2<'static>, PasswordError> {
    Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None)
        .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
        .map_err(|error| PasswordError::Failed(error.to_string()))
}

fn is_of_cost(stored: &str, cost: Cost) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| {
        hash.algorithm.as_str() == "argon2id"
            && Params::try_from(&hash).is_ok_and(|params| {
                (params.m_cost(), params.t_cost(), params.p_cost())
                    == (cost.memory_kib, cost.iterations, cost.parallelism)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

    #[tokio::test]
    async fn right_wrong_and_nobody() {
        let pool = Passwords::new(CHEAP, 1).unwrap();
        let stored = pool.hash(PlainSecret::new("winter garden gate")).await.unwrap();
        let judge = |password: &str, stored: Option<String>| {
            let (pool, password) = (pool.clone(), PlainSecret::new(password));
            async move { pool.verify(password, stored).await.unwrap() }
        };
        let right = Verified::Right { rehashed: None };
        assert_eq!(judge("winter garden gate", Some(stored.clone())).await, right);
        assert_eq!(judge("winter garden gates", Some(stored)).await, Verified::Wrong);
        assert_eq!(judge("winter garden gate", None).await, Verified::Wrong);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_made_anew() {
        let stored = hash(CHEAP, "winter garden gate").unwrap();
        let harder = Cost { iterations: 2, ..CHEAP };
        let pool = Passwords::new(harder, 1).unwrap();
        let verified =
            pool.verify(PlainSecret::new("winter garden gate"), Some(stored)).await.unwrap();
        let Verified::Right { rehashed: Some(rehashed) } = verified else {
            panic!("expected a new hash, got {verified:?}")
        };
        assert!(is_of_cost(&rehashed, harder) && verify("winter garden gate", &rehashed));
    }
}
