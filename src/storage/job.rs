//! Work on its way to a connection, and the answer on its way back.

use std::time::Instant;

use tokio::sync::oneshot;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::rotation::{RotateCommand, RotateOutcome};

/// What a queue carries. A rotation is data, so that those that wait together can be merged.
pub(super) enum Job {
    /// Any other change.
    Write(Box<dyn Work>),
    /// A refresh.
    Rotate(Box<Rotation>),
}

/// A closure whose answer waits until its transaction has ended.
pub(super) trait Work: Send {
    /// Runs it; its answer is kept. An error asks for a rollback of its own part.
    fn run(&mut self, connection: &mut Connection) -> Result<()>;
    /// Gives the answer, or the error that took it away.
    fn answer(self: Box<Self>, end: Result<()>);
}

/// A closure with the place for its answer.
pub(super) struct Task<F, T> {
    work: Option<F>,
    done: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Task<F, T> {
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work: Some(work), done: None, reply }, answer)
    }
}

impl<F, T> Work for Task<F, T>
where
    F: FnOnce(&mut Connection) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &mut Connection) -> Result<()> {
        let work = self.work.take().ok_or_else(|| StorageError::Unavailable("run twice".into()))?;
        self.done = Some(work(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, end: Result<()>) {
        let answer = match (end, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => Err(StorageError::Unavailable("there is no answer".into())),
            (Err(error), _) => Err(error),
        };
        // Whoever asked may have gone; what was committed stays.
        let _ = self.reply.send(answer);
    }
}

/// A refresh with the place for its answer.
pub(super) struct Rotation {
    pub(super) command: RotateCommand,
    pub(super) done: Option<RotateOutcome>,
    pub(super) reply: oneshot::Sender<Result<RotateOutcome>>,
    /// After this its caller has given up, and what it asked for must not happen any more.
    pub(super) deadline: Instant,
}

impl Rotation {
    /// Whether it waited so long that it must not run.
    pub(super) fn is_overdue(&self) -> bool {
        Instant::now() > self.deadline
    }

    /// Gives the answer, or the error that took it away.
    pub(super) fn answer(self, end: Result<()>) {
        let answer = match (end, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => Err(StorageError::Unavailable("there is no answer".into())),
            (Err(error), _) => Err(error),
        };
        // Whoever asked may have gone; what was committed stays.
        let _ = self.reply.send(answer);
    }
}

impl Job {
    /// Whether it waited so long that it must not run.
    pub(super) fn is_overdue(&self) -> bool {
        match self {
            Self::Rotate(rotation) => rotation.is_overdue(),
            Self::Write(_) => false,
        }
    }

    /// Gives the answer, or the error that took it away.
    pub(super) fn answer(self, end: Result<()>) {
        match self {
            Self::Write(work) => work.answer(end),
            Self::Rotate(rotation) => rotation.answer(end),
        }
    }
}
