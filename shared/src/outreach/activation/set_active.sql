update campaigns
   set status = 'active', started_at = $2
 where id = $1
   and status in ('draft', 'activating');
