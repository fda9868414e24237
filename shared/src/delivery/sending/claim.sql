-- From this commit on the mail counts as possibly sent, whatever happens to this process: what it says is written now, so
-- that it is known of a mail in doubt as well.
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
 where m.organization_id = k.organization_id
   and m.id = k.id;
