//! Liveness and readiness.

use std::time::Duration;

use actix_web::{HttpResponse, web};

use super::state::AppState;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "ok"}))
}

/// `GET /readyz`: the database answers, its migrations are applied, and on Postgres its clock
/// and ours agree to a third of the retry window.
pub async fn readyz(state: web::Data<AppState>) -> HttpResponse {
    match check(&state).await {
        Ok(()) => HttpResponse::Ok().json(serde_json::json!({"status": "ready"})),
        Err(cause) => {
            tracing::warn!(cause, "not ready");
            // The cause may name hosts and roles; it is for the log alone.
            HttpResponse::ServiceUnavailable().json(serde_json::json!({"status": "not ready"}))
        }
    }
}

async fn check(state: &AppState) -> Result<(), String> {
    state.db.check().await.map_err(|error| error.to_string())?;
    if let Some(theirs) = state.db.clock().await.map_err(|error| error.to_string())? {
        let ours = state.now();
        let apart = theirs.since(ours).max(ours.since(theirs));
        let bound = (state.settings.tokens.retry_window / 3).max(Duration::from_secs(1));
        if apart > bound {
            return Err(format!(
                "the database's clock and this node's are {} ms apart",
                apart.as_millis()
            ));
        }
    }
    Ok(())
}
