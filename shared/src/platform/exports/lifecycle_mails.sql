select array[x.kind::text] as place, row_to_json(x)::text as row
  from (select *
          from lifecycle_mails
         where kind > coalesce(($1::text[])[1]::text, '')
         order by kind
         limit $2) as x;
