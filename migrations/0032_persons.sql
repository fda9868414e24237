-- The human beings behind contacts: what was learned about them and from whom, and whether their addresses take mail.

-- What is known of a person. Contacts keep what they were given; what was learned stands here.
create table persons (
    organization_id uuid not null constraint persons_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    -- Compared by bytes, so that conditions on them are index conditions under row-level security, whatever the database's collation.
    first_name text collate "C" constraint persons_first_name_check check (length(first_name) between 1 and 200),
    last_name text collate "C" constraint persons_last_name_check check (length(last_name) between 1 and 200),
    city text collate "C" constraint persons_city_check check (length(city) between 1 and 200),
    region text collate "C" constraint persons_region_check check (length(region) between 1 and 200),
    -- ISO 3166-1 alpha-2.
    country text collate "C" constraint persons_country_check check (country ~ '^[A-Z]{2}$'),
    company text collate "C" constraint persons_company_check check (length(company) between 1 and 200),
    profession text collate "C" constraint persons_profession_check check (length(profession) between 1 and 200),
    timezone text collate "C" constraint persons_timezone_check check (length(timezone) between 1 and 100),
    -- How much is known, as percent of 145 points: kept by whatever writes the person or the persona.
    score smallint not null default 0 constraint persons_score_check check (score between 0 and 100),
    -- Fields that somebody has set by hand, by their names: what a provider says of them later is not taken.
    set_by_hand text[] not null default '{}',
    -- Who told it last, and when (people's time); null where only people have.
    provider text constraint persons_provider_check check (length(provider) between 1 and 100),
    enriched_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint persons_pkey primary key (organization_id, id)
);
create index persons_country_idx on persons (organization_id, country, id) where country is not null;
create index persons_score_idx on persons (organization_id, score, id);
call protect_tenant_table('persons', 'select, insert, update, delete');

-- A few sentences about a person, written by a text model from what the person's row says.
create table personas (
    organization_id uuid not null,
    person_id uuid not null,
    text text not null constraint personas_text_check check (length(text) between 1 and 4000),
    -- The model that wrote it, as the setting names it; null where somebody has written it by hand.
    model text constraint personas_model_check check (length(model) between 1 and 200),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint personas_pkey primary key (organization_id, person_id),
    constraint personas_person_fkey foreign key (organization_id, person_id)
        references persons (organization_id, id) on delete cascade
);
call protect_tenant_table('personas', 'select, insert, update, delete');

alter table contacts add column person_id uuid;
create index contacts_person_idx on contacts (organization_id, person_id) where person_id is not null;

-- What a foreign key from contacts to persons would do. A key looks at each of the million rows of an import, which have none.
create function refer_to_person() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform from persons where organization_id = new.organization_id and id = new.person_id for key share;
    if not found then
        raise foreign_key_violation
            using table = tg_table_name, constraint = 'contacts_person_fkey',
                  message = format('the organization has no person %s', new.person_id);
    end if;
    return null;
end
$$;
create trigger refer_to_person after insert or update of organization_id, person_id on contacts
    for each row when (new.person_id is not null) execute function refer_to_person();

create function forget_person() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    update contacts set person_id = null where organization_id = old.organization_id and person_id = old.id;
    return null;
end
$$;
create trigger forget_person after delete on persons for each row execute function forget_person();

-- A contact in the bin keeps its person, who goes with it for good. Looked at when the transaction ends: whoever is restored has
-- left the bin and is a contact again.
create function forget_person_of_deleted() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    delete from persons p
     where p.organization_id = old.organization_id
       and p.id = (old.snapshot #>> '{contact,person_id}')::uuid
       and not exists (select from contacts c where c.organization_id = p.organization_id and c.person_id = p.id)
       and not exists (select
                         from deleted_contacts d
                        where d.organization_id = p.organization_id
                          and d.snapshot #>> '{contact,person_id}' = p.id::text);
    return null;
end
$$;
create constraint trigger forget_person_of_deleted after delete on deleted_contacts
    deferrable initially deferred
    for each row when (old.snapshot #>> '{contact,person_id}' is not null)
    execute function forget_person_of_deleted();

-- Enrichment of many: one job runs in an organization at a time.
create table enrichment_jobs (
    organization_id uuid not null constraint enrichment_jobs_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    status text not null default 'running'
        constraint enrichment_jobs_status_check check (status in ('running', 'completed', 'cancelled')),
    -- Whose contacts; null once it named somebody who was erased.
    selection jsonb,
    -- Whether a persona is to be written as well, and whether people are asked about who are known already.
    with_persona boolean not null default false,
    again boolean not null default false,
    -- The last contact that has a task, and the last one that can have any: tasks are made in the order of contacts.
    filled_to uuid,
    up_to uuid not null,
    is_filled boolean not null default false,
    total bigint not null default 0 constraint enrichment_jobs_total_check check (total >= 0),
    completed bigint not null default 0,
    failed bigint not null default 0,
    skipped bigint not null default 0,
    -- Answers that cost nothing since another asked the same before.
    from_cache bigint not null default 0,
    -- Millionths of the provider's currency.
    cost bigint not null default 0 constraint enrichment_jobs_cost_check check (cost >= 0),
    -- Why it waits and until when (machine time), where it does.
    waits_for text constraint enrichment_jobs_waits_for_check check (waits_for in ('budget', 'provider')),
    waits_until timestamptz,
    -- Why it was cancelled by itself.
    error text,
    heartbeat_at timestamptz,
    started_at timestamptz not null,
    ended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint enrichment_jobs_pkey primary key (organization_id, id),
    constraint enrichment_jobs_ended_check check ((status = 'running') = (ended_at is null))
);
create unique index enrichment_jobs_running_key on enrichment_jobs (organization_id) where status = 'running';
call protect_tenant_table('enrichment_jobs', 'select, insert, update');

create table enrichment_tasks (
    organization_id uuid not null,
    job_id uuid not null,
    contact_id uuid not null,
    status text not null default 'queued'
        constraint enrichment_tasks_status_check check (status in ('queued', 'processing', 'completed', 'failed', 'skipped')),
    attempts smallint not null default 0,
    -- Only its holder records an outcome; whoever died with it loses it when the lease is over (machine time).
    attempt uuid,
    -- When it is due; while somebody is on it, when their lease ends (machine time). Null once it has ended.
    due_at timestamptz default now(),
    error_code text constraint enrichment_tasks_error_code_check check (length(error_code) between 1 and 100),
    is_cached boolean not null default false,
    cost bigint not null default 0,
    ended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint enrichment_tasks_pkey primary key (organization_id, job_id, contact_id),
    constraint enrichment_tasks_job_fkey foreign key (organization_id, job_id)
        references enrichment_jobs (organization_id, id) on delete cascade,
    constraint enrichment_tasks_contact_fkey foreign key (organization_id, contact_id)
        references contacts (organization_id, id) on delete cascade,
    constraint enrichment_tasks_due_check check ((status in ('queued', 'processing')) = (due_at is not null))
);
create index enrichment_tasks_contact_idx on enrichment_tasks (organization_id, contact_id);
create index enrichment_tasks_due_idx on enrichment_tasks (organization_id, job_id, due_at, contact_id) where due_at is not null;
call protect_tenant_table('enrichment_tasks', 'select, insert, update, delete');

-- What providers were asked on a day (UTC), and what that cost: reserved before they are asked.
create table provider_usage (
    organization_id uuid not null constraint provider_usage_organization_fkey references organizations (id) on delete cascade,
    purpose text not null constraint provider_usage_purpose_check check (purpose in ('enrichment', 'deliverability')),
    day date not null,
    calls bigint not null default 0 constraint provider_usage_calls_check check (calls >= 0),
    cost bigint not null default 0 constraint provider_usage_cost_check check (cost >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint provider_usage_pkey primary key (organization_id, purpose, day)
);
call protect_tenant_table('provider_usage', 'select, insert, update');

-- What a provider has answered, whoever asked, under a keyed hash of the address; only where the operator allows it. No role
-- reads it: whoever knows an address and the key asks for that one alone.
create table enrichment_cache (
    -- The provider and how its answers were read.
    source text not null,
    address_hash bytea not null constraint enrichment_cache_address_hash_check check (length(address_hash) = 32),
    -- The fields of a person; null where the provider knows nobody of this address.
    answer jsonb,
    answered_at timestamptz not null default now(),
    constraint enrichment_cache_pkey primary key (source, address_hash)
);
create index enrichment_cache_answered_at_idx on enrichment_cache (answered_at);
create index enrichment_cache_address_hash_idx on enrichment_cache (address_hash);

create function cached_answers(asked_source text, hashes bytea[], answered_since timestamptz)
    returns table (address_hash bytea, answer jsonb)
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select c.address_hash, c.answer
      from enrichment_cache c
     where c.source = asked_source
       and c.address_hash = any (hashes)
       and c.answered_at >= answered_since
$$;
grant execute on function cached_answers(text, bytea[], timestamptz) to martlet_app;

create function keep_answers(asked_source text, hashes bytea[], answers jsonb[]) returns void
    language sql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    insert into enrichment_cache (source, address_hash, answer)
    select distinct on (hash) asked_source, hash, answer
      from unnest(hashes, answers) as told (hash, answer)
     order by hash
        on conflict (source, address_hash) do update set answer = excluded.answer, answered_at = excluded.answered_at
$$;
grant execute on function keep_answers(text, bytea[], jsonb[]) to martlet_app;

-- An erased person is not learned about again from what another asked.
create function forget_answers(hashes bytea[]) returns bigint
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    gone bigint;
begin
    delete from enrichment_cache where address_hash = any (hashes);
    get diagnostics gone = row_count;
    return gone;
end
$$;
grant execute on function forget_answers(bytea[]) to martlet_app;

create function sweep_answers(answered_before timestamptz, most integer) returns bigint
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    gone bigint;
begin
    delete from enrichment_cache
     where ctid = any (array(select ctid
                               from enrichment_cache
                              where answered_at < answered_before
                              order by answered_at
                              limit most
                                for update skip locked));
    get diagnostics gone = row_count;
    return gone;
end
$$;
grant execute on function sweep_answers(timestamptz, integer) to martlet_maintenance;

-- What is known of an address, whichever contact has it.
create table email_verifications (
    organization_id uuid not null constraint email_verifications_organization_fkey references organizations (id) on delete cascade,
    -- The same collation as contacts' column, so that either can look up the other by its index.
    email_lower text collate "C" not null
        constraint email_verifications_email_check check (email_lower = lower(email_lower) and length(email_lower) between 3 and 254),
    syntax text not null constraint email_verifications_syntax_check check (syntax in ('passed', 'failed', 'pending', 'unknown')),
    disposable text not null
        constraint email_verifications_disposable_check check (disposable in ('passed', 'failed', 'pending', 'unknown')),
    role_based text not null
        constraint email_verifications_role_based_check check (role_based in ('passed', 'failed', 'pending', 'unknown')),
    deliverable text not null
        constraint email_verifications_deliverable_check check (deliverable in ('passed', 'failed', 'pending', 'unknown')),
    blacklisted text not null
        constraint email_verifications_blacklisted_check check (blacklisted in ('passed', 'failed', 'pending', 'unknown')),
    -- Any failed: invalid; all passed: valid; else unverified.
    status text not null constraint email_verifications_status_check check (status in ('valid', 'invalid', 'unverified')),
    -- The name of why it is not valid.
    reason text constraint email_verifications_reason_check check (length(reason) between 1 and 100),
    -- When it was checked (people's time).
    checked_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint email_verifications_pkey primary key (organization_id, email_lower),
    constraint email_verifications_rule_check check (
        status = case
            when 'failed' in (syntax, disposable, role_based, deliverable, blacklisted) then 'invalid'
            when syntax = 'passed' and disposable = 'passed' and role_based = 'passed' and deliverable = 'passed'
                 and blacklisted = 'passed' then 'valid'
            else 'unverified'
        end)
);
create index email_verifications_status_idx on email_verifications (organization_id, status, email_lower);
call protect_tenant_table('email_verifications', 'select, insert, update, delete');

create table verification_jobs (
    organization_id uuid not null constraint verification_jobs_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    status text not null default 'running'
        constraint verification_jobs_status_check check (status in ('running', 'completed', 'cancelled')),
    -- Whose contacts; null once it named somebody who was erased.
    selection jsonb,
    -- Whether addresses are checked that were checked lately.
    again boolean not null default false,
    -- The last contact that is done, and the last one that belongs to the job.
    done_to uuid,
    up_to uuid not null,
    total bigint constraint verification_jobs_total_check check (total >= 0),
    valid bigint not null default 0,
    invalid bigint not null default 0,
    unverified bigint not null default 0,
    -- Those that were checked lately, and are not checked again.
    skipped bigint not null default 0,
    error text,
    heartbeat_at timestamptz,
    started_at timestamptz not null,
    ended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint verification_jobs_pkey primary key (organization_id, id),
    constraint verification_jobs_ended_check check ((status = 'running') = (ended_at is null))
);
create unique index verification_jobs_running_key on verification_jobs (organization_id) where status = 'running';
call protect_tenant_table('verification_jobs', 'select, insert, update');

-- Domains of throw-away mailboxes and names of mailboxes that are no person's, beside those that the program brings. No tenant
-- column: the whole installation judges by the same.
create table address_lists (
    list text not null constraint address_lists_list_check check (list in ('disposable_domains', 'role_names')),
    entry text collate "C" not null constraint address_lists_entry_check check (length(entry) between 1 and 253 and entry = lower(entry)),
    created_at timestamptz not null default now(),
    constraint address_lists_pkey primary key (list, entry)
);
grant select on address_lists to martlet_app;
grant select, insert, delete on address_lists to martlet_admin;

insert into system_config (category, key, value_type, value, description) values
    ('enrichment', 'answers_kept_for', 'duration', '30 days',
     'How old an answer may be at most that one organization is given because another asked before.'),
    ('enrichment', 'cost', 'number', '0',
     'What asking the provider about one person costs, in millionths of its currency.'),
    ('enrichment', 'daily_budget', 'number', '0',
     'What an organization may spend on that within a day (UTC), in the same unit; nothing is asked that would pass it.'),
    ('enrichment', 'provider', 'json', '{}',
     'Who is asked about persons: an object with name, url and fields, or with name and file; while it is empty, the examples that the program brings.'),
    ('enrichment', 'share_answers', 'boolean', 'false',
     'Whether what the provider has answered to one organization is kept, by a keyed hash of the address, and given to the others.'),
    ('enrichment', 'text_model', 'json', '{}',
     'Which text model writes personas, as an object with name, url and model; while it is empty, none are written.'),
    ('verification', 'cost', 'number', '0',
     'What asking the provider about one address costs, in millionths of its currency.'),
    ('verification', 'daily_budget', 'number', '0',
     'What an organization may spend on that within a day (UTC), in the same unit; nothing is asked that would pass it.'),
    ('verification', 'fresh_for', 'duration', '30 days',
     'How long an address that was checked is not checked again by a job, unless it is told to.'),
    ('verification', 'provider', 'json', '{}',
     'Who is asked whether mailboxes take mail, as an object with name, url and verdict; while it is empty, nobody knows.');
