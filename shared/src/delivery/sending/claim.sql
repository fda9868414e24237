-- From this commit on the mail counts as possibly sent, whatever happens to this process: what it says is written now, so
-- that it is known of a mail in doubt as well.
-- The ids look them up, and row-level security says whose they are: were the organization named as well, the planner, which
-- knows nothing of a young one, would take it for a single row and read all of its rows. An equality with the given
-- rows would look each of them up so.
update messages m
   set state = 'sending',
       attempt_token = k.token,
       attempts = m.attempts + 1,
       attempted_at = now(),
       subject = k.subject,
       body = k.body,
       enqueue_again_at = null,
       outcome_code = null,
       outcome_detail = null
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[]) as k (organization_id, id, token, subject, body)
 where m.id = any ($2::uuid[])
   and (m.organization_id, m.id) is not distinct from (k.organization_id, k.id);
