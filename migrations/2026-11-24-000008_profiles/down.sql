ALTER TABLE consents DROP COLUMN claims;
ALTER TABLE users DROP COLUMN profile_updated_at;
ALTER TABLE users DROP COLUMN email_verified;
ALTER TABLE users DROP COLUMN profile;
