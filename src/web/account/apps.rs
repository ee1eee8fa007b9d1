//! `/account/apps`: what a person allowed, and how they take it back.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};

use crate::domain::claims;
use crate::domain::client::{Client, ClientId};
use crate::domain::consent::Consent;
use crate::domain::scope::{Risk as DomainRisk, ScopeDescription};
use crate::domain::time::Timestamp;
use crate::protocol::{endings, sessions};
use crate::storage::families::{self, Filter, Sort};
use crate::storage::{clients, consents, scopes};
use crate::web::browser::SignedIn;
use crate::web::consent::scope_words;
use crate::web::form::SubmittedForm;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::views::{
    AccountAppsView, AppFace, AppThing, Nav, Risk, ScopeInfo, ScopeWords, Tick, Tone, When, count,
    scope_lines,
};

/// Sessions that are looked at for when an app was last used.
const LOOKED_AT: i64 = 500;

/// The page.
pub async fn show(context: Context, who: SignedIn) -> Result<HttpResponse, PageError> {
    let (user, now) = (who.account.id, context.now);
    let (allowed, all, described, used) = context
        .state
        .db
        .read(move |connection| {
            let allowed = consents::of_user(connection, user)?;
            let theirs = Filter { users: Some(vec![user]), ..Filter::default() };
            let families =
                families::list(connection, &theirs, Sort::LastUsedFirst, None, LOOKED_AT, now)?;
            let mut used: HashMap<String, (Timestamp, bool)> = HashMap::new();
            for family in &families {
                let own = used
                    .entry(family.client_id.to_string())
                    .or_insert((family.chain.given_at, false));
                own.1 |= family.is_live(now);
            }
            let all = clients::list(connection)?;
            Ok((allowed, all, scopes::list(connection)?, used))
        })
        .await?;

    let ms = now.as_millis();
    let words = scope_words(&context.state, &who.account);
    let by_id: HashMap<&str, &Client> =
        all.iter().map(|client| (client.id.as_str(), client)).collect();
    let apps = allowed
        .iter()
        .filter_map(|(id, consent)| {
            let client = by_id.get(id.as_str())?;
            Some(AppThing {
                client_id: id.to_string(),
                face: AppFace::new(&client.metadata.name),
                host: hosts(client),
                used: used.get(id.as_str()).map(|(at, _)| When::on(ms, at.as_millis())),
                ticks: ticks(consent, &described, &words),
            })
        })
        .collect();
    // Those that need no consent and are in use.
    let organisation = all
        .iter()
        .filter(|client| client.metadata.skip_consent)
        .filter(|client| used.get(client.id.as_str()).is_some_and(|(_, live)| *live))
        .filter(|client| !allowed.iter().any(|(id, _)| *id == client.id))
        .map(|client| client.metadata.name.clone())
        .collect();
    let page = context.page_for(Nav::AccountApps, &who);
    context.send(&AccountAppsView { page, apps, organisation })
}

/// Where an app lives: the host of its first redirect URI, or its scheme.
fn hosts(client: &Client) -> String {
    client
        .metadata
        .redirect_uris
        .first()
        .and_then(|uri| url::Url::parse(uri).ok())
        .map(|uri| uri.host_str().map_or_else(|| uri.scheme().to_owned(), str::to_owned))
        .unwrap_or_default()
}

fn ticks(consent: &Consent, described: &[ScopeDescription], words: &ScopeWords) -> Vec<Tick> {
    let asked: Vec<ScopeInfo<'_>> = consent
        .scope
        .iter()
        .map(|name| {
            let known = described.iter().find(|known| known.name == name);
            ScopeInfo {
                name,
                description: known.map(|known| known.description.as_str()),
                risk: known.map(|known| match known.risk {
                    DomainRisk::Read => Risk::Read,
                    DomainRisk::Write => Risk::Write,
                }),
            }
        })
        .collect();
    // What a scope gives by now isn't said twice.
    let claims: Vec<&str> = consent
        .claims
        .iter()
        .map(String::as_str)
        .filter(|claim| !claims::is_given(&consent.scope, claim))
        .collect();
    scope_lines(&asked, &claims, words).iter().map(Tick::of).collect()
}

/// `POST /account/apps/{client_id}/remove`
pub async fn remove(
    context: Context,
    who: SignedIn,
    path: web::Path<String>,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let client = ClientId::parse(&path).map_err(|_| PageError::NotFound)?;
    let user = who.account.id;
    let act = context.act(&who);
    let (removed, rest) = endings::carry_out(&context.state.db, move |connection| {
        if consents::find(connection, user, &client)?.is_none() {
            return Ok(None);
        }
        let names = Names::load(connection, Vec::new(), vec![client.clone()])?;
        let ended = sessions::remove_app(connection, user, &client, &act)?;
        Ok(Some((names.app(client.as_str()), ended)))
    })
    .await?;
    let (name, ended) = removed.ok_or(PageError::NotFound)?;
    let text = match ended + rest {
        0 => format!("{name} may no longer use your account."),
        some => format!(
            "{name} may no longer use your account. {} ended.",
            count(some as u64, "session", "sessions")
        ),
    };
    Ok(context.done("/account/apps", Tone::Good, &text))
}
