select cancel_system_mails($1, $2);
