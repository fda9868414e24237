-- Of two workers the second finds it taken, and leaves it to the first; whoever died with it loses it when the lease is over. $3: its
-- seconds. Nothing is checked for an organization that is suspended or about to be deleted.
update verification_jobs j
   set attempt = $2,
       leased_until = now() + make_interval(secs => $3),
       heartbeat_at = now()
 where j.id = $1
   and j.status = 'running'
   and j.selection is not null
   and coalesce(j.leased_until < now(), true)
   and exists (select from organizations o where o.id = j.organization_id and o.status = 'active')
returning *;
