select list, count(*) as entries
  from address_lists
 group by list;
