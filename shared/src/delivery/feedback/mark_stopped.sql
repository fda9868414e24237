-- A person who has unsubscribed or replied before stays what they are.
update contacts
   set status = $3
 where organization_id = $1
   and id = $2
   and status in ('active', 'contacted');
