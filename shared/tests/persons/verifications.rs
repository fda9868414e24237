use std::time::Duration;

use serde_json::json;
use shared::ListId;
use shared::audience::enrichment::{Continuation, RunStatus};
use shared::audience::suppressions::Confirmation;
use shared::audience::verifications::checking::{self, MailHost, Means};
use shared::audience::verifications::lists::{self, AddressList, Mode};
use shared::audience::verifications::{Status, jobs};
use shared::audience::{personal_data, suppressions};

use crate::desk::{Desk, Meanwhile, NONE_IS_OPEN};

/// The setting of a provider of mailboxes.
fn provider() -> serde_json::Value {
    json!({"name": "acme", "url": "https://api.acme.test/check?of={email}", "verdict": "/result",
           "passed": ["ok"], "failed": ["gone"]})
}

#[tokio::test]
async fn a_provider_decides_what_nothing_else_has_decided() {
    let desk = Desk::new(6).await;
    desk.set("verification", "provider", provider()).await;
    for (person, answer) in [(1, "ok"), (2, "gone"), (3, "perhaps")] {
        desk.asker.answer(&format!("person{person}%40"), 200, json!({"result": answer}));
    }
    desk.asker.answer("person4%40", 429, json!({}));
    desk.scene.run("update contacts set status = 'bounced' where email like 'person5@%'", &[]).await;
    let tx = desk.tx().await;
    let given = json!({"email": "person6@people.test"});
    let (suppressed, _) = suppressions::create(&tx, serde_json::from_value(given).unwrap()).await.unwrap();
    suppressions::forget(&tx, &desk.keys, suppressed.id).await.unwrap();
    tx.commit().await.unwrap();
    let id = desk.verify(false).await;
    let job = desk.run_verification(id).await;
    assert_eq!(
        desk.verified().await,
        [
            "person1@people.test valid -",
            "person2@people.test invalid no_such_mailbox",
            "person3@people.test unverified provider_unsure",
            "person4@people.test unverified provider_busy",
            "person5@people.test invalid hard_bounce",
            // Only its hash is known.
            "person6@people.test invalid suppressed",
        ]
    );
    assert_eq!((job.status, job.valid, job.invalid, job.unverified), (RunStatus::Completed, 1, 3, 2));
    assert_eq!(desk.asker.drain().len(), 4, "nobody is paid to say what is known");
    // What is fresh is not checked again, but for what was to be asked again.
    let id = desk.verify(false).await;
    let job = desk.run_verification(id).await;
    assert_eq!((job.skipped, job.unverified), (5, 1));
    assert_eq!(desk.asker.drain().len(), 1);
    let id = desk.verify(true).await;
    assert_eq!(desk.run_verification(id).await.skipped, 0);
}

#[tokio::test]
async fn the_budget_bounds_what_is_asked_and_the_rest_is_pending() {
    let desk = Desk::new(3).await;
    desk.set("verification", "provider", provider()).await;
    desk.set("verification", "cost", 10).await;
    desk.set("verification", "daily_budget", 25).await;
    desk.asker.answer("people.test", 200, json!({"result": "ok"}));
    let id = desk.verify(false).await;
    let job = desk.run_verification(id).await;
    assert_eq!((job.valid, job.unverified, desk.asker.drain().len()), (2, 1, 2));
    let pending = "select count(*) from email_verifications where deliverable = 'pending' and reason = 'budget_spent'";
    assert_eq!(desk.scene.number(pending, &[]).await, 1);
}

#[tokio::test]
async fn a_verdict_stays_where_nobody_can_tell_any_more() {
    let desk = Desk::new(3).await;
    desk.set("verification", "provider", provider()).await;
    for (person, status, answer) in [(1, 200, "ok"), (2, 200, "gone"), (3, 500, "")] {
        desk.asker.answer(&format!("person{person}%40"), status, json!({"result": answer}));
    }
    let id = desk.verify(false).await;
    let job = desk.run_verification(id).await;
    assert_eq!((job.valid, job.invalid, job.unverified), (1, 1, 1));
    let known = "select string_agg(concat_ws(' ', deliverable, status, reason), ', ' order by email_lower) from email_verifications";
    let known = async || desk.scene.rows(known, &[]).await[0].get::<_, String>(0);
    let first = "passed valid, failed invalid no_such_mailbox, pending unverified provider_unavailable";
    assert_eq!(known().await, first);
    desk.asker.answer("people.test", 500, json!({}));
    let id = desk.verify(true).await;
    desk.run_verification(id).await;
    assert_eq!(known().await, first);
    // What is known by ourselves counts all the same.
    let sql = "insert into suppressions (organization_id, id, email_lower, reason) values ($1, gen_random_uuid(), 'person1@people.test', 'hard_bounce')";
    desk.scene.run(sql, &[&desk.scene.organization]).await;
    let id = desk.verify(true).await;
    desk.run_verification(id).await;
    assert!(known().await.starts_with("passed invalid "), "{}", known().await);
}

/// What an organization learns of an address after it was checked, whoever tells it.
#[tokio::test]
async fn a_verification_follows_what_is_suppressed_and_lifted() {
    let desk = Desk::new(4).await;
    desk.set("verification", "provider", provider()).await;
    desk.asker.answer("people.test", 200, json!({"result": "ok"}));
    let id = desk.verify(false).await;
    assert_eq!(desk.run_verification(id).await.valid, 4);
    let suppress = async |given: serde_json::Value| {
        let tx = desk.tx().await;
        let (suppression, _) = suppressions::create(&tx, serde_json::from_value(given).unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        suppression.id
    };
    let lift = async |id| {
        let tx = desk.tx().await;
        suppressions::lift(&tx, &desk.keys, id, Confirmation::Given).await.unwrap();
        tx.commit().await.unwrap();
    };
    let first = suppress(json!({"email": "person1@people.test"})).await;
    // What one campaign or list does not write to says nothing of the mailbox; that a mail to it has bounced does.
    let list = ListId::fresh();
    let sql = "insert into lists (organization_id, id, name) values ($1, $2, 'List')";
    desk.scene.run(sql, &[&desk.scene.organization, &list]).await;
    let of_list = suppress(json!({"email": "person2@people.test", "list_id": list})).await;
    suppress(json!({"email": "person3@people.test", "list_id": list, "reason": "hard_bounce"})).await;
    assert_eq!(
        desk.verified().await,
        [
            "person1@people.test invalid suppressed",
            "person2@people.test valid -",
            "person3@people.test invalid hard_bounce",
            "person4@people.test valid -",
        ]
    );
    // The graver reason counts, as it does for the suppression.
    assert_eq!(suppress(json!({"email": "PERSON1@people.test", "reason": "hard_bounce"})).await, first);
    assert_eq!(desk.verified().await[0], "person1@people.test invalid hard_bounce");
    // One of two that are lifted changes nothing.
    let of_person_1 = suppress(json!({"email": "person1@people.test", "list_id": list, "reason": "hard_bounce"})).await;
    lift(of_person_1).await;
    lift(of_list).await;
    assert_eq!(desk.verified().await[..2], ["person1@people.test invalid hard_bounce", "person2@people.test valid -"]);
    lift(first).await;
    assert_eq!(desk.verified().await[0], "person1@people.test unverified suppression_lifted");
    // Which is asked again, however lately it was checked; the others are not.
    desk.asker.drain();
    let id = desk.verify(false).await;
    let job = desk.run_verification(id).await;
    assert_eq!((job.valid, job.skipped, desk.asker.drain().len()), (1, 3, 1));
    assert_eq!(desk.verified().await[0], "person1@people.test valid -");
    // A verdict stays where nobody can tell any more, and has no reason then.
    desk.asker.answer("people.test", 500, json!({}));
    let second = suppress(json!({"email": "person2@people.test"})).await;
    lift(second).await;
    let id = desk.verify(false).await;
    assert_eq!(desk.run_verification(id).await.skipped, 3);
    assert_eq!(desk.verified().await[1], "person2@people.test valid -");
    // What has failed besides still has.
    let sql = "update email_verifications set disposable = 'failed', status = 'invalid', reason = 'disposable_domain' where email_lower = $1";
    desk.scene.run(sql, &[&"person4@people.test"]).await;
    let fourth = suppress(json!({"email": "person4@people.test", "reason": "complaint"})).await;
    assert_eq!(desk.verified().await[3], "person4@people.test invalid suppressed");
    lift(fourth).await;
    assert_eq!(desk.verified().await[3], "person4@people.test invalid disposable_domain");
}

/// Nothing is opened of an address that something else still suppresses, and forgetting one lifts nothing.
#[tokio::test]
async fn lifting_one_of_several_suppressions_opens_no_verification() {
    let desk = Desk::new(3).await;
    let suppress = async |given: serde_json::Value| {
        let tx = desk.tx().await;
        let (suppression, _) = suppressions::create(&tx, serde_json::from_value(given).unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        suppression.id
    };
    let forget = async |id| {
        let tx = desk.tx().await;
        suppressions::forget(&tx, &desk.keys, id).await.unwrap();
        tx.commit().await.unwrap();
    };
    let id = desk.verify(false).await;
    desk.run_verification(id).await;
    let mut named = Vec::new();
    for n in 1..=3 {
        named.push(suppress(json!({"email": format!("person{n}@people.test")})).await);
    }
    // The first is forgotten, suppressed by its name again, and forgotten again.
    forget(named[0]).await;
    named[0] = suppress(json!({"email": "person1@people.test"})).await;
    forget(named[0]).await;
    // The second is known by its hash as well, and the third bounced long ago.
    forget(named[1]).await;
    named[1] = suppress(json!({"email": "person2@people.test"})).await;
    desk.scene.run("update contacts set status = 'bounced' where email = 'person3@people.test'", &[]).await;
    let list = ListId::fresh();
    let sql = "insert into lists (organization_id, id, name) values ($1, $2, 'List')";
    desk.scene.run(sql, &[&desk.scene.organization, &list]).await;
    let of_list = suppress(json!({"email": "person3@people.test", "list_id": list, "reason": "hard_bounce"})).await;
    for id in [named[1], of_list] {
        let tx = desk.tx().await;
        suppressions::lift(&tx, &desk.keys, id, Confirmation::Given).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(
        desk.verified().await,
        [
            "person1@people.test invalid suppressed",
            "person2@people.test invalid suppressed",
            "person3@people.test invalid hard_bounce",
        ]
    );
    // Nor where its domain is suppressed.
    suppress(json!({"domain": "people.test"})).await;
    desk.scene.run("update contacts set status = 'active'", &[]).await;
    let tx = desk.tx().await;
    suppressions::lift(&tx, &desk.keys, named[2], Confirmation::Given).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(desk.verified().await[2], "person3@people.test invalid suppressed");
}

/// What was told while others were asked counts, not what was known before.
#[tokio::test]
async fn who_bounces_while_an_address_is_checked_is_not_valid_afterwards() {
    let desk = Desk::new(2).await;
    desk.set("verification", "provider", provider()).await;
    desk.asker.answer("people.test", 200, json!({"result": "ok"}));
    let bounce = "insert into suppressions (organization_id, id, email_lower, reason)
                  select organization_id, gen_random_uuid(), email_lower, 'hard_bounce' from contacts where email like 'person1@%'
                      on conflict do nothing";
    let id = desk.verify(false).await;
    desk.verification_chunk_by(id, &Meanwhile(&desk, bounce)).await.unwrap();
    assert_eq!(desk.verified().await, ["person1@people.test invalid hard_bounce", "person2@people.test valid -"]);
    let job = desk.run_verification(id).await;
    assert_eq!((job.valid, job.invalid), (1, 1));
    // And whose suppression is lifted meanwhile is to be asked about: the other one is asked while it is.
    desk.scene.run("update contacts set status = 'active'", &[]).await;
    let id = desk.verify(true).await;
    desk.verification_chunk_by(id, &Meanwhile(&desk, "delete from suppressions")).await.unwrap();
    assert_eq!(
        desk.verified().await,
        ["person1@people.test unverified suppression_lifted", "person2@people.test valid -"]
    );
    let job = desk.run_verification(id).await;
    assert_eq!((job.valid, job.unverified), (1, 1));
}

#[tokio::test]
async fn what_administrators_add_counts_for_everybody() {
    let desk = Desk::new(2).await;
    desk.scene.run("update contacts set email = 'empfang@people.test' where email like 'person1@%'", &[]).await;
    desk.scene.run("update contacts set email = 'ada@a.throwaway.test' where email like 'person2@%'", &[]).await;
    let admin = desk.scene.db.as_role("martlet_admin");
    let tx = admin.begin_for(&[]).await.unwrap();
    let file = "# ours\n\n@Throwaway.test\nnot a domain\n";
    let taken = lists::take(&tx, AddressList::DisposableDomains, Mode::Replace, file).await.unwrap();
    assert_eq!((taken.taken, taken.refused, taken.refused_total, taken.entries), (1, vec![4], 1, 1));
    lists::take(&tx, AddressList::RoleNames, Mode::Add, "Empfang").await.unwrap();
    assert!(
        lists::take(&tx, AddressList::RoleNames, Mode::Replace, "a b\n").await.is_err(),
        "nothing is lost by a wrong file"
    );
    tx.commit().await.unwrap();
    let id = desk.verify(false).await;
    desk.run_verification(id).await;
    let expected = ["ada@a.throwaway.test invalid disposable_domain", "empfang@people.test invalid role_address"];
    assert_eq!(desk.verified().await, expected);
}

#[tokio::test]
async fn of_two_workers_at_a_chunk_one_counts_and_a_cancelled_job_keeps_nothing_more() {
    let desk = Desk::new(2).await;
    desk.hosts.say("people.test", MailHost::Absent);
    let id = desk.verify(false).await;
    let db = desk.scene.db.app();
    let one = jobs::run_chunk(&db, desk.means(), desk.scene.organization, id);
    let other = desk.scene.db.app();
    let other = jobs::run_chunk(&other, desk.means(), desk.scene.organization, id);
    let (one, other) = tokio::join!(one, other);
    one.unwrap();
    other.unwrap();
    let job = desk.run_verification(id).await;
    assert_eq!((job.invalid, job.status), (2, RunStatus::Completed));

    let id = desk.verify(true).await;
    let tx = desk.tx().await;
    jobs::cancel(&tx, id).await.unwrap();
    tx.commit().await.unwrap();
    let job = desk.run_verification(id).await;
    assert_eq!((job.invalid, job.status), (0, RunStatus::Cancelled));
}

#[tokio::test]
async fn nothing_is_kept_of_whoever_was_erased_while_they_were_asked_about() {
    let desk = Desk::new(1).await;
    let tx = desk.tx().await;
    personal_data::erase(&tx, &desk.keys, desk.contacts[0]).await.unwrap();
    tx.commit().await.unwrap();
    let (db, organization) = (desk.scene.db.app(), desk.scene.organization);
    let found = checking::check_one(&db, organization, desk.means(), "person1@people.test").await.unwrap();
    let tx = desk.tx().await;
    // It is recognized by its hash, and told; and not kept.
    assert_eq!(found.keep(&tx, &desk.keys).await.unwrap().reason.as_deref(), Some("suppressed"));
    tx.commit().await.unwrap();
    assert_eq!(desk.verified().await, [""; 0]);
}

#[tokio::test]
async fn no_transaction_is_open_while_dns_and_providers_are_asked() {
    let desk = Desk::new(1).await;
    desk.set("verification", "provider", provider()).await;
    desk.set("verification", "cost", 10).await;
    desk.set("verification", "daily_budget", 100).await;
    desk.asker.answer("people.test", 200, json!({"result": "ok"}));
    let (db, organization) = (desk.scene.db.app(), desk.scene.organization);
    // Nor is the budget's row, which another who asks for it would wait for.
    for sql in [NONE_IS_OPEN, "select from provider_usage for update nowait"] {
        let asker = Meanwhile(&desk, sql);
        let means = Means { asker: &asker, ..desk.means() };
        let found = checking::check_one(&db, organization, means, "ada@people.test").await.unwrap();
        let tx = desk.tx().await;
        assert_eq!(found.keep(&tx, &desk.keys).await.unwrap().status, Status::Valid);
        tx.commit().await.unwrap();
        let id = desk.verify(true).await;
        desk.verification_chunk_by(id, &asker).await.unwrap();
        assert_eq!(desk.run_verification(id).await.valid, 1);
    }
    assert_eq!(desk.scene.number("select sum(calls)::bigint from provider_usage", &[]).await, 4);
}

#[tokio::test]
async fn only_whom_the_provider_is_asked_about_is_counted() {
    let desk = Desk::new(3).await;
    desk.set("verification", "provider", provider()).await;
    desk.set("verification", "cost", 10).await;
    desk.set("verification", "daily_budget", 10).await;
    desk.scene.run("update contacts set email = 'a' || email where email not like 'person3@%'", &[]).await;
    desk.scene
        .run("update contacts set email = replace(email, 'people.test', 'nowhere.test') where email like 'a%'", &[])
        .await;
    desk.hosts.say("nowhere.test", MailHost::Absent);
    desk.asker.answer("person3", 200, json!({"result": "ok"}));
    let id = desk.verify(false).await;
    let job = desk.run_verification(id).await;
    // There is enough for one, and DNS has decided about the others.
    assert_eq!((job.valid, job.invalid, job.unverified), (1, 2, 0));
    assert_eq!(desk.scene.number("select sum(cost)::bigint from provider_usage", &[]).await, 10);
}

#[tokio::test]
async fn a_job_is_one_worker_s_at_a_time_and_nobody_s_when_its_lease_is_over() {
    let desk = Desk::new(2).await;
    desk.set("verification", "provider", provider()).await;
    desk.asker.answer("people.test", 200, json!({"result": "ok"}));
    let id = desk.verify(false).await;
    let taken = "update verification_jobs set attempt = gen_random_uuid(), leased_until = now() + interval '1 minute'";
    desk.scene.run(taken, &[]).await;
    assert_eq!(desk.verification_chunk_by(id, &desk.asker).await.unwrap(), Continuation::Ended);
    assert!(desk.asker.drain().is_empty(), "nobody is paid twice");
    desk.scene.run("update verification_jobs set leased_until = now() - interval '1 second'", &[]).await;
    // Whoever has lost it does not move the job on; what was found out, and paid for, stays.
    let lost = Meanwhile(&desk, "update verification_jobs set attempt = gen_random_uuid()");
    assert_eq!(desk.verification_chunk_by(id, &lost).await.unwrap(), Continuation::Ended);
    assert_eq!(desk.verified().await, ["person1@people.test valid -", "person2@people.test valid -"]);
    desk.asker.drain();
    // A job that was cancelled and goes on is whose hint comes first.
    let tx = desk.tx().await;
    jobs::cancel(&tx, id).await.unwrap();
    let goes_on = [jobs::resume(&tx, id).await.unwrap().1, jobs::resume(&tx, id).await.unwrap().1];
    assert_eq!(goes_on, [true, false], "one that runs has its hint");
    tx.commit().await.unwrap();
    // Until it has stood still for longer than any hint is under way.
    desk.scene.run("update verification_jobs set heartbeat_at = now() - interval '21 minutes'", &[]).await;
    let tx = desk.tx().await;
    assert!(jobs::resume(&tx, id).await.unwrap().1);
    tx.commit().await.unwrap();
    let job = desk.run_verification(id).await;
    assert_eq!((job.status, job.valid, job.skipped), (RunStatus::Completed, 0, 2));
    assert!(desk.asker.drain().is_empty(), "nobody is paid twice");
}

#[tokio::test]
async fn a_provider_that_is_busy_is_left_alone_for_a_while_and_what_is_no_answer_tells_nothing() {
    let desk = Desk::new(2).await;
    desk.set("verification", "provider", provider()).await;
    desk.asker.answer("person1%40", 503, json!({}));
    desk.asker.answer("person2%40", 200, json!(null));
    let id = desk.verify(false).await;
    let next = desk.verification_chunk_by(id, &desk.asker).await.unwrap();
    assert_eq!(next, Continuation::After(Duration::ZERO), "nobody is left to be asked about");
    let expected = ["person1@people.test unverified provider_busy", "person2@people.test unverified provider_unsure"];
    assert_eq!(desk.verified().await, expected);
    let desk = Desk::new(51).await;
    desk.set("verification", "provider", provider()).await;
    desk.asker.answer("person1%40", 503, json!({}));
    desk.asker.answer("person2%40", 200, json!({"result": "ok"}));
    let id = desk.verify(false).await;
    let next = desk.verification_chunk_by(id, &desk.asker).await.unwrap();
    assert_eq!(next, Continuation::After(Duration::from_secs(30)));
}

#[tokio::test]
async fn a_provider_that_answers_none_of_many_questions_is_left_alone_for_longer() {
    let desk = Desk::new(60).await;
    desk.set("verification", "provider", provider()).await;
    desk.scene.run("update contacts set email = 'a@nowhere.test' where email = 'person1@people.test'", &[]).await;
    desk.hosts.say("nowhere.test", MailHost::Absent);
    desk.asker.answer("people.test", 500, json!({}));
    let id = desk.verify(false).await;
    let chunk = async |id| desk.verification_chunk_by(id, &desk.asker).await.unwrap();
    assert_eq!(chunk(id).await, Continuation::After(Duration::from_secs(600)));
    assert_eq!(chunk(id).await, Continuation::After(Duration::ZERO), "nobody is left");
    assert_eq!(chunk(id).await, Continuation::Ended);
    // The next job asks again, and one answer says that the others are an affair of theirs.
    desk.asker.answer("person2%40", 200, json!({"result": "gone"}));
    let id = desk.verify(false).await;
    assert_eq!(chunk(id).await, Continuation::After(Duration::ZERO));
}

#[tokio::test]
async fn a_job_whose_tag_is_gone_ends_and_one_of_a_suspended_organization_waits() {
    let desk = Desk::new(1).await;
    let tag = "insert into tags (organization_id, id, name) values ($1, gen_random_uuid(), 'VIP')";
    desk.scene.run(tag, &[&desk.scene.organization]).await;
    let tx = desk.tx().await;
    let new = json!({"selection": {"filter": "tag = \"VIP\""}});
    let id = jobs::create(&tx, &serde_json::from_value(new).unwrap()).await.unwrap().id;
    tx.commit().await.unwrap();
    desk.scene.run("update organizations set status = 'suspended'", &[]).await;
    assert_eq!(desk.run_verification(id).await.status, RunStatus::Running);
    desk.scene.run("update organizations set status = 'active'", &[]).await;
    desk.scene.run("delete from tags", &[]).await;
    let job = desk.run_verification(id).await;
    assert_eq!((job.status, job.error.as_deref()), (RunStatus::Cancelled, Some("selection_is_broken")));
    assert_eq!(desk.verification_chunk_by(id, &desk.asker).await.unwrap(), Continuation::Ended);
}
