//! A person is exported and erased: wherever they are stored, they are in the export before and nowhere afterwards.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;
use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::audience::personal_data::{self, Erased, Section};
use shared::audience::suppressions::{self, NewSuppression, Reason};
use shared::delivery::feedback::EventKind;
use shared::delivery::messages::MessageKey;
use shared::delivery::sending::{self, Answer};
use shared::delivery::tracking;
use shared::delivery::unsubscribing::{self, Wish};
use shared::delivery::visitors::{Manner, Visit, Visitor};
use shared::outreach::statistics;
use shared::{CampaignId, ContactId, Error, LinkId, OrganizationId, SuppressionId};
use testkit::scene::wednesday_morning;

use crate::stage::{HeldMailer, Stage};
use crate::webhooks::{FakePoster, Told};

const ADDRESS: &str = "Zq7.Lovelace@People.test";

/// What only this person has, in any case: the local part of the address, a name, the address and the program of a visit.
const NEEDLES: [&str; 4] = ["zq7.lovelace", "zebediah", "198.51.100.77", "zq7browser"];

/// Columns of text that say nothing of a person an organization writes to, and why. A new one fails until it is here or is
/// exported and erased; `*` is every column of a table.
const IMPERSONAL: &[(&str, &str, &str)] = &[
    ("api_keys", "*", "keys of programs"),
    ("audit_log", "*", "ids, names of fields and states: a test of the API looks for addresses"),
    ("campaign_reports", "*", "numbers, and what the organization calls its steps"),
    ("campaign_settings", "*", "windows and limits"),
    ("campaigns", "*", "what the organization writes about its campaigns"),
    ("contacts", "address_base", "the address without its tag; it goes with the row"),
    ("contacts", "email_domain", "a domain; it goes with the row"),
    ("contacts", "source", "api or import"),
    ("contacts", "status", "a state"),
    ("contacts", "timezone", "a zone; it goes with the row"),
    ("custom_fields", "*", "what the organization calls its fields"),
    ("custom_values", "text_lower", "the same in small letters; it goes with the contact"),
    ("custom_values", "text_value", "what contacts.custom says; it goes with the contact"),
    ("deleted_contacts", "reason", "a name of a reason"),
    ("domains", "*", "the organization's own"),
    ("email_verifications", "blacklisted", "a state"),
    ("email_verifications", "deliverable", "a state"),
    ("email_verifications", "disposable", "a state"),
    ("email_verifications", "reason", "a name of a reason"),
    ("email_verifications", "role_based", "a state"),
    ("email_verifications", "status", "a state"),
    ("email_verifications", "syntax", "a state"),
    ("engagements", "*", "what was done, under an id; it goes with the contact"),
    ("enrichment_jobs", "error", "a name of what went wrong"),
    ("enrichment_jobs", "status", "a state"),
    ("enrichment_jobs", "waits_for", "a kind"),
    ("enrichment_tasks", "*", "states and names of what went wrong"),
    ("enrollments", "*", "states"),
    ("idempotency_keys", "content_type", "of an answer"),
    ("idempotency_keys", "key", "the caller's name for a request, kept for a day"),
    ("idempotency_keys", "location", "a path with ids"),
    ("idempotency_keys", "request_hash", "a hash of a whole request, kept for a day"),
    ("idempotency_keys", "state", "a state"),
    ("import_batches", "*", "names of files and columns; objects of the bucket, which expire"),
    ("import_errors", "code", "a name of what is wrong"),
    ("invites", "*", "of people who may have an account, who are not those written to"),
    ("jobs", "*", "ids and numbers; what a job was asked for goes when it ends, and whoever is named in it ends it"),
    ("lead_form_usage", "*", "numbers"),
    ("lead_forms", "*", "what the organization asks for in its pages"),
    ("leads", "consent_text", "what the organization asks people to agree to"),
    ("leads", "form_name", "what the organization calls its forms"),
    ("leads", "network_hash", "keyed: only to be recognized; it goes with the contact"),
    ("leads", "origin", "of the organization's pages"),
    ("lifecycle_mails", "*", "kinds and states"),
    ("limit_usage", "scope", "the kind of a limit"),
    ("lists", "*", "what the organization calls its lists"),
    ("message_events", "dedupe_key", "an id or a hash; a visitor's, which could be guessed, goes nevertheless"),
    ("message_events", "kind", "what happened"),
    ("memberships", "*", "of people with an account, who are not those written to"),
    ("messages", "dedupe_key", "ids"),
    ("messages", "kind", "a kind"),
    ("messages", "outcome_code", "a name of an outcome"),
    ("messages", "provider_message_id", "the provider's id, by which its reports are told from others"),
    ("messages", "state", "a state"),
    ("onboarding", "*", "what whoever signed up says of themselves and their business"),
    ("organizations", "*", "the organization's own"),
    ("personas", "model", "the name of a model"),
    ("persons", "country", "two letters; it goes with the row"),
    ("persons", "provider", "the name of a provider"),
    ("persons", "set_by_hand", "names of fields"),
    ("persons", "timezone", "a zone; it goes with the row"),
    ("provider_usage", "*", "numbers"),
    ("replies", "object_key", "the name of an object, which expires"),
    (
        "segments",
        "*",
        "what the organization calls its segments, and their conditions: another test erases an address in these",
    ),
    ("senders", "*", "who writes, not who is written to"),
    ("sessions", "*", "of people with an account, who are not those written to"),
    ("steps", "*", "templates, which name nobody"),
    ("stripe_customers", "*", "ids of Stripe"),
    ("stripe_events", "*", "ids of Stripe"),
    ("stripe_subscriptions", "*", "ids of Stripe and states"),
    ("subscriptions", "*", "the organization's own, ids of Stripe and states"),
    ("suppressions", "domain", "of everybody who has an address there"),
    ("suppressions", "email_hash", "keyed: only to be recognized"),
    ("suppressions", "reason", "a name of a reason"),
    ("system_mails", "*", "what the installation tells people with an account; it goes with the message"),
    ("tags", "*", "what the organization calls its tags"),
    ("tracked_links", "kind", "a kind"),
    ("verification_jobs", "error", "a name of what went wrong"),
    ("verification_jobs", "status", "a state"),
    ("webhook_deliveries", "error", "a name of what went wrong"),
    ("webhook_deliveries", "state", "a state"),
    ("webhook_endpoints", "*", "the organization's own"),
    ("webhook_events", "type", "what happened"),
    ("webhook_secrets", "*", "encrypted, and by chance"),
    ("workflow_runs", "callback_id", "the caller's name for a request"),
    ("workflow_runs", "status", "a state"),
    ("workflow_runs", "trigger_source", "a kind"),
    ("workflow_runs", "workflow_name", "what the organization calls its workflows"),
    ("workflows", "*", "what the organization calls its workflows"),
];

fn visitor() -> Visitor {
    Visitor::new(Some([198, 51, 100, 77].into()), "Zq7Browser/1.0", Manner::Get)
}

/// A person in everything that is kept of people: one campaign is over for them, in another a mail is queued.
struct Person {
    stage: Stage,
    contact: ContactId,
    finished: CampaignId,
    sent: MessageKey,
}

impl Person {
    async fn everywhere() -> Self {
        let stage = Stage::new().await;
        let scene = &stage.scene;
        let organization = scene.organization;
        let told = Told::new(&stage).await;
        let sender = scene.sender(1, 1_000, 0).await;
        // The second is somebody else, in whose mails are the same links but for the personal one.
        let campaign = scene.running_campaign(2, &[sender], 1, 1_000).await;
        let contact = campaign.contacts[0];
        let body = "Dear {{ name | default('friend') }}: https://example.test/all https://example.test/{{ company | default('x') }}
                    https://example.test/?for={{ email }} https://example.test/of/{{ name | default('nobody') }}";
        scene.run("update steps set subject_template = 'To {{ first_name }}', body_template = $1", &[&body]).await;
        scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
        scene.run("update contacts set company = 'Analytical'", &[]).await;
        let import = scene
            .rows(
                "insert into import_batches (organization_id, id, file_name, object_key, rows_total, rows_failed)
                 values ($1, gen_random_uuid(), 'people.csv', 'uploads/1', 1, 1) returning id",
                &[&organization],
            )
            .await[0]
            .get::<_, uuid::Uuid>(0);
        scene
            .run(
                "update contacts
                    set email = $2, name = 'Zebediah', first_name = 'Zebediah', last_name = 'Zebediahson', company = company,
                        custom = '{\"nick\": \"Zebediah\"}', raw_data = '{\"Name\": \"Zebediah\"}', import_batch_id = $3
                  where id = $1",
                &[&contact, &ADDRESS, &import],
            )
            .await;
        scene
            .run(
                "insert into import_errors (organization_id, import_batch_id, line, code, reason, raw)
                 values ($1, $2, 2, 'too_long', 'a field of zq7.lovelace@people.test is too long', 'Zebediah;<ZQ7.LOVELACE@people.TEST>'),
                        ($1, $2, 3, 'too_long', 'a field is too long', 'Zebulon;lovelace@people.test.example'),
                        ($1, $2, 4, 'too_long', 'a field is too long', 'Zoe;xyzq7lovelace@people.test')",
                &[&organization, &import],
            )
            .await;
        stage.tick().await;
        stage.deliver_queued().await;
        assert_eq!(scene.states().await, "sent=2");
        let sent = MessageKey {
            organization,
            id: scene.rows("select id from messages where recipient = $1", &[&ADDRESS]).await[0].get(0),
        };
        stage.at(wednesday_morning() + Duration::hours(1)).await;
        let mut delivered = stage.event(sent, EventKind::Delivered).await;
        delivered.details = json!({"diagnostic": format!("250 <{ADDRESS}> is well")});
        stage.apply(&[delivered]).await;
        tracking::open(&stage.worker("martlet_app"), sent, &visitor()).await.unwrap();
        let own: LinkId = scene.rows("select id from tracked_links where url like '%?for=Zq7%'", &[]).await[0].get(0);
        tracking::follow(&stage.worker("martlet_app"), sent, own, &visitor()).await.unwrap();
        let mut clicked = stage.event(sent, EventKind::Clicked).await;
        clicked.dedupe_key = format!("clicked:https://example.test/?for={ADDRESS}");
        stage.apply(&[clicked]).await;
        stage.receive(sent, "1@people.test", "").await;
        scene
            .run(
                "update replies
                    set from_address = $1, subject = 'Re: To Zebediah', snippet = 'Zebediah writes',
                        mime_message_id = 'zq7.lovelace.1@people.test'",
                &[&ADDRESS.to_uppercase()],
            )
            .await;
        scene.run("update contacts set company = 'Zebediah & Sons' where id = $1", &[&contact]).await;
        scene.run("update messages set outcome_detail = '250 Zebediah' where id = $1", &[&sent.id]).await;
        // Another mail to the address, whose contact is gone.
        scene
            .run(
                "insert into messages (organization_id, id, kind, dedupe_key, recipient, state, send_at, expires_at, subject)
                 values ($1, gen_random_uuid(), 'direct', 'gone', 'ZQ7.lovelace@people.test', 'cancelled', now(), now(), 'Zebediah?')",
                &[&organization],
            )
            .await;
        // One to an address that the contact had before, and that bounced.
        scene
            .run(
                "with m as (
                     insert into messages (organization_id, id, kind, dedupe_key, contact_id, recipient, state, send_at, expires_at)
                     values ($1, gen_random_uuid(), 'direct', 'before', $2, 'zq7.lovelace@elsewhere.test', 'cancelled', now(), now())
                     returning id)
                 insert into suppressions (organization_id, id, email_lower, reason, message_id)
                 select $1, gen_random_uuid(), 'zq7.lovelace@elsewhere.test', 'hard_bounce', id from m",
                &[&organization, &contact],
            )
            .await;
        // And an answer to a mail that was to somebody else.
        scene
            .run(
                "insert into replies (organization_id, id, message_id, mime_message_id, from_address, is_automatic, object_key, received_at)
                 select organization_id, gen_random_uuid(), id, '2@people.test', $1, false, 'inbound/2', now()
                   from messages where recipient = 'person2@people.test'",
                &[&ADDRESS],
            )
            .await;
        scene
            .run(
                "insert into suppressions (organization_id, id, email_lower, campaign_id, reason, message_id, note)
                 values ($1, gen_random_uuid(), lower($2), $3, 'complaint', $4, 'Zebediah has called')",
                &[&organization, &ADDRESS, &campaign.campaign, &sent.id],
            )
            .await;
        scene
            .run(
                "with learned as (
                     insert into persons (organization_id, id, first_name, last_name, city, region, company, profession)
                     values ($1, gen_random_uuid(), 'Zebediah', 'Zebediah', 'Zebediah', 'Zebediah', 'Zebediah', 'Zebediah')
                     returning id
                 ), described as (
                     insert into personas (organization_id, person_id, text) select $1, id, 'Zebediah likes engines.' from learned
                 )
                 update contacts set person_id = learned.id from learned where contacts.id = $2",
                &[&organization, &contact],
            )
            .await;
        scene
            .run(
                "insert into email_verifications
                     (organization_id, email_lower, syntax, disposable, role_based, deliverable, blacklisted, status, checked_at)
                 select $1, address, 'passed', 'passed', 'passed', 'unknown', 'passed', 'unverified', now()
                   from unnest(array[lower($2), 'zq7.lovelace@elsewhere.test', 'other@people.test']) as address",
                &[&organization, &ADDRESS],
            )
            .await;
        for jobs in ["enrichment_jobs", "verification_jobs"] {
            let sql = format!(
                "insert into {jobs} (organization_id, id, up_to, selection, started_at)
                 values ($1, gen_random_uuid(), gen_random_uuid(), jsonb_build_object('filter', format('email = \"%s\"', $2::text)), now())"
            );
            scene.run(&sql, &[&organization, &ADDRESS]).await;
        }
        scene
            .run(
                "insert into enrichment_tasks (organization_id, job_id, contact_id)
                 select organization_id, id, $2 from enrichment_jobs where organization_id = $1",
                &[&organization, &contact],
            )
            .await;
        let answer = json!({"id": contact, "email": ADDRESS, "name": "Zebediah"}).to_string();
        scene
            .run(
                "insert into idempotency_keys (organization_id, key, request_hash, attempt, state, lease_until, expires_at,
                                               answer_code, content_type, location, body)
                 select $1, format('%s', code), sha256('x'), gen_random_uuid(), 'answered', now(), now() + interval '1 day',
                        code, 'application/json', format('/v1/contacts/%s', $2::uuid), $3::bytea
                   from unnest('{201, 409}'::smallint[]) as code",
                &[&organization, &contact, &answer.as_bytes()],
            )
            .await;
        // It came through a form, whose page was called with its address.
        scene
            .run(
                "with f as (insert into lead_forms (organization_id, id, name, key)
                            values ($1, gen_random_uuid(), 'Form', 'lead_' || repeat('0', 56)) returning organization_id, id, name),
                      u as (insert into lead_form_usage (organization_id, lead_form_id) select organization_id, id from f)
                 insert into leads (organization_id, id, lead_form_id, form_name, contact_id, received_at, page_url, network_hash)
                 select organization_id, gen_random_uuid(), id, name, $2, clock_now(), 'https://example.test/?for=' || $3, sha256('x')
                   from f",
                &[&organization, &contact, &ADDRESS],
            )
            .await;
        // It has a tag, and another one that had the address lies in the bin.
        scene
            .run(
                "with t as (insert into tags (organization_id, id, name) values ($1, gen_random_uuid(), 'Tag') returning id)
                 insert into contact_tags (organization_id, tag_id, contact_id) select $1, id, $2 from t",
                &[&organization, &contact],
            )
            .await;
        scene
            .run(
                "insert into deleted_contacts (organization_id, id, email_lower, snapshot, reason, deleted_at)
                 values ($1, gen_random_uuid(), lower($2), '{\"contact\": {\"name\": \"Zebediah\"}, \"messages\": []}', 'deleted', now())",
                &[&organization, &ADDRESS],
            )
            .await;
        let person = Self { stage, contact, finished: campaign.campaign, sent };
        person.queue_another_mail().await;
        person.be_in_the_record().await;
        person.be_told_elsewhere(&told).await;
        person
    }

    async fn queue_another_mail(&self) {
        let scene = &self.stage.scene;
        let sender = scene.rows("select id from senders", &[]).await[0].get::<_, shared::SenderId>(0);
        let other = scene.running_campaign(0, &[sender], 2, 1_000).await;
        scene
            .run(
                "insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
                 values ($1, gen_random_uuid(), $2, $3, $4, clock_now())",
                &[&scene.organization, &other.campaign, &self.contact, &sender],
            )
            .await;
        self.stage.tick().await;
        assert_eq!(scene.states().await, "cancelled=2 scheduled=1 sent=2");
    }

    async fn be_in_the_record(&self) {
        self.stage
            .scene
            .run(
                "insert into audit_log (organization_id, id, actor_kind, action, subject_id, details)
                 values ($1, gen_random_uuid(), 'system', 'contact.updated', $2, '{\"fields\": [\"email\"]}')",
                &[&self.stage.scene.organization, &self.contact],
            )
            .await;
    }

    /// An endpoint was told of everything and repeats it, and a workflow that was started by it reports what it has made of it.
    async fn be_told_elsewhere(&self, told: &Told) {
        let poster = FakePoster::answering(Ok(200), &format!("thank you for <{}>", ADDRESS.to_uppercase()));
        told.dispatch(&self.stage, &poster).await;
        self.stage
            .scene
            .run(
                "update workflow_runs
                    set metrics = '{\"to\": \"Zebediah\"}', error_data = '{\"message\": \"no zq7.lovelace@people.test\"}',
                        execution_id = 'lead:zq7.lovelace@people.test'
                  where input ->> 'contact_id' = $1::uuid::text and id = (select max(id::text)::uuid from workflow_runs)",
                &[&self.contact],
            )
            .await;
    }

    async fn export(&self, limit: usize) -> BTreeMap<Section, Vec<Value>> {
        let mut all: BTreeMap<Section, Vec<Value>> = BTreeMap::new();
        let mut after = None;
        loop {
            let tx = self.stage.worker("martlet_app").begin(self.stage.scene.organization).await.unwrap();
            let keys = &self.stage.letterhead.keys;
            let page = personal_data::export(&tx, keys, self.contact, after, limit).await.unwrap();
            tx.commit().await.unwrap();
            for (section, records) in page.data {
                all.entry(section).or_default().extend(records);
            }
            after = page.more_after;
            if after.is_none() {
                return all;
            }
        }
    }

    async fn erase(&self) -> Erased {
        let tx = self.stage.worker("martlet_app").begin(self.stage.scene.organization).await.unwrap();
        let erased = personal_data::erase(&tx, &self.stage.letterhead.keys, self.contact).await.unwrap();
        tx.commit().await.unwrap();
        erased
    }

    /// Every column in which something of the person is found, and whether it is one of text at all.
    async fn found(&self) -> BTreeMap<(String, String), bool> {
        let mut found = BTreeMap::new();
        for (table, column, kind) in columns(&self.stage).await {
            let tenant = if table == "organizations" { "id" } else { "organization_id" };
            let text = if kind == "bytea" { format!("encode({column}, 'escape')") } else { format!("{column}::text") };
            let sql = format!(
                "select count(*) from {table} where {tenant} = $1 and lower({text}) like any (select format('%%%s%%', n) from unnest($2::text[]) n)"
            );
            let rows = self.stage.scene.number(&sql, &[&self.stage.scene.organization, &NEEDLES.as_slice()]).await;
            found.insert((table, column), rows > 0);
        }
        found
    }

    async fn places(&self) -> Vec<String> {
        let found = self.found().await.into_iter().filter(|(_, is_found)| *is_found);
        found.map(|((table, column), _)| format!("{table}.{column}")).collect()
    }
}

/// Every column of a tenant's table that can hold text: table, column and type.
async fn columns(stage: &Stage) -> Vec<(String, String, String)> {
    let sql = "select c.relname::text, a.attname::text, a.atttypid::regtype::text
                 from pg_class c
                 join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                  and (c.relname = 'organizations' or exists (
                           select from pg_attribute o where o.attrelid = c.oid and o.attname = 'organization_id'))
                  and a.atttypid::regtype::text in (
                      'text', 'citext', 'character varying', 'character', 'json', 'jsonb', 'inet', 'cidr', 'bytea', 'text[]')
                order by 1, 2";
    let rows = stage.scene.rows(sql, &[]).await;
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// Copies everything that the organization has to another one, but its counts and what its events bring with them.
async fn copy_to_another_organization(stage: &Stage) -> OrganizationId {
    let other = OrganizationId::fresh();
    stage.scene.run("insert into organizations (id, slug, name) values ($1, 'copy', 'Copy')", &[&other]).await;
    let everything = include_str!("../database/everything.sql").split("insert into ").skip(1);
    for table in everything.filter_map(|rest| rest.split(' ').next()) {
        if matches!(table, "organizations" | "users" | "daily_stats" | "daily_stats_deltas" | "engagements") {
            continue;
        }
        let sql = "select attname::text from pg_attribute
                    where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = ''
                      and attname not in ('organization_id', 'waiting_message_id')";
        let names = stage.scene.rows(sql, &[&table]).await;
        let names = names.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "insert into {table} (organization_id, {names}) select $1, {names} from {table} where organization_id = $2"
        );
        stage.scene.run(&sql, &[&other, &stage.scene.organization]).await;
    }
    other
}

/// Every row of an organization.
async fn rows_of(stage: &Stage, organization: OrganizationId) -> Vec<String> {
    let tables: BTreeSet<String> = columns(stage).await.into_iter().map(|(table, ..)| table).collect();
    let mut all = Vec::new();
    for table in tables.iter().filter(|table| *table != "organizations") {
        let sql = format!("select t::text from {table} t where organization_id = $1 order by 1");
        let rows = stage.scene.rows(&sql, &[&organization]).await;
        all.extend(rows.iter().map(|row| format!("{table} {}", row.get::<_, String>(0))));
    }
    all
}

/// The organization's counts by day and dimensions, folded or not.
async fn counts(stage: &Stage) -> Vec<String> {
    let sql = "select format('%s %s %s %s %s %s', day, campaign_id, step_id, sender_id, c.key, sum(c.value::bigint))
                 from (select day, campaign_id, step_id, sender_id, to_jsonb(s) as kept from daily_stats s where organization_id = $1
                       union all
                       select day, campaign_id, step_id, sender_id, to_jsonb(d) from daily_stats_deltas d where organization_id = $1) k
                cross join lateral jsonb_each_text(k.kept - array['organization_id', 'day', 'campaign_id', 'step_id', 'sender_id',
                                                                  'updated_at']) as c
                group by day, campaign_id, step_id, sender_id, c.key
                order by 1";
    stage.scene.rows(sql, &[&stage.scene.organization]).await.iter().map(|row| row.get(0)).collect()
}

async fn accounting(stage: &Stage, campaign: CampaignId) -> Value {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let statistics = statistics::read(&tx, campaign).await.unwrap();
    tx.commit().await.unwrap();
    serde_json::to_value(statistics).unwrap()
}

#[tokio::test]
async fn export_and_erasure_are_complete() {
    let person = Person::everywhere().await;
    let (stage, scene) = (&person.stage, &person.stage.scene);
    let found = person.found().await;
    let is_impersonal = |table: &str, column: &str| {
        IMPERSONAL.iter().any(|(its, named, _)| *its == table && (*named == "*" || *named == column))
    };
    let undecided: Vec<String> = found
        .iter()
        .filter(|((table, column), is_found)| **is_found == is_impersonal(table, column))
        .map(|((table, column), is_found)| format!("{table}.{column} ({is_found})"))
        .collect();
    assert_eq!(
        undecided, [""; 0],
        "either it knows something of the person here, or IMPERSONAL says why it never does"
    );

    // Whatever is found is in the export, as it is stored.
    let export = person.export(1_000).await;
    assert_eq!(person.export(1).await, export, "record by record it is the same");
    for section in Section::ALL {
        assert!(!export[&section].is_empty(), "nothing in {section:?}");
    }
    for ((table, column), _) in found.iter().filter(|(_, is_found)| **is_found) {
        let section: Section =
            serde_json::from_value(json!(table)).unwrap_or_else(|_| panic!("{table} is not exported"));
        let value = if (table.as_str(), column.as_str()) == ("idempotency_keys", "body") {
            "to_jsonb(convert_from(body, 'UTF8'))".to_owned()
        } else {
            format!("to_jsonb({column})")
        };
        let sql = format!(
            "select {value} from {table} where organization_id = $1 and lower({column}::text) like any (select format('%%%s%%', n) from unnest($2::text[]) n)"
        );
        for row in scene.rows(&sql, &[&scene.organization, &NEEDLES.as_slice()]).await {
            let stored: Value = row.get(0);
            let is_exported = export[&section].iter().any(|record| record[column] == stored);
            assert!(is_exported, "{table}.{column} is stored and not exported: {stored}");
        }
    }

    assert_eq!(export[&Section::Messages][0]["enqueue_interval"], 300, "an interval is told in seconds");

    let other = copy_to_another_organization(stage).await;
    let theirs = rows_of(stage, other).await;
    assert!(theirs.iter().any(|row| row.to_ascii_lowercase().contains(NEEDLES[0])));
    let (before, accounted) = (counts(stage).await, accounting(stage, person.finished).await);
    let kept = |query: &'static str| async move { scene.number(query, &[]).await };
    let ledger = "select count(*) from messages";
    let events = "select count(*) from message_events";
    let (messages_before, events_before) = (kept(ledger).await, kept(events).await);

    let erased = person.erase().await;

    assert_eq!(person.places().await, [""; 0], "something is left");
    assert_eq!(rows_of(stage, other).await, theirs, "another organization's rows have changed");
    assert_eq!(counts(stage).await, before);
    assert_eq!(accounting(stage, person.finished).await, accounted);
    assert_eq!((kept(ledger).await, kept(events).await), (messages_before, events_before));
    let counted = serde_json::to_value(erased).unwrap();
    for (what, number) in [
        ("stopped", 1),
        ("persons", 1),
        ("email_verifications", 2),
        ("messages", 4),
        ("replies", 2),
        ("suppressions", 3),
        // That with the address and that with the name; the others are in the other person's mail as well.
        ("tracked_links", 2),
        ("import_errors", 1),
        ("kept_answers", 2),
        ("webhook_events", 5),
        ("workflow_runs", 1),
        ("deleted_contacts", 1),
    ] {
        assert_eq!(counted[what], number, "{what}: {counted}");
    }
    let mine = "organization_id = $1";
    for (what, number) in [
        ("tracked_links", 4),
        ("import_errors where line in (3, 4) and true", 2),
        // The request that was carried out is not carried out again; the one that was refused may be sent again.
        ("idempotency_keys where state = 'committed' and lease_until <= now() and true", 1),
        ("idempotency_keys", 1),
        ("contacts", 1),
        ("email_verifications", 1),
        ("enrichment_jobs where status = 'cancelled' and selection is null and true", 1),
        ("verification_jobs where status = 'cancelled' and selection is null and true", 1),
    ] {
        let (table, condition) = what
            .split_once(" where ")
            .map_or((what, mine.to_owned()), |(table, condition)| (table, condition.replace("true", mine)));
        let sql = format!("select count(*) from {table} where {condition}");
        assert_eq!(scene.number(&sql, &[&scene.organization]).await, number, "{what}");
    }
    let reasons = "select string_agg(reason, ' ' order by reason) from suppressions where organization_id = $1 and message_id is null";
    let reasons: String = scene.rows(reasons, &[&scene.organization]).await[0].get(0);
    assert_eq!(
        reasons, "complaint hard_bounce unsubscribe",
        "the first reason stays, and the whole organization is closed"
    );
    let slots =
        "select count(*) from messages where organization_id = $1 and slot_day is not null and state = 'scheduled'";
    assert_eq!(scene.number(slots, &[&scene.organization]).await, 0);
}

/// By the messages that are noted, or, where these don't tell, by what is in the mails of the step.
#[tokio::test]
async fn a_link_goes_with_the_person_whose_mails_alone_have_it() {
    let two_of_theirs = "update tracked_links l set other_message_id = m.id
                           from messages m
                          where m.recipient = 'Zq7.Lovelace@People.test' and m.id <> l.message_id and l.other_message_id is null";
    let other = |of_them: &str| {
        format!(
            "with other as (update messages set {of_them} where recipient = 'person2@people.test' returning id)
             update tracked_links l
                set other_message_id = o.id
               from (select id from other order by id limit 1) o
              where l.other_message_id is null and l.message_id <> o.id"
        )
    };
    for (change, gone) in [
        ("", 2),
        ("update tracked_links set message_id = null, other_message_id = null", 2),
        (two_of_theirs, 2),
        // That with the address is theirs whoever has got it.
        (&other("recipient = recipient"), 1),
        // Whoever was erased before keeps none, nor does a mail that never went out: that with the company, which both had got,
        // goes as well.
        (&other("recipient = 'erased', body = null, state = 'sent'"), 3),
        (&other("body = null, state = 'cancelled'"), 3),
    ] {
        let person = Person::everywhere().await;
        let scene = &person.stage.scene;
        let known = "select count(*) from tracked_links where message_id is not null and other_message_id is null";
        // The two of this person, and the two of the other one.
        assert_eq!(scene.number(known, &[]).await, 4);
        if !change.is_empty() {
            scene.run(change, &[]).await;
        }
        assert_eq!(person.erase().await.tracked_links, gone, "{change}");
    }
}

#[tokio::test]
async fn what_a_workflow_was_started_with_goes_with_the_person_wherever_it_names_them() {
    let person = Person::everywhere().await;
    let (stage, organization) = (&person.stage, person.stage.scene.organization);
    let sql = "insert into webhook_events (organization_id, id, type, subject_id, occurred_at, data)
               select $1, gen_random_uuid(), 'workflow.run', $1, now(), jsonb_build_object('input', jsonb_build_object('lead', who))
                 from unnest($2::text[]) as who";
    let named = [person.contact.to_string(), "somebody else".to_owned()];
    stage.scene.run(sql, &[&organization, &named.as_slice()]).await;
    let of = "select count(*) from webhook_events where data #>> '{input,lead}' = any ($1)";
    assert_eq!(stage.scene.number(of, &[&named.as_slice()]).await, 2);
    let exported = person.export(200).await;
    let ours = |event: &&Value| event["data"]["input"]["lead"].is_string();
    assert_eq!(exported[&Section::WebhookEvents].iter().filter(ours).count(), 1);
    person.erase().await;
    assert_eq!(stage.scene.number(of, &[&&named[..1]]).await, 0);
    assert_eq!(stage.scene.number(of, &[&&named[1..]]).await, 1, "nobody else's");
}

#[tokio::test]
async fn what_comes_in_after_an_erasure_brings_nobody_back() {
    let person = Person::everywhere().await;
    let Person { stage, sent, .. } = &person;
    let own: LinkId = stage.scene.rows("select id from tracked_links where url like '%/all'", &[]).await[0].get(0);
    person.erase().await;
    let suppressions = "select count(*) from suppressions";
    let before = stage.scene.number(suppressions, &[]).await;
    let mut reports = Vec::new();
    for kind in [EventKind::Bounced, EventKind::Complained, EventKind::Opened, EventKind::Clicked] {
        let mut event = stage.event(*sent, kind).await;
        event.details = json!({"diagnostic": format!("550 <{ADDRESS}> is unknown")});
        event.dedupe_key = format!("{} Zebediah {}", kind.name(), event.dedupe_key).replace("Zebediah", "late");
        event.visit = matches!(kind, EventKind::Opened | EventKind::Clicked).then(|| Visit {
            visitor: Visitor::new(Some([198, 51, 100, 77].into()), "Zq7Browser", Manner::Get),
            link: (kind == EventKind::Clicked).then(|| "https://example.com/Zebediah".to_owned()),
        });
        reports.push(event);
    }
    assert_eq!(stage.apply(&reports).await.new, 4, "they count");
    tracking::open(&stage.worker("martlet_app"), *sent, &visitor()).await.unwrap();
    tracking::follow(&stage.worker("martlet_app"), *sent, own, &visitor()).await.unwrap();
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let shown = unsubscribing::look_up(&tx, sent.id).await.unwrap();
    assert_eq!((shown.masked_address.as_str(), shown.stopped.is_some()), ("…", true));
    let wish = Wish::read(None, None, Some("I am Zebediah"));
    unsubscribing::unsubscribe(&tx, sent.id, &wish, &visitor()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(person.places().await, [""; 0]);
    assert_eq!(stage.scene.number(suppressions, &[]).await, before, "nobody is suppressed in place of the recipient");
    // A visit's key is a hash of the visitor, of which there are few enough to try them all.
    let visits = "select count(*) from message_events where message_id = $1 and kind in ('opened', 'clicked') and dedupe_key <> id::text";
    assert_eq!(stage.scene.number(visits, &[&sent.id]).await, 0);
    stage.check("at the end").await;
}

#[tokio::test]
async fn an_erased_person_who_is_imported_again_gets_no_mail() {
    let person = Person::everywhere().await;
    let Person { stage, .. } = &person;
    person.erase().await;
    let handed = stage.mailer.handed().len();
    // The scene numbers its people by those there are.
    stage.scene.run("update contacts set email = 'somebody@people.test' where email like 'person%'", &[]).await;
    let sender = stage.scene.rows("select id from senders", &[]).await[0].get::<_, shared::SenderId>(0);
    let campaign = stage.scene.running_campaign(2, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.scene.run("update contacts set email = upper($2) where id = $1", &[&campaign.contacts[0], &ADDRESS]).await;
    stage.tick().await;
    stage.deliver_queued().await;
    let to: Vec<String> = stage.mailer.handed().into_iter().skip(handed).map(|mail| mail.to).collect();
    assert_eq!(to.len(), 1, "{to:?}");
    assert!(!to[0].eq_ignore_ascii_case(ADDRESS));
    let of_campaign = "select count(*) from messages where campaign_id = $1 and state = 'suppressed'";
    assert_eq!(stage.scene.number(of_campaign, &[&campaign.campaign]).await, 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn what_the_provider_says_of_somebody_who_is_erased_meanwhile_is_not_kept() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.running_campaign(1, &[sender], 1, 1_000).await;
    stage.tick().await;
    let hints = stage.queue.drain();
    let mailer = HeldMailer::new(Answer::Refused {
        code: "rejected".to_owned(),
        detail: "person1@people.test is unknown".to_owned(),
        address_at_fault: true,
    });
    let sender = stage.worker("martlet_sender");
    let deliver = sending::deliver(&sender, &mailer, &stage.letterhead, &hints);
    let erase = async {
        mailer.until_called().await;
        let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
        personal_data::erase(&tx, &stage.letterhead.keys, campaign.contacts[0]).await.unwrap();
        tx.commit().await.unwrap();
        mailer.release();
    };
    let (delivered, ()) = tokio::join!(deliver, erase);
    assert!(delivered.unwrap().unrecorded.is_empty());
    assert_eq!(stage.scene.states().await, "failed=1");
    let row = &stage.scene.rows("select recipient, subject, outcome_detail from messages", &[]).await[0];
    let row: [Option<String>; 3] = [row.get(0), row.get(1), row.get(2)];
    assert_eq!(row, [Some("erased".to_owned()), None, None]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_bounce_or_a_complaint_stays_the_reason() {
    for (first, second, stays) in [
        (Reason::Complaint, Reason::Manual, "complaint"),
        (Reason::Manual, Reason::Complaint, "complaint"),
        (Reason::Manual, Reason::HardBounce, "hard_bounce"),
        (Reason::HardBounce, Reason::Complaint, "hard_bounce"),
        (Reason::Manual, Reason::Unsubscribe, "manual"),
    ] {
        let stage = Stage::new().await;
        let contact = stage.scene.contacts(1).await[0];
        let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
        let keys = &stage.letterhead.keys;
        let given = |reason| NewSuppression {
            email: Some("person1@people.test".to_owned()),
            reason,
            ..NewSuppression::default()
        };
        let (forgotten, _) = suppressions::create(&tx, given(first)).await.unwrap();
        suppressions::forget(&tx, keys, forgotten.id).await.unwrap();
        suppressions::create(&tx, given(second)).await.unwrap();
        let erased = personal_data::erase(&tx, keys, contact).await.unwrap();
        tx.commit().await.unwrap();
        let left = stage.scene.rows("select id, reason, email_lower from suppressions", &[]).await;
        assert_eq!(left.len(), 1, "{first:?} {second:?}");
        assert_eq!((left[0].get::<_, SuppressionId>(0), left[0].get::<_, &str>(1)), (erased.suppression_id, stays));
        assert_eq!(left[0].get::<_, Option<String>>(2), None);
    }
}

#[tokio::test]
async fn erasing_twice_and_nobody_is_not_found() {
    let person = Person::everywhere().await;
    person.erase().await;
    let tx = person.stage.worker("martlet_app").begin(person.stage.scene.organization).await.unwrap();
    let keys = &person.stage.letterhead.keys;
    let again = personal_data::erase(&tx, keys, person.contact).await;
    assert!(matches!(again, Err(Error::NotFound(_))), "{again:?}");
    let export = personal_data::export(&tx, keys, person.contact, None, 10).await;
    assert!(matches!(export, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn what_filters_and_segments_name_of_an_erased_person_goes() {
    use shared::audience::bulk_acts::{self, BulkAct};
    use shared::audience::segments::{self, SegmentFields};
    use shared::platform::jobs;

    let stage = Stage::new().await;
    let contact = stage.scene.contacts(2).await[0];
    let keys = &stage.letterhead.keys;
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let fields = |name: &str, text: &str| SegmentFields {
        name: Some(Some(name.to_owned())),
        text: Some(text.to_owned()),
        ..SegmentFields::default()
    };
    let but_them = "first_name is set and not email in (\"Person1@people.test\", \"x\")";
    let segment = segments::create(&tx, fields("All but them", but_them)).await.unwrap();
    let others = segments::create(&tx, fields("Others", "email = \"person11@people.test\"")).await.unwrap();
    let ask = async |filter: &str| {
        let act =
            serde_json::from_value::<BulkAct>(json!({"act": {"kind": "delete"}, "selection": {"filter": filter}}));
        bulk_acts::create(&tx, act.unwrap(), None).await.unwrap().id
    };
    let (ended, named, unnamed) = (
        ask("email = \"person1@people.test\"").await,
        ask("email = \"PERSON1@people.test\"").await,
        ask("email = \"person11@people.test\"").await,
    );
    jobs::finish(&tx, ended, None).await.unwrap();
    tx.commit().await.unwrap();

    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let erased = personal_data::erase(&tx, keys, contact).await.unwrap();
    assert_eq!((erased.segments, erased.jobs), (1, 1));
    let text = segments::find(&tx, segment.id).await.unwrap().text;
    assert_eq!(text, but_them.replace("Person1@people.test", "erased"));
    assert_eq!(segments::count(&tx, segment.id).await.unwrap().count, 1, "it means whom it meant, but the person");
    assert_eq!(segments::find(&tx, others.id).await.unwrap().text, others.text);
    tx.commit().await.unwrap();
    let states = stage.scene.rows("select id, state, input::text from jobs", &[]).await;
    for row in &states {
        let (id, state, input): (shared::JobId, &str, &str) = (row.get(0), row.get(1), row.get(2));
        let expected = if id == ended {
            "completed"
        } else if id == named {
            "failed"
        } else {
            "pending"
        };
        assert_eq!((state, input == "{}"), (expected, id != unnamed), "{input}");
    }
}

#[tokio::test]
async fn only_texts_that_name_the_very_address_are_taken_for_the_persons() {
    let stage = Stage::new().await;
    for (address, names_it, does_not) in [
        (
            "ada@people.test",
            &[
                "ada@people.test",
                "Ada;<ADA@People.Test>",
                "x|ada@people.test|y",
                "mailto:ada@people.test.",
                "https://example.test/?e=ada%40people.test&x",
                r#"{"email":"ada@people.test"}"#,
            ][..],
            &[
                "xada@people.test",
                "ada+x@people.test",
                "c.ada@people.test",
                "ada@people.test.example",
                "ada@people.tests",
            ][..],
        ),
        ("a+b_c@people.test", &["a+b_c@people.test", "?e=a%2Bb_c%40people.test"][..], &["aab_c@people.test"][..]),
        (
            r#""a b"@people.test"#,
            &[r#"{"email":"\"a b\"@people.test"}"#, r#"the "a b"@people.test"#][..],
            &["a b@people.test"][..],
        ),
    ] {
        let contact = stage.scene.contacts(1).await[0];
        stage.scene.run("update contacts set email = $2 where id = $1", &[&contact, &address]).await;
        let import = uuid::Uuid::from_u128(7);
        stage
            .scene
            .run(
                "insert into import_batches (organization_id, id, file_name, object_key) values ($1, $2, 'a.csv', 'uploads/a')",
                &[&stage.scene.organization, &import],
            )
            .await;
        let texts = [names_it, does_not].concat();
        stage
            .scene
            .run(
                "insert into import_errors (organization_id, import_batch_id, line, code, reason, raw)
                 select $1, $2, n, 'x', 'y', raw from unnest($3::text[]) with ordinality as t (raw, n)",
                &[&stage.scene.organization, &import, &texts],
            )
            .await;
        let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
        personal_data::erase(&tx, &stage.letterhead.keys, contact).await.unwrap();
        tx.commit().await.unwrap();
        let left = stage.scene.rows("select raw from import_errors order by line", &[]).await;
        let left: Vec<&str> = left.iter().map(|row| row.get(0)).collect();
        assert_eq!(left, does_not, "{address}");
        stage.scene.run("delete from import_batches", &[]).await;
    }
}

#[tokio::test]
async fn the_mails_to_an_address_are_found_by_an_index() {
    let stage = Stage::new().await;
    stage
        .scene
        .run(
            "insert into messages (organization_id, id, kind, dedupe_key, recipient, state, send_at, expires_at)
             select $1, gen_random_uuid(), 'direct', n::text, format('person%s@people.test', n), 'cancelled', now(), now()
               from generate_series(1, 20000) as n",
            &[&stage.scene.organization],
        )
        .await;
    stage.scene.run("analyze messages", &[]).await;
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let sql = include_str!("../../src/audience/personal_data/find_messages.sql");
    tx.execute(&format!("prepare found (uuid, text, uuid[]) as {sql}"), &[]).await.unwrap();
    let contact = ContactId::fresh();
    let explain = format!("explain execute found ('{contact}', 'ada@people.test', '{{}}')");
    for mode in ["force_custom_plan", "force_generic_plan"] {
        tx.query("select set_config('plan_cache_mode', $1, true)", &[&mode]).await.unwrap();
        let plan = tx.query(&explain, &[]).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("messages_recipient_idx") && plan.contains("messages_contact_idx"), "{mode}\n{plan}");
        assert!(plan.lines().any(|line| line.contains("Index Cond") && line.contains("recipient_lower")), "{plan}");
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn everybody_is_erased_while_everything_goes_on_without_a_deadlock() {
    let stage = Stage::new().await;
    let senders = [stage.scene.sender(1, 1_000, 0).await, stage.scene.sender(2, 1_000, 0).await];
    let campaign = stage.scene.running_campaign(40, &senders, 2, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    let messages = stage.queue.drain();
    stage.deliver(&messages[..20]).await;
    let erasures = join_all(campaign.contacts.chunks(14).map(|contacts| {
        let stage = &stage;
        async move {
            let db = stage.worker("martlet_app");
            for contact in contacts {
                let tx = db.begin(stage.scene.organization).await.unwrap();
                personal_data::erase(&tx, &stage.letterhead.keys, *contact).await.unwrap();
                tx.commit().await.unwrap();
            }
        }
    }));
    let claims = async {
        for hints in messages[20..].chunks(7) {
            stage.deliver(hints).await;
        }
    };
    let reports = async {
        for batch in messages[..20].chunks(5) {
            let mut events = Vec::new();
            for (n, message) in batch.iter().enumerate() {
                let kind = [EventKind::Bounced, EventKind::Delivered, EventKind::Complained][n % 3];
                events.push(stage.event(*message, kind).await);
            }
            stage.apply(&events).await;
        }
    };
    let people = async {
        for message in &messages {
            tracking::open(&stage.worker("martlet_app"), *message, &visitor()).await.unwrap();
            stage.unsubscribe(*message).await;
        }
    };
    let schedulers = async {
        for _ in 0..3 {
            stage.tick().await;
            stage.sweep().await;
        }
    };
    tokio::join!(erasures, claims, reports, people, schedulers);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(stage.scene.number(deadlocks, &[]).await, 0);
    for (table, column) in [("message_events", "host(ip)"), ("messages", "body"), ("suppressions", "email_lower")] {
        let sql = format!("select count(*) from {table} where {column} is not null");
        assert_eq!(stage.scene.number(&sql, &[]).await, 0, "{table}.{column}");
    }
    stage.check("at the end").await;
}
