//! Whoever has an account, or is a contact, costs as much work as whoever is none, as the database sees it.

use std::cell::Cell;

use log::{LevelFilter, Log, Metadata, Record};
use serde_json::json;
use shared::audience::lead_forms::{self, LeadFormFields, LeadKey};
use shared::audience::leads::{self, Submission};
use shared::audience::personal_data;
use shared::platform::logins;
use testkit::Scene;

use crate::reception::{ADA, PASSWORD, Reception};

thread_local! {
    /// Statements that this thread has sent. A test runs on one thread.
    static SENT: Cell<usize> = const { Cell::new(0) };
}

/// Counts what the driver says of the statements that it sends.
struct Counting;

impl Log for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tokio_postgres")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) && record.args().to_string().starts_with("executing") {
            SENT.with(|sent| sent.set(sent.get() + 1));
        }
    }

    fn flush(&self) {}
}

/// How many statements something sends.
async fn sent<T>(work: impl Future<Output = T>) -> usize {
    // Another test may have been first.
    let _ = log::set_logger(&Counting);
    log::set_max_level(LevelFilter::Debug);
    let before = SENT.with(Cell::get);
    work.await;
    SENT.with(Cell::get) - before
}

#[tokio::test]
async fn as_many_statements_for_whoever_has_an_account_as_for_whoever_has_none() {
    let reception = Reception::with_ada().await;
    reception.sign_up("unconfirmed@users.test", PASSWORD).await.unwrap();
    let entrance = reception.entrance();
    // One that is known, one that is not confirmed, two that nobody has, and what is no address at all.
    let addresses = [ADA, "unconfirmed@users.test", "nobody@users.test", "no address", "İ@users.test"];
    for email in addresses {
        let forgot = sent(async { logins::ask_for_reset(&entrance, email).await.unwrap() }).await;
        assert_eq!(forgot, 10, "forgot, {email}");
        let resend = sent(async { logins::ask_for_confirmation(&entrance, email).await.unwrap() }).await;
        assert_eq!(resend, forgot, "resend, {email}");
    }
    // Over the number of mails as well.
    for _ in 0..3 {
        assert_eq!(sent(async { logins::ask_for_reset(&entrance, ADA).await.unwrap() }).await, 10);
    }
    let mut counts = Vec::new();
    for email in [ADA, "unconfirmed@users.test", "new@users.test", ADA, "new@users.test", "newer@users.test"] {
        counts.push(sent(async { reception.sign_up(email, "another horse battery").await.unwrap() }).await);
    }
    assert!(counts[0] > 15 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    let mut counts = Vec::new();
    for (email, password) in [
        (ADA, "wrong horse"),
        ("nobody@users.test", PASSWORD),
        ("no address", PASSWORD),
        // The right password of an address that is not confirmed.
        ("newer@users.test", "another horse battery"),
    ] {
        counts.push(sent(async { assert!(reception.log_in(email, password).await.is_err()) }).await);
    }
    assert!(counts[0] > 5 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

#[tokio::test]
async fn as_many_statements_for_an_address_that_is_known_as_for_one_that_is_not() {
    let scene = Scene::new().await;
    let (db, keys) = (scene.db.app(), testkit::key_ring());
    let contacts = scene.contacts(2).await;
    let tx = db.begin(scene.organization).await.unwrap();
    personal_data::erase(&tx, &keys, contacts[1]).await.unwrap();
    let fields = Some(vec!["company".to_owned()]);
    let form = LeadFormFields { name: Some("Form".to_owned()), fields, ..LeadFormFields::default() };
    let key = LeadKey::parse(&lead_forms::create(&tx, form).await.unwrap().key).unwrap();
    tx.commit().await.unwrap();
    let mut counts = Vec::new();
    // One that is known and is filled, the same with nothing to fill, one that is erased, one that nobody has, and that one again.
    for email in ["person1", "person1", "person2", "person2", "new", "new"] {
        let fields = json!({"email": format!("{email}@people.test"), "company": "Example"});
        let fields = fields.as_object().unwrap().clone();
        let submission = Submission { fields, origin: None };
        let count = sent(async {
            let admitted = leads::admit(&db, &keys, &key, [192, 0, 2, 1].into()).await.unwrap();
            admitted.receive(&keys, submission).await.unwrap();
        });
        counts.push(count.await);
    }
    assert!(counts[0] > 10 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    let known = scene.number("select count(*) from contacts where email_lower = 'person2@people.test'", &[]).await;
    assert_eq!((known, scene.number("select count(*) from contacts", &[]).await), (0, 2));
}

#[tokio::test]
async fn what_is_written_for_nobody_is_taken_back() {
    let reception = Reception::with_ada().await;
    let everything = || async {
        let sql = "select (select count(*) from users) + (select count(*) from organizations) + (select count(*) from messages)
                        + (select count(*) from system_mails) + (select count(*) from user_tokens)
                        + (select count(*) from lifecycle_mails) + (select count(*) from audit_log)";
        reception.count(sql, &[]).await
    };
    let before = everything().await;
    for email in ["nobody@users.test", "no address"] {
        logins::ask_for_reset(&reception.entrance(), email).await.unwrap();
        logins::ask_for_confirmation(&reception.entrance(), email).await.unwrap();
    }
    logins::ask_for_confirmation(&reception.entrance(), ADA).await.unwrap();
    assert_eq!(everything().await, before);
    // A mail, and the row of a token that nobody was sent.
    reception.sign_up(ADA, "another horse battery").await.unwrap();
    assert_eq!(reception.count("select count(*) from users", &[]).await, 1);
    assert_eq!(reception.count("select count(*) from users where email like '%@invalid'", &[]).await, 0);
    assert_eq!(everything().await, before + 2, "the mail that tells its owner");
}
