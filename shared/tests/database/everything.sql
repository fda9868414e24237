-- One row in every table of the organization ${ORGANIZATION}, whose ids follow from its own.
insert into organizations (id, slug, name) values ('${ORGANIZATION}', 'o-${ORGANIZATION}', 'Example');
insert into api_keys (organization_id, id, name, prefix, key_hash)
values ('${ORGANIZATION}', md5('${ORGANIZATION} key')::uuid, 'Key', 'mk_live_', sha256('${ORGANIZATION}'));
insert into rate_limit_windows (organization_id, api_key_id, window_start, used)
values ('${ORGANIZATION}', md5('${ORGANIZATION} key')::uuid, now(), 1);
insert into idempotency_keys (organization_id, key, request_hash, attempt, lease_until, expires_at)
values ('${ORGANIZATION}', 'first', sha256('${ORGANIZATION}'), md5('${ORGANIZATION} attempt')::uuid, now(), now() + interval '1 day');
insert into jobs (organization_id, id, kind, subject_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} job')::uuid, 'campaign_activation', md5('${ORGANIZATION} campaign')::uuid);
insert into audit_log (organization_id, id, actor_kind, action)
values ('${ORGANIZATION}', md5('${ORGANIZATION} act')::uuid, 'system', 'tested');
insert into lists (organization_id, id, name) values ('${ORGANIZATION}', md5('${ORGANIZATION} list')::uuid, 'List');
insert into import_batches (organization_id, id, file_name, object_key, list_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} import')::uuid, 'people.csv', 'uploads/1', md5('${ORGANIZATION} list')::uuid);
insert into import_errors (organization_id, import_batch_id, line, code, reason, raw)
values ('${ORGANIZATION}', md5('${ORGANIZATION} import')::uuid, 2, 'invalid', 'No address.', '');
insert into persons (organization_id, id, first_name) values ('${ORGANIZATION}', md5('${ORGANIZATION} person')::uuid, 'Ada');
insert into personas (organization_id, person_id, text) values ('${ORGANIZATION}', md5('${ORGANIZATION} person')::uuid, 'Likes engines.');
insert into contacts (organization_id, id, email, import_batch_id, person_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} contact')::uuid, 'Person@people.test', md5('${ORGANIZATION} import')::uuid,
        md5('${ORGANIZATION} person')::uuid);
insert into import_matches (organization_id, import_batch_id, contact_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} import')::uuid, md5('${ORGANIZATION} contact')::uuid);
insert into list_members (organization_id, list_id, contact_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} list')::uuid, md5('${ORGANIZATION} contact')::uuid);
insert into domains (organization_id, id, name) values ('${ORGANIZATION}', md5('${ORGANIZATION} domain')::uuid, 'example.test');
insert into senders (organization_id, id, domain_id, email)
values ('${ORGANIZATION}', md5('${ORGANIZATION} sender')::uuid, md5('${ORGANIZATION} domain')::uuid, 'me@example.test');
insert into campaigns (organization_id, id, name, list_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} campaign')::uuid, 'Spring', md5('${ORGANIZATION} list')::uuid);
insert into campaign_senders (organization_id, campaign_id, sender_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} campaign')::uuid, md5('${ORGANIZATION} sender')::uuid);
insert into steps (organization_id, id, campaign_id, position, name, subject_template, body_template)
values ('${ORGANIZATION}', md5('${ORGANIZATION} step')::uuid, md5('${ORGANIZATION} campaign')::uuid, 1, 'First', 'Hello', 'A word.');
insert into tracked_links (organization_id, id, campaign_id, step_id, url)
values ('${ORGANIZATION}', md5('${ORGANIZATION} link')::uuid, md5('${ORGANIZATION} campaign')::uuid,
        md5('${ORGANIZATION} step')::uuid, 'https://example.test/');
insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} enrollment')::uuid, md5('${ORGANIZATION} campaign')::uuid,
        md5('${ORGANIZATION} contact')::uuid, md5('${ORGANIZATION} sender')::uuid, now());
insert into messages (organization_id, id, dedupe_key, campaign_id, step_id, enrollment_id, contact_id, sender_id, recipient,
                      slot_day, send_at, expires_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} message')::uuid, 'first', md5('${ORGANIZATION} campaign')::uuid,
        md5('${ORGANIZATION} step')::uuid, md5('${ORGANIZATION} enrollment')::uuid, md5('${ORGANIZATION} contact')::uuid,
        md5('${ORGANIZATION} sender')::uuid, 'person@people.test', current_date, now(), now() + interval '1 hour');
insert into system_mails (organization_id, message_id, template)
values ('${ORGANIZATION}', md5('${ORGANIZATION} message')::uuid, 'welcome');
insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} event')::uuid, md5('${ORGANIZATION} message')::uuid, 'delivered', 'once', now());
insert into replies (organization_id, id, message_id, campaign_id, contact_id, mime_message_id, from_address, is_automatic,
                     object_key, received_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} reply')::uuid, md5('${ORGANIZATION} message')::uuid,
        md5('${ORGANIZATION} campaign')::uuid, md5('${ORGANIZATION} contact')::uuid, '<1@people.test>', 'person@people.test', false,
        'inbound/1', now());
insert into suppressions (organization_id, id, email_lower, reason)
values ('${ORGANIZATION}', md5('${ORGANIZATION} suppression')::uuid, 'other@people.test', 'manual');
insert into limit_usage (organization_id, scope, scope_id, day, used)
values ('${ORGANIZATION}', 'sender', md5('${ORGANIZATION} sender')::uuid, current_date, 1);
insert into daily_stats (organization_id, day, campaign_id, step_id, sender_id, sent)
values ('${ORGANIZATION}', current_date, md5('${ORGANIZATION} campaign')::uuid, md5('${ORGANIZATION} step')::uuid,
        md5('${ORGANIZATION} sender')::uuid, 1);
insert into daily_stats_deltas (organization_id, day, campaign_id, step_id, sender_id, delivered)
values ('${ORGANIZATION}', current_date, md5('${ORGANIZATION} campaign')::uuid, md5('${ORGANIZATION} step')::uuid,
        md5('${ORGANIZATION} sender')::uuid, 1);
insert into sender_health (organization_id, sender_id, score, sends, hard_bounces, complaints, replies, computed_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} sender')::uuid, 100, 1, 0, 0, 0, now());
insert into campaign_reports (organization_id, campaign_id, balanced, report, completed_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} campaign')::uuid, true, '{}', now());
insert into users (id, email) values (md5('${ORGANIZATION} user')::uuid, '${ORGANIZATION}@users.test');
insert into memberships (organization_id, user_id, role)
values ('${ORGANIZATION}', md5('${ORGANIZATION} user')::uuid, 'owner');
insert into sessions (organization_id, id, user_id, token_hash, expires_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} session')::uuid, md5('${ORGANIZATION} user')::uuid, sha256('${ORGANIZATION}'),
        now() + interval '1 day');
insert into request_counts (organization_id, credential_id, window_start, used)
values ('${ORGANIZATION}', md5('${ORGANIZATION} key')::uuid, now(), 1);
insert into onboarding (organization_id, user_id, full_name, signed_up_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} user')::uuid, 'Person', now());
insert into subscriptions (organization_id, stripe_customer_id) values ('${ORGANIZATION}', 'cus_${ORGANIZATION}');
insert into lifecycle_mails (organization_id, kind, send_at) values ('${ORGANIZATION}', 'welcome', now());
insert into stripe_events (organization_id, id, occurred_at) values ('${ORGANIZATION}', 'evt_1', now());
insert into stripe_customers (organization_id, id) values ('${ORGANIZATION}', 'cus_${ORGANIZATION}');
insert into stripe_subscriptions (organization_id, id, status, customer_id) values ('${ORGANIZATION}', 'sub_1', 'active', 'cus_${ORGANIZATION}');
insert into webhook_endpoints (organization_id, id, kind, url)
values ('${ORGANIZATION}', md5('${ORGANIZATION} endpoint')::uuid, 'webhook', 'https://example.test/hooks');
insert into webhook_secrets (organization_id, endpoint_id, id, key_number, sealed)
values ('${ORGANIZATION}', md5('${ORGANIZATION} endpoint')::uuid, md5('${ORGANIZATION} secret')::uuid, 1,
        sha256('${ORGANIZATION}') || sha256('secret'));
insert into webhook_events (organization_id, id, type, subject_id, occurred_at, data)
values ('${ORGANIZATION}', md5('${ORGANIZATION} webhook event')::uuid, 'message.sent', md5('${ORGANIZATION} message')::uuid, now(), '{}');
insert into webhook_deliveries (organization_id, id, event_id, endpoint_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} delivery')::uuid, md5('${ORGANIZATION} webhook event')::uuid,
        md5('${ORGANIZATION} endpoint')::uuid);
insert into workflows (organization_id, id, name) values ('${ORGANIZATION}', md5('${ORGANIZATION} endpoint')::uuid, 'Flow');
insert into workflow_runs (organization_id, id, workflow_id, workflow_name, execution_id, trigger_source, event_id, started_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} run')::uuid, md5('${ORGANIZATION} endpoint')::uuid, 'Flow', 'first', 'manual',
        md5('${ORGANIZATION} webhook event')::uuid, now());
insert into invites (organization_id, id, email, role, invited_by, expires_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} invite')::uuid, 'Invited@people.test', 'member',
        md5('${ORGANIZATION} user')::uuid, now() + interval '7 days');
insert into tags (organization_id, id, name) values ('${ORGANIZATION}', md5('${ORGANIZATION} tag')::uuid, 'Tag');
insert into import_tags (organization_id, import_batch_id, tag_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} import')::uuid, md5('${ORGANIZATION} tag')::uuid);
insert into contact_tags (organization_id, tag_id, contact_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} tag')::uuid, md5('${ORGANIZATION} contact')::uuid);
insert into custom_fields (organization_id, id, key, name, type)
values ('${ORGANIZATION}', md5('${ORGANIZATION} field')::uuid, 'plan', 'Plan', 'text');
insert into custom_values (organization_id, field_id, contact_id, text_value)
values ('${ORGANIZATION}', md5('${ORGANIZATION} field')::uuid, md5('${ORGANIZATION} contact')::uuid, 'basic');
insert into deleted_contacts (organization_id, id, email_lower, snapshot, reason, deleted_at)
select '${ORGANIZATION}', id, 'deleted@people.test',
       jsonb_build_object('contact', jsonb_build_object('id', id, 'email', 'deleted@people.test', 'status', 'active', 'custom', '{}'::jsonb,
                                                        'source', 'api', 'created_at', now(), 'updated_at', now()),
                          'lists', '[]'::jsonb, 'tags', '[]'::jsonb, 'enrollments', '[]'::jsonb, 'messages', '[]'::jsonb,
                          'replies', '[]'::jsonb),
       'deleted', now()
  from (select md5('${ORGANIZATION} deleted')::uuid as id) as gone;
insert into enrichment_jobs (organization_id, id, selection, up_to, started_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} enrichment')::uuid, '{"everybody": true}', md5('${ORGANIZATION} contact')::uuid, now());
insert into enrichment_tasks (organization_id, job_id, contact_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} enrichment')::uuid, md5('${ORGANIZATION} contact')::uuid);
insert into provider_usage (organization_id, purpose, day) values ('${ORGANIZATION}', 'enrichment', current_date);
insert into email_verifications (organization_id, email_lower, syntax, disposable, role_based, deliverable, blacklisted, status, checked_at)
values ('${ORGANIZATION}', 'person@people.test', 'passed', 'passed', 'passed', 'unknown', 'passed', 'unverified', now());
insert into verification_jobs (organization_id, id, selection, up_to, started_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} verification')::uuid, '{"everybody": true}', md5('${ORGANIZATION} contact')::uuid, now());
insert into segments (organization_id, id, name, tree)
values ('${ORGANIZATION}', md5('${ORGANIZATION} segment')::uuid, 'Everybody', '{"everybody": true}');
insert into engagements (organization_id, message_id, event_id, contact_id, campaign_id, kind, occurred_at)
values ('${ORGANIZATION}', md5('${ORGANIZATION} message')::uuid, md5('${ORGANIZATION} event')::uuid,
        md5('${ORGANIZATION} contact')::uuid, md5('${ORGANIZATION} campaign')::uuid, 'opened', now());
insert into audience_snapshots (organization_id, campaign_id, contact_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} campaign')::uuid, md5('${ORGANIZATION} contact')::uuid);
insert into lead_forms (organization_id, id, name, key, unknown_fields, minute_limit, day_limit)
values ('${ORGANIZATION}', md5('${ORGANIZATION} lead form')::uuid, 'Form',
        'lead_' || replace('${ORGANIZATION}', '-', '') || left(md5('${ORGANIZATION} lead form'), 24), 'keep', 1000, 100000);
insert into lead_form_usage (organization_id, lead_form_id) values ('${ORGANIZATION}', md5('${ORGANIZATION} lead form')::uuid);
insert into lead_form_lists (organization_id, lead_form_id, list_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} lead form')::uuid, md5('${ORGANIZATION} list')::uuid);
insert into lead_form_tags (organization_id, lead_form_id, tag_id)
values ('${ORGANIZATION}', md5('${ORGANIZATION} lead form')::uuid, md5('${ORGANIZATION} tag')::uuid);
insert into leads (organization_id, id, lead_form_id, form_name, contact_id, received_at, network_hash)
values ('${ORGANIZATION}', md5('${ORGANIZATION} lead')::uuid, md5('${ORGANIZATION} lead form')::uuid, 'Form',
        md5('${ORGANIZATION} contact')::uuid, now(), sha256('${ORGANIZATION}'));
