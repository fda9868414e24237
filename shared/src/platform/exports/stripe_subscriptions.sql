select array[x.id::text] as place, row_to_json(x)::text as row
  from (select *
          from stripe_subscriptions
         where id > coalesce(($1::text[])[1]::text, '')
         order by id
         limit $2) as x;
