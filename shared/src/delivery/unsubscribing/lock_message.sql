select recipient = 'erased' as is_erased from messages where id = $1 for update;
