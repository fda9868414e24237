select invite_mails_to($1);
