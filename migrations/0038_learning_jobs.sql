-- Jobs that learn about people and check addresses: their lost hints are brought again, their old tasks go, and one worker at a time
-- is at a verification.

alter table enrichment_jobs
    -- When its tasks were deleted, long after its end (machine time); null while it has any, or may get some.
    add column tasks_swept_at timestamptz;
create index enrichment_jobs_unswept_idx on enrichment_jobs (organization_id, ended_at)
    where ended_at is not null and tasks_swept_at is null;
create index enrichment_tasks_status_idx on enrichment_tasks (organization_id, job_id, status, contact_id);

alter table verification_jobs
    -- Only its holder records what a chunk came to; whoever died with it loses it when the lease is over (machine time).
    add column attempt uuid,
    add column leased_until timestamptz,
    add constraint verification_jobs_lease_check check ((attempt is null) = (leased_until is null));

call admit_batch_role('enrichment_jobs', 'martlet_maintenance',
                      'select (organization_id, id, status, heartbeat_at, created_at, ended_at, tasks_swept_at), update (tasks_swept_at)');
call admit_batch_role('enrichment_tasks', 'martlet_maintenance', 'select (organization_id, job_id, contact_id), delete');
call admit_batch_role('verification_jobs', 'martlet_maintenance',
                      'select (organization_id, id, status, heartbeat_at, created_at)');

-- Nobody is on a running job of which nothing was noted since. One that waits notes that it does with every hint.
create function organizations_with_learning_untouched_since(since timestamptz)
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select o.id
      from organizations o
     where o.status = 'active'
       and o.id in (select organization_id
                      from enrichment_jobs
                     where status = 'running' and coalesce(heartbeat_at, created_at) < since
                     union all
                    select organization_id
                      from verification_jobs
                     where status = 'running' and coalesce(heartbeat_at, created_at) < since)
     order by o.id
$$;
grant execute on function organizations_with_learning_untouched_since(timestamptz) to martlet_maintenance;

create function organizations_with_enrichments_ended_before(before timestamptz)
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set enable_seqscan = off
as $$
    select o.id
      from organizations o
     where exists (select
                     from enrichment_jobs j
                    where j.organization_id = o.id
                      and j.ended_at < before
                      and j.tasks_swept_at is null)
     order by o.id
$$;
grant execute on function organizations_with_enrichments_ended_before(timestamptz) to martlet_maintenance;
