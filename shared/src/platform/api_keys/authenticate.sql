-- Runs in the same flight as BEGIN, as the tenant that the key names: a key of another organization finds no row.
select k.id,
       k.last_used_at is null or k.last_used_at < now() - interval '10 minutes' as is_stale
  from api_keys k
  join organizations o on o.id = k.organization_id and o.status = 'active'
 where k.key_hash = $1
   and k.revoked_at is null
   and (k.expires_at is null or k.expires_at > now());
