select exists (select from users where is_admin and disabled_at is null and id <> $1);
