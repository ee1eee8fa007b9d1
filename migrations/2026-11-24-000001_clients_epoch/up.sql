-- Counts the changes to clients, so that a node knows when what it remembers of them is old.
INSERT INTO meta (name, value) VALUES ('clients_epoch', '1');
