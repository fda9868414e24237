select exists (select from campaigns c where c.list_id = $1 and c.status in ('draft', 'activating'))
    or (exists (select from suppressions s where s.list_id = $1)
        and exists (select from campaigns c where c.list_id = $1 and c.status in ('active', 'paused')))
    or exists (select from import_batches b where b.list_id = $1 and b.status = 'processing')
    or exists (select from lead_form_lists f where f.list_id = $1) as is_in_use;
