-- What a client says of itself beyond what every client has, as JSON.
ALTER TABLE clients ADD COLUMN details TEXT NOT NULL DEFAULT '{}';

-- What was asked for beyond the scope: claims as JSON, resources as a list (RFC 8707).
ALTER TABLE authorization_codes ADD COLUMN claims TEXT;
ALTER TABLE authorization_codes ADD COLUMN resources TEXT NOT NULL DEFAULT '[]';
ALTER TABLE token_families ADD COLUMN claims TEXT;
