//! `/admin/users/{id}/profile`: what a person's account says of them, changed by an administrator.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::users::{account, own_path, user_id};
use crate::domain::account::Account;
use crate::domain::profile::Field;
use crate::protocol::profiles;
use crate::storage::StorageError;
use crate::web::browser::Admin;
use crate::web::form::SubmittedForm;
use crate::web::page::{Context, PageError};
use crate::web::profile_form::{self, By};
use crate::web::views::{AdminUserProfileView, Nav, ProfileForm, Tone};

/// The page.
pub async fn show(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let account = account(&context, user_id(&path)?).await?;
    draw(&context, &admin, &account, profile_form::of_account(&account, By::Admin))
}

fn draw(
    context: &Context,
    admin: &Admin,
    account: &Account,
    fields: ProfileForm,
) -> Result<HttpResponse, PageError> {
    let well = fields.faults.is_empty();
    let status = if well { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let view = AdminUserProfileView {
        page: context.page_for(Nav::AdminUsers, &admin.0),
        id: account.id.to_string(),
        name: account.display_name.clone(),
        fields,
    };
    context.send_as(status, None, &view)
}

/// `POST /admin/users/{id}/profile`
pub async fn change(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = user_id(&path)?;
    let before = account(&context, id).await?;
    let fields = form.0;
    let mut faults = profile_form::apply(&fields, &mut before.clone(), By::Admin);
    if faults.is_empty() {
        let (act, typed) = (context.act(&admin.0), fields.clone());
        let rule = move |account: &mut _| drop(profile_form::apply(&typed, account, By::Admin));
        let changed = context
            .state
            .db
            .write(move |connection| profiles::change(connection, id, rule, &act))
            .await;
        match changed {
            Ok(Some(changed)) => {
                let text = told(&before, &changed);
                return Ok(context.done(&own_path(id), Tone::Good, &text));
            }
            Ok(None) => return Err(PageError::NotFound),
            Err(StorageError::Duplicate) => {
                faults.add("email", "Give another address: an account has this one.");
            }
            Err(error) => return Err(error.into()),
        }
    }
    let form = profile_form::typed(&fields, faults, &before, By::Admin);
    draw(&context, &admin, &before, form)
}

/// What the next page says.
fn told(before: &Account, changed: &profiles::Changed) -> String {
    if changed.names.is_empty() {
        return "Nothing was changed.".to_owned();
    }
    let now = &changed.account;
    let mut text = format!("The details of {} are saved.", now.display_name);
    if now.email != before.email && !now.email_verified {
        text.push_str(" The new address isn’t confirmed yet.");
    }
    let number = |account: &Account| account.profile.get(Field::PhoneNumber).to_owned();
    if number(now) != number(before) && !number(now).is_empty() {
        text.push_str(" The new number isn’t confirmed yet.");
    }
    text
}
