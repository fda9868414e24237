-- The ledger read: in the order of time, by time, and by kind where that is not what nearly all of it is.

create index messages_created_at_idx on messages (organization_id, created_at, id);
create index messages_kind_idx on messages (organization_id, kind, created_at, id) where kind <> 'campaign';

-- Whether the provider account takes mail at all, which tells a planned message why it waits; not why the account doesn't.
grant select (name, breaker) on provider_accounts to martlet_app;
