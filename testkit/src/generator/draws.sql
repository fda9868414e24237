-- What all scripts share, for this session alone.
create temporary table generating (
    organization_id uuid not null,
    seed bigint not null,
    people bigint not null,
    at timestamptz not null
) on commit drop;

-- A number from 0 to below 1 that follows from the seed, a name and a number.
create or replace function pg_temp.draw(seed bigint, name text, n bigint) returns float8
    language sql immutable parallel safe
    as $$ select (hashtextextended(name || n::text, seed) & 1099511627775)::float8 / 1099511627776 $$;

-- An element, of which the first are drawn more often the larger the skew is; 1 is evenly.
create or replace function pg_temp.one_of(elements text[], drawn float8, skew float8) returns text
    language sql immutable parallel safe
    as $$ select elements[1 + floor(cardinality(elements) * drawn ^ skew)::int] $$;

-- An id of version 7 (RFC 9562, 5.7) whose rest follows from the seed. By the machine's clock, as all ids are: where people's is
-- ahead of it, nobody has an id of later than now.
create or replace function pg_temp.id_at(seed bigint, name text, n bigint, at timestamptz) returns uuid
    language sql stable parallel safe
    as $$
        select (lpad(to_hex((extract(epoch from at - (clock_now() - now())) * 1000)::bigint), 12, '0') || '7' || substr(h.text, 1, 3)
                || '8' || substr(h.text, 4, 15))::uuid
          from (select md5(seed::text || name || n::text) as text) as h
    $$;

-- Everybody, by their number, for whatever refers to them.
create temporary table generated_people (
    n bigint primary key,
    id uuid not null,
    person_id uuid,
    email text not null,
    created_at timestamptz not null
) on commit drop;
