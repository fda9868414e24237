select set_restored_as($1, $2, $3, $4, $5);
