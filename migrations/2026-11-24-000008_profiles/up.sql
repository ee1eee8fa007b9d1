-- What people say of themselves, as JSON, and what an administrator has verified.
ALTER TABLE users ADD COLUMN profile TEXT NOT NULL DEFAULT '{}';
ALTER TABLE users ADD COLUMN email_verified BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE users ADD COLUMN profile_updated_at BIGINT;

-- The claims that were allowed one by one, beside the scope, as a list.
ALTER TABLE consents ADD COLUMN claims TEXT NOT NULL DEFAULT '[]';
