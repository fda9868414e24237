-- Whoever accepts it at this moment is waited for.
select *
  from invites
 where id = $1
   for no key update;
