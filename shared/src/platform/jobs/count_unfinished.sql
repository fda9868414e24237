select count(*) as jobs from jobs where state in ('pending', 'running');
