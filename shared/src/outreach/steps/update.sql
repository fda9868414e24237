update steps
   set name = $2,
       subject_template = $3,
       body_template = $4,
       delay_days = $5,
       delay_hours = $6,
       timing = $7,
       start_offset_ms = $8
 where id = $1
returning *;
