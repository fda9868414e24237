-- A person who has unsubscribed or whose address bounces stays what they are.
update contacts
   set status = 'replied'
 where organization_id = $1
   and id = $2
   and status in ('active', 'contacted');
