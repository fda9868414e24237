-- The policy leaves exactly the organization of the transaction.
select * from organizations;
