insert into webhook_events (organization_id, id, type, subject_id, occurred_at, data)
select $1, $2, $3, $4, $5, $6
 where exists (select
                 from webhook_endpoints e
                where e.organization_id = $1
                  and e.status = 'enabled'
                  and (e.event_types is null or $3 = any (e.event_types)));
