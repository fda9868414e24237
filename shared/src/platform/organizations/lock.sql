-- The policy leaves exactly the organization of the transaction. Of two changes at once the second sees the first.
select * from organizations for no key update;
