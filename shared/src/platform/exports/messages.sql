-- The installation's own mails, which are in the ledger of one organization, are no organization's. A page ends when its texts have
-- four mebibytes, with one message at least.
select array[x.id::text] as place, row_to_json(x)::text as row
  from (select m.id, m.kind, m.campaign_id, m.step_id, m.enrollment_id, m.contact_id, m.sender_id, m.recipient, m.state, m.subject,
               m.body, m.send_at, m.expires_at, m.attempts, m.provider_message_id, m.sent_at, m.outcome_code, m.outcome_detail,
               m.delivered_at, m.opened_at, m.clicked_at, m.replied_at, m.bounced_at, m.complained_at, m.unsubscribed_at,
               m.skipped_at, m.resent_at, m.created_at, m.updated_at
          from (select *, sum(coalesce(octet_length(body), 0)) over (order by id) - coalesce(octet_length(body), 0)
                            as bytes_before
                  from messages
                 where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
                   and kind <> 'system'
                 order by id
                 limit $2) as m
         where m.bytes_before < 4194304
         order by m.id) as x;
