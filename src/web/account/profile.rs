//! `/account/profile`: what a person says of themselves.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::protocol::profiles;
use crate::web::browser::SignedIn;
use crate::web::form::SubmittedForm;
use crate::web::page::{Context, PageError};
use crate::web::profile_form::{self, By};
use crate::web::views::{AccountProfileView, Nav, ProfileForm, Tone};

/// The page.
pub async fn show(context: Context, who: SignedIn) -> Result<HttpResponse, PageError> {
    draw(&context, &who, profile_form::of_account(&who.account, By::Person))
}

fn draw(context: &Context, who: &SignedIn, fields: ProfileForm) -> Result<HttpResponse, PageError> {
    let well = fields.faults.is_empty();
    let status = if well { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = context.page_for(Nav::Account, who);
    context.send_as(status, None, &AccountProfileView { page, fields })
}

/// `POST /account/profile`
pub async fn change(
    context: Context,
    who: SignedIn,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let fields = form.0;
    let faults = profile_form::apply(&fields, &mut who.account.clone(), By::Person);
    if !faults.is_empty() {
        let form = profile_form::typed(&fields, faults, &who.account, By::Person);
        return draw(&context, &who, form);
    }
    let (user, act) = (who.account.id, context.act(&who));
    let changed = context
        .state
        .db
        .write(move |connection| {
            let rule = |account: &mut _| drop(profile_form::apply(&fields, account, By::Person));
            profiles::change(connection, user, rule, &act)
        })
        .await?
        .ok_or(PageError::NotFound)?;
    let text =
        if changed.names.is_empty() { "Nothing was changed." } else { "Your details are saved." };
    Ok(context.done("/account", Tone::Good, text))
}
