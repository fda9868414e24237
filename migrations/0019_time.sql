-- When a person's next mail is due: in whose zone the window is, on which dates it stays shut, how due times are spread, and
-- steps that count from the start of the campaign.

alter table campaign_settings
    -- Whose clock the window goes by: the campaign's, or that of each recipient (of whom no zone is known: the campaign's).
    add column timezone_mode text not null default 'campaign'
        constraint campaign_settings_timezone_mode_check check (timezone_mode in ('campaign', 'recipient')),
    -- Local dates on which no opening of the window begins.
    add column holidays date[] not null default '{}'
        constraint campaign_settings_holidays_check check (cardinality(holidays) <= 366 and array_position(holidays, null) is null),
    -- Each due time is this much later at most, by a share that follows from campaign, person and step.
    add column jitter_seconds integer not null default 0
        constraint campaign_settings_jitter_seconds_check check (jitter_seconds between 0 and 14400);

-- The same for every campaign of the organization.
alter table organizations
    add column holidays date[] not null default '{}'
        constraint organizations_holidays_check check (cardinality(holidays) <= 366 and array_position(holidays, null) is null);
grant update (holidays) on organizations to martlet_app;

alter table steps
    add column timing text not null default 'delay' constraint steps_timing_check check (timing in ('delay', 'offset')),
    -- How long after the start of its campaign the step is due, pauses not counted.
    add column start_offset_ms bigint
        constraint steps_start_offset_ms_check check (start_offset_ms between 0 and 63072000000),
    add constraint steps_offset_check check ((timing = 'offset') = (start_offset_ms is not null));
