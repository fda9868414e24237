delete from import_errors
 where raw ~* $1
    or reason ~* $1;
