select exists (select from campaigns c where c.segment_id = $1 and c.status in ('draft', 'activating')) as is_in_use;
