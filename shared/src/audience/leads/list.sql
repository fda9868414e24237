select l.id, l.contact_id, c.email, l.received_at, l.consent_text, l.origin, l.page_url
  from (select *
          from leads
         where lead_form_id = $1
           and id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         order by id desc
         limit $3) as l
  join contacts c on c.id = l.contact_id
 order by l.id desc;
