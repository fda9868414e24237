insert into address_lists (list, entry)
select $1, entry
  from unnest($2::text[]) as entry
    on conflict do nothing;
