-- The organization of the transaction, as somebody owns it.
select o.*, u.email
  from organizations o
  join memberships m on m.organization_id = o.id and m.role = 'owner'
  join users u on u.id = m.user_id
 where m.user_id = $1
   and o.status = 'deleting'
   and o.delete_after > $2;
