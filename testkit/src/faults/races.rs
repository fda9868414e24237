//! Somebody stops mail while it is being sent. Both sides are real functions, held in points: the sender before its locks,
//! under them, or while it records; whoever stops when all is done but the commit.

use std::collections::BTreeSet;
use std::pin::{Pin, pin};
use std::time::Duration;

use serde_json::{Value, json};
use shared::delivery::messages::MessageKey;
use shared::ids::{CampaignId, OrganizationId};
use uuid::Uuid;

use super::kinds::Kind;
use super::queue::Letter;
use super::round::{Round, Stop, event_of};
use super::strikes::key_of;
use crate::installation::BUCKET;
use crate::key_ring;
use crate::runtime_api::{Invocation, Outcome, events};

/// How long it is asked whether somebody waits for a lock; a function that comes to an end instead is noticed at once.
const POLL: Duration = Duration::from_millis(5);

/// What is stopped, and by which function.
struct Stopping {
    function: &'static str,
    event: Value,
    scope: (Uuid, Option<CampaignId>, Option<String>),
}

/// Delivers a batch while the mail of one of its messages is being stopped.
pub(super) async fn race(round: &mut Round<'_, '_>, batch: Vec<Letter>) {
    let Some(key) = target(round, &batch).await else { return round.hand_over(batch).await };
    let Stopping { function, event: stop, scope } = stopping(round, key).await;
    let point = *round.draws.pick(&["before_claim", "checked", "recording"]);
    let commits_first = round.draws.one_in(2);
    let sender = round.world.environment("sender", 0).await;
    let stopper = round.world.environment(function, 0).await;
    let batch_event = event_of(&batch);
    let sender_held = round.world.points.hold("sender", point);
    let mut sending = pin!(sender.invoke(&batch_event));
    let held = tokio::select! {
        done = &mut sending => {
            // There was nothing to claim.
            round.world.points.forget();
            return round.settle(batch, &done.outcome);
        }
        held = sender_held => held,
    };
    let mut stop_held = round.world.points.hold(function, "commit");
    let mut stopping = pin!(stopper.invoke(&stop));
    // It comes to its commit, or it waits for what the sender has locked.
    let mut done = None;
    let arrived = tokio::select! {
        ended = &mut stopping => { done = Some(ended.outcome); None }
        arrived = &mut stop_held => arrived.ok(),
        () = somebody_waits(round) => None,
    };
    let mut sent = None;
    match arrived {
        Some(arrived) => {
            note(round, &scope).await;
            if commits_first {
                drop(arrived);
                done = Some(stopping.as_mut().await.outcome);
                drop(held);
            } else {
                drop(held);
                sent = ends_or_waits(round, sending.as_mut()).await;
                drop(arrived);
            }
        }
        None if done.is_none() => {
            drop(held);
            let arrived = tokio::select! {
                ended = &mut stopping => { done = Some(ended.outcome); None }
                arrived = &mut stop_held => arrived.ok(),
            };
            if arrived.is_some() {
                note(round, &scope).await;
            }
            drop(arrived);
        }
        None => drop(held),
    }
    let stopped = match done {
        Some(outcome) => outcome,
        None => stopping.await.outcome,
    };
    let sent = match sent {
        Some(outcome) => outcome,
        None => sending.await.outcome,
    };
    round.world.points.forget();
    if !has_succeeded(&stopped) {
        round.violation(format!("{function} could not stop anything: {stopped:?}"));
    }
    round.ledger.injected += 1;
    round.settle(batch, &sent);
}

/// A message of the batch that may go now.
async fn target(round: &mut Round<'_, '_>, batch: &[Letter]) -> Option<MessageKey> {
    let keys: Vec<MessageKey> = batch.iter().filter_map(key_of).collect();
    let ids: Vec<Uuid> = keys.iter().map(|key| key.id.0).collect();
    let sql = match round.plan.kind {
        // Only what was sent can be replied to.
        Kind::RaceReply => {
            "select m.id from messages m
              where m.id = any ($1) and m.state = 'scheduled' and m.slot_day is not null
                and exists (select from messages p where p.enrollment_id = m.enrollment_id and p.state = 'sent')
              order by m.id"
        }
        _ => {
            "select m.id from messages m join campaigns c on c.id = m.campaign_id and c.status = 'active'
              where m.id = any ($1) and m.state = 'scheduled' and m.slot_day is not null order by m.id"
        }
    };
    let planned: Vec<Uuid> = round.world.rows(sql, &[&ids]).await.iter().map(|row| row.get(0)).collect();
    let planned: Vec<MessageKey> = keys.into_iter().filter(|key| planned.contains(&key.id.0)).collect();
    if planned.is_empty() { None } else { Some(*round.draws.pick(&planned)) }
}

/// The request that stops the message's mail, as the kind has it.
async fn stopping(round: &Round<'_, '_>, key: MessageKey) -> Stopping {
    let rows = round.world.rows("select campaign_id, recipient from messages where id = $1", &[&key.id]).await;
    let (campaign, recipient): (CampaignId, String) = (rows[0].get(0), rows[0].get(1));
    let organization = key.organization.0;
    let tenant = round.tenants.iter().find(|tenant| tenant.organization == key.organization).unwrap();
    let of_person = (organization, None, Some(recipient.clone()));
    match round.plan.kind {
        Kind::RaceUnsubscribe => {
            let path = format!("/u/{}", key_ring().unsubscribe_token(organization, key.id.0));
            Stopping { function: "tracking", event: events::http_request("POST", &path, None, None), scope: of_person }
        }
        Kind::RaceSuppress => {
            let api_key = tenant.api_key(round.db).await;
            let body = json!({ "email": recipient });
            let event = events::http_request("POST", "/v1/suppressions", Some(&api_key), Some(&body));
            Stopping { function: "suppressions", event, scope: of_person }
        }
        Kind::RacePause => {
            let api_key = tenant.api_key(round.db).await;
            let path = format!("/v1/campaigns/{campaign}/pause");
            let event = events::http_request("POST", &path, Some(&api_key), None);
            Stopping { function: "campaigns", event, scope: (organization, Some(campaign), None) }
        }
        _ => {
            let sql =
                "select p.id from messages m join messages p on p.enrollment_id = m.enrollment_id and p.state = 'sent'
                        where m.id = $1 order by p.sent_at limit 1";
            let answered: Uuid = round.world.rows(sql, &[&key.id]).await[0].get(0);
            let address = format!("{}@reply.example.test", key_ring().reply_token(organization, answered));
            let object = format!("inbound/{}", key.id);
            let raw = format!(
                "From: {recipient}\r\nTo: {address}\r\nMessage-ID: <{}@people.test>\r\nSubject: Re: Hello\r\n\r\nLet us talk.\r\n",
                key.id
            );
            round.world.aws().put_object(BUCKET, &object, raw);
            let received = json!({
                "notificationType": "Received",
                "mail": { "timestamp": round.now.to_rfc3339() },
                "receipt": { "recipients": [address], "action": { "objectKey": object } },
            });
            let notification = json!({ "Type": "Notification", "Message": received.to_string() });
            // A reply stops the way in its campaign.
            let scope = (organization, Some(campaign), Some(recipient));
            Stopping { function: "inbound", event: events::queue_batch(&[notification]), scope }
        }
    }
}

/// From here on nothing new may be handed over: whoever stops holds all of its locks.
async fn note(
    round: &mut Round<'_, '_>,
    (organization, campaign, recipient): &(Uuid, Option<CampaignId>, Option<String>),
) {
    let rows = round
        .world
        .rows(
            "select attempt_token::text from messages where organization_id = $1 and attempt_token is not null",
            &[organization],
        )
        .await;
    let begun: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    round.stops.push(Stop {
        organization: OrganizationId(*organization),
        campaign: *campaign,
        recipient: recipient.clone(),
        begun,
    });
}

/// Waits until a function of this database waits for a lock.
pub(super) async fn somebody_waits(round: &Round<'_, '_>) {
    let sql = "select from pg_locks l join pg_stat_activity a on a.pid = l.pid
                where not l.granted and a.datname = current_database()";
    while round.world.rows(sql, &[]).await.is_empty() {
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until a function of this database waits for a counter, or for the account behind all counters: whoever is the first to
/// wait for a row holds its tuple's lock.
pub(super) async fn somebody_waits_for_a_counter(round: &Round<'_, '_>) {
    let sql = "select from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database()
                where (l.locktype = 'tuple' and l.relation = 'limit_usage'::regclass)
                   or (l.locktype = 'advisory' and not l.granted)";
    while round.world.rows(sql, &[]).await.is_empty() {
        tokio::time::sleep(POLL).await;
    }
}

/// Until the sender has come to an end, which it has then, or waits.
async fn ends_or_waits(round: &Round<'_, '_>, sending: Pin<&mut impl Future<Output = Invocation>>) -> Option<Outcome> {
    tokio::select! {
        done = sending => Some(done.outcome),
        () = somebody_waits(round) => None,
    }
}

fn has_succeeded(outcome: &Outcome) -> bool {
    let Outcome::Answered(answer) = outcome else { return false };
    match answer["statusCode"].as_u64() {
        Some(status) => (200..300).contains(&status),
        None => answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty),
    }
}

impl Round<'_, '_> {
    /// Nothing was handed over after the commit of what stops it (invariant 4).
    pub(super) fn check_stops(&mut self) {
        let mails = self.world.aws().mails_from(self.first_mail);
        let mut after = Vec::new();
        for stop in &self.stops {
            let campaign = stop.campaign.map(|campaign| {
                self.tenants
                    .iter()
                    .any(|tenant| tenant.campaign == campaign && tenant.organization == stop.organization)
            });
            for mail in &mails {
                let of_organization = mail.tags.get("organization_id") == Some(&stop.organization.to_string());
                let of_person = stop.recipient.as_ref().is_none_or(|recipient| mail.to.contains(recipient));
                let had_begun = mail.tags.get("attempt").is_some_and(|attempt| stop.begun.contains(attempt));
                if of_organization && of_person && campaign != Some(false) && !had_begun {
                    after.push(format!("I4: a mail to {:?} was handed over after it had been stopped", mail.to));
                }
            }
        }
        self.ledger.violations.extend(after);
    }

    /// Campaigns that were paused go on.
    pub(super) async fn resume(&mut self) {
        for tenant in self.tenants.clone() {
            let status = self.world.rows("select status from campaigns where id = $1", &[&tenant.campaign]).await;
            if status[0].get::<_, &str>(0) != "paused" {
                continue;
            }
            let key = tenant.api_key(self.db).await;
            let path = format!("/v1/campaigns/{}/resume", tenant.campaign);
            let outcome = self.world.call("campaigns", &events::http_request("POST", &path, Some(&key), None)).await;
            if !has_succeeded(&outcome) {
                self.violation(format!("a campaign can't be resumed: {outcome:?}"));
            }
        }
    }
}
