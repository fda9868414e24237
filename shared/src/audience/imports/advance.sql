-- Of the lanes that are done ($12, $13). The place from which the file is read again is where both are; what the other has
-- written meanwhile is read again once the row is ours. No lane goes back: a chunk that had to become shorter may end before the
-- place of the lane that was ahead.
update import_batches
   set (lane_bytes, lane_lines, bytes_done, lines_done) = (
           select bytes, lines, least(bytes[1], bytes[2]), least(lines[1], lines[2])
             from (select array[case when $12 then greatest($2, lane_bytes[1]) else lane_bytes[1] end,
                                case when $13 then greatest($2, lane_bytes[2]) else lane_bytes[2] end],
                          array[case when $12 then greatest($3, lane_lines[1]) else lane_lines[1] end,
                                case when $13 then greatest($3, lane_lines[2]) else lane_lines[2] end]) as moved (bytes, lines)),
       rows_total = rows_total + $4::bigint + $5::bigint + $6::bigint + $7::bigint,
       rows_created = rows_created + $4,
       rows_updated = rows_updated + $5,
       rows_unchanged = rows_unchanged + $6,
       rows_failed = rows_failed + $7,
       column_mapping = coalesce($8, column_mapping),
       error_code = $9,
       error = $10,
       encoding = coalesce($11, encoding),
       heartbeat_at = now()
 where id = $1;
