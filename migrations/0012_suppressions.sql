-- A suppression outlives the contact, and it can outlive the address itself: a keyed hash then stands in its place.

alter table suppressions
    alter column email_lower drop not null,
    -- HMAC-SHA256 of the organization and the address, and which key of the ring it was made with. A row has an address
    -- or a hash, never both: the hash beside the address would tell nobody anything.
    add column email_hash bytea constraint suppressions_email_hash_check check (length(email_hash) = 32),
    add column hash_key smallint,
    add column note text constraint suppressions_note_check check (length(note) between 1 and 200),
    add constraint suppressions_address_check check (
        (email_lower is null) = (email_hash is not null) and (email_hash is null) = (hash_key is null)),
    -- Under its old name, which the statements of the release before this one know.
    drop constraint suppressions_email_key,
    add constraint suppressions_email_key
        unique nulls not distinct (organization_id, email_lower, campaign_id, hash_key, email_hash);
create index suppressions_email_hash_idx on suppressions (organization_id, email_hash) where email_hash is not null;

-- What forgetting an address replaces, and nothing else.
grant update (email_lower, email_hash, hash_key, message_id, note) on suppressions to martlet_app;
