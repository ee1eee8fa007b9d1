//! `/admin/users`: people, one person, and what an administrator may do about them.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};

use crate::domain::account::Account;
use crate::domain::id::UserId;
use crate::domain::token_family::EndCause;
use crate::protocol::{accounts, endings, sessions};
use crate::storage::families::{self, Filter as Families, Sort, State as FamilyState};
use crate::storage::users::{self, Filter, State};
use crate::web::browser::Admin;
use crate::web::cursor;
use crate::web::form::{Fields, SubmittedForm};
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::profile_form;
use crate::web::session_words;
use crate::web::views::{
    AdminUserView, AdminUsersView, Badge, Caption, ConfirmView, Nav, Pager, Tone, UserRow,
    UserSession, When, count, heads, href, thousands, words,
};

/// The latest sessions on a person's page.
const LATEST: i64 = 10;

fn state(name: &str) -> Option<State> {
    match name {
        "active" => Some(State::Active),
        "disabled" => Some(State::Disabled),
        "admin" => Some(State::Administrator),
        _ => None,
    }
}

/// `GET /admin/users`
pub async fn list(
    context: Context,
    admin: Admin,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::of_query(&request);
    let (q, state_name) = (fields.text("q").to_owned(), fields.text("state").to_owned());
    let after = Some(fields.text("after").to_owned()).filter(|after| !after.is_empty());
    let filter =
        Filter { query: Some(q.clone()).filter(|q| !q.is_empty()), state: state(&state_name) };
    let (now, begin) = (context.now, after.clone());
    let (rows, total, live) = context
        .state
        .db
        .read(move |connection| {
            let rows = users::page(connection, &filter, begin.as_deref(), cursor::ASKED)?;
            let total = users::count_of(connection, &filter)?;
            let ids: Vec<UserId> = rows.iter().map(|account| account.id).collect();
            let live = families::live_of_users(connection, &ids, now)?;
            Ok((rows, total, live.into_iter().collect::<HashMap<UserId, i64>>()))
        })
        .await?;
    let total = u64::try_from(total).unwrap_or(0);
    let (rows, last) = cursor::cut(rows);
    let page = context.page_for(Nav::AdminUsers, &admin.0);
    let path = format!("{}/admin/users", page.base);
    let query = [("q", q.as_str()), ("state", state_name.as_str())];
    let view = AdminUsersView {
        states: AdminUsersView::states(&state_name),
        filtered: !q.is_empty() || !state_name.is_empty(),
        caption: Caption {
            count: count(total, "person", "people"),
            rest: "by username, times in UTC".to_owned(),
        },
        heads: heads(&AdminUsersView::COLUMNS, "", &path, &query),
        pager: Pager {
            shown: cursor::shown(rows.len(), total, after.is_none()),
            first: after.map(|_| href(&path, &query)),
            next: last.map(|account| {
                let [q, state] = query;
                href(&path, &[q, state, ("after", &account.username)])
            }),
        },
        rows: rows
            .iter()
            .map(|account| UserRow {
                id: account.id.to_string(),
                name: account.display_name.clone(),
                email: account.email.clone(),
                role: if account.is_admin { "Administrator" } else { "Person" },
                sessions: thousands(
                    live.get(&account.id).and_then(|n| u64::try_from(*n).ok()).unwrap_or(0),
                ),
                seen: account
                    .last_sign_in_at
                    .map(|at| When::stamp(now.as_millis(), at.as_millis())),
                badge: if account.is_active() { Badge::active() } else { Badge::disabled() },
            })
            .collect(),
        q,
        page,
    };
    context.send(&view)
}

pub(super) fn user_id(path: &web::Path<String>) -> Result<UserId, PageError> {
    path.parse().map_err(|_| PageError::NotFound)
}

/// The account with this id.
pub(super) async fn account(context: &Context, id: UserId) -> Result<Account, PageError> {
    let stored = context.state.db.read(move |connection| users::find(connection, id)).await?;
    stored.map(|stored| stored.account).ok_or(PageError::NotFound)
}

pub(super) fn own_path(id: UserId) -> String {
    format!("/admin/users/{id}")
}

/// `GET /admin/users/{id}`
pub async fn show(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = user_id(&path)?;
    let now = context.now;
    let (stored, latest, names) = context
        .state
        .db
        .read(move |connection| {
            let stored = users::find(connection, id)?;
            let filter = Families { users: Some(vec![id]), ..Families::default() };
            let latest =
                families::list(connection, &filter, Sort::LastUsedFirst, None, LATEST, now)?;
            let names = Names::of(connection, &latest)?;
            Ok((stored, latest, names))
        })
        .await?;
    let account = stored.ok_or(PageError::NotFound)?.account;
    let sessions = latest
        .iter()
        .map(|family| {
            let app = names.face(&family.client_id);
            let at = family.chain.given_at.as_millis();
            UserSession {
                id: family.id.to_string(),
                title: session_words::title(&app.name, &session_words::device_of(family)),
                app,
                badge: session_words::badge(family, now),
                facts: vec![
                    format!("generation {}", thousands(family.chain.generation)),
                    family.caller_ip.clone(),
                    format!("{} UTC", When::stamp(now.as_millis(), at).text),
                ],
                live: family.is_live(now),
            }
        })
        .collect();
    let view = AdminUserView {
        page: context.page_for(Nav::AdminUsers, &admin.0),
        id: id.to_string(),
        first_name: words::first_name(&account.display_name).to_owned(),
        is_admin: account.is_admin,
        disabled: !account.is_active(),
        is_self: account.id == admin.0.account.id,
        member_since: When::full_date(account.created_at.as_millis()),
        last_signed_in: account.last_sign_in_at.map(|at| When::exact(at.as_millis())),
        password_changed: Some(When::full_date(account.password_changed_at.as_millis())),
        said: profile_form::facts(&account),
        email_verified: account.email_verified,
        name: account.display_name,
        email: account.email,
        username: account.username,
        sessions,
    };
    context.send(&view)
}

/// `GET /admin/users/{id}/disable`
pub async fn ask_disable(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = user_id(&path)?;
    let account = account(&context, id).await?;
    if let Some(refused) = refuse_self(&context, &admin, id) {
        return Ok(refused);
    }
    let now = context.now;
    let live = context
        .state
        .db
        .read(move |connection| {
            let filter = Families {
                users: Some(vec![id]),
                state: Some(FamilyState::Active),
                ..Families::default()
            };
            families::count(connection, &filter, now)
        })
        .await?;
    let page = context.page_for(Nav::AdminUsers, &admin.0);
    let live = u64::try_from(live).unwrap_or(0);
    context.send(&ConfirmView::disable_user(page, &id.to_string(), &account.display_name, live))
}

/// An administrator who locked themselves out might be the last one.
fn refuse_self(context: &Context, admin: &Admin, id: UserId) -> Option<HttpResponse> {
    (admin.0.account.id == id).then(|| {
        let text = "This is you. Another administrator can disable your account.";
        context.done(&own_path(id), Tone::Bad, text)
    })
}

/// `POST /admin/users/{id}/disable`
pub async fn disable(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = user_id(&path)?;
    let account = account(&context, id).await?;
    if let Some(refused) = refuse_self(&context, &admin, id) {
        return Ok(refused);
    }
    let act = context.act(&admin.0);
    let disable = move |connection: &mut _| accounts::disable(connection, id, &act);
    let (changed, _) = endings::carry_out(&context.state.db, disable).await?;
    let name = account.display_name;
    let text = if changed {
        format!("{name} is disabled and signed out everywhere.")
    } else {
        format!("{name} was disabled already.")
    };
    Ok(context.done(&own_path(id), Tone::Good, &text))
}

/// `POST /admin/users/{id}/enable`
pub async fn enable(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = user_id(&path)?;
    let account = account(&context, id).await?;
    let act = context.act(&admin.0);
    let changed =
        context.state.db.write(move |connection| accounts::enable(connection, id, &act)).await?;
    let name = account.display_name;
    let text = if changed {
        format!("{name} may sign in again.")
    } else {
        format!("{name} was enabled already.")
    };
    Ok(context.done(&own_path(id), Tone::Good, &text))
}

/// `POST /admin/users/{id}/sign-out`: of every browser and every app.
pub async fn sign_out(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = user_id(&path)?;
    let account = account(&context, id).await?;
    let act = context.act(&admin.0);
    let (ended, rest) = endings::carry_out(&context.state.db, move |connection| {
        let ended = sessions::end_all_of_user(
            connection,
            id,
            None,
            EndCause::Admin,
            Some("Signed out everywhere"),
            &act,
        )?;
        let target = Some(("user", id.to_string()));
        act.record(
            connection,
            "user.signed_out",
            target,
            Some(id),
            None,
            Some("everywhere".to_owned()),
        )?;
        Ok(ended)
    })
    .await?;
    let text = format!(
        "{} is signed out everywhere: {} of apps ended.",
        account.display_name,
        count((ended + rest) as u64, "session", "sessions")
    );
    Ok(context.done(&own_path(id), Tone::Good, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_that_is_offered_is_known() {
        for (name, _) in AdminUsersView::STATES {
            assert_eq!(state(name).is_some(), !name.is_empty(), "{name}");
        }
    }
}
