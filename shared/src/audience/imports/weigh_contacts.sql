-- How many of these contacts there are, and the bytes of what the importer would read of them.
select count(*) as contacts,
       coalesce(sum(octet_length(custom::text) + coalesce(octet_length(raw_data::text), 0)), 0)::bigint as bytes
  from contacts
 where email_lower = any ($1::text[]);
