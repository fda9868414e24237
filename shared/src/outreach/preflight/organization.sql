select coalesce(btrim(postal_address), '') = '' as lacks_postal_address
  from organizations
 where id = $1;
