select count(*) as used from campaigns where status in ('activating', 'active');
