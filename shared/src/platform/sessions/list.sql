select s.*
  from sessions s
 where s.user_id = $1
   and s.ended_at is null
   and s.expires_at > now()
   and s.last_used_at > now() - (select c.value::interval from system_config c where c.category = 'sessions' and c.key = 'idle')
 order by s.last_used_at desc, s.id desc;
