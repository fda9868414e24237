-- Runs after the locks. Of the reasons for which an address is suppressed only one concerns mail about somebody's own account:
-- that there is nobody. Of a forgotten address there is only the hash: $3 and $4 are the messages and what their recipients hash to.
select m.organization_id, m.id as message_id, m.recipient, m.send_at, m.expires_at,
       exists (select
                 from suppressions x
                where x.organization_id = m.organization_id
                  and x.email_lower = m.recipient_lower
                  and x.reason = 'hard_bounce'
                  and x.campaign_id is null and x.list_id is null)
       or exists (select
                    from unnest($3::uuid[], $4::bytea[]) as h (message_id, hash)
                    join suppressions x on x.organization_id = m.organization_id and x.email_hash = h.hash
                   where h.message_id = m.id
                     and x.reason = 'hard_bounce'
                     and x.campaign_id is null and x.list_id is null) as is_suppressed
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
  join messages m on m.organization_id = k.organization_id and m.id = k.id
 where m.state = 'scheduled'
   and m.slot_day is not null
   and m.kind = 'system'
 order by m.organization_id, m.id;
