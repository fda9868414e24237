//! Runs a job: makes its tasks in the order of contacts, then works on those that are due, a chunk at a time.
//!
//! A chunk claims its tasks under an attempt of its own and a lease, asks while no transaction is open, and records in another one
//! what it still holds. Whoever dies in between leaves tasks that are due again when their lease is over: a person is asked about at
//! least once and at most five times, and each time has been counted against the budget before. Locks of the record are
//! taken in the order of everything: contacts, then what hangs on them, the job last.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::sources::{self, Persons};
use super::{Continuation, EnrichmentJob, TaskStatus, broken_selection, from_row, stop};
use crate::audience::email_address::EmailAddress;
use crate::audience::imports::ObjectStore;
use crate::audience::persons::{self, Field, Learned, PersonFields, personas};
use crate::audience::providers::budgets::{self, Budget, Purpose};
use crate::audience::providers::{Asker, ChatModel, NoReply, PersonProvider, PersonSource};
use crate::delivery::tokens::KeyRing;
use crate::platform::config;
use crate::text_models::{ChatCompletions, TextModel};
use crate::{ContactId, Database, EnrichmentJobId, Error, OrganizationId, Result, Tx, ids};

/// Contacts that get their tasks at a time.
const FILL: i64 = 1_000;
/// Tasks of a chunk that asks a provider or a text model, and of one that reads a file.
const ASKED: i64 = 20;
const READ: i64 = 500;
/// Questions at the same time: all of a chunk, so that it takes no longer than the slowest answer and the slowest text.
const AT_ONCE: usize = 20;
/// Attempts after which a task has failed.
const ATTEMPTS: i16 = 5;
/// How long a task is its holder's: longer than all questions of a chunk take.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// The first wait after an attempt that may be repeated; each further one is twice as long, up to the longest.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// How long a file that can't be read is left alone.
const FILE_WAIT: TimeDelta = TimeDelta::minutes(5);

/// With what a job is done.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// The way out to providers.
    pub asker: &'a dyn Asker,
    /// Where files of persons lie.
    pub store: &'a dyn ObjectStore,
    /// Hashes addresses that were asked about.
    pub keys: &'a KeyRing,
}

/// Does the next chunk of a job, and says how it goes on.
///
/// Errors: the database or the file of persons is not available. The chunk is to be done again then.
pub async fn run_chunk(
    db: &Database,
    means: Means<'_>,
    organization: OrganizationId,
    id: EnrichmentJobId,
) -> Result<Continuation> {
    let tx = db.begin(organization).await?;
    let Some(row) = tx.query_opt(include_str!("running/lock_job.sql"), &[&id]).await? else {
        tx.commit().await?;
        return Ok(Continuation::Ended);
    };
    let job = from_row(&row)?;
    if !job.is_filled {
        let next = fill(&tx, &job).await?;
        tx.commit().await?;
        return Ok(next);
    }
    let rest: Option<f64> = tx.query_one(include_str!("running/find_rest.sql"), &[&id]).await?.try_get("seconds")?;
    if let Some(rest) = rest.filter(|rest| *rest > 0.0) {
        tx.execute(include_str!("running/rest.sql"), &[&id]).await?;
        tx.commit().await?;
        return Ok(after(rest));
    }
    let settings = Settings::read(&tx).await?;
    let chunk = claim(&tx, &job, &settings, means.keys).await?;
    tx.commit().await?;

    let outcomes = ask(chunk.claimed, &job, &settings, means).await?;
    let tx = db.begin(organization).await?;
    let next = record(&tx, &job, &settings, chunk.attempt, outcomes, means.keys).await?;
    tx.commit().await?;
    Ok(next)
}

fn after(seconds: f64) -> Continuation {
    Continuation::After(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default())
}

/// Gives the next contacts their tasks. A job whose list or segment is gone is cancelled.
async fn fill(tx: &Tx, job: &EnrichmentJob) -> Result<Continuation> {
    let Some(selection) = &job.selection else { return Ok(Continuation::Ended) };
    let contacts = match selection.read(tx, job.bounds, FILL).await {
        Ok(contacts) => contacts,
        Err(error) => {
            stop(tx, job.id, Some(broken_selection(error)?)).await?;
            return Ok(Continuation::Ended);
        }
    };
    let made = tx.execute(include_str!("running/insert_tasks.sql"), &[&tx.organization()?, &job.id, &contacts]).await?;
    let made = i64::try_from(made).map_err(Error::internal)?;
    let is_filled = contacts.len() < usize::try_from(FILL).unwrap_or_default();
    let last = contacts.last().copied().or(job.bounds.after);
    tx.execute(include_str!("running/advance_filling.sql"), &[&job.id, &last, &is_filled, &made]).await?;
    Ok(Continuation::After(Duration::ZERO))
}

/// What the installation has set up.
struct Settings {
    source: PersonSource,
    /// Which source's answers these are in the cache, read in which way; none where answers are nobody else's.
    shared_as: Option<String>,
    answers_kept_for: TimeDelta,
    budget: Budget,
    model: Option<ChatModel>,
}

impl Settings {
    async fn read(tx: &Tx) -> Result<Self> {
        let settings = config::read(tx, "enrichment").await?;
        let provider: Value = settings.json("provider")?;
        let source = PersonSource::read(&provider).map_err(Error::internal)?;
        let is_shared = settings.boolean("share_answers")? && matches!(source, PersonSource::Provider(_));
        let digest = Sha256::digest(provider.to_string().as_bytes());
        let shared_as =
            is_shared.then(|| format!("{}#{}", source.name(), data_encoding::HEXLOWER.encode(&digest[..8])));
        let model: Value = settings.json("text_model")?;
        Ok(Self {
            source,
            shared_as,
            answers_kept_for: TimeDelta::from_std(settings.duration("answers_kept_for")?).map_err(Error::internal)?,
            budget: Budget::read(&settings)?,
            model: ChatModel::read(&model).map_err(Error::internal)?,
        })
    }

    fn asks(&self) -> bool {
        matches!(self.source, PersonSource::Provider(_))
    }
}

/// The tasks of a chunk.
struct Chunk {
    attempt: Uuid,
    claimed: Vec<Claimed>,
}

/// A task that is ours for a while.
struct Claimed {
    contact: ContactId,
    attempts: i16,
    email: String,
    known: PersonFields,
    /// What no provider takes back.
    set_by_hand: BTreeSet<Field>,
    step: Step,
}

/// What is to be done about a task.
enum Step {
    /// The person is known already.
    KnownAlready,
    /// The person is known already, and nobody has described them yet.
    Describe,
    /// Somebody else asked before.
    Cached(Option<Learned>),
    /// The budget of the day is spent.
    Wait,
    /// It was tried too often: whoever was on it has died each time.
    GiveUp,
    /// Whoever knows is to be asked, at this cost.
    Ask(i64),
}

/// Takes tasks that are due, looks for answers that were given before, and reserves what asking for the others costs.
async fn claim(tx: &Tx, job: &EnrichmentJob, settings: &Settings, keys: &KeyRing) -> Result<Chunk> {
    let attempt = ids::fresh();
    let is_to_describe = job.with_persona && settings.model.is_some();
    let most = if settings.asks() || is_to_describe { ASKED } else { READ };
    let params: [&(dyn ToSql + Sync); 4] = [&job.id, &most, &attempt, &(LEASE.num_seconds() as f64)];
    tx.execute(include_str!("running/claim.sql"), &params).await?;
    let rows = tx.query(include_str!("running/read_claimed.sql"), &[&job.id, &attempt]).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        let attempts: i16 = row.try_get("attempts")?;
        let is_known: bool = row.try_get("is_known")?;
        let step = match () {
            () if attempts > ATTEMPTS => Step::GiveUp,
            () if is_known && !job.again && is_to_describe && !row.try_get::<_, bool>("has_persona")? => Step::Describe,
            () if is_known && !job.again => Step::KnownAlready,
            () => Step::Ask(0),
        };
        claimed.push(Claimed {
            contact: row.try_get("contact_id")?,
            attempts,
            email: row.try_get("email_lower")?,
            known: persons::fields_from_row(row)?,
            set_by_hand: persons::set_by_hand(row)?,
            step,
        });
    }
    if let Some(source) = &settings.shared_as {
        find_cached(tx, source, settings, keys, &mut claimed).await?;
    }
    if settings.asks() {
        let wanted = claimed.iter().filter(|task| matches!(task.step, Step::Ask(_))).count();
        let mut granted = budgets::reserve(tx, Purpose::Enrichment, settings.budget, wanted).await?;
        for task in claimed.iter_mut().filter(|task| matches!(task.step, Step::Ask(_))) {
            task.step = if granted > 0 { Step::Ask(settings.budget.cost) } else { Step::Wait };
            granted = granted.saturating_sub(1);
        }
    }
    Ok(Chunk { attempt, claimed })
}

/// Looks for what was answered before, whoever asked.
async fn find_cached(
    tx: &Tx,
    source: &str,
    settings: &Settings,
    keys: &KeyRing,
    claimed: &mut [Claimed],
) -> Result<()> {
    let asked: HashMap<Vec<u8>, usize> = claimed
        .iter()
        .enumerate()
        .filter(|(_, task)| matches!(task.step, Step::Ask(_)))
        .flat_map(|(at, task)| keys.answer_hashes(&task.email).into_iter().map(move |hash| (hash, at)))
        .collect();
    let hashes: Vec<&Vec<u8>> = asked.keys().collect();
    // The age of an answer is machine time, like everything about the cache.
    let kept_for = settings.answers_kept_for.num_seconds() as f64;
    for row in tx.query(include_str!("running/find_cached.sql"), &[&source, &hashes, &kept_for]).await? {
        let hash: Vec<u8> = row.try_get("address_hash")?;
        let answer: Option<Value> = row.try_get("answer")?;
        // What another release has written in a way of its own is asked for anew.
        let Ok(learned) = answer.map(serde_json::from_value).transpose() else { continue };
        if let Some(task) = asked.get(&hash).and_then(|at| claimed.get_mut(*at)) {
            task.step = Step::Cached(learned);
        }
    }
    Ok(())
}

/// What came of a task.
struct Outcome {
    contact: ContactId,
    email: String,
    end: End,
    cost: i64,
    is_cached: bool,
}

enum End {
    /// Something was learned, and described where that was wanted.
    Learned(Learned, Option<String>),
    /// What was known is described now.
    Described(String),
    /// Nothing is to be learned, for this reason.
    Skipped(&'static str),
    /// It may be tried again after this time.
    Later(&'static str, TimeDelta),
    /// Nothing was tried, so it was no attempt; it may be after this time, or on the next day of budgets.
    PutOff(&'static str, Option<TimeDelta>),
    /// It is not tried again.
    Failed(&'static str),
}

/// Asks about everybody whom the chunk is to ask about.
async fn ask(
    claimed: Vec<Claimed>,
    job: &EnrichmentJob,
    settings: &Settings,
    means: Means<'_>,
) -> Result<Vec<Outcome>> {
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let persons = match sources::read(&settings.source, means.store).await {
        Ok(persons) => persons,
        Err(Error::Unavailable(why)) => {
            tracing::warn!(job_id = %job.id, why = %why, "the file of persons can't be read");
            let put_off = |task: Claimed| Outcome {
                contact: task.contact,
                email: task.email,
                end: End::PutOff("source_unavailable", Some(FILE_WAIT)),
                cost: 0,
                is_cached: false,
            };
            return Ok(claimed.into_iter().map(put_off).collect());
        }
        Err(error) => return Err(error),
    };
    let chat = settings.model.as_ref().filter(|_| job.with_persona);
    let chat = chat.map(|setting| ChatCompletions { setting, asker: means.asker });
    let model = chat.as_ref().map(|chat| chat as &dyn TextModel);
    let outcomes = stream::iter(claimed)
        .map(|task| one(task, &settings.source, persons.as_ref(), means.asker, model))
        .buffered(AT_ONCE)
        .collect()
        .await;
    Ok(outcomes)
}

async fn one(
    task: Claimed,
    source: &PersonSource,
    persons: Option<&Persons>,
    asker: &dyn Asker,
    model: Option<&dyn TextModel>,
) -> Outcome {
    let Claimed { contact, attempts, email, known, set_by_hand, step } = task;
    let (is_cached, cost) = match step {
        Step::Cached(_) => (true, 0),
        Step::Ask(cost) => (false, cost),
        _ => (false, 0),
    };
    let told = match (step, source) {
        (Step::KnownAlready, _) => Err(End::Skipped("known_already")),
        (Step::Describe, _) => {
            Err(describe(model, &known.known()).await.map_or(End::Skipped("no_persona"), End::Described))
        }
        (Step::Wait, _) => Err(End::PutOff("budget_spent", None)),
        (Step::GiveUp, _) => Err(End::Failed("too_many_attempts")),
        (Step::Cached(learned), _) => learned.ok_or(End::Skipped("unknown_person")),
        (Step::Ask(_), PersonSource::Provider(provider)) => ask_provider(asker, provider, &email, attempts).await,
        (Step::Ask(_), _) => {
            persons.and_then(|persons| persons.get(&email)).cloned().ok_or(End::Skipped("unknown_person"))
        }
    };
    let end = match told {
        Ok(learned) if learned.is_empty() => End::Skipped("unknown_person"),
        Ok(learned) => {
            let mut facts: BTreeMap<Field, String> = known.known();
            let taken = learned.0.iter().filter(|(field, _)| !set_by_hand.contains(field));
            facts.extend(taken.map(|(field, text)| (*field, text.clone())));
            let persona = describe(model, &facts).await;
            End::Learned(learned, persona)
        }
        Err(end) => end,
    };
    Outcome { contact, email, end, cost, is_cached }
}

/// What a model writes of these facts, where there is one and it does. Whoever gets none is described by the next job.
async fn describe(model: Option<&dyn TextModel>, facts: &BTreeMap<Field, String>) -> Option<String> {
    personas::write(model?, facts).await.ok()
}

/// What a provider tells of somebody, or how the task goes on without it.
async fn ask_provider(
    asker: &dyn Asker,
    provider: &PersonProvider,
    email: &str,
    attempts: i16,
) -> Result<Learned, End> {
    let email = EmailAddress::parse(email).map_err(|_| End::Failed("not_an_address"))?;
    let reply = match asker.ask(&provider.form.question(&email)).await {
        Ok(reply) => reply,
        // Asked again, it would be the same.
        Err(no_reply @ (NoReply::AddressNotPublic | NoReply::TooLong)) => return Err(End::Failed(no_reply.code())),
        Err(no_reply) => return Err(again(no_reply.code(), attempts, None)),
    };
    match reply.status {
        204 => Ok(Learned::default()),
        // A page in place of an answer says nothing of the person.
        200..=299 if reply.body.is_null() => Err(again("provider_failed", attempts, None)),
        200..=299 => Ok(Learned::read(&reply.body, &provider.fields)),
        status if provider.not_found.contains(&status) => Ok(Learned::default()),
        429 | 503 => Err(again("provider_busy", attempts, reply.retry_after)),
        401 | 403 => Err(again("provider_refuses_us", attempts, None)),
        500..=599 => Err(again("provider_failed", attempts, None)),
        _ => Err(End::Failed("provider_refused")),
    }
}

/// A task that is tried again after a while, or has failed if that was its last attempt.
fn again(code: &'static str, attempts: i16, asked_for: Option<Duration>) -> End {
    if attempts >= ATTEMPTS {
        return End::Failed(code);
    }
    let doublings = u32::from(attempts.max(1).unsigned_abs()) - 1;
    let wait = FIRST_WAIT * 2_i32.saturating_pow(doublings);
    let asked_for = asked_for.and_then(|wait| TimeDelta::from_std(wait).ok()).unwrap_or_default();
    End::Later(code, wait.max(asked_for).min(LONGEST_WAIT))
}

/// Records what came of the tasks that are still ours, ends the job if nothing is left to do, and says how it goes on.
async fn record(
    tx: &Tx,
    job: &EnrichmentJob,
    settings: &Settings,
    attempt: Uuid,
    outcomes: Vec<Outcome>,
    keys: &KeyRing,
) -> Result<Continuation> {
    let rest = rest(&outcomes);
    let contacts: Vec<ContactId> = outcomes.iter().map(|outcome| outcome.contact).collect();
    let mut emails: HashMap<ContactId, String> = HashMap::new();
    for row in tx.query(include_str!("running/lock_contacts.sql"), &[&contacts]).await? {
        emails.insert(row.try_get("id")?, row.try_get("email_lower")?);
    }
    // Whoever was erased meanwhile has no task any more, and nothing is kept of them.
    let rows = tx.query(include_str!("running/lock_tasks.sql"), &[&job.id, &attempt]).await?;
    let held: Vec<ContactId> = rows.iter().map(|row| Ok(row.try_get("contact_id")?)).collect::<Result<_>>()?;
    let mut outcomes: Vec<Outcome> = outcomes.into_iter().filter(|outcome| held.contains(&outcome.contact)).collect();
    outcomes.sort_unstable_by_key(|outcome| outcome.contact);
    if let Some(source) = &settings.shared_as {
        keep_answers(tx, source, keys, &outcomes).await?;
    }
    // Whoever has got another address meanwhile may be somebody else.
    for outcome in &mut outcomes {
        if emails.get(&outcome.contact) != Some(&outcome.email) {
            outcome.end = End::Later("address_changed", TimeDelta::zero());
        }
    }
    let mut settled = Settled::default();
    for outcome in outcomes {
        settled.add(&outcome, tx.now());
        let (learned, persona) = match outcome.end {
            End::Learned(learned, persona) => (Some(learned), persona),
            End::Described(persona) => (None, Some(persona)),
            _ => continue,
        };
        let mut person = persons::hold(tx, outcome.contact).await?;
        if let Some(learned) = learned {
            person.learn(&learned, settings.source.name(), tx.now());
        }
        if let (Some(text), Some(model)) = (persona, &settings.model) {
            person.describe(text, &model.model);
        }
        person.write(tx, outcome.contact).await?;
    }
    settled.write(tx, job, attempt).await?;
    let next: Option<f64> = match tx.query_opt(include_str!("running/find_next.sql"), &[&job.id]).await? {
        Some(row) => Some(row.try_get("seconds")?),
        None => None,
    };
    let Some(seconds) = next else {
        tx.execute(include_str!("running/complete.sql"), &[&job.id, &tx.now()]).await?;
        return Ok(Continuation::Ended);
    };
    let rest = rest.map(|rest| rest.num_seconds() as f64);
    tx.execute(include_str!("running/wait.sql"), &[&job.id, &rest]).await?;
    Ok(after(rest.map_or(seconds, |rest| rest.max(seconds))))
}

/// How long a provider is left alone by the whole job: as long as it wants where it says that it is busy, else until the next try where
/// nobody who was asked about has got an answer.
fn rest(outcomes: &[Outcome]) -> Option<TimeDelta> {
    let asked = || outcomes.iter().filter(|outcome| !outcome.is_cached);
    let busy = asked().filter_map(|outcome| match outcome.end {
        End::Later("provider_busy", wait) => Some(wait),
        _ => None,
    });
    let answered = asked().any(|outcome| matches!(outcome.end, End::Learned(..) | End::Skipped("unknown_person")));
    let failed = asked().filter_map(|outcome| match outcome.end {
        End::Later(_, wait) => Some(wait),
        _ => None,
    });
    busy.max().or_else(|| failed.min().filter(|_| !answered))
}

/// Keeps what a provider has just answered, for whoever asks next.
async fn keep_answers(tx: &Tx, source: &str, keys: &KeyRing, outcomes: &[Outcome]) -> Result<()> {
    let (mut hashes, mut answers): (Vec<Vec<u8>>, Vec<Option<Value>>) = Default::default();
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_cached) {
        let answer = match &outcome.end {
            End::Learned(learned, _) => Some(serde_json::to_value(learned).map_err(Error::internal)?),
            End::Skipped("unknown_person") => None,
            _ => continue,
        };
        let Some(hash) = keys.answer_hash(&outcome.email) else { continue };
        hashes.push(hash.to_vec());
        answers.push(answer);
    }
    if !hashes.is_empty() {
        tx.query(include_str!("running/keep_answers.sql"), &[&source, &hashes, &answers]).await?;
    }
    Ok(())
}

/// Tasks as they are to be written, column by column.
#[derive(Default)]
struct Settled {
    contacts: Vec<ContactId>,
    statuses: Vec<&'static str>,
    codes: Vec<Option<&'static str>>,
    /// Seconds after which it is due again; none where it has ended.
    waits: Vec<Option<f64>>,
    cached: Vec<bool>,
    costs: Vec<i64>,
    /// Attempts that were none.
    given_back: Vec<i16>,
}

impl Settled {
    fn add(&mut self, outcome: &Outcome, now: chrono::DateTime<chrono::Utc>) {
        let (status, code, wait) = match &outcome.end {
            End::Learned(..) | End::Described(_) => (TaskStatus::Completed, None, None),
            End::Skipped(code) => (TaskStatus::Skipped, Some(*code), None),
            End::Failed(code) => (TaskStatus::Failed, Some(*code), None),
            End::Later(code, wait) => (TaskStatus::Queued, Some(*code), Some(*wait)),
            End::PutOff(code, wait) => {
                (TaskStatus::Queued, Some(*code), Some(wait.unwrap_or_else(|| budgets::until_next_day(now))))
            }
        };
        self.contacts.push(outcome.contact);
        self.statuses.push(status.name());
        self.codes.push(code);
        self.waits.push(wait.map(|wait| wait.num_seconds() as f64));
        self.cached.push(outcome.is_cached);
        self.costs.push(outcome.cost);
        self.given_back.push(i16::from(matches!(outcome.end, End::PutOff(..))));
    }

    async fn write(&self, tx: &Tx, job: &EnrichmentJob, attempt: Uuid) -> Result<()> {
        if self.contacts.is_empty() {
            return Ok(());
        }
        let params: [&(dyn ToSql + Sync); 10] = [
            &job.id,
            &attempt,
            &self.contacts,
            &self.statuses,
            &self.codes,
            &self.waits,
            &self.cached,
            &self.costs,
            &self.given_back,
            &tx.now(),
        ];
        tx.execute(include_str!("running/settle.sql"), &params).await?;
        let count = |status: TaskStatus| self.statuses.iter().filter(|it| **it == status.name()).count();
        let [completed, failed, skipped] = [TaskStatus::Completed, TaskStatus::Failed, TaskStatus::Skipped]
            .map(|status| i64::try_from(count(status)).unwrap_or(i64::MAX));
        let from_cache = i64::try_from(self.cached.iter().filter(|is| **is).count()).unwrap_or(i64::MAX);
        let cost: i64 = self.costs.iter().sum();
        let params: [&(dyn ToSql + Sync); 6] = [&job.id, &completed, &failed, &skipped, &from_cache, &cost];
        tx.execute(include_str!("running/advance.sql"), &params).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_a_provider_may_ask_for_longer_ones() {
        let wait = |attempts, asked_for| match again("provider_busy", attempts, asked_for) {
            End::Later(_, wait) => Some(wait.num_seconds()),
            _ => None,
        };
        assert_eq!(
            [1, 2, 3, 4, 5].map(|attempts| wait(attempts, None)),
            [Some(30), Some(60), Some(120), Some(240), None]
        );
        assert_eq!(wait(1, Some(Duration::from_secs(600))), Some(600));
        assert_eq!(wait(4, Some(Duration::from_secs(5))), Some(240));
        assert_eq!(wait(1, Some(Duration::MAX)), Some(30));
        assert_eq!(wait(1, Some(Duration::from_secs(1 << 20))), Some(3_600));
    }
}
