select list, entry
  from address_lists
 where list = 'disposable_domains' and entry = any ($1::text[])
    or list = 'role_names' and entry = any ($2::text[]);
