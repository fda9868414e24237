-- Expired idempotency keys go with every new key of their organization, a few at a time; maintenance takes those of whoever
-- has stopped asking. It sees neither requests nor answers. The right to update is for the lock alone: a key that somebody
-- is taking at this moment is passed over.
call admit_batch_role('idempotency_keys', 'martlet_maintenance',
                      'select (organization_id, key, expires_at), update (created_at), delete');

-- The organizations that have such keys: maintenance cannot name its tenants before it has asked.
create function organizations_with_expired_idempotency_keys() returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select o.id
      from organizations o
     where exists (select from idempotency_keys k where k.organization_id = o.id and k.expires_at <= now())
$$;
grant execute on function organizations_with_expired_idempotency_keys() to martlet_maintenance;
