insert into sessions (organization_id, id, user_id, token_hash, user_agent, address, expires_at)
select $1, $2, $3, $4, $5, $6, now() + c.value::interval
  from system_config c
 where c.category = 'sessions' and c.key = 'lifetime'
returning *;
