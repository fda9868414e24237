-- Only of contacts ($3) that are locked. Two schedulers at once share the work: each skips what the other has locked. Nothing
-- but the ids stands where an index has it: that index would be read for all that is in it.
select e.id
  from enrollments e
 where e.id = any ($1::uuid[])
   and (e.next_due_at <= $2) is true
   and (e.contact_id = any ($3)) is true
 order by e.organization_id, e.id
   for update skip locked;
