-- What the provider reports as a complaint and is the contrary of one: the recipient took a mail out of the spam.
alter table message_events
    drop constraint message_events_kind_check,
    add constraint message_events_kind_check check (kind in (
        'sent', 'delivered', 'bounced', 'soft_bounced', 'complained', 'not_spam', 'rejected', 'delayed',
        'rendering_failed', 'subscription_changed', 'opened', 'clicked', 'replied', 'auto_replied', 'unsubscribed'));
