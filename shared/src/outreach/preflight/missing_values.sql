-- One pass over the audience for all variables: for how many people each is empty, and how many bytes its longest value has.
select v.variable, count(*) filter (where coalesce(btrim(filled.value), '') = '') as missing,
       coalesce(max(octet_length(filled.value)), 0) as longest
  from contacts c
 cross join unnest($2::text[]) as v (variable)
 cross join lateral (
       select case v.variable
                   when 'first_name' then c.first_name
                   when 'last_name' then c.last_name
                   when 'name' then c.name
                   when 'company' then c.company
                   else c.custom #>> string_to_array(substr(v.variable, length('custom.') + 1), '.')
              end as value) as filled
 where true /* who */
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
 group by v.variable
 order by v.variable;
