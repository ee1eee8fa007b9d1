-- Times are unix milliseconds in BIGINT, ids and hashes are BYTEA, lists are TEXT in JSON.
-- SQLite takes these type names as they are.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE token_keys (
    id BIGINT NOT NULL PRIMARY KEY,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE users (
    id BYTEA NOT NULL PRIMARY KEY,
    username TEXT NOT NULL,
    username_key TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    search_text TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    is_admin BOOLEAN NOT NULL,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL,
    last_sign_in_at BIGINT
);

CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    auth_method TEXT NOT NULL,
    secret_hash BYTEA,
    redirect_uris TEXT NOT NULL,
    post_logout_redirect_uris TEXT NOT NULL,
    grants TEXT NOT NULL,
    scope TEXT NOT NULL,
    access_token_format TEXT NOT NULL,
    rotation TEXT NOT NULL,
    retry_window_ms BIGINT,
    refresh_policy TEXT NOT NULL,
    audience TEXT NOT NULL,
    may_introspect BOOLEAN NOT NULL,
    require_pkce BOOLEAN NOT NULL,
    skip_consent BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE scopes (
    name TEXT NOT NULL PRIMARY KEY,
    description TEXT NOT NULL,
    risk TEXT NOT NULL
);

CREATE TABLE consents (
    user_id BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
);
CREATE INDEX consents_by_client ON consents (client_id);

CREATE TABLE browser_sessions (
    key_hash BYTEA NOT NULL PRIMARY KEY,
    id BYTEA NOT NULL UNIQUE,
    user_id BYTEA NOT NULL,
    state TEXT NOT NULL,
    signed_in_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    idle_ms BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    ip TEXT NOT NULL,
    agent TEXT NOT NULL
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (user_id, signed_in_at);
CREATE INDEX browser_sessions_by_end ON browser_sessions (ends_at);

CREATE TABLE authorization_codes (
    hash BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    browser_session_id BYTEA,
    redirect_uri TEXT NOT NULL,
    redirect_uri_was_sent BOOLEAN NOT NULL,
    scope TEXT NOT NULL,
    challenge TEXT,
    auth_time BIGINT NOT NULL,
    nonce TEXT,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    family_id BYTEA,
    verifier_hash BYTEA
);
CREATE INDEX authorization_codes_by_end ON authorization_codes (expires_at);

-- One row for each app on each device, however often it refreshes. No index holds a column
-- that a refresh changes, so that Postgres updates it in place (HOT).
CREATE TABLE token_families (
    id BYTEA NOT NULL PRIMARY KEY,
    nonce BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    browser_session_id BYTEA,
    created_at BIGINT NOT NULL,
    auth_time BIGINT NOT NULL,
    refreshable BOOLEAN NOT NULL,
    idle_ms BIGINT NOT NULL,
    ends_at BIGINT,
    generation BIGINT NOT NULL,
    key_id BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    given_at BIGINT NOT NULL,
    given_to BYTEA NOT NULL,
    parent BIGINT,
    parent_key_id BIGINT,
    parent_given_at BIGINT,
    known_callers BYTEA NOT NULL,
    written_at BIGINT NOT NULL,
    row_version BIGINT NOT NULL,
    caller_ip TEXT NOT NULL,
    caller_agent TEXT NOT NULL,
    alarm_at BIGINT,
    ended_at BIGINT,
    end_cause TEXT,
    ended_by TEXT,
    end_reason TEXT,
    history TEXT NOT NULL
);
CREATE INDEX token_families_by_time ON token_families (created_at, id);
CREATE INDEX token_families_by_user ON token_families (user_id, created_at, id);
CREATE INDEX token_families_by_client ON token_families (client_id, created_at, id);
CREATE INDEX token_families_by_browser ON token_families (browser_session_id);
CREATE INDEX token_families_by_end ON token_families (ended_at);
CREATE INDEX token_families_by_alarm ON token_families (alarm_at) WHERE alarm_at IS NOT NULL;

CREATE TABLE revoked_access_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_access_tokens_by_end ON revoked_access_tokens (expires_at);

CREATE TABLE sign_in_failures (
    key BYTEA NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    since BIGINT NOT NULL,
    paused_until BIGINT NOT NULL
);

CREATE TABLE audit_events (
    id BYTEA NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    action TEXT NOT NULL,
    target_kind TEXT,
    target_id TEXT,
    user_id BYTEA,
    client_id TEXT,
    ip TEXT,
    detail TEXT,
    reference TEXT
);
CREATE INDEX audit_events_by_time ON audit_events (at, id);
CREATE INDEX audit_events_by_user ON audit_events (user_id, at);
