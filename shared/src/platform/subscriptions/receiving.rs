//! What Stripe tells, and what follows from it: the status, the plan in effect, the end of a trial.
//!
//! Events come in any order and several times. Each is taken once; one about a customer whom nobody knows yet waits for the
//! checkout that says whose the customer is, which Stripe may tell of later.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::snapshots::{Snapshot, decisive};
use super::{FREE, PlanSource, Status};
use crate::platform::audit::{self, Actor};
use crate::platform::config;
use crate::platform::lifecycle_mails::{self, Kind};
use crate::platform::stripe::{Event, Fact};
use crate::{Database, Error, OrganizationId, Result, Tx};

/// Plans that a price may pay for, from the least to the best.
const PLANS: [&str; 4] = ["free", "basic", "pro", "enterprise"];

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It was taken.
    Taken,
    /// It has been taken before.
    Known,
    /// Nobody knows its customer: it waits.
    Waiting,
}

/// Takes an event, logged in as martlet_billing.
pub async fn receive(db: &Database, event: &Event) -> Result<Received> {
    let Some(organization) = whose(db, event).await? else { return Ok(Received::Waiting) };
    let tx = db.begin(organization).await?;
    hold_customer(&tx, &event.customer).await?;
    let received = take(&tx, organization, event).await?;
    tx.commit().await?;
    Ok(received)
}

/// The organization of an event's customer, or the one that it names; without either it is put aside.
async fn whose(db: &Database, event: &Event) -> Result<Option<OrganizationId>> {
    let tx = db.begin_for(event.organization.as_slice()).await?;
    hold_customer(&tx, &event.customer).await?;
    let known: Option<OrganizationId> = tx
        .query_one(include_str!("receiving/organization_of_customer.sql"), &[&event.customer])
        .await?
        .try_get("id")?;
    let named = match event.organization {
        Some(named) if known.is_none() => tx
            .query_opt(include_str!("receiving/exists.sql"), &[&named])
            .await?
            .map(|row| row.try_get("id"))
            .transpose()?,
        _ => None,
    };
    let found = known.or(named);
    if found.is_none() {
        let kept = serde_json::to_value(event).map_err(Error::internal)?;
        tx.execute(include_str!("receiving/forget_waiting.sql"), &[]).await?;
        tx.execute(
            include_str!("receiving/insert_waiting.sql"),
            &[&event.id, &event.customer, &kept, &event.occurred_at],
        )
        .await?;
    }
    tx.commit().await?;
    Ok(found)
}

/// One at a time asks whose a customer is and says so: an event can't be put aside while another ties its customer.
async fn hold_customer(tx: &Tx, customer: &str) -> Result<()> {
    tx.query(include_str!("receiving/hold_customer.sql"), &[&customer]).await?;
    Ok(())
}

async fn take(tx: &Tx, organization: OrganizationId, event: &Event) -> Result<Received> {
    tx.execute(include_str!("insert.sql"), &[&organization]).await?;
    let present = tx.query_one(include_str!("receiving/lock.sql"), &[]).await?;
    if !is_new(tx, organization, event).await? {
        return Ok(Received::Known);
    }
    tx.execute(include_str!("receiving/insert_customer.sql"), &[&organization, &event.customer]).await?;
    apply(tx, organization, event).await?;
    for waiting in tx.query(include_str!("receiving/take_waiting.sql"), &[&event.customer]).await? {
        let waiting: Event = serde_json::from_value(waiting.try_get("event")?).map_err(Error::internal)?;
        if is_new(tx, organization, &waiting).await? {
            apply(tx, organization, &waiting).await?;
        }
    }
    settle(tx, organization, &present).await?;
    Ok(Received::Taken)
}

/// Notes an event; false when it was noted before.
async fn is_new(tx: &Tx, organization: OrganizationId, event: &Event) -> Result<bool> {
    tx.execute(include_str!("receiving/forget_events.sql"), &[]).await?;
    let noted =
        tx.execute(include_str!("receiving/insert_event.sql"), &[&organization, &event.id, &event.occurred_at]).await?;
    Ok(noted > 0)
}

/// Writes what an event tells of a subscription.
async fn apply(tx: &Tx, organization: OrganizationId, event: &Event) -> Result<()> {
    let id = match &event.fact {
        Fact::Checkout => return Ok(()),
        Fact::Subscription { id, .. } => id,
        Fact::Invoice { subscription, .. } => subscription,
    };
    let known = tx.query_opt(include_str!("receiving/find_snapshot.sql"), &[id]).await?;
    let mut snapshot =
        known.as_ref().map(snapshot).transpose()?.unwrap_or_else(|| Snapshot::unknown(id, &event.customer));
    if !snapshot.take(event) {
        return Ok(());
    }
    tx.execute(
        include_str!("receiving/put_snapshot.sql"),
        &[
            &organization,
            &snapshot.id,
            &snapshot.status.name(),
            &snapshot.price_id,
            &snapshot.period_ends_at,
            &snapshot.cancels_at_period_end,
            &snapshot.told.map(|(at, _)| at),
            &snapshot.told.map_or(0, |(_, weight)| weight),
            &snapshot.invoice.map(|(at, _)| at),
            &snapshot.invoice.map(|(_, is_paid)| is_paid),
            &snapshot.customer,
        ],
    )
    .await?;
    Ok(())
}

/// Brings status, plan, trial and mails in line with the subscriptions as they stand. `before` is the row of what is shown, which is locked.
async fn settle(tx: &Tx, organization: OrganizationId, before: &Row) -> Result<()> {
    let rows = tx.query(include_str!("receiving/list_snapshots.sql"), &[]).await?;
    let snapshots = rows.iter().map(snapshot).collect::<Result<Vec<_>>>()?;
    let prices: Value = config::read(tx, "stripe").await?.json("prices")?;
    let Some(decisive) = decisive(&snapshots, |price| plan_of(&prices, price)) else { return Ok(()) };
    let status = decisive.standing();
    let old_status = Status::parse(before.try_get("status")?)?;
    let plan = match &decisive.price_id {
        Some(price) => plan_of(&prices, price),
        None => None,
    };
    if plan.is_none() && status.is_live() {
        let price = decisive.price_id.as_deref();
        tracing::error!(%organization, price, "system_config stripe.prices names no plan for what somebody pays");
    }
    // A price that nobody has told us of leaves what was paid for as it was, for whoever runs the installation to mend.
    // Of another subscription it keeps nothing.
    let shown: Option<&str> = before.try_get("stripe_subscription_id")?;
    let is_the_same = old_status.is_live() && shown == Some(decisive.id.as_str());
    let kept: Option<String> = before.try_get("paid_plan")?;
    let plan = plan.map(|rank| PLANS[rank].to_owned()).or(kept.filter(|_| is_the_same));
    let bought = plan.as_deref().filter(|_| status.is_live());
    tx.execute(
        include_str!("receiving/settle.sql"),
        &[
            &status.name(),
            &plan,
            &decisive.price_id,
            &decisive.id,
            &decisive.period_ends_at,
            &decisive.cancels_at_period_end,
            &decisive.customer,
            &bought.is_some(),
        ],
    )
    .await?;
    let in_effect = tx.query_one(include_str!("receiving/lock_organization.sql"), &[&organization]).await?;
    let old_plan: &str = in_effect.try_get("plan_type")?;
    let old_source = PlanSource::parse(in_effect.try_get("plan_source")?)?;
    let (new_plan, new_source) = match (bought, old_source) {
        // What whoever runs the installation has given is theirs to take back.
        (_, PlanSource::Administrator) => (old_plan, old_source),
        (Some(plan), _) => (plan, PlanSource::Stripe),
        (None, PlanSource::Stripe) => (FREE, PlanSource::Default),
        (None, PlanSource::Trial | PlanSource::Default) => (old_plan, old_source),
    };
    if (new_plan, new_source) != (old_plan, old_source) {
        tx.execute(include_str!("receiving/set_plan.sql"), &[&new_plan, &new_source.name()]).await?;
    }
    if bought.is_some() {
        let over = [Kind::OnboardingReminder, Kind::TrialDay2, Kind::TrialDay5, Kind::TrialExpired];
        lifecycle_mails::cancel(tx, &over).await?;
    }
    if (old_status, old_plan, old_source) != (status, new_plan, new_source) {
        let details = json!({
            "before": {"status": old_status, "plan_type": old_plan, "plan_source": old_source},
            "after": {"status": status, "plan_type": new_plan, "plan_source": new_source},
        });
        audit::record(tx, Actor::System, "subscription.changed", organization.0, &details, None).await?;
    }
    Ok(())
}

/// The plan that a price pays for, by its place in [`PLANS`]; `None` for a price that the settings don't have.
fn plan_of(prices: &Value, price: &str) -> Option<usize> {
    let named = prices.get(price)?.as_str()?;
    PLANS.iter().position(|plan| *plan == named)
}

fn snapshot(row: &Row) -> Result<Snapshot> {
    let told_at: Option<DateTime<Utc>> = row.try_get("told_at")?;
    let weight: i16 = row.try_get("told_weight")?;
    let invoice_told_at: Option<DateTime<Utc>> = row.try_get("invoice_told_at")?;
    let is_paid: Option<bool> = row.try_get("invoice_is_paid")?;
    Ok(Snapshot {
        id: row.try_get("id")?,
        customer: row.try_get("customer_id")?,
        status: Status::parse(row.try_get("status")?)?,
        price_id: row.try_get("price_id")?,
        period_ends_at: row.try_get("period_ends_at")?,
        cancels_at_period_end: row.try_get("cancels_at_period_end")?,
        told: told_at.map(|at| (at, weight)),
        invoice: invoice_told_at.zip(is_paid),
    })
}
