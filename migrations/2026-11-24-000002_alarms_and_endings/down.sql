DROP TABLE endings;
ALTER TABLE token_families DROP COLUMN alarm_answered_at;
ALTER TABLE token_families DROP COLUMN alarm_answer;
ALTER TABLE token_families DROP COLUMN alarm_read_by;
ALTER TABLE token_families DROP COLUMN alarm_read_at;
