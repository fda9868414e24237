with revoked as (
    update api_keys
       set revoked_at = $2
     where created_by = $1
       and revoked_at is null
       and (expires_at is null or expires_at > $2)
    returning id
)
select id from revoked order by id;
