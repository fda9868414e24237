-- People who come by themselves: through forms that stand in pages of an organization, and what they agreed to there.

-- A door that everybody may go through, so it says what may come in.
create table lead_forms (
    organization_id uuid not null constraint lead_forms_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    name text not null constraint lead_forms_name_check check (length(name) between 1 and 200),
    is_enabled boolean not null default true,
    -- Everybody who sees the page can read it, so it is no secret and stands here as it is. The organization's id is in it.
    key text not null constraint lead_forms_key_check check (key ~ '^lead_[0-9a-f]{56}$'),
    -- The one before it, for pages that have not been changed yet, until then (people's time).
    previous_key text,
    previous_key_ends_at timestamptz,
    -- Pages of these origins may use it from a browser; of none, only programs may, which have no origin.
    allowed_origins text[] not null default '{}'
        constraint lead_forms_allowed_origins_check check (cardinality(allowed_origins) <= 20),
    -- What it may say of a person beside the address: names of a contact's fields, and custom.<key>.
    fields text[] not null default '{}' constraint lead_forms_fields_check check (cardinality(fields) <= 60),
    unknown_fields text not null default 'refuse'
        constraint lead_forms_unknown_fields_check check (unknown_fields in ('refuse', 'ignore', 'keep')),
    -- What people agree to; where there is such a text, nobody is taken who does not.
    consent_text text constraint lead_forms_consent_text_check check (length(consent_text) between 1 and 2000),
    honeypot_field text constraint lead_forms_honeypot_field_check check (length(honeypot_field) between 1 and 64),
    thank_you_url text constraint lead_forms_thank_you_url_check check (length(thank_you_url) between 1 and 2000),
    minute_limit integer not null default 30 constraint lead_forms_minute_limit_check check (minute_limit between 1 and 1000),
    day_limit integer not null default 1000 constraint lead_forms_day_limit_check check (day_limit between 1 and 100000),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint lead_forms_pkey primary key (organization_id, id),
    constraint lead_forms_key_key unique (organization_id, key),
    constraint lead_forms_previous_key_check check ((previous_key is null) = (previous_key_ends_at is null))
);
call protect_tenant_table('lead_forms', 'select, insert, update, delete');

-- The lists and tags that whoever comes through a form gets.
create table lead_form_lists (
    organization_id uuid not null,
    lead_form_id uuid not null,
    list_id uuid not null,
    constraint lead_form_lists_pkey primary key (organization_id, lead_form_id, list_id),
    constraint lead_form_lists_form_fkey foreign key (organization_id, lead_form_id)
        references lead_forms (organization_id, id) on delete cascade,
    constraint lead_form_lists_list_fkey foreign key (organization_id, list_id)
        references lists (organization_id, id) on delete cascade
);
create index lead_form_lists_list_idx on lead_form_lists (organization_id, list_id);
call protect_tenant_table('lead_form_lists', 'select, insert, delete');

create table lead_form_tags (
    organization_id uuid not null,
    lead_form_id uuid not null,
    tag_id uuid not null,
    constraint lead_form_tags_pkey primary key (organization_id, lead_form_id, tag_id),
    constraint lead_form_tags_form_fkey foreign key (organization_id, lead_form_id)
        references lead_forms (organization_id, id) on delete cascade,
    constraint lead_form_tags_tag_fkey foreign key (organization_id, tag_id)
        references tags (organization_id, id) on delete cascade
);
create index lead_form_tags_tag_idx on lead_form_tags (organization_id, tag_id);
call protect_tenant_table('lead_form_tags', 'select, insert, delete');

-- How much comes through a form: its present minute and day (UTC, machine time), and what became of all that came. Beside the
-- form, so that counting is no change of it.
create table lead_form_usage (
    organization_id uuid not null,
    lead_form_id uuid not null,
    minute timestamptz not null default date_trunc('minute', now()),
    minute_used integer not null default 0,
    day date not null default (now() at time zone 'UTC')::date,
    day_used integer not null default 0,
    accepted bigint not null default 0,
    -- Not as the form wants it, or from a page that may not use it.
    refused bigint not null default 0,
    -- Over the limit of the minute or the day.
    throttled bigint not null default 0,
    -- By programs that fill in what people do not see.
    trapped bigint not null default 0,
    -- Taken, and left off a list that the plan has no room on.
    not_listed bigint not null default 0,
    constraint lead_form_usage_pkey primary key (organization_id, lead_form_id),
    constraint lead_form_usage_form_fkey foreign key (organization_id, lead_form_id)
        references lead_forms (organization_id, id) on delete cascade
);
call protect_tenant_table('lead_form_usage', 'select, insert, update');

-- That somebody came, through which form and from where, and what they agreed to, as it was. It goes with the contact, and stays
-- when the form is gone: so the form is named here, and not referred to.
create table leads (
    organization_id uuid not null,
    id uuid not null,
    lead_form_id uuid not null,
    form_name text not null constraint leads_form_name_check check (length(form_name) between 1 and 200),
    contact_id uuid not null,
    -- People's time.
    received_at timestamptz not null,
    consent_text text,
    origin text constraint leads_origin_check check (length(origin) between 1 and 300),
    page_url text constraint leads_page_url_check check (length(page_url) between 1 and 2000),
    -- The keyed hash of the network that it came from.
    network_hash bytea not null constraint leads_network_hash_check check (length(network_hash) = 32),
    constraint leads_pkey primary key (organization_id, id),
    constraint leads_contact_fkey foreign key (organization_id, contact_id)
        references contacts (organization_id, id) on delete cascade
);
create index leads_contact_idx on leads (organization_id, contact_id, received_at);
call protect_tenant_table('leads', 'select, insert');
grant update (contact_id) on leads to martlet_app;
