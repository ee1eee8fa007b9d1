DROP TABLE allowances;
DROP TABLE registration_tokens;
ALTER TABLE clients DROP COLUMN fresh_until;
ALTER TABLE clients DROP COLUMN registration_token_hash;
ALTER TABLE clients DROP COLUMN last_used_at;
ALTER TABLE clients DROP COLUMN reviewed_at;
ALTER TABLE clients DROP COLUMN origin;
