update steps
   set name = $2,
       subject_template = $3,
       body_template = $4,
       delay_days = $5,
       delay_hours = $6
 where id = $1
returning *;
