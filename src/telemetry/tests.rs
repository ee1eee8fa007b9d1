//! The log of a request, read back.

use std::io::Write;
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpMessage as _, HttpRequest, HttpResponse, test, web};

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Captured {
    type Writer = Self;
    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

fn captured(format: LogFormat, filter: &str) -> (Captured, tracing::subscriber::DefaultGuard) {
    let log = Captured::default();
    let subscriber = subscriber(format, EnvFilter::new(filter), false, log.clone());
    (log, tracing::subscriber::set_default(subscriber))
}

async fn answer(request: HttpRequest) -> HttpResponse {
    tracing::info!("in the handler");
    let reference = request.extensions().get::<Reference>().copied();
    HttpResponse::Ok().body(reference.map(|reference| reference.to_string()).unwrap_or_default())
}

async fn refuse() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorInternalServerError("no"))
}

async fn call(request: test::TestRequest) -> (StatusCode, String, String) {
    let app = test::init_service(
        App::new()
            .wrap(from_fn(follow))
            .route("/callback", web::to(answer))
            .route("/healthz", web::to(answer))
            .route("/broken", web::to(refuse)),
    )
    .await;
    let response = test::call_service(&app, request.to_request()).await;
    let status = response.status();
    let header = response.headers().get("x-request-id").unwrap();
    let header = header.to_str().unwrap().to_owned();
    let body = test::read_body(response).await;
    (status, header, String::from_utf8(body.to_vec()).unwrap())
}

#[actix_web::test]
async fn a_request_has_one_reference_in_page_header_and_log() {
    let (log, _guard) = captured(LogFormat::Json, "info");
    let (_, header, page) = call(test::TestRequest::get().uri("/callback")).await;
    assert_eq!(header, page);
    assert_eq!(header.len(), 9);
    let log = log.text();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for line in &lines {
        assert_eq!(line["span"]["reference"], header.as_str());
        assert_eq!(line["span"]["method"], "GET");
        assert_eq!(line["span"]["path"], "/callback");
    }
    assert_eq!(lines[1]["status"], 200);
    assert!(lines[1]["milliseconds"].is_u64());
}

#[actix_web::test]
async fn no_secret_of_a_request_reaches_the_log_even_at_trace() {
    for format in [LogFormat::Json, LogFormat::Pretty] {
        let (log, _guard) = captured(format, "trace");
        call(
            test::TestRequest::post()
                .uri("/callback?code=pac_in_the_query")
                .insert_header(("authorization", "Basic in_the_header"))
                .insert_header(("cookie", "session=in_the_cookie"))
                .set_payload("password=in_the_body"),
        )
        .await;
        let log = log.text();
        assert!(log.contains("/callback") && log.contains("answered"), "{log}");
        assert!(!log.contains("in_the_"), "{log}");
    }
}

#[actix_web::test]
async fn a_failure_is_an_error_and_still_has_its_reference() {
    let (log, _guard) = captured(LogFormat::Pretty, "info");
    let (status, header, _) = call(test::TestRequest::get().uri("/broken")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let log = log.text();
    assert!(log.contains("ERROR") && log.contains(&header) && log.contains("status=500"), "{log}");
}

#[actix_web::test]
async fn health_checks_are_quiet() {
    let (log, _guard) = captured(LogFormat::Pretty, "info");
    call(test::TestRequest::get().uri("/healthz")).await;
    assert!(!log.text().contains("answered"), "{}", log.text());
}

#[std::prelude::v1::test]
fn foreign_crates_never_trace() {
    let (log, _guard) = captured(LogFormat::Pretty, "trace");
    tracing::trace!(target: "h2::codec", "a whole frame");
    tracing::debug!(target: "h2::codec", "a name");
    tracing::trace!(target: "perennial::storage", "ours");
    let log = log.text();
    assert!(!log.contains("a whole frame"), "{log}");
    assert!(log.contains("a name") && log.contains("ours"), "{log}");
}
