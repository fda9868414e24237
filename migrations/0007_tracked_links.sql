-- The links of mails that lead through us, and whether a campaign tracks opens and clicks.

create table tracked_links (
    organization_id uuid not null,
    -- A hash of the step and the URL: a link is found without being looked for, and written twice it is the same row.
    id uuid not null,
    campaign_id uuid not null,
    step_id uuid not null,
    kind text not null default 'email'
        constraint tracked_links_kind_check check (kind in ('custom', 'email', 'sms', 'system', 'qr')),
    -- The one place that a click on this link is led to.
    url text not null constraint tracked_links_url_check check (url ~ '^https?://[[:graph:]]+$' and length(url) <= 2048),
    created_at timestamptz not null default now(),
    constraint tracked_links_pkey primary key (organization_id, id),
    constraint tracked_links_campaign_fkey foreign key (organization_id, campaign_id)
        references campaigns (organization_id, id) on delete cascade,
    constraint tracked_links_step_fkey foreign key (organization_id, step_id)
        references steps (organization_id, id) on delete cascade
);
create index tracked_links_campaign_idx on tracked_links (organization_id, campaign_id);
create index tracked_links_step_idx on tracked_links (organization_id, step_id);
call protect_tenant_table('tracked_links', 'select');
call admit_batch_role('tracked_links', 'martlet_sender', 'select, insert');

alter table campaign_settings
    add column track_opens boolean not null default true,
    add column track_clicks boolean not null default true;

-- An open or a click shows that a mail in doubt was sent. One that had lost its slot is then counted on a day that may
-- have no counter yet.
grant insert on limit_usage to martlet_app;
