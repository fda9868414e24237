select forget_answers($1);
