-- The installation's own mails, which are in the ledger of one organization, are no organization's.
select array[x.id::text] as place, row_to_json(x)::text as row
  from (select id, kind, campaign_id, step_id, enrollment_id, contact_id, sender_id, recipient, state, subject, body, send_at,
               expires_at, attempts, provider_message_id, sent_at, outcome_code, outcome_detail, delivered_at, opened_at, clicked_at,
               replied_at, bounced_at, complained_at, unsubscribed_at, skipped_at, resent_at, created_at, updated_at
          from messages
         where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
           and kind <> 'system'
         order by id
         limit $2) as x;
