-- Up to five people for whom a variable is empty.
select v.variable, example.contact_id
  from unnest($2::text[]) as v (variable)
 cross join lateral (
       select c.id as contact_id
         from contacts c
        where true /* who */
          and coalesce(btrim(case v.variable
                                  when 'first_name' then c.first_name
                                  when 'last_name' then c.last_name
                                  when 'name' then c.name
                                  when 'company' then c.company
                                  else c.custom #>> string_to_array(substr(v.variable, length('custom.') + 1), '.')
                             end), '') = ''
          and not exists (
                  select
                    from suppressions s
                   where s.organization_id = c.organization_id and s.email_lower = c.email_lower
                     and suppression_reaches(s.campaign_id, s.list_id, $1, (select list_id from campaigns where id = $1)))
          and not exists (
                  select
                    from suppressions s
                   where s.organization_id = c.organization_id and s.domain = split_part(c.email_lower, '@', -1)
                     and suppression_reaches(s.campaign_id, s.list_id, $1, (select list_id from campaigns where id = $1)))
        order by c.id
        limit 5) as example
 order by v.variable, example.contact_id;
