select kind, status, send_at, ended_at from lifecycle_mails order by send_at, kind;
