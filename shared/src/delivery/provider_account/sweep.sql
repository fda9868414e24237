delete from provider_account_usage
 where starts_at < $1::timestamptz - case period when 'second' then interval '1 hour' else interval '3 days' end;
