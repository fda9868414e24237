-- What the installation's own mails say, and from whom: as it is set at this moment.
with letters as materialized (
    select m.organization_id, m.id, m.recipient, m.state, m.kind
      from messages m
     where m.id = any ($2::uuid[])
), settings as materialized (
    select max(c.value) filter (where c.key = 'system_sender') as sender,
           max(c.value) filter (where c.key = 'system_sender_name') as sender_name,
           max(c.value) filter (where c.key = 'console_url') as console_url
      from system_config c
     where c.category = 'mail'
)
select l.organization_id, l.id as message_id, l.recipient, s.template, s.variables, s.action_purpose, s.action_id,
       c.sender, c.sender_name, c.console_url
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
  join letters l on l.organization_id = k.organization_id and l.id = k.id
  join system_mails s on s.organization_id = l.organization_id and s.message_id = l.id
 cross join settings c
 where l.state = 'scheduled'
   and l.kind = 'system'
 order by l.organization_id, l.id;
