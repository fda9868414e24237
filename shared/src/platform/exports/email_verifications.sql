select array[x.email_lower] as place, row_to_json(x)::text as row
  from (select *
          from email_verifications
         where email_lower > coalesce(($1::text[])[1], '')
         order by email_lower
         limit $2) as x;
