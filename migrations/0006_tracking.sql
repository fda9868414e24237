-- Opens and clicks: who fetched what, and whether it was a person.

alter table message_events
    drop constraint message_events_kind_check,
    add constraint message_events_kind_check check (kind in (
        'sent', 'delivered', 'bounced', 'soft_bounced', 'complained', 'rejected', 'delayed', 'rendering_failed',
        'subscription_changed', 'opened', 'clicked', 'replied', 'auto_replied', 'unsubscribed')),
    -- From where an open, a click or an unsubscription came.
    add column ip inet,
    add column user_agent text,
    -- A proxy, scanner or prefetcher did it, as far as one can tell; it is kept apart from what people do.
    add column is_machine boolean not null default false;

-- The first open and the first click by a person.
alter table messages
    add column opened_at timestamptz,
    add column clicked_at timestamptz;
