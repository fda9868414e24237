insert into organizations (id, slug, name)
values ($1, $2, $3);
