-- State, slot and times stay, and with them every number.
update messages
   set recipient = 'erased',
       subject = null,
       body = null,
       outcome_detail = null
 where id = any ($1::uuid[]);
