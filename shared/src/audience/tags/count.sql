select count(*) as tags from tags;
