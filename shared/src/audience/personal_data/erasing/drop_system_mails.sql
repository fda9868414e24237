-- What the installation was to tell the owner of the address, and has not, it does not tell any more.
with dropped as (
    delete from system_mails where message_id = any ($1::uuid[]) returning organization_id, message_id
)
update messages m
   set state = 'cancelled', slot_day = null, enqueue_again_at = null, outcome_code = $2
  from dropped d
 where m.organization_id = d.organization_id
   and m.id = d.message_id
   and m.state = 'scheduled';
