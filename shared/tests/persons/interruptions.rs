//! Whenever a worker dies, the work comes to the same, and a provider was not asked more often than was counted.
//!
//! What is promised: everybody is asked about at least once; each time a worker dies, about those of its chunk once more at most; and
//! each question has been counted against the budget of the day before it left.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde_json::json;
use shared::audience::enrichment::{self, Continuation, RunStatus};
use shared::{EnrichmentJobId, VerificationJobId};

use crate::desk::{Desk, provider};

/// Stops a future, as a kill does, after it was polled so often.
struct Killed<F> {
    work: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for Killed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.work.as_mut().poll(context).map(Some)
    }
}

/// Runs a future, and stops it after so many polls; whether that was before its end.
async fn is_killed<F: Future<Output = ()>>(work: F, polls: usize) -> bool {
    Killed { work: Box::pin(work), polls }.await.is_none()
}

/// How often the provider was asked about each person.
fn asked(desk: &Desk) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for question in desk.asker.drain() {
        *asked.entry(question.url).or_default() += 1;
    }
    asked
}

/// What was counted against the budgets since this was asked last.
async fn counted(desk: &Desk) -> usize {
    let sql = "select coalesce(sum(calls), 0)::bigint from provider_usage where cost = calls * 10";
    let calls = desk.scene.number(sql, &[]).await;
    desk.scene.run("delete from provider_usage", &[]).await;
    usize::try_from(calls).unwrap()
}

async fn enrich(desk: &Desk, id: EnrichmentJobId) {
    while let Continuation::After(_) = desk.enrichment_chunk(id).await.unwrap() {}
}

/// What is known of everybody, but when and under which id.
async fn persons(desk: &Desk) -> Vec<String> {
    let sql = "select concat_ws('|', c.email, p.first_name, p.city, p.country, p.score, p.provider, p.set_by_hand::text, d.text)
                 from contacts c
                 left join persons p on p.id = c.person_id
                 left join personas d on d.person_id = p.id
                order by c.email";
    desk.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect()
}

/// Somebody whom nobody knows, somebody whom the provider refuses to tell of, and others.
async fn people() -> Desk {
    let desk = Desk::new(7).await;
    for category in ["enrichment", "verification"] {
        desk.set(category, "cost", 10).await;
        desk.set(category, "daily_budget", 1_000).await;
    }
    desk
}

#[tokio::test]
async fn an_enrichment_that_is_killed_anywhere_comes_to_the_same() {
    let desk = people().await;
    desk.set("enrichment", "provider", provider()).await;
    let model = json!({"name": "writer", "url": "https://api.writer.test/v1/chat/completions", "model": "small-1"});
    desk.set("enrichment", "text_model", model).await;
    desk.asker.answer("writer.test", 200, json!({"choices": [{"message": {"content": "Thinks in engines."}}]}));
    for person in 1..=5 {
        let answer = json!({"name": {"first": format!("Ada {person}")}, "city": "London", "country": "gb"});
        desk.asker.answer(&format!("person{person}%40"), 200, answer);
    }
    desk.asker.answer("person7%40", 400, json!({}));
    let calm = desk.enrich(true, true).await;
    enrich(&desk, calm).await;
    let calm = desk.enrichment(calm).await;
    assert_eq!((calm.total, calm.completed, calm.skipped, calm.failed), (7, 5, 1, 1));
    let (known, tasks) = (persons(&desk).await, desk.tasks().await);
    assert_eq!(counted(&desk).await, 7);
    asked(&desk);
    let (mut kills, mut polls) = (0, 1);
    loop {
        desk.scene.run("delete from enrichment_jobs", &[]).await;
        desk.scene.run("delete from persons", &[]).await;
        let id = desk.enrich(true, true).await;
        let killed = is_killed(enrich(&desk, id), polls).await;
        let before = asked(&desk);
        // Whoever was on the tasks is gone; what their last message did may come to light a moment later.
        while desk.enrichment(id).await.status == RunStatus::Running {
            desk.wake().await;
            desk.enrichment_chunk(id).await.unwrap();
        }
        let job = desk.enrichment(id).await;
        assert_eq!((job.total, job.completed, job.skipped, job.failed), (7, 5, 1, 1), "killed after {polls} polls");
        assert_eq!(
            (persons(&desk).await, desk.tasks().await),
            (known.clone(), tasks.clone()),
            "killed after {polls} polls"
        );
        let mut times = before;
        for (url, again) in asked(&desk) {
            *times.entry(url).or_default() += again;
        }
        times.remove("https://api.writer.test/v1/chat/completions");
        assert_eq!(times.len(), 7, "everybody is asked about: {times:?}");
        assert!(times.values().all(|times| *times <= 2), "killed after {polls} polls: {times:?}");
        let counted = counted(&desk).await;
        let questions: usize = times.values().sum();
        assert!((questions..=14).contains(&counted), "{questions} questions and {counted} counted after {polls} polls");
        if !killed {
            break;
        }
        kills += 1;
        polls += 1;
    }
    assert!(kills > 10, "{kills} kills");
}

#[tokio::test]
async fn however_often_workers_die_no_more_is_asked_than_the_budget_allows() {
    let desk = people().await;
    desk.set("enrichment", "provider", provider()).await;
    desk.set("enrichment", "daily_budget", 39).await;
    desk.asker.answer("people.test", 200, json!({"city": "London"}));
    let id = desk.enrich(false, true).await;
    let mut questions = 0;
    for polls in 1..40 {
        is_killed(async { drop(desk.enrichment_chunk(id).await) }, polls).await;
        questions += asked(&desk).len();
        desk.wake().await;
    }
    let tx = desk.tx().await;
    enrichment::cancel(&tx, id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(questions <= 3, "{questions}");
    assert_eq!(counted(&desk).await, 3);
}

async fn verify(desk: &Desk, id: VerificationJobId) {
    while let Continuation::After(_) = desk.verification_chunk_by(id, &desk.asker).await.unwrap() {}
}

#[tokio::test]
async fn a_verification_that_is_killed_anywhere_comes_to_the_same() {
    let desk = people().await;
    let provider = json!({"name": "acme", "url": "https://api.acme.test/check?of={email}", "verdict": "/result",
                          "passed": ["ok"], "failed": ["gone"]});
    desk.set("verification", "provider", provider).await;
    desk.asker.answer("people.test", 200, json!({"result": "ok"}));
    desk.scene.run("update contacts set email = 'info@people.test' where email like 'person1@%'", &[]).await;
    let calm = desk.verify(true).await;
    verify(&desk, calm).await;
    let known = desk.verified().await;
    assert_eq!((known.len(), counted(&desk).await, asked(&desk).len()), (7, 6, 6));
    let (mut kills, mut polls) = (0, 1);
    loop {
        desk.scene.run("delete from email_verifications", &[]).await;
        let id = desk.verify(true).await;
        let killed = is_killed(verify(&desk, id), polls).await;
        let mut times = asked(&desk);
        let job = loop {
            let over = "update verification_jobs set leased_until = now() - interval '1 second' where leased_until is not null";
            desk.scene.run(over, &[]).await;
            let job = desk.run_verification(id).await;
            if job.status == RunStatus::Completed {
                break job;
            }
        };
        assert_eq!((job.valid, job.invalid, job.skipped), (6, 1, 0), "killed after {polls} polls");
        assert_eq!(desk.verified().await, known, "killed after {polls} polls");
        for (url, again) in asked(&desk) {
            *times.entry(url).or_default() += again;
        }
        assert_eq!(times.len(), 6, "{times:?}");
        assert!(times.values().all(|times| *times <= 2), "killed after {polls} polls: {times:?}");
        let counted = counted(&desk).await;
        let questions: usize = times.values().sum();
        assert!((questions..=12).contains(&counted), "{questions} questions and {counted} counted after {polls} polls");
        if !killed {
            break;
        }
        kills += 1;
        polls += 1;
    }
    assert!(kills > 10, "{kills} kills");
}
