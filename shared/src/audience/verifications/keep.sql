-- A verdict on the mailbox stays, as old as it is, where nobody could tell this time: a provider that is out or not paid for any more
-- makes no address doubtful. The states follow as `Checks::status` has them.
insert into email_verifications as v (organization_id, email_lower, syntax, disposable, role_based, deliverable, blacklisted, status,
                                      reason, checked_at)
select $1, f.email, f.syntax, f.disposable, f.role_based, f.deliverable, f.blacklisted, f.status, f.reason, $10
  from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
           as f (email, syntax, disposable, role_based, deliverable, blacklisted, status, reason)
  join contacts c on c.email_lower = f.email
 order by f.email
    on conflict (organization_id, email_lower) do update
   set (syntax, disposable, role_based, deliverable, blacklisted, status, reason, checked_at) = (
       select excluded.syntax, excluded.disposable, excluded.role_based, known.deliverable, excluded.blacklisted,
              case when 'failed' in (excluded.syntax, excluded.disposable, excluded.role_based, known.deliverable, excluded.blacklisted)
                       then 'invalid'
                   when known.stays
                       and (excluded.syntax, excluded.disposable, excluded.role_based, excluded.blacklisted)
                           = ('passed', 'passed', 'passed', 'passed')
                       then 'valid'
                   else excluded.status end,
              -- Why a mailbox was refused may be hidden by what was suppressed since.
              case when not known.stays or excluded.status = 'invalid' then excluded.reason
                   when known.deliverable = 'failed' and v.reason in ('suppressed', 'hard_bounce') then excluded.reason
                   when known.deliverable = 'failed' then v.reason
                   when excluded.blacklisted = 'passed' then null
                   else excluded.reason end,
              case when known.stays then v.checked_at else excluded.checked_at end
         from (select stays, case when stays then v.deliverable else excluded.deliverable end
                 from (select excluded.deliverable in ('pending', 'unknown') and v.deliverable in ('passed', 'failed'))
                          as asked (stays)) as known (stays, deliverable));
