use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use shared::Error;
use shared::platform::config::{self, DEFINITIONS};

use crate::people::{People, invalid};

#[tokio::test]
async fn every_setting_of_the_migrations_is_known_and_the_reverse() {
    let people = People::new().await;
    let rows = people.scene.rows("select category, key, value_type, value, description from system_config", &[]).await;
    let written: BTreeSet<[String; 5]> =
        rows.iter().map(|row| std::array::from_fn(|column| row.get::<_, String>(column))).collect();
    let known: BTreeSet<[String; 5]> = DEFINITIONS
        .iter()
        .map(|known| {
            [known.category, known.key, known.bounds.type_name(), known.default, known.description].map(str::to_owned)
        })
        .collect();
    let (unknown, unwritten) = (written.difference(&known), known.difference(&written));
    let (unknown, unwritten): (Vec<_>, Vec<_>) = (unknown.collect(), unwritten.collect());
    assert!(unknown.is_empty() && unwritten.is_empty(), "unknown: {unknown:#?}, not written: {unwritten:#?}");
    assert!(DEFINITIONS.is_sorted_by_key(|known| (known.category, known.key)));
    // What is read by SQL as an interval is read as we read it.
    for row in people.scene.rows("select value, extract(epoch from value::interval)::bigint from system_config where value_type = 'duration'", &[]).await {
        let (text, seconds): (&str, i64) = (row.get(0), row.get(1));
        assert_eq!(config::parse_duration(text), Some(Duration::from_secs(seconds.unsigned_abs())), "{text}");
    }
}

#[tokio::test]
async fn a_setting_counts_for_the_next_transaction_and_is_kept_with_what_it_was() {
    let people = People::new().await;
    let (admin, other) = (people.user("admin@users.test").await, people.user("other@users.test").await);
    let role = people.scene.db.as_role("martlet_admin");
    let grace = async || {
        let tx = people.tx().await;
        config::read(&tx, "organizations").await.unwrap().duration("deletion_grace").unwrap()
    };
    let set = async |value: serde_json::Value, by| {
        let tx = role.begin(people.scene.organization).await.unwrap();
        let set = config::set(&tx, "organizations", "deletion_grace", &value, by, Some("request")).await.unwrap();
        tx.commit().await.unwrap();
        set
    };
    assert_eq!(grace().await, Duration::from_hours(30 * 24));
    let changed = set(json!("14 days"), admin).await;
    assert_eq!((changed.value, changed.default), (json!("14 days"), json!("30 days")));
    assert_eq!((changed.minimum, changed.maximum), (Some(json!("1h")), Some(json!("365 days"))));
    assert_eq!(grace().await, Duration::from_hours(14 * 24), "nothing remembers what it was");
    set(json!("14 days"), other).await;
    set(json!("30 days"), other).await;

    let tx = role.begin(people.scene.organization).await.unwrap();
    let history = config::history(&tx, "organizations", "deletion_grace", None, 10).await.unwrap();
    let kept: Vec<_> =
        history.iter().map(|change| (change.before.clone(), change.after.clone(), change.changed_by)).collect();
    assert_eq!(
        kept,
        [(json!("14 days"), json!("30 days"), Some(other)), (json!("30 days"), json!("14 days"), Some(admin))]
    );
    assert_eq!(history[0].request_id.as_deref(), Some("request"));
    let older = config::history(&tx, "organizations", "deletion_grace", Some(history[0].id), 10).await.unwrap();
    assert_eq!(older.len(), 1);
    assert_eq!(config::history(&tx, "organizations", "deletion_grace", None, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_setting_may_not_be_is_named_and_changes_nothing() {
    let people = People::new().await;
    let admin = people.user("admin@users.test").await;
    let tx = people.scene.db.as_role("martlet_admin").begin(people.scene.organization).await.unwrap();
    for (category, key, value, expected) in [
        ("health", "window_sends", json!("many"), "value wrong_type"),
        ("health", "window_sends", json!(9), "value out_of_range"),
        ("invites", "lifetime", json!("1m"), "value out_of_range"),
        ("invites", "lifetime", json!("soon"), "value wrong_type"),
        ("mail", "system_sender", json!("Martlet"), "value invalid"),
        ("mail", "system_sender_name", json!("a\nBcc: b@example.test"), "value control_character"),
        ("mail", "console_url", json!("http://example.test"), "value invalid"),
    ] {
        let refused = config::set(&tx, category, key, &value, admin, None).await;
        assert_eq!(invalid(refused), [expected], "{category}.{key}");
    }
    for (category, key) in [("health", "nothing"), ("nothing", "window"), ("", "")] {
        assert!(matches!(config::find(&tx, category, key).await, Err(Error::NotFound("setting"))));
        assert!(matches!(config::history(&tx, category, key, None, 1).await, Err(Error::NotFound("setting"))));
        let set = config::set(&tx, category, key, &json!(1), admin, None).await;
        assert!(matches!(set, Err(Error::NotFound("setting"))));
    }
    tx.commit().await.unwrap();
    assert_eq!(people.scene.number("select count(*) from system_config_history", &[]).await, 0);
    // What somebody has written past us is shown as it is.
    people.scene.run("update system_config set value = 'x' where key = 'window_sends'", &[]).await;
    let tx = people.scene.db.as_role("martlet_admin").begin(people.scene.organization).await.unwrap();
    assert_eq!(config::find(&tx, "health", "window_sends").await.unwrap().value, json!("x"));
    assert_eq!(config::list(&tx).await.unwrap().len(), DEFINITIONS.len());
}
