//! The OAuth endpoints. They stand outside of the session middleware, but for the
//! authorization endpoint and the one that signs out, which are pages.

pub mod answer;
pub mod authorize;
pub mod client;
pub mod errors;
pub mod introspect;
pub mod logout;
pub mod metadata;
pub mod obtain;
pub mod par;
pub mod register;
pub mod request;
pub mod revoke;
pub mod token;
pub mod userinfo;

use actix_cors::Cors;
use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};

/// The endpoints that apps call: open to browser apps of any origin, without cookies.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/oauth/token")
                .wrap(cors(&["POST"]))
                .route(web::post().to(token::token))
                .default_service(web::to(answer::only_post)),
        )
        .service(
            web::resource(par::PATH)
                .wrap(cors(&["POST"]))
                .route(web::post().to(par::push))
                .default_service(web::to(answer::only_post)),
        )
        .service(
            web::resource("/oauth/revoke")
                .wrap(cors(&["POST"]))
                .route(web::post().to(revoke::revoke))
                .default_service(web::to(answer::only_post)),
        )
        .service(
            web::resource("/oauth/introspect")
                .route(web::post().to(introspect::introspect))
                .default_service(web::to(answer::only_post)),
        )
        .service(
            web::resource("/oauth/register")
                .wrap(cors(&["POST"]))
                .route(web::post().to(register::register))
                .default_service(web::to(register::other_method)),
        )
        .service(
            web::resource("/oauth/register/{client_id}")
                .wrap(cors(&["GET", "PUT", "DELETE"]))
                .route(web::get().to(register::read))
                .route(web::put().to(register::update))
                .route(web::delete().to(register::remove))
                .default_service(web::to(register::other_method)),
        )
        .service(
            web::resource("/oauth/userinfo")
                .wrap(cors(&["GET", "POST"]))
                .route(web::get().to(userinfo::userinfo))
                .route(web::post().to(userinfo::userinfo))
                .default_service(web::to(userinfo::only_get_and_post)),
        )
        .route(errors::SESSION_ENDED, web::get().to(errors::session_ended))
        .service(
            web::resource("/oauth/jwks.json")
                .wrap(cors(&["GET"]))
                .route(web::get().to(metadata::jwks)),
        );
    for path in metadata::DOCUMENTS {
        well_known(config, path);
    }
}

/// The metadata document at a path of its own.
pub fn well_known(config: &mut ServiceConfig, path: &str) {
    let resource = web::resource(path).wrap(cors(&["GET"]));
    config.service(resource.route(web::get().to(metadata::document)));
}

/// Any origin, no credentials: what these endpoints need stands in the request itself.
pub fn cors(methods: &[&'static str]) -> Cors {
    Cors::default()
        .allow_any_origin()
        .send_wildcard()
        .allowed_methods(methods.iter().copied())
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(3600)
}
