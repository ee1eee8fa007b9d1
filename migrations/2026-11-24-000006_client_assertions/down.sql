DROP TABLE pushed_requests;
DROP TABLE assertion_jtis;
ALTER TABLE clients DROP COLUMN secret_sealed;
