//! The files of `static/`, inside the binary, each under a path that carries its own fingerprint.
//!
//! The fingerprint changes with the content, so a browser may keep a file for a
//! year and still never show an old one.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use sha2::{Digest, Sha256};

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    /// The name as in `static/`.
    pub name: &'static str,
    /// The path under the base: `static/<stem>.<fingerprint>.<extension>`.
    pub path: String,
    /// The media type to send.
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: &'static [u8],
}

macro_rules! embedded {
    ($($name:literal => $kind:literal),* $(,)?) => {
        [$(($name, $kind, include_bytes!(concat!("../../static/", $name)).as_slice())),*]
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    embedded! {
        "perennial.css" => "text/css; charset=utf-8",
        "icons.svg" => "image/svg+xml",
        "favicon.svg" => "image/svg+xml",
        "form_post.js" => "text/javascript; charset=utf-8",
    }
    .into_iter()
    .map(|(name, content_type, bytes)| Asset {
        name,
        path: fingerprinted(name, bytes),
        content_type,
        bytes,
    })
    .collect()
});

fn fingerprinted(name: &str, bytes: &[u8]) -> String {
    let print: String =
        Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("static/{stem}.{print}.{extension}"),
        None => format!("static/{name}.{print}"),
    }
}

/// Every embedded file.
pub fn all() -> &'static [Asset] {
    &ASSETS
}

/// The URL of a file by its name in `static/`, under the base path of the pages.
///
/// A name that isn't embedded gives a URL that answers 404; a test holds every
/// template against the list.
pub fn url(base: &str, name: &str) -> String {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => format!("{base}/{}", asset.path),
        None => format!("{base}/static/{name}"),
    }
}

/// The file whose fingerprinted name (what follows `/static/`) is asked for.
pub fn find(file: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path.strip_prefix("static/") == Some(file))
}

/// `GET /static/{file}`: the file, to be kept for a year, or 404.
pub async fn serve(file: web::Path<String>) -> HttpResponse {
    match find(&file) {
        Some(asset) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, asset.content_type))
            .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(asset.bytes),
        None => HttpResponse::NotFound()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type("text/plain; charset=utf-8")
            .body("There is no such file here."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{App, http::StatusCode, test as calls};

    #[test]
    fn a_url_carries_base_and_fingerprint() {
        let css = url("/id", "perennial.css");
        let middle = css
            .strip_prefix("/id/static/perennial.")
            .and_then(|rest| rest.strip_suffix(".css"))
            .unwrap();
        assert_eq!(middle.len(), 12, "{css}");
        assert!(middle.bytes().all(|byte| byte.is_ascii_hexdigit()), "{css}");
    }

    #[actix_web::test]
    async fn files_are_served_for_a_year_and_others_not_at_all() {
        let app =
            calls::init_service(App::new().route("/static/{file}", web::get().to(serve))).await;
        for asset in all() {
            let request = calls::TestRequest::get().uri(&format!("/{}", asset.path)).to_request();
            let answer = calls::call_service(&app, request).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let headers = answer.headers().clone();
            assert_eq!(
                headers.get("cache-control").unwrap(),
                "public, max-age=31536000, immutable"
            );
            assert_eq!(headers.get("content-type").unwrap(), asset.content_type);
            assert_eq!(calls::read_body(answer).await, asset.bytes);
        }
        for wrong in [
            "/static/perennial.css",
            "/static/perennial.000000000000.css",
            "/static/..%2Ficons.svg",
        ] {
            let request = calls::TestRequest::get().uri(wrong).to_request();
            assert_eq!(
                calls::call_service(&app, request).await.status(),
                StatusCode::NOT_FOUND,
                "{wrong}"
            );
        }
    }
}
