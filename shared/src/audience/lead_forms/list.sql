select f.*, u.accepted, u.refused, u.throttled, u.trapped, u.not_listed,
       array(select l.list_id from lead_form_lists l where l.lead_form_id = f.id order by l.list_id) as list_ids,
       array(select t.tag_id from lead_form_tags t where t.lead_form_id = f.id order by t.tag_id) as tag_ids
  from (select *
          from lead_forms
         where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         order by id desc
         limit $2) as f
  join lead_form_usage u on u.lead_form_id = f.id
 order by f.id desc;
