-- Suppressions of whole domains, and of those campaigns that write to a list.

alter table suppressions
    -- Everybody whose address is at this domain, as addresses have it; those at a domain below it are not meant.
    add column domain text collate "C"
        constraint suppressions_domain_check check (domain = lower(domain) and length(domain) between 1 and 253),
    add column list_id uuid,
    add constraint suppressions_list_fkey foreign key (organization_id, list_id)
        references lists (organization_id, id) on delete cascade,
    add constraint suppressions_scope_check check (campaign_id is null or list_id is null),
    drop constraint suppressions_address_check,
    add constraint suppressions_address_check
        check (num_nonnulls(email_lower, email_hash, domain) = 1 and (email_hash is null) = (hash_key is null)),
    -- Under its old name, which the statements of the release before this one know.
    drop constraint suppressions_email_key,
    add constraint suppressions_email_key
        unique nulls not distinct (organization_id, email_lower, campaign_id, hash_key, email_hash, domain, list_id);
create index suppressions_domain_idx on suppressions (organization_id, domain) where domain is not null;
create index suppressions_list_idx on suppressions (organization_id, list_id) where list_id is not null;

-- Whether a suppression of this campaign or list, or of neither and so of everything, is about that campaign, which writes to
-- that list or to none. The one place that says so.
create function suppression_reaches(campaign uuid, list uuid, of_campaign uuid, of_list uuid) returns boolean
    language sql
    immutable
    parallel safe
return (campaign is null and list is null) or campaign is not distinct from of_campaign and campaign is not null
    or list is not distinct from of_list and list is not null;
grant execute on function suppression_reaches(uuid, uuid, uuid, uuid) to martlet_app, martlet_sender;
