//! `perennial session`: who is signed in to what, and ending it.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use clap::ArgGroup;
use serde::Serialize;

use super::answer::{Answer, counted, table};
use super::context::Context;
use super::failure::Failure;
use super::{client, one_of, user};
use crate::domain::client::ClientId;
use crate::domain::id::{FamilyId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, Expiry, Status};
use crate::protocol::act::Act;
use crate::protocol::endings::{self, Whose};
use crate::protocol::sessions::{self, Listed};
use crate::settings::SettingsFlags;
use crate::storage::families::{self, Family, Filter, QUIET, Sort, State};
use crate::storage::{Connection, Database, Result as Stored, clients, users};

/// The longest reason that an administrator may give.
const MAX_REASON_CHARS: usize = 200;

const STATES: [(State, &str); 4] = [
    (State::Active, "active"),
    (State::Quiet, "quiet"),
    (State::Ended, "ended"),
    (State::Alarm, "alarm"),
];

#[derive(Debug, clap::Args)]
pub(super) struct Session {
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List sessions, the latest first
    #[command(group(ArgGroup::new("which").multiple(true)))]
    List {
        #[command(flatten)]
        of: Of,
        /// Only those in this state; quiet: active, and not used for a week
        #[arg(long, value_parser = one_of(STATES))]
        state: Option<State>,
        /// Only those that somebody ended at this time or later
        #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_rfc3339)]
        ended_since: Option<Timestamp>,
    },
    /// End sessions: one by its id, those of a list, or all that the flags mean together
    ///
    /// --user alone and --before without --client also sign out browsers, so that no app gets a
    /// new session without a password: all of the person's, and those that signed in before.
    #[command(group(ArgGroup::new("which").required(true).multiple(true)))]
    Revoke {
        /// One session's id
        #[arg(value_name = "ID", group = "which", conflicts_with_all = ["user", "client", "before", "ids"])]
        id: Option<FamilyId>,
        /// Those whose ids this file lists, one a line; - is standard input. Ids that aren't in
        /// this database are counted
        #[arg(long, value_name = "FILE", group = "which", conflicts_with_all = ["user", "client", "before"])]
        ids: Option<PathBuf>,
        /// With --ids: also sign out the browsers that these sessions came from
        #[arg(long, requires = "ids", conflicts_with_all = ["id", "user", "client", "before"])]
        browsers: bool,
        #[command(flatten)]
        of: Of,
        /// Those that signed in before this time, such as 2026-11-23T14:00:00Z
        #[arg(long, value_name = "TIME", group = "which", value_parser = Timestamp::parse_rfc3339)]
        before: Option<Timestamp>,
        /// Why; the audit log and the session's page show it
        #[arg(long, value_parser = reason)]
        reason: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Of {
    /// Those of one person: username, email address or id
    #[arg(long, group = "which")]
    user: Option<String>,
    /// Those of one app, by its client id
    #[arg(long, value_name = "ID", group = "which", value_parser = ClientId::parse)]
    client: Option<ClientId>,
}

#[derive(Serialize)]
struct SessionView {
    id: String,
    user: Option<String>,
    user_id: String,
    client_id: String,
    client_name: Option<String>,
    scope: String,
    audience: Vec<String>,
    signed_in_at: String,
    last_refreshed_at: Option<String>,
    generation: u64,
    refreshable: bool,
    state: &'static str,
    expires_at: Option<String>,
    ended_at: Option<String>,
    end_cause: Option<&'static str>,
    ended_by: Option<String>,
    end_reason: Option<String>,
    alarm_at: Option<String>,
    ip: String,
    user_agent: String,
}

impl SessionView {
    fn new(family: Family, names: &Names, now: Timestamp) -> Self {
        let given_at = family.chain.given_at;
        let by_itself = family.lifetime.next_end(given_at);
        let (state, ended_at, end_cause) = match family.status {
            Status::Ended { at, cause } => ("ended", Some(at), Some(cause.name())),
            Status::Live => match family.lifetime.passed(given_at, now) {
                Some(Expiry::Unused) => ("ended", Some(by_itself), Some("unused")),
                Some(Expiry::ReachedEnd) => ("ended", Some(by_itself), Some("reached_end")),
                None if now.since(given_at) >= QUIET => ("quiet", None, None),
                None => ("active", None, None),
            },
        };
        Self {
            id: family.id.to_string(),
            user: names.users.get(&family.user_id).cloned(),
            user_id: family.user_id.to_string(),
            client_name: names.clients.get(&family.client_id).cloned(),
            client_id: family.client_id.to_string(),
            scope: family.scope.to_string(),
            audience: family.audience,
            signed_in_at: family.created_at.to_rfc3339(),
            last_refreshed_at: (family.chain.generation > 1).then(|| given_at.to_rfc3339()),
            generation: family.chain.generation,
            refreshable: family.refreshable,
            state,
            expires_at: ended_at.is_none().then(|| by_itself.to_rfc3339()),
            ended_at: ended_at.map(Timestamp::to_rfc3339),
            end_cause,
            ended_by: family.ended_by,
            end_reason: family.end_reason,
            alarm_at: family.alarm_at.map(Timestamp::to_rfc3339),
            ip: family.caller_ip,
            user_agent: family.caller_agent,
        }
    }
}

/// What people and apps are called.
#[derive(Default)]
struct Names {
    users: HashMap<UserId, String>,
    clients: HashMap<ClientId, String>,
}

#[derive(Default, Serialize)]
struct RevokedView {
    ended: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_before: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    browsers: Option<usize>,
}

impl RevokedView {
    fn of(ended: usize) -> Self {
        Self { ended, ..Self::default() }
    }

    fn text(&self) -> String {
        let mut text = format!("Ended {}.", counted(self.ended, "session", "sessions"));
        if let Some(count @ 1..) = self.browsers {
            text.push_str(&format!(" Signed out {}.", counted(count, "browser", "browsers")));
        }
        if let Some(count @ 1..) = self.ended_before {
            text.push_str(&format!(" {} ended before.", counted(count, "had", "had")));
        }
        if let Some(count @ 1..) = self.unknown {
            text.push_str(&format!(" {} not in this database.", counted(count, "is", "are")));
        }
        text
    }
}

impl Session {
    pub(super) async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        let Context { database, act, .. } = Context::open(flags).await?;
        match self.action {
            Action::List { of, state, ended_since } => {
                let filter = Filter { state, ended_since, ..of.filter(&database).await? };
                list(&database, filter, act.now).await
            }
            Action::Revoke { id: Some(id), reason, .. } => {
                revoke_one(&database, id, reason, act).await
            }
            Action::Revoke { ids: Some(file), browsers, reason, .. } => {
                revoke_listed(&database, &file, browsers, reason, act).await
            }
            Action::Revoke { id: None, ids: None, of, before, reason, .. } => {
                let Filter { users, client, .. } = of.filter(&database).await?;
                let user = users.and_then(|users| users.first().copied());
                // One that ended by itself isn't counted. It is ended nonetheless: after a
                // restore its app may hold a token that the database has lost, and use it again.
                let whose = Whose { user, client, before, ..Whose::default() };
                revoke_all(&database, whose, reason, act).await
            }
        }
    }
}

impl Of {
    /// The families of this person and this app, who must be there.
    async fn filter(self, database: &Database) -> Result<Filter, Failure> {
        let mut filter = Filter::default();
        if let Some(text) = self.user {
            let wanted = text.clone();
            let account = database.read(move |connection| user::find(connection, &wanted)).await?;
            filter.users = Some(vec![account.ok_or_else(|| user::unknown(&text))?.id]);
        }
        if let Some(id) = self.client {
            let wanted = id.clone();
            let found = database.read(move |connection| clients::find(connection, &wanted)).await?;
            found.ok_or_else(|| client::unknown(&id))?;
            filter.client = Some(id);
        }
        Ok(filter)
    }
}

async fn list(database: &Database, filter: Filter, now: Timestamp) -> Result<Answer, Failure> {
    let (found, names) = database
        .read(move |connection| {
            let found =
                families::list(connection, &filter, Sort::NewestFirst, None, i64::MAX, now)?;
            let names = names(connection)?;
            Ok((found, names))
        })
        .await?;
    let views: Vec<SessionView> =
        found.into_iter().map(|family| SessionView::new(family, &names, now)).collect();
    let rows = views.iter().map(|view| {
        [
            view.id.clone(),
            view.user.clone().unwrap_or_else(|| "(removed)".into()),
            view.client_id.clone(),
            view.signed_in_at.clone(),
            view.last_refreshed_at.clone().unwrap_or_else(|| "never".into()),
            view.generation.to_string(),
            match view.alarm_at {
                Some(_) => format!("{}, alarm", view.state),
                None => view.state.to_owned(),
            },
        ]
    });
    let heads = ["ID", "USER", "CLIENT", "SIGNED IN", "LAST REFRESHED", "GENERATION", "STATE"];
    let text = table(heads, rows, "There are no such sessions.");
    Answer::new(&views, text)
}

fn names(connection: &mut Connection) -> Stored<Names> {
    Ok(Names {
        users: users::list(connection, None, None, i64::MAX)?
            .into_iter()
            .map(|account| (account.id, account.username))
            .collect(),
        clients: clients::list(connection)?
            .into_iter()
            .map(|client| (client.id, client.metadata.name))
            .collect(),
    })
}

async fn revoke_one(
    database: &Database,
    id: FamilyId,
    reason: Option<String>,
    act: Act,
) -> Result<Answer, Failure> {
    let ended = database
        .write(move |connection| {
            if families::find(connection, id)?.is_none() {
                return Ok(None);
            }
            sessions::end_family(connection, id, EndCause::Admin, reason.as_deref(), &act).map(Some)
        })
        .await?
        .ok_or_else(|| Failure::Failed(format!("there is no session {id}")))?;
    if ended {
        Answer::new(&RevokedView::of(1), "Ended 1 session.")
    } else {
        Answer::new(&RevokedView::of(0), "The session had ended already.")
    }
}

/// How many sessions of a list share one transaction, so that nobody else waits for long.
const STEP: usize = 200;

async fn revoke_listed(
    database: &Database,
    file: &Path,
    browsers: bool,
    reason: Option<String>,
    act: Act,
) -> Result<Answer, Failure> {
    let ids = read_ids(file)?;
    let mut all = Listed::default();
    for step in ids.chunks(STEP) {
        let (step, reason, act) = (step.to_vec(), reason.clone(), act.clone());
        let done = database
            .write(move |connection| {
                sessions::end_listed(connection, &step, browsers, reason.as_deref(), &act)
            })
            .await?;
        all.ended += done.ended;
        all.ended_before += done.ended_before;
        all.unknown += done.unknown;
        all.browsers += done.browsers;
    }
    all.ended += endings::finish(database).await?;
    let view = RevokedView {
        ended: all.ended,
        ended_before: Some(all.ended_before),
        unknown: Some(all.unknown),
        browsers: browsers.then_some(all.browsers),
    };
    let text = view.text();
    Answer::new(&view, text)
}

/// The ids of a list, each once.
fn read_ids(file: &Path) -> Result<Vec<FamilyId>, Failure> {
    let read = if file == Path::new("-") {
        io::read_to_string(io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let name = file.display();
    let text = read.map_err(|error| Failure::Failed(format!("{name} can't be read: {error}")))?;
    let mut ids = BTreeSet::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        ids.insert(line.trim().parse().map_err(|_| {
            Failure::Usage(format!(
                "{name}, line {}: not a session's id; one a line, such as \
                 0190a5b2-7d4e-7c3a-9f00-000000000001",
                number.saturating_add(1)
            ))
        })?);
    }
    Ok(ids.into_iter().collect())
}

async fn revoke_all(
    database: &Database,
    whose: Whose,
    reason: Option<String>,
    act: Act,
) -> Result<Answer, Failure> {
    let cause = EndCause::Admin;
    let (mut view, rest) =
        endings::carry_out(database, move |connection| match whole_person(&whose) {
            Some(user) => {
                sessions::end_all_of_user(connection, user, None, cause, reason.as_deref(), &act)
                    .map(RevokedView::of)
            }
            None => {
                let browsers = match (whose.before, &whose.client) {
                    (Some(before), None) => {
                        let user = whose.user.as_ref().map(std::slice::from_ref);
                        Some(sessions::sign_out_before(connection, before, user, &act)?)
                    }
                    _ => None,
                };
                let ended = endings::begin(connection, &whose, cause, reason.as_deref(), &act)?;
                Ok(RevokedView { browsers, ..RevokedView::of(ended) })
            }
        })
        .await?;
    view.ended += rest;
    let text = view.text();
    Answer::new(&view, text)
}

/// The person, when all that is theirs is meant.
fn whole_person(whose: &Whose) -> Option<UserId> {
    whose.user.filter(|_| whose.client.is_none() && whose.before.is_none())
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > MAX_REASON_CHARS || text.chars().any(char::is_control) {
        return Err(format!("1 to {MAX_REASON_CHARS} characters on one line"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;

    use super::*;
    use crate::domain::caller::CallerId;
    use crate::domain::token_family::{Chain, KeyId, Lifetime};

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        session: Session,
    }

    const ID: &str = "0190a5b2-7d4e-7c3a-9f00-000000000001";

    #[test]
    fn revoke_takes_an_id_or_flags_that_go_together() {
        let parse = |line: &str| Line::try_parse_from(line.split(' '));
        for good in [
            format!("session revoke {ID}"),
            format!("session revoke {ID} --reason stolen"),
            "session revoke --user ada --client c --before 2026-11-23T14:00:00Z".into(),
            "session revoke --before 2026-11-23T14:00:00+01:00".into(),
            "session revoke --ids - --browsers --reason restored".into(),
        ] {
            assert!(parse(&good).is_ok(), "{good}");
        }
        for bad in [
            "session revoke".to_owned(),
            "session revoke --reason stolen".into(),
            format!("session revoke {ID} --user ada"),
            format!("session revoke {ID} --before 2026-11-23T14:00:00Z"),
            format!("session revoke {ID} --ids -"),
            "session revoke --ids - --user ada".into(),
            "session revoke --browsers --user ada".into(),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
        for good in [
            "session list",
            "session list --user ada --client c --state quiet",
            "session list --ended-since 2026-11-23T14:00:00Z",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
    }

    fn family() -> Family {
        let at = Timestamp::from_millis(1_000);
        let hour = Duration::from_secs(3600);
        Family {
            id: ID.parse().unwrap(),
            nonce: [0; 16],
            user_id: UserId::from_bytes([1; 16]),
            client_id: ClientId::parse("meadow").unwrap(),
            claims: None,
            scope: "openid".parse().unwrap(),
            audience: vec!["api".into()],
            browser_session: None,
            created_at: at,
            auth_time: at,
            refreshable: true,
            lifetime: Lifetime { idle: hour * 24 * 30, ends_at: None },
            chain: Chain {
                generation: 1,
                key: KeyId(1),
                issued_at: at,
                given_at: at,
                given_to: CallerId::from_bytes([0; 8]),
                parent: None,
                known: Vec::new(),
                written_at: at,
            },
            row_version: 1,
            status: Status::Live,
            caller_ip: "192.0.2.1".into(),
            caller_agent: "curl".into(),
            alarm_at: None,
            ended_by: None,
            end_reason: None,
        }
    }

    #[test]
    fn a_session_tells_its_state_and_how_it_ended() {
        let names = Names::default();
        let after = |span: Duration| {
            let now = Timestamp::from_millis(1_000).plus(span);
            serde_json::to_value(SessionView::new(family(), &names, now)).unwrap()
        };
        let fresh = after(Duration::from_secs(1));
        assert_eq!(fresh["state"], "active");
        assert_eq!(fresh["signed_in_at"], "1970-01-01T00:00:01Z");
        assert_eq!(fresh["last_refreshed_at"], serde_json::Value::Null);
        assert_eq!(fresh["expires_at"], "1970-01-31T00:00:01Z");
        assert_eq!(after(QUIET)["state"], "quiet");
        let gone = after(Duration::from_secs(31 * 24 * 3600));
        assert_eq!((&gone["state"], &gone["end_cause"]), (&"ended".into(), &"unused".into()));

        let mut revoked = family();
        let at = Timestamp::from_millis(5_000);
        revoked.status = Status::Ended { at, cause: EndCause::Admin };
        revoked.chain.generation = 2;
        let view = serde_json::to_value(SessionView::new(revoked, &names, at)).unwrap();
        assert_eq!((&view["state"], &view["end_cause"]), (&"ended".into(), &"admin".into()));
        assert_eq!(view["last_refreshed_at"], "1970-01-01T00:00:01Z");
        assert_eq!(view["expires_at"], serde_json::Value::Null);
    }
}
