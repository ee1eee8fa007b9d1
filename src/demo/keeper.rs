//! One task to a signed-in person: it alone holds the tokens, so that no two
//! refreshes of one session can ever be under way.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::issuer::Issuer;
use super::session::{Session, Tokens};

enum Ask {
    Refresh,
    SignOut,
}

/// The handle to that task; it ends when this is dropped.
pub(super) struct Keeper {
    session: watch::Receiver<Session>,
    asks: mpsc::Sender<(Ask, oneshot::Sender<()>)>,
}

impl Keeper {
    /// Begins to keep a session alive.
    pub(super) fn begin(tokens: Tokens, issuer: Arc<Issuer>) -> Self {
        let session = Session::begin(tokens, Instant::now());
        let (show, shown) = watch::channel(session.clone());
        let (asks, asked) = mpsc::channel(4);
        tokio::spawn(keep(session, issuer, show, asked));
        Self { session: shown, asks }
    }

    /// The session as it is now.
    pub(super) fn session(&self) -> Session {
        self.session.borrow().clone()
    }

    /// Asks for a refresh; wait on what comes back to see it done.
    pub(super) fn refresh(&self) -> Done {
        self.ask(Ask::Refresh)
    }

    /// Revokes the tokens at the server and forgets them.
    pub(super) fn sign_out(&self) -> Done {
        self.ask(Ask::SignOut)
    }

    fn ask(&self, ask: Ask) -> Done {
        let (done, wait) = oneshot::channel();
        // A full queue means that somebody asks faster than the server answers.
        match self.asks.try_send((ask, done)) {
            Ok(()) => Done(Some(wait)),
            Err(_) => Done(None),
        }
    }
}

/// Something asked of a [`Keeper`], so that its lock needn't be held meanwhile.
pub(super) struct Done(Option<oneshot::Receiver<()>>);

impl Done {
    pub(super) async fn wait(self) {
        if let Some(wait) = self.0 {
            let _ended_or_done = wait.await;
        }
    }
}

async fn keep(
    mut session: Session,
    issuer: Arc<Issuer>,
    show: watch::Sender<Session>,
    mut asked: mpsc::Receiver<(Ask, oneshot::Sender<()>)>,
) {
    loop {
        let due = session.next_refresh();
        let (ask, done) = tokio::select! {
            ask = asked.recv() => match ask {
                Some((ask, done)) => (ask, Some(done)),
                None => return,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => (Ask::Refresh, None),
        };
        match ask {
            Ask::Refresh => {
                if let Some(token) = session.refresh_token() {
                    let answer = issuer.refresh(&token).await;
                    session.heard(answer, Instant::now());
                }
            }
            Ask::SignOut => {
                if let Some((token, is_refresh)) = session.token_to_revoke() {
                    let told = issuer.revoke(&token, is_refresh).await;
                    session.sign_out(told, Instant::now());
                }
            }
        }
        if show.send(session.clone()).is_err() {
            return;
        }
        if let Some(done) = done {
            let _nobody_waits = done.send(());
        }
    }
}
