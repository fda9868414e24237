-- People are selected by what is known of them: what can be a condition gets a column that an index may compare under row-level
-- security, and an index. Segments keep such conditions, and campaigns take their audience from them.

-- Lower case of ASCII alone and compared by bytes, as with email_lower: lower() and LIKE are not leakproof. Those who are
-- looked for by the beginning of a word have the last word of a whole name beside its first.
alter table contacts
    add column email_domain text collate "C"
        generated always as (split_part(lower(email collate "C"), '@', -1)) stored,
    add column name_lower text collate "C" generated always as (lower(name collate "C")) stored,
    add column name_end_lower text collate "C"
        generated always as (split_part(lower(name collate "C"), ' ', -1)) stored,
    add column first_name_lower text collate "C" generated always as (lower(first_name collate "C")) stored,
    add column last_name_lower text collate "C" generated always as (lower(last_name collate "C")) stored,
    add column company_lower text collate "C" generated always as (lower(company collate "C")) stored;

-- From persons to their contacts without reading these.
drop index contacts_person_idx;
create index contacts_person_idx on contacts (organization_id, person_id, id) where person_id is not null;
-- Those of whom nothing is known are selected as well, so these are not partial: equal keys share one entry.
create index contacts_email_domain_idx on contacts (organization_id, email_domain);
create index contacts_first_name_idx on contacts (organization_id, first_name_lower);
create index contacts_last_name_idx on contacts (organization_id, last_name_lower);
create index contacts_company_idx on contacts (organization_id, company_lower);
create index contacts_timezone_idx on contacts (organization_id, timezone collate "C");
create index contacts_created_at_idx on contacts (organization_id, created_at);
-- Whole names are given instead of parts, by few.
create index contacts_name_idx on contacts (organization_id, name_lower) where name_lower is not null;
create index contacts_name_end_idx on contacts (organization_id, name_end_lower) where name_end_lower is not null;
-- What nearly everybody is finds nobody, and would cost every import.
create index contacts_status_idx on contacts (organization_id, status, id) where status <> 'active';
create index contacts_source_idx on contacts (organization_id, source collate "C", id) where source collate "C" <> 'import';

alter table persons
    add column city_lower text collate "C" generated always as (lower(city)) stored,
    add column region_lower text collate "C" generated always as (lower(region)) stored,
    add column company_lower text collate "C" generated always as (lower(company)) stored,
    add column profession_lower text collate "C" generated always as (lower(profession)) stored;
-- Country and score are what people are selected by together, without reading their rows.
drop index persons_country_idx;
create index persons_country_idx on persons (organization_id, country, score, id) where country is not null;
create index persons_city_idx on persons (organization_id, city_lower, id) where city_lower is not null;
create index persons_region_idx on persons (organization_id, region_lower, id) where region_lower is not null;
create index persons_company_idx on persons (organization_id, company_lower, id) where company_lower is not null;
create index persons_profession_idx on persons (organization_id, profession_lower, id) where profession_lower is not null;
create index persons_timezone_idx on persons (organization_id, timezone, id) where timezone is not null;

-- Text of the organization's own fields is compared as all other text is.
alter table custom_values
    add column text_lower text collate "C" generated always as (lower(text_value)) stored;
drop index custom_values_text_idx;
create index custom_values_text_idx on custom_values (organization_id, field_id, text_lower, contact_id)
    where text_lower is not null;

-- What people, and not machines for them, did with mails: a row for each event that counts, under the contact that has the
-- mail now. Only inserted and deleted, so that no two who write events wait for each other.
-- No foreign key leads to the contact: it would lock the contact behind the message. The message loses its contact when that is
-- deleted, and these go with it.
create table engagements (
    organization_id uuid not null,
    message_id uuid not null,
    event_id uuid not null,
    contact_id uuid not null,
    campaign_id uuid,
    kind text collate "C" not null constraint engagements_kind_check check (kind in ('opened', 'clicked', 'replied')),
    occurred_at timestamptz not null,
    constraint engagements_pkey primary key (organization_id, message_id, event_id),
    constraint engagements_message_fkey foreign key (organization_id, message_id)
        references messages (organization_id, id) on delete cascade
);
create index engagements_contact_idx on engagements (organization_id, contact_id, kind, occurred_at);
create index engagements_occurred_at_idx on engagements (organization_id, kind, occurred_at, contact_id);
create index engagements_campaign_idx on engagements (organization_id, campaign_id, kind, occurred_at, contact_id);
call protect_tenant_table('engagements', 'select');

-- As the owner, so that none of those who write events needs a right to do it. The rows name their tenant themselves.
create function insert_engagements() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into engagements (organization_id, message_id, event_id, contact_id, campaign_id, kind, occurred_at)
    select e.organization_id, e.message_id, e.id, m.contact_id, m.campaign_id, e.kind, e.occurred_at
      from added e
      -- One by one by the primary key: as a join the planner, while the ledger is young, would rather read all of it.
     cross join lateral (
           select m.contact_id, m.campaign_id
             from messages m
            where m.organization_id = e.organization_id and m.id = e.message_id
           offset 0) as m
     where e.kind in ('opened', 'clicked', 'replied')
       and not e.is_machine
       and m.contact_id is not null;
    return null;
end
$$;
create trigger insert_engagements after insert on message_events
    referencing new table as added
    for each statement execute function insert_engagements();

-- A mail whose contact was merged into another, or has come back, takes along what was done with it.
create function move_engagements() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    delete from engagements where organization_id = new.organization_id and message_id = new.id;
    insert into engagements (organization_id, message_id, event_id, contact_id, campaign_id, kind, occurred_at)
    select e.organization_id, e.message_id, e.id, new.contact_id, new.campaign_id, e.kind, e.occurred_at
      from message_events e
     where new.contact_id is not null
       and e.organization_id = new.organization_id
       and e.message_id = new.id
       and e.kind in ('opened', 'clicked', 'replied')
       and not e.is_machine;
    return null;
end
$$;
create trigger move_engagements after update of contact_id on messages
    for each row when (new.contact_id is distinct from old.contact_id)
    execute function move_engagements();

-- What is there already. The triggers keep every writer out until this is committed.
insert into engagements (organization_id, message_id, event_id, contact_id, campaign_id, kind, occurred_at)
select e.organization_id, e.message_id, e.id, m.contact_id, m.campaign_id, e.kind, e.occurred_at
  from message_events e
  join messages m on m.organization_id = e.organization_id and m.id = e.message_id
 where e.kind in ('opened', 'clicked', 'replied')
   and not e.is_machine
   and m.contact_id is not null;

create table segments (
    organization_id uuid not null constraint segments_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    name text not null constraint segments_name_check check (length(name) between 1 and 200),
    description text,
    -- Who is meant, as the API shows it.
    tree jsonb not null constraint segments_tree_check check (jsonb_typeof(tree) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint segments_pkey primary key (organization_id, id),
    constraint segments_name_key unique (organization_id, name)
);
call protect_tenant_table('segments', 'select, insert, update, delete');

alter table campaigns
    add column segment_id uuid,
    add constraint campaigns_segment_fkey foreign key (organization_id, segment_id)
        references segments (organization_id, id) on delete set null (segment_id),
    add constraint campaigns_audience_check check (list_id is null or segment_id is null);
create index campaigns_segment_idx on campaigns (organization_id, segment_id) where segment_id is not null;

-- Who met a campaign's segment at the moment of its activation, until all of them are enrolled.
create table audience_snapshots (
    organization_id uuid not null,
    campaign_id uuid not null,
    contact_id uuid not null,
    constraint audience_snapshots_pkey primary key (organization_id, campaign_id, contact_id),
    constraint audience_snapshots_campaign_fkey foreign key (organization_id, campaign_id)
        references campaigns (organization_id, id) on delete cascade
);
call protect_tenant_table('audience_snapshots', 'select, insert, delete');
