select keep_answers($1, $2, $3);
