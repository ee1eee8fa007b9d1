//! Being written.

use actix_web::web::ServiceConfig;

/// The routes of these pages.
pub fn routes(_: &mut ServiceConfig) {}
