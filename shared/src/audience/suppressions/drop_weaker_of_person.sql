-- A forgotten address that has bounced or complained since: that is what takes a second word to lift, and it is to stay.
delete from suppressions f
 using suppressions s
 where f.email_hash = any ($2::bytea[])
   and f.reason not in ('hard_bounce', 'complaint')
   and s.email_lower = $1
   and s.reason in ('hard_bounce', 'complaint')
   and s.campaign_id is not distinct from f.campaign_id
   and s.list_id is not distinct from f.list_id;
