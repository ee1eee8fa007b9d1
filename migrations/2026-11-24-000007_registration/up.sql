-- Where a client comes from: administrator, registration or document; and whether an
-- administrator has looked at one that came by itself.
ALTER TABLE clients ADD COLUMN origin TEXT NOT NULL DEFAULT 'administrator';
ALTER TABLE clients ADD COLUMN reviewed_at BIGINT;
-- When somebody last signed in by it, to the day; of clients that came by themselves alone.
ALTER TABLE clients ADD COLUMN last_used_at BIGINT;
-- SHA-256 of the token that the client manages its registration with (RFC 7592).
ALTER TABLE clients ADD COLUMN registration_token_hash BYTEA;
-- Until when a client's metadata document counts without being fetched again.
ALTER TABLE clients ADD COLUMN fresh_until BIGINT;

-- Initial access tokens: who holds one may register clients (RFC 7591 section 3).
CREATE TABLE registration_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    uses_left BIGINT,
    expires_at BIGINT,
    last_used_at BIGINT
);

-- How much of an allowance is spent: all of it is there again at that time.
CREATE TABLE allowances (
    key BYTEA NOT NULL PRIMARY KEY,
    whole_at BIGINT NOT NULL
);
