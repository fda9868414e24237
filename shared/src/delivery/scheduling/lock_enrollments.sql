-- Only of contacts ($4) that are locked. Two schedulers at once share the work: each skips what the other has locked.
select e.organization_id, e.id
  from enrollments e
  join unnest($1::uuid[], $2::uuid[]) as k (organization_id, id) on k.organization_id = e.organization_id and k.id = e.id
 where e.next_due_at is not null
   and e.next_due_at <= $3
   and e.contact_id = any ($4)
 order by e.organization_id, e.id
   for update of e skip locked;
