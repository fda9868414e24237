update campaigns
   set status = 'archived', archived_at = $2
 where id = $1
   and status in ('active', 'paused', 'completed')
returning *;
