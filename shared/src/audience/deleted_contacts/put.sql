-- The whole row, whatever columns it has, so that one that is added later is restored without anybody's doing.
insert into deleted_contacts (organization_id, id, email_lower, snapshot, reason, merged_into, deleted_at, deleted_by)
select c.organization_id, c.id, c.email_lower,
       jsonb_build_object(
           'contact', to_jsonb(c) - array['organization_id', 'email_lower'],
           'lists', (select coalesce(jsonb_agg(jsonb_build_object('list_id', m.list_id, 'added_at', m.added_at) order by m.list_id), '[]')
                       from list_members m where m.contact_id = c.id),
           'tags', (select coalesce(jsonb_agg(jsonb_build_object('tag_id', t.tag_id, 'added_at', t.added_at) order by t.tag_id), '[]')
                      from contact_tags t where t.contact_id = c.id),
           'leads', (select coalesce(jsonb_agg(to_jsonb(l) - array['organization_id', 'contact_id'] order by l.id), '[]')
                       from leads l where l.contact_id = c.id),
           'enrollments', (select coalesce(jsonb_agg(to_jsonb(e) - 'organization_id' order by e.id), '[]')
                             from enrollments e where e.contact_id = c.id),
           'messages', (select coalesce(jsonb_agg(m.id order by m.id), '[]') from messages m where m.contact_id = c.id),
           'replies', (select coalesce(jsonb_agg(r.id order by r.id), '[]') from replies r where r.contact_id = c.id)),
       $2, $3, $4, $5
  from contacts c
 where c.id = any ($1::uuid[])
 order by c.id;
