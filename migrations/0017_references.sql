-- Imports name the same organization and the same import in hundreds of thousands of rows. A foreign key looks that one row up
-- and locks it once for each; here it is done once a statement. What is promised stays the same: no row without its parent,
-- none left behind by one that goes, and the names of the constraints in the errors.

-- $1: the constraint that a row without its organization breaks.
create function refer_to_organizations() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    named record;
begin
    for named in select distinct organization_id from added order by organization_id loop
        -- The lock is that of a foreign key: whoever is deleting the organization is waited for, or waits.
        perform from organizations where id = named.organization_id for key share;
        if not found then
            raise foreign_key_violation
                using table = tg_table_name, constraint = tg_argv[0],
                      message = format('there is no organization %s', named.organization_id);
        end if;
    end loop;
    return null;
end
$$;

-- $1: the constraint that a row without its import breaks.
create function refer_to_import_batches() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    named record;
begin
    for named in
        select distinct organization_id, import_batch_id
          from added
         where import_batch_id is not null
         order by organization_id, import_batch_id
    loop
        perform from import_batches
          where organization_id = named.organization_id and id = named.import_batch_id
            for key share;
        if not found then
            raise foreign_key_violation
                using table = tg_table_name, constraint = tg_argv[0],
                      message = format('the organization has no import %s', named.import_batch_id);
        end if;
    end loop;
    return null;
end
$$;

-- An update that gives a contact another organization or import, which nothing does in numbers.
create function refer_to_others() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform from organizations where id = new.organization_id for key share;
    if not found then
        raise foreign_key_violation
            using table = tg_table_name, constraint = 'contacts_organization_fkey',
                  message = format('there is no organization %s', new.organization_id);
    end if;
    perform from import_batches where organization_id = new.organization_id and id = new.import_batch_id for key share;
    if not found and new.import_batch_id is not null then
        raise foreign_key_violation
            using table = tg_table_name, constraint = 'contacts_import_batch_fkey',
                  message = format('the organization has no import %s', new.import_batch_id);
    end if;
    return new;
end
$$;

create function delete_contacts_of_organization() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    delete from contacts where organization_id = old.id;
    return null;
end
$$;

create function forget_import_batch() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    delete from import_matches where organization_id = old.organization_id and import_batch_id = old.id;
    update contacts set import_batch_id = null where organization_id = old.organization_id and import_batch_id = old.id;
    return null;
end
$$;

alter table contacts
    drop constraint contacts_organization_fkey,
    drop constraint contacts_import_batch_fkey;
alter table import_matches
    drop constraint import_matches_batch_fkey;

create trigger refer_to_organizations after insert on contacts
    referencing new table as added
    for each statement execute function refer_to_organizations('contacts_organization_fkey');
create trigger refer_to_import_batches after insert on contacts
    referencing new table as added
    for each statement execute function refer_to_import_batches('contacts_import_batch_fkey');
create trigger refer_to_others before update of organization_id, import_batch_id on contacts
    for each row
    when (new.organization_id <> old.organization_id
          or new.import_batch_id is not null and new.import_batch_id is distinct from old.import_batch_id)
    execute function refer_to_others();
create trigger refer_to_import_batches after insert on import_matches
    referencing new table as added
    for each statement execute function refer_to_import_batches('import_matches_batch_fkey');

create trigger delete_contacts after delete on organizations
    for each row execute function delete_contacts_of_organization();
create trigger forget_import_batch after delete on import_batches
    for each row execute function forget_import_batch();
