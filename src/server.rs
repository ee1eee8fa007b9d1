//! The actix application: opened, put together, and run until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_session::SessionMiddleware;
use actix_session::config::CookieContentSecurity;
use actix_web::cookie::{Key, SameSite};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer};
use secrecy::SecretString;

use crate::clock::Clock;
use crate::crypto::keyring::Keyring;
use crate::crypto::passwords::{Cost, PasswordError, Passwords};
use crate::crypto::root_secret::{RootSecret, RootSecretError};
use crate::crypto::signing::Algorithm;
use crate::domain::key_life::LOOK_EVERY;
use crate::fetch::{self, Fetcher};
use crate::protocol::act::Act;
use crate::protocol::key_rotation::Order;
use crate::protocol::known_clients::KnownClients;
use crate::protocol::{endings, key_rotation, keys, setup, unused_clients};
use crate::settings::Settings;
use crate::storage::prune::{self, Retention};
use crate::storage::{Database, Options, StorageError};
use crate::telemetry;
use crate::web::app_face::{self, Pictures};
use crate::web::browser::{self, Store};
use crate::web::client_keys::RemoteKeys;
use crate::web::cookies::CookieNames;
use crate::web::key_keeper::KeyKeeper;
use crate::web::setup as setup_page;
use crate::web::state::AppState;
use crate::web::{
    account, admin, assets, backchannel, consent, health, limits, login, oauth, page,
};

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened at.
    #[error("{address} can't be listened at: {source}; another address goes under `listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's word.
        source: std::io::Error,
    },
    /// The key file.
    #[error("{0}")]
    RootSecret(#[from] RootSecretError),
    /// The database.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The password pool.
    #[error("[passwords] {0}")]
    Passwords(#[from] PasswordError),
    /// The file of authorities.
    #[error("{0}")]
    CaFile(#[from] fetch::CaFileError),
    /// The HTTP server.
    #[error("the server can't start: {0}")]
    Io(#[from] std::io::Error),
}

/// A server that is bound and ready to run.
pub struct Server {
    server: actix_web::dev::Server,
    address: SocketAddr,
    state: AppState,
    setup_link: Option<String>,
}

/// Opens the database of these settings, and migrates it where they say so. Blocks.
///
/// # Errors
/// When it can't be reached, is newer than this program, or waits for migrations.
pub fn open_database(settings: &Settings) -> Result<Database, StartError> {
    let database = Database::open(&Options {
        url: SecretString::from(settings.database_url.expose().to_owned()),
        connections: settings.database.connections,
        busy: settings.database.busy,
        queue: settings.limits.queue_length,
    })?;
    if settings.auto_migrate {
        for name in database.migrate()? {
            tracing::info!(migration = name, "applied");
        }
    } else {
        let waiting: Vec<String> = database
            .migrations()?
            .into_iter()
            .filter(|migration| !migration.applied)
            .map(|migration| migration.name)
            .collect();
        if !waiting.is_empty() {
            return Err(StorageError::Unmigrated(waiting.join(", ")).into());
        }
    }
    Ok(database)
}

impl Server {
    /// Opens everything and binds the address of the settings.
    ///
    /// # Errors
    /// What stands in the way, in words for the operator.
    pub async fn bind(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let address = settings.listen;
        let listener =
            TcpListener::bind(address).map_err(|source| StartError::Listen { address, source })?;
        Self::bind_to(settings, clock, listener).await
    }

    /// Opens everything and serves on a listener that is bound already.
    ///
    /// # Errors
    /// What stands in the way, in words for the operator.
    pub async fn bind_to(
        settings: Settings,
        clock: Clock,
        listener: TcpListener,
    ) -> Result<Self, StartError> {
        let address = listener.local_addr()?;
        let root = RootSecret::load_or_create(&settings.secret_key_file)?;
        let db = open_database(&settings)?;
        if let Some(theirs) = db.clock().await? {
            let apart = clock.follow(theirs);
            tracing::debug!(milliseconds = apart.as_millis(), "goes by the database's clock");
        }
        let root = Arc::new(root);
        let algorithm = oauth::token::algorithm(&settings);
        let (now, sealed_under) = (clock.now(), Arc::clone(&root));
        let stored = db
            .write(move |connection| keys::open(connection, &sealed_under, algorithm, now))
            .await?;
        let keyring = Keyring::new(&root, stored);
        let link = db.write(setup::new_link).await?;
        let cost = Cost {
            memory_kib: settings.passwords.memory_kib,
            iterations: settings.passwords.iterations,
            parallelism: settings.passwords.parallelism,
        };
        let passwords = Passwords::new(cost, settings.passwords.concurrent_hashes)?;
        let fetcher = Fetcher::new(&fetch::Options {
            ca_file: settings.fetch.ca_file.clone(),
            allow_private_networks: settings.fetch.allow_private_networks,
            limits: fetch::Limits { time: settings.fetch.time, bytes: settings.fetch.body_bytes },
        })?;
        let setup_link =
            link.map(|link| format!("{}/setup?link={}", settings.issuer.as_str(), link.reveal()));
        let state = AppState {
            clients: KnownClients::default(),
            client_keys: RemoteKeys::default(),
            keys: KeyKeeper::new(db.clone(), keyring.clone(), Arc::clone(&root)),
            db,
            keyring,
            clock,
            passwords,
            fetcher,
            pictures: Pictures::default(),
            cookies: Arc::new(CookieNames::new(&settings.issuer)),
            settings: Arc::new(settings),
        };
        let server = start(&state, listener)?;
        Ok(Self { server, address, state, setup_link })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.state.db
    }

    /// The whole address of the one-time set-up link, while there is no administrator.
    pub fn setup_link(&self) -> Option<&str> {
        self.setup_link.as_deref()
    }

    /// Stops it from elsewhere.
    pub fn handle(&self) -> actix_web::dev::ServerHandle {
        self.server.handle()
    }

    /// Makes the key of ID tokens, where there is none yet: [`Server::run`] does it beside the
    /// first requests, since RSA takes its time.
    ///
    /// # Errors
    /// When the database can't answer.
    pub async fn make_keys(&self) -> Result<(), StorageError> {
        self.state.keys.ready(Algorithm::Rs256, self.state.now()).await
    }

    /// Serves until SIGTERM, SIGINT or its handle stops it; then finishes what it has begun.
    ///
    /// # Errors
    /// When the system takes the listener away.
    pub async fn run(self) -> std::io::Result<()> {
        let pruning = actix_web::rt::spawn(prune_for_ever(self.state.clone()));
        let finishing = actix_web::rt::spawn(finish_endings(self.state.clone()));
        let watching = actix_web::rt::spawn(follow_the_database(self.state.clone()));
        let keeping = actix_web::rt::spawn(keep_keys(self.state.clone()));
        let telling = actix_web::rt::spawn(backchannel::deliver_for_ever(self.state.clone()));
        let looking = actix_web::rt::spawn(backchannel::watch_for_ever(self.state.clone()));
        let end = self.server.await;
        pruning.abort();
        finishing.abort();
        telling.abort();
        looking.abort();
        watching.abort();
        keeping.abort();
        end
    }
}

fn start(state: &AppState, listener: TcpListener) -> Result<actix_web::dev::Server, StartError> {
    let settings = Arc::clone(&state.settings);
    let workers = match settings.workers {
        0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        n => n,
    };
    let state = state.clone();
    let server = HttpServer::new(move || {
        let base = state.base().to_owned();
        App::new()
            .app_data(web::Data::new(state.clone()))
            .app_data(web::PayloadConfig::new(state.settings.limits.body_bytes))
            .wrap(from_fn(limits::limits))
            .wrap(from_fn(telemetry::follow))
            .configure(|config| well_known(config, &base))
            .service(
                web::scope(&base)
                    .route("/healthz", web::get().to(health::healthz))
                    .route("/readyz", web::get().to(health::readyz))
                    .route("/static/{file}", web::get().to(assets::serve))
                    .route("/logos/{client_id}", web::get().to(app_face::logo))
                    .configure(oauth::routes)
                    .service(
                        web::scope("")
                            .wrap(session(&state))
                            .wrap(from_fn(browser::keep_cookie))
                            .wrap(from_fn(page::draw_errors))
                            .configure(pages)
                            .default_service(web::to(not_found)),
                    ),
            )
    })
    .workers(workers)
    .client_request_timeout(settings.limits.request)
    .shutdown_timeout(settings.shutdown.as_secs())
    .listen(listener)?
    .run();
    Ok(server)
}

/// RFC 8414 section 3.1 puts the issuer's path behind the well-known one.
fn well_known(config: &mut ServiceConfig, base: &str) {
    if !base.is_empty() {
        for path in oauth::metadata::DOCUMENTS {
            oauth::well_known(config, &format!("{path}{base}"));
        }
    }
}

fn pages(config: &mut ServiceConfig) {
    config
        .service(
            web::resource(oauth::authorize::PATH)
                .route(web::get().to(oauth::authorize::authorize))
                .route(web::post().to(oauth::authorize::authorize)),
        )
        .route("/", web::get().to(home))
        .configure(login::routes)
        .configure(consent::routes)
        .configure(oauth::logout::routes)
        .configure(setup_page::routes)
        .configure(account::routes)
        .configure(admin::routes);
}

async fn home(context: page::Context) -> actix_web::HttpResponse {
    context.see_other("/account")
}

async fn not_found() -> Result<actix_web::HttpResponse, page::PageError> {
    Err(page::PageError::NotFound)
}

fn session(state: &AppState) -> SessionMiddleware<Store> {
    SessionMiddleware::builder(Store::new(state.clone()), Key::from(state.keyring.cookies()))
        .cookie_name(state.cookies.session.clone())
        .cookie_secure(state.cookies.secure)
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Lax)
        .cookie_path(state.cookies.path.clone())
        .cookie_content_security(CookieContentSecurity::Signed)
        .build()
}

/// Forgets what may be forgotten, every hour.
async fn prune_for_ever(state: AppState) {
    loop {
        tokio::time::sleep(state.settings.retention.prune).await;
        if let Err(error) = prune_all(&state.db, &state.settings, state.now()).await {
            tracing::warn!(cause = %error, "pruning stopped early");
        }
        match key_rotation::forget(&state.db, Act::system(state.now())).await {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(?gone, "keys that no session uses any more"),
            Err(error) => tracing::warn!(cause = %error, "old keys can't be removed"),
        }
    }
}

/// Forgets what may be forgotten, in small steps. How many rows of each kind went.
///
/// # Errors
/// When the database can't answer; what went before is gone.
pub async fn prune_all(
    db: &Database,
    settings: &Settings,
    now: crate::domain::time::Timestamp,
) -> Result<Vec<(&'static str, usize)>, StorageError> {
    let retention = Retention {
        ended_sessions: settings.retention.ended_sessions,
        audit: settings.retention.audit,
    };
    let mut gone = prune::all(db, &retention, now).await?;
    let unused = unused_clients::prune(db, settings.registration.unused, now).await?;
    gone.push(("unused_clients", unused));
    for (what, rows) in gone.iter().filter(|(_, rows)| *rows > 0) {
        tracing::info!(what, rows, "pruned");
    }
    Ok(gone)
}

/// At the start and every minute: ends the sessions that somebody began to end and didn't come
/// to the end of, because their process broke off.
async fn finish_endings(state: AppState) {
    loop {
        match endings::finish(&state.db).await {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "ended what was left of an ending"),
            Err(error) => tracing::warn!(cause = %error, "an ending doesn't go on"),
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// Every minute, on Postgres: the clock that all nodes go by.
async fn follow_the_database(state: AppState) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        match state.db.clock().await {
            Ok(Some(theirs)) => {
                state.clock.follow(theirs);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(cause = %error, "the database's clock can't be read"),
        }
    }
}

/// Makes the key of ID tokens at a first start; then, again and again, reads the keys that
/// others made, and every minute lets new ones take over from old ones.
async fn keep_keys(state: AppState) {
    if let Err(error) = state.keys.ready(Algorithm::Rs256, state.now()).await {
        tracing::warn!(cause = %error, "the key of ID tokens can't be made");
    }
    let mut looks = 0_u32;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        looks = looks.wrapping_add(1);
        let done = if looks.is_multiple_of(6) {
            let every = state.settings.keys.rotate;
            let upkeep = state.keys.carry_out(Order::Upkeep, every, Act::system(state.now()));
            upkeep.await.map(|rotated| {
                let key_rotation::Rotated { made, began, removed, .. } = rotated;
                if !(made.is_empty() && began.is_empty() && removed.is_empty()) {
                    tracing::info!(?made, ?began, ?removed, "keys");
                }
            })
        } else {
            state.keys.follow().await.map(|_| ())
        };
        if let Err(error) = done {
            tracing::warn!(cause = %error, "the keys can't be kept");
        }
    }
}
