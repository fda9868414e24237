-- What was suppressed since the last check. Before anybody who suppresses has to wait for it.
update email_verifications v
   set blacklisted = 'failed', status = 'invalid', reason = s.reason
  from (select organization_id, email_lower, case when bool_or(reason = 'hard_bounce') then 'hard_bounce' else 'suppressed' end as reason
          from suppressions
         where email_lower is not null
           and (reason = 'hard_bounce' or campaign_id is null and list_id is null)
         group by organization_id, email_lower) as s
 where v.organization_id = s.organization_id
   and v.email_lower = s.email_lower
   and v.blacklisted <> 'failed';

-- What an organization learns of an address after it was checked: it has bounced for good, or is not to be written to at all. As the
-- owner, so that whoever tells of a bounce needs no right to it. Those of a whole domain, and of forgotten addresses, are found
-- when they are checked again. Verifications come after suppressions in the order of locks.
create function blacklist_verifications() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    update email_verifications v
       set blacklisted = 'failed', status = 'invalid', reason = s.reason
      from (select organization_id, email_lower, case when bool_or(reason = 'hard_bounce') then 'hard_bounce' else 'suppressed' end as reason
              from suppressed
             where email_lower is not null
               and (reason = 'hard_bounce' or campaign_id is null and list_id is null)
             group by organization_id, email_lower) as s
     where v.organization_id = s.organization_id
       and v.email_lower = s.email_lower
       and (v.blacklisted <> 'failed' or v.reason is distinct from s.reason and s.reason = 'hard_bounce');
    return null;
end
$$;
create trigger blacklist_verifications_inserted after insert on suppressions
    referencing new table as suppressed
    for each statement execute function blacklist_verifications();
-- A reason that has become graver.
create trigger blacklist_verifications_updated after update on suppressions
    referencing new table as suppressed
    for each statement execute function blacklist_verifications();
