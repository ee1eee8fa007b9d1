-- Which apps a browser's sign-in reached that want to be told of its end: one row for each of
-- them. While the sign-in lasts, due_at is empty; then it says when the app is to be told, or
-- told again.
CREATE TABLE logout_deliveries (
    id BYTEA NOT NULL PRIMARY KEY,
    browser_session_id BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    by_browser BOOLEAN NOT NULL,
    since BIGINT NOT NULL,
    due_at BIGINT,
    attempts BIGINT NOT NULL
);
CREATE UNIQUE INDEX logout_deliveries_waiting ON logout_deliveries (browser_session_id, client_id)
    WHERE due_at IS NULL;
CREATE INDEX logout_deliveries_by_user ON logout_deliveries (user_id) WHERE due_at IS NULL;
CREATE INDEX logout_deliveries_by_time ON logout_deliveries (due_at) WHERE due_at IS NOT NULL;
