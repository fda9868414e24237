update campaigns
   set status = 'activating'
 where id = $1
   and status = 'draft';
