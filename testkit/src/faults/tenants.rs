//! Who sends in a round: organizations with a campaign each, people who are due over the first minutes.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use shared::ids::{CampaignId, DomainId, ListId, OrganizationId, SenderId};
use shared::platform::api_keys;

use super::world::World;
use crate::TestDb;

/// How somebody sends.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// Whom they write to.
    pub(super) people: usize,
    /// Mails a day, of the campaign and of its sender.
    pub(super) daily_limit: usize,
    /// The zone of the campaign and of its sender.
    pub(super) zone: &'static str,
    /// The window, and on which days it opens.
    pub(super) window: (&'static str, &'static str, &'static str),
    /// Over how many minutes people become due.
    pub(super) minutes: usize,
    /// Mails to each of them, each due as soon as the one before was sent.
    pub(super) steps: usize,
    /// Whether the campaign is under way.
    pub(super) active: bool,
    /// Whether each recipient and their domain have a limit of their own, which is far away and counted all the same.
    pub(super) counts_recipients: bool,
}

/// An organization and its campaign.
#[derive(Debug, Clone)]
pub(super) struct Tenant {
    /// The organization.
    pub(super) organization: OrganizationId,
    /// Its campaign.
    pub(super) campaign: CampaignId,
    /// How.
    pub(super) manner: Manner,
}

impl Tenant {
    /// Makes one.
    pub(super) async fn new(world: &World<'_>, slug: &str, manner: Manner, now: DateTime<Utc>) -> Self {
        let (organization, campaign, sender) = (OrganizationId::fresh(), CampaignId::fresh(), SenderId::fresh());
        let (domain, list) = (DomainId::fresh(), ListId::fresh());
        let Manner { people, daily_limit, zone, window: (from, to, days), minutes, steps, active, counts_recipients } =
            &manner;
        let settings = match counts_recipients {
            true => json!({ "recipient_domain_hourly_limit": 10_000, "person_limit": { "mails": 100, "days": 7 } }),
            false => json!({}),
        };
        // Each text is a number, an id or a word of this module.
        world
            .run(&format!(
                "insert into organizations (id, slug, name, postal_address, settings)
                 values ('{organization}', '{slug}', '{slug}', '1 Test Street, Berlin', '{settings}');
                 insert into domains (organization_id, id, name, status, verified_at)
                 values ('{organization}', '{domain}', '{slug}.test', 'verified', now());
                 insert into senders (organization_id, id, domain_id, email, daily_limit, gap_seconds, timezone)
                 values ('{organization}', '{sender}', '{domain}', 'sender@{slug}.test', {daily_limit}, 0, '{zone}');
                 insert into contacts (organization_id, id, email, first_name)
                 select '{organization}', gen_random_uuid(), format('person%s@people.test', n), format('Person %s', n)
                   from generate_series(1, {people}) as n;
                 insert into lists (organization_id, id, name) values ('{organization}', '{list}', 'All');
                 insert into list_members (organization_id, list_id, contact_id)
                 select '{organization}', '{list}', id from contacts where organization_id = '{organization}';
                 insert into campaigns (organization_id, id, name, list_id)
                 values ('{organization}', '{campaign}', 'Spring', '{list}');
                 update campaign_settings
                    set daily_limit = {daily_limit}, gap_seconds = 0, timezone = '{zone}', window_start = '{from}',
                        window_end = '{to}', send_days = '{days}', maximum_lateness_seconds = 86400
                  where campaign_id = '{campaign}';
                 insert into campaign_senders (organization_id, campaign_id, sender_id)
                 values ('{organization}', '{campaign}', '{sender}');
                 insert into steps (organization_id, id, campaign_id, position, name, subject_template, body_template, delay_days)
                 select '{organization}', gen_random_uuid(), '{campaign}', n, format('Step %s', n),
                        'Hello {{{{ first_name }}}}', 'A word, {{{{ first_name }}}}.', 0
                   from generate_series(1, {steps}) as n;"
            ))
            .await;
        if *active {
            let now = now.to_rfc3339();
            world
                .run(&format!(
                    "insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
                     select '{organization}', gen_random_uuid(), '{campaign}', id, '{sender}',
                            timestamptz '{now}' + make_interval(mins => (row_number() over (order by email) * 7)::int % {minutes})
                       from contacts where organization_id = '{organization}';
                     update campaigns set status = 'active', started_at = '{now}' where id = '{campaign}';"
                ))
                .await;
        }
        Self { organization, campaign, manner }
    }

    /// Moves half of the people into a second campaign of the same sender, where they are due later: two campaigns under one
    /// cap. All counters are there already, as after the first mail of a day: whoever makes one is waited for by everybody.
    pub(super) async fn add_campaign_of_the_same_sender(&self, world: &World<'_>, day: NaiveDate) {
        let (organization, first, second) = (self.organization, self.campaign, CampaignId::fresh());
        world
            .run(&format!(
                "insert into campaigns (organization_id, id, name, list_id, status, started_at)
                 select organization_id, '{second}', 'Summer', list_id, status, started_at from campaigns where id = '{first}';
                 update campaign_settings t
                    set daily_limit = s.daily_limit, gap_seconds = 0, maximum_lateness_seconds = s.maximum_lateness_seconds
                   from campaign_settings s
                  where t.campaign_id = '{second}' and s.campaign_id = '{first}';
                 insert into campaign_senders (organization_id, campaign_id, sender_id)
                 select organization_id, '{second}', sender_id from campaign_senders where campaign_id = '{first}';
                 insert into steps (organization_id, id, campaign_id, position, name, subject_template, body_template, delay_days)
                 select organization_id, gen_random_uuid(), '{second}', position, name, subject_template, body_template, delay_days
                   from steps where campaign_id = '{first}';
                 insert into limit_usage (organization_id, scope, scope_id, day)
                 select s.organization_id, k.scope, k.scope_id, '{day}'::date
                   from campaign_senders cs
                   join senders s on s.organization_id = cs.organization_id and s.id = cs.sender_id
                  cross join lateral (values ('organization', s.organization_id), ('domain', s.domain_id), ('sender', s.id),
                        ('campaign', '{first}'), ('campaign', '{second}')) as k (scope, scope_id)
                  where cs.campaign_id = '{first}';
                 update enrollments
                    set campaign_id = '{second}', next_due_at = next_due_at + interval '1 hour'
                  where id in (select id from enrollments where organization_id = '{organization}' order by id
                                limit (select count(*) / 2 from enrollments where organization_id = '{organization}'));"
            ))
            .await;
    }

    /// An API key of it.
    pub(super) async fn api_key(&self, db: &TestDb) -> String {
        let tx = db.as_role("owner").begin(self.organization).await.unwrap();
        let key = api_keys::create(&tx, self.organization, "faults").await.unwrap();
        tx.commit().await.unwrap();
        key.text
    }
}
