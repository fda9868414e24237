-- Whom a batch stops ($1, $2): by the address, not by the message's contact, since who is suppressed is whoever has this
-- address now. And the contacts of the messages ($3, $4) whose outcome is still open, or that are refused ($5) whatever is
-- known of them: they may turn out to be contacted, and the message's second update asks for its contact again.
-- The ids are an array, so that the primary key finds them one by one: as a join the planner, which knows nothing of a
-- young organization, would rather read all of its contacts.
select
  from contacts c
 where c.organization_id = any ($1::uuid[] || $3::uuid[])
   and c.id = any (array(
       select same.id
         from messages m
        cross join lateral (
              select c.id
                from contacts c
               where c.organization_id = m.organization_id and c.email_lower = lower(m.recipient collate "C")
              offset 0) as same
        where m.organization_id = any ($1::uuid[])
          and m.id = any ($2::uuid[])
       union
       select m.contact_id
         from messages m
        where m.organization_id = any ($3::uuid[])
          and m.id = any ($4::uuid[])
          and (m.state in ('sending', 'unknown', 'review', 'scheduled') or m.resent_at is not null or m.id = any ($5::uuid[]))))
 order by c.organization_id, c.id
   for update;
