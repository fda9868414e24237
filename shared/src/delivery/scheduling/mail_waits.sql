-- The function sees all tenants and tells only whether there is any such mail.
select mail_waits_for_account();
