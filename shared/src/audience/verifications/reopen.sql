-- $2: why it is still blacklisted, null where it is not any more. A check that has failed for another reason still has.
update email_verifications
   set blacklisted = case when $2::text is null then 'unknown' else blacklisted end,
       status = case when $2 is not null or 'failed' in (syntax, disposable, role_based, deliverable) then 'invalid' else 'unverified' end,
       reason = coalesce($2, case when disposable = 'failed' then 'disposable_domain'
                                  when role_based = 'failed' then 'role_address'
                                  else 'suppression_lifted' end)
 where email_lower = $1
   and blacklisted = 'failed';
