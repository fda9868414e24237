select exists (select
                 from invites i
                 join users u on u.email_lower collate "C" = i.email_lower
                where i.id = $1
                  and u.id = $2
                  and u.email_verified_at is not null
                  and u.disabled_at is null);
