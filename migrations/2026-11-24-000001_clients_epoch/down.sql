DELETE FROM meta WHERE name = 'clients_epoch';
