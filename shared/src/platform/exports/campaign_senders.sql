select array[x.campaign_id::text, x.sender_id::text] as place, row_to_json(x)::text as row
  from (select *
          from campaign_senders
         where (campaign_id, sender_id) > (coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000'),
                                       coalesce(($1::text[])[2]::uuid, '00000000-0000-0000-0000-000000000000'))
         order by campaign_id, sender_id
         limit $2) as x;
