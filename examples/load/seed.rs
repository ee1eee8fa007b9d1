//! `load seed`: a database with sessions in it, and their refresh tokens in a file.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use perennial::clock::Clock;
use perennial::crypto::keyring::Keyring;
use perennial::crypto::random;
use perennial::crypto::root_secret::RootSecret;
use perennial::domain::account::fold;
use perennial::domain::caller::Caller;
use perennial::domain::client::ClientId;
use perennial::domain::id::FamilyId;
use perennial::domain::token_family::{Lifetime, Presented};
use perennial::protocol::keys;
use perennial::server::open_database;
use perennial::settings::{Settings, SettingsFlags, Sources};
use perennial::storage::families::{self, NewFamily};
use perennial::storage::{Database, clients, users};

/// How many families one transaction begins.
const STEP: usize = 2_000;

#[derive(Debug, clap::Args)]
pub struct Seed {
    /// The client of all sessions
    #[arg(long)]
    client_id: String,
    /// Whose they are
    #[arg(long)]
    username: String,
    /// How many
    #[arg(long, default_value_t = 1_000)]
    families: usize,
    /// Where the refresh tokens go, one a line
    #[arg(long)]
    tokens: PathBuf,
    #[command(flatten)]
    settings: SettingsFlags,
}

impl Seed {
    pub fn run(self) -> anyhow::Result<()> {
        actix_web::rt::System::new().block_on(self.fill())
    }

    async fn fill(self) -> anyhow::Result<()> {
        let settings = Settings::load(&Sources::of_process(self.settings.clone()))?;
        let root = RootSecret::load_or_create(&settings.secret_key_file)?;
        let db = open_database(&settings)?;
        let now = Clock::system().now();
        let algorithm = perennial::web::oauth::token::algorithm(&settings);
        let stored =
            db.write(move |connection| keys::open(connection, &root, algorithm, now)).await?;
        let root = RootSecret::load_or_create(&settings.secret_key_file)?;
        let keyring = Keyring::new(&root, stored);

        let template = self.template(&db, &settings, &keyring, now).await?;
        let mut tokens = Vec::with_capacity(self.families);
        while tokens.len() < self.families {
            let count = STEP.min(self.families - tokens.len());
            let (template, keyring) = (template.clone(), keyring.clone());
            let step = db.write(move |connection| {
                let mut tokens = Vec::with_capacity(count);
                for _ in 0..count {
                    let mut new = template.clone();
                    new.id = FamilyId::new(now, random::bytes());
                    new.nonce = random::bytes();
                    let family = families::begin(connection, &new, now)?;
                    let first = Presented {
                        generation: family.chain.generation,
                        key: family.chain.key,
                        issued_at: family.chain.issued_at,
                    };
                    let secrets = &keyring.stored().tokens;
                    tokens.extend(secrets.refresh_token(family.id, first, &family.nonce));
                }
                Ok(tokens)
            });
            tokens.extend(step.await?);
        }
        // In no order: neighbours in the file are no neighbours in the database.
        tokens.sort_by_cached_key(|_| random::bytes::<8>());
        let mut file = BufWriter::new(std::fs::File::create(&self.tokens)?);
        for token in &tokens {
            writeln!(file, "{token}")?;
        }
        file.flush()?;
        println!("{} sessions; their tokens are in {}", tokens.len(), self.tokens.display());
        Ok(())
    }

    /// What all of them have in common.
    async fn template(
        &self,
        db: &Database,
        settings: &Settings,
        keyring: &Keyring,
        now: perennial::domain::time::Timestamp,
    ) -> anyhow::Result<NewFamily> {
        let id = ClientId::parse(&self.client_id).map_err(|error| anyhow!(error))?;
        let client = db
            .read(move |connection| clients::find(connection, &id))
            .await?
            .with_context(|| format!("there is no client {}", self.client_id))?;
        let name = fold(&self.username);
        let person = db
            .read(move |connection| users::find_by_name(connection, &name))
            .await?
            .with_context(|| format!("there is no user {}", self.username))?;
        // The very caller that `load run` is.
        let (ip, agent) = ([127, 0, 0, 1].into(), "load/1");
        Ok(NewFamily {
            id: FamilyId::from_bytes([0; 16]),
            nonce: [0; 16],
            user_id: person.account.id,
            client_id: client.id,
            claims: None,
            scope: client.metadata.scope,
            audience: client.metadata.audience,
            browser_session: None,
            auth_time: now,
            refreshable: true,
            lifetime: Lifetime {
                idle: settings.tokens.refresh_idle,
                ends_at: settings.tokens.refresh_absolute.map(|span| now.plus(span)),
            },
            key: keyring.stored().tokens.current(),
            caller: Caller {
                id: keyring.callers().id(ip, agent),
                ip: ip.to_string(),
                agent: agent.to_owned(),
            },
            write_id: random::write_id(),
        })
    }
}
