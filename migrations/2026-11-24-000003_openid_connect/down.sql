ALTER TABLE token_families DROP COLUMN claims;
ALTER TABLE authorization_codes DROP COLUMN resources;
ALTER TABLE authorization_codes DROP COLUMN claims;
ALTER TABLE clients DROP COLUMN details;
