select count(*) > 0 as is_in_use,
       count(*) filter (where c.status = 'activating') > 0 as is_being_activated
  from campaigns c
 where c.segment_id = $1
   and c.status in ('draft', 'activating');
