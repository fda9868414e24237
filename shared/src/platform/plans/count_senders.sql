select count(*) as used from senders;
