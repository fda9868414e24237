-- Suppressed is what nothing is sent to at all; the hashes are those of forgotten addresses ($2: of which address each is).
select e.email,
       exists (select from suppressions s where s.email_lower = e.email and s.campaign_id is null and s.list_id is null)
       or exists (select
                    from suppressions s
                   where s.domain = split_part(e.email, '@', -1) and s.campaign_id is null and s.list_id is null)
       or exists (select
                    from unnest($2::text[], $3::smallint[], $4::bytea[]) as h (email, key, hash)
                    join suppressions s on s.email_hash = h.hash and s.hash_key = h.key
                   where h.email = e.email
                     and s.campaign_id is null
                     and s.list_id is null) as is_suppressed,
       exists (select from suppressions s where s.email_lower = e.email and s.reason = 'hard_bounce')
       or exists (select from contacts c where c.email_lower = e.email and c.status = 'bounced') as has_bounced
  from unnest($1::text[]) as e (email);
