-- A client's secret itself, sealed under the root secret: for those that sign with it.
ALTER TABLE clients ADD COLUMN secret_sealed BYTEA;

-- Assertions that were used, by a hash of client and jti, until they would have ended.
CREATE TABLE assertion_jtis (
    hash BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX assertion_jtis_by_end ON assertion_jtis (expires_at);

-- Authorization requests that were pushed (RFC 9126), by the hash of their request_uri.
CREATE TABLE pushed_requests (
    hash BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    parameters TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pushed_requests_by_end ON pushed_requests (expires_at);
