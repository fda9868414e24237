-- Ordered by a hash, since an address is no id.
select *, md5(email_lower)::uuid as place_id, 0::bigint as place_line
  from email_verifications
 where email_lower = any (array(select $3::text
                                 union
                                select recipient_lower
                                  from messages
                                 where id = any ($4::uuid[])) collate "C")
   and md5(email_lower)::uuid > $1
 order by md5(email_lower)::uuid
 limit $2;
