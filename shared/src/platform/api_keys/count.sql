select count(*) from api_keys where revoked_at is null;
