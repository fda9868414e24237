-- Also of addresses that the person's messages ($2) went to.
delete from email_verifications
 where email_lower = any (array(select unnest($1::text[])
                                 union
                                select recipient_lower
                                  from messages
                                 where id = any ($2::uuid[])) collate "C");
