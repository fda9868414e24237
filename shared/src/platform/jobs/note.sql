update jobs set outcomes = $2 where id = $1;
