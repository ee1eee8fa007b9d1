//! `load run`: clients that rotate for a while.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use hyper::Uri;
use tokio::runtime;
use tokio::task::JoinSet;

use crate::client::{Client, Target};
use crate::figures::{Figures, times};

/// How many errors are shown.
const SHOWN: usize = 5;

#[derive(Debug, clap::Args)]
pub struct Run {
    /// The token endpoint, over plain HTTP: http://127.0.0.1:8080/oauth/token
    #[arg(long)]
    url: Uri,
    /// The client that the tokens were given to
    #[arg(long)]
    client_id: String,
    /// Its secret, sent by HTTP Basic
    #[arg(long)]
    client_secret: Option<String>,
    /// Refresh tokens, one a line; the newest ones are written back at the end
    #[arg(long)]
    tokens: PathBuf,
    /// How many clients refresh at once, each with its own share of the tokens
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// For how long
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// For how long before anything is counted
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// The server gives the same refresh token again and again
    #[arg(long)]
    no_rotation: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// What the figures are called
    #[arg(long, default_value = "rotations")]
    name: String,
}

/// What one client did.
struct Done {
    times: Histogram<u64>,
    errors: u64,
    first_errors: Vec<String>,
    tokens: VecDeque<String>,
}

impl Run {
    pub fn run(self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.tokens)
            .with_context(|| self.tokens.display().to_string())?;
        let mut shares = vec![VecDeque::new(); self.clients];
        for (n, token) in text.lines().filter(|line| !line.is_empty()).enumerate() {
            if let Some(share) = shares.get_mut(n % self.clients) {
                share.push_back(token.to_owned());
            }
        }
        if shares.iter().any(VecDeque::is_empty) {
            bail!("{} holds fewer tokens than there are clients", self.tokens.display());
        }
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let figures = runtime.block_on(self.measure(shares))?;
        figures.print(self.json)?;
        if figures.errors > 0 {
            bail!("{} requests went wrong", figures.errors);
        }
        Ok(())
    }

    async fn measure(&self, shares: Vec<VecDeque<String>>) -> anyhow::Result<Figures> {
        let target = Target {
            endpoint: self.url.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
        };
        let from = Instant::now() + Duration::from_secs_f64(self.warm_up);
        let until = from + Duration::from_secs_f64(self.seconds);
        let mut clients = JoinSet::new();
        for share in shares {
            let client = Client::new(&target)?;
            clients.spawn(rotate(client, share, from, until, !self.no_rotation));
        }
        let (mut times, mut errors, mut first_errors) = (times()?, 0, Vec::new());
        let mut newest = String::new();
        while let Some(done) = clients.join_next().await {
            let done = done??;
            times.add(&done.times)?;
            errors += done.errors;
            first_errors.extend(done.first_errors);
            for token in done.tokens {
                newest.push_str(&token);
                newest.push('\n');
            }
        }
        std::fs::write(&self.tokens, newest)?;
        first_errors.truncate(SHOWN);
        let span = Duration::from_secs_f64(self.seconds);
        let figures = Figures::new(&self.name, self.clients, span, &times);
        Ok(Figures { errors, first_errors, ..figures })
    }
}

/// Rotates one token after the other. A token whose refresh went wrong is put aside.
async fn rotate(
    mut client: Client,
    mut tokens: VecDeque<String>,
    from: Instant,
    until: Instant,
    rotates: bool,
) -> anyhow::Result<Done> {
    let (mut times, mut errors, mut first_errors) = (times()?, 0, Vec::new());
    while let Some(token) = tokens.pop_front() {
        let begun = Instant::now();
        if begun >= until {
            tokens.push_front(token);
            break;
        }
        match client.refresh(&token).await {
            Ok(next) if rotates && next == token => {
                errors += 1;
                first_errors.push("the refresh token was not rotated".to_owned());
                tokens.push_back(next);
            }
            Ok(next) => {
                let end = Instant::now();
                // What ends within the measured time counts, as a server's answers do.
                if end >= from && end <= until {
                    times.record(u64::try_from((end - begun).as_micros())?.max(1))?;
                }
                tokens.push_back(next);
            }
            Err(error) => {
                errors += 1;
                if first_errors.len() < SHOWN {
                    first_errors.push(format!("{error:#}"));
                }
            }
        }
    }
    Ok(Done { times, errors, first_errors, tokens })
}
