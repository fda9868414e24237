-- What an organization learns of an address after it was checked: it has bounced for good, or is not to be written to at all. As the
-- owner, so that whoever tells of a bounce needs no right to it. Those of a whole domain, and of forgotten addresses, are found
-- when they are checked again. Whoever suppresses an address has locked its contact, as has whoever keeps a check.
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

-- Of an address whose last suppression was lifted nobody knows until it is checked again. A check that has failed for another reason
-- still has.
create function reopen_verifications() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    update email_verifications v
       set blacklisted = 'unknown',
           status = case when 'failed' in (v.syntax, v.disposable, v.role_based, v.deliverable) then 'invalid' else 'unverified' end,
           reason = case when v.disposable = 'failed' then 'disposable_domain'
                         when v.role_based = 'failed' then 'role_address'
                         when v.deliverable = 'failed' then 'no_such_mailbox'
                         else 'suppression_lifted'
                    end
      from (select distinct organization_id, email_lower
              from lifted
             where email_lower is not null) as l
     where v.organization_id = l.organization_id
       and v.email_lower = l.email_lower
       and v.blacklisted = 'failed'
       and not exists (select
                         from suppressions s
                        where s.organization_id = l.organization_id
                          and s.email_lower = l.email_lower
                          and (s.reason = 'hard_bounce' or s.campaign_id is null and s.list_id is null));
    return null;
end
$$;
create trigger reopen_verifications after delete on suppressions
    referencing old table as lifted
    for each statement execute function reopen_verifications();

-- What was suppressed since the last check.
update email_verifications v
   set blacklisted = 'failed', status = 'invalid',
       reason = case when s.has_bounced then 'hard_bounce' else 'suppressed' end
  from (select organization_id, email_lower, bool_or(reason = 'hard_bounce') as has_bounced
          from suppressions
         where email_lower is not null
           and (reason = 'hard_bounce' or campaign_id is null and list_id is null)
         group by organization_id, email_lower) as s
 where v.organization_id = s.organization_id
   and v.email_lower = s.email_lower
   and v.blacklisted <> 'failed';

-- The few of a reason, and those of a time, among very many.
create index suppressions_reason_idx on suppressions (organization_id, reason, id);
create index suppressions_created_at_idx on suppressions (organization_id, created_at, id);
