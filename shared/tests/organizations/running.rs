//! An organization is founded, named anew, deleted and restored.

use chrono::Duration;
use shared::Error;
use shared::platform::memberships::Role;
use shared::platform::organizations::founding::{self, NewOrganization};
use shared::platform::organizations::{self, Kind, OrganizationFields, deleting};
use testkit::FakeObjectStore;
use testkit::scene::wednesday_morning;

use crate::people::{People, conflict, invalid};

fn new(name: &str, slug: &str) -> NewOrganization {
    NewOrganization { name: name.to_owned(), slug: slug.to_owned(), kind: None, timezone: None }
}

#[tokio::test]
async fn whoever_founds_an_organization_owns_it_and_nobody_else_is_made_an_owner() {
    let people = People::new().await;
    let founder = people.member("founder@users.test", Role::Viewer).await;
    let tx = people.tx().await;
    let charity = NewOrganization {
        kind: Some(Kind::Charity),
        timezone: Some("Europe/Berlin".to_owned()),
        ..new("Good Work", "good-work")
    };
    let founded = founding::found(&tx, founder, charity, Some("request")).await.unwrap();
    tx.commit().await.unwrap();
    let rows = people
        .scene
        .rows(
            "select o.slug, o.kind, o.plan_type, o.timezone, m.role, a.action
               from organizations o
               join memberships m on m.organization_id = o.id and m.user_id = $2
               join audit_log a on a.organization_id = o.id and a.actor_id = $2
              where o.id = $1",
            &[&founded.id, &founder],
        )
        .await;
    let found: Vec<&str> = (0..6).map(|column| rows[0].get(column)).collect();
    assert_eq!(found, ["good-work", "charity", "free", "Europe/Berlin", "owner", "organization.created"]);

    let tx = people.tx().await;
    assert_eq!(conflict(founding::found(&tx, founder, new("Again", "good-work"), None).await), "slug_taken");
    drop(tx);
    // Somebody who does not belong to the organization that asks.
    let stranger = people.user("stranger@users.test").await;
    let tx = people.tx().await;
    let foreign = founding::found(&tx, stranger, new("Theirs", "theirs"), None).await;
    assert!(matches!(foreign, Err(Error::Internal(_))));
    drop(tx);
    assert_eq!(people.scene.number("select count(*) from organizations where slug = 'theirs'", &[]).await, 0);
}

#[tokio::test]
async fn what_nobody_chooses_for_themselves_is_refused() {
    let people = People::new().await;
    let founder = people.member("founder@users.test", Role::Owner).await;
    let tx = people.tx().await;
    let wrong = NewOrganization {
        kind: Some(Kind::Admin),
        timezone: Some("Mars/Olympus".to_owned()),
        ..new(" ", "Not A Slug")
    };
    let refused = invalid(founding::found(&tx, founder, wrong, None).await);
    assert_eq!(refused, ["name required", "slug invalid", "kind not_settable", "timezone unknown_timezone"]);
    for slug in ["", "-a", "a_b", "ä", "A", &"a".repeat(64)] {
        assert_eq!(invalid(founding::found(&tx, founder, new("Name", slug), None).await), ["slug invalid"], "{slug}");
    }
    for field in ["organization_id", "plan_type", "status", "role", "is_admin", "id"] {
        let body = serde_json::json!({"name": "Name", "slug": "name", field: "owner"});
        assert!(serde_json::from_value::<NewOrganization>(body).is_err(), "{field}");
        let body = serde_json::json!({"name": "Name", field: "owner"});
        assert!(serde_json::from_value::<OrganizationFields>(body).is_err(), "{field}");
    }
    people
        .scene
        .run(
            "with made as (insert into organizations (id, slug, name) select gen_random_uuid(), 's' || n, 'n' from generate_series(1, 19) as n
                           returning id)
             insert into memberships (organization_id, user_id, role) select id, $1, 'owner' from made",
            &[&founder],
        )
        .await;
    assert_eq!(
        conflict(founding::found(&tx, founder, new("One more", "one-more"), None).await),
        "too_many_organizations"
    );
}

#[tokio::test]
async fn slug_and_kind_change_and_one_that_runs_the_installation_stays_what_it_is() {
    let people = People::new().await;
    let id = people.scene.organization;
    people.scene.another_organization("other").await;
    let fields = |json: serde_json::Value| serde_json::from_value::<OrganizationFields>(json).unwrap();
    let tx = people.tx().await;
    let changed =
        organizations::update(&tx, id, fields(serde_json::json!({"slug": "acme-2", "kind": "charity"}))).await;
    let changed = changed.unwrap();
    assert_eq!((changed.slug.as_str(), changed.kind), ("acme-2", Kind::Charity));
    for kind in ["admin", "system"] {
        let refused = organizations::update(&tx, id, fields(serde_json::json!({"kind": kind}))).await;
        assert_eq!(invalid(refused), ["kind not_settable"]);
    }
    tx.commit().await.unwrap();
    let tx = people.tx().await;
    let taken = organizations::update(&tx, id, fields(serde_json::json!({"slug": "other"}))).await;
    assert_eq!(conflict(taken), "slug_taken");
    drop(tx);
    people.scene.run("update organizations set kind = 'admin' where id = $1", &[&id]).await;
    let tx = people.tx().await;
    let refused = organizations::update(&tx, id, fields(serde_json::json!({"kind": "standard"}))).await;
    assert_eq!(invalid(refused), ["kind not_settable"]);
    let kept = organizations::update(&tx, id, fields(serde_json::json!({"name": "Acme Inc."}))).await.unwrap();
    assert_eq!((kept.kind, kept.name.as_str()), (Kind::Admin, "Acme Inc."));
}

#[tokio::test]
async fn a_deletion_waits_for_its_time_and_is_ended_by_its_link() {
    let people = People::new().await;
    let (id, scene) = (people.scene.organization, &people.scene);
    let owner = people.member("owner@users.test", Role::Owner).await;
    let second = people.member("second@users.test", Role::Owner).await;
    let viewer = people.member("viewer@users.test", Role::Viewer).await;
    for user in [owner, second, viewer] {
        people.session(id, user).await;
    }
    let tx = people.tx().await;
    for wrong in ["", "Acme", "other"] {
        assert_eq!(invalid(deleting::schedule(&tx, id, wrong, owner).await), ["slug mismatch"]);
    }
    let deletion = deleting::schedule(&tx, id, "acme", owner).await.unwrap();
    assert_eq!(conflict(deleting::schedule(&tx, id, "acme", owner).await), "not_active");
    tx.commit().await.unwrap();
    assert_eq!(deletion.delete_after, wednesday_morning() + Duration::days(30));
    let told = "select m.recipient, s.variables ->> 'organization', s.variables ->> 'deleted_on', s.action_purpose
                  from messages m join system_mails s on s.organization_id = m.organization_id and s.message_id = m.id
                 where m.kind = 'system' and m.state = 'scheduled' and s.action_id = $1 order by 1";
    let mails = scene.rows(told, &[&deletion.id]).await;
    let mails: Vec<[&str; 4]> = mails.iter().map(|row| std::array::from_fn(|column| row.get(column))).collect();
    let mail = |to| [to, "acme", "3 April 2026", "restore_organization"];
    assert_eq!(mails, [mail("owner@users.test"), mail("second@users.test")]);
    let sessions = [owner, second, viewer].map(|user| people.open_sessions(user));
    assert_eq!(futures_util::future::join_all(sessions).await, [1, 0, 0]);

    // Until its time has come nothing is deleted.
    let (store, maintenance) = (FakeObjectStore::default(), scene.db.as_role("martlet_maintenance"));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(600);
    scene.db.set_clock(deletion.delete_after - Duration::seconds(1)).await;
    assert_eq!(deleting::finish(&maintenance, &store, deadline).await.unwrap().organizations, 0);
    let app = scene.db.app();
    assert_eq!(deleting::organization_of(&app, deletion.id).await.unwrap(), id);
    let tx = people.tx().await;
    assert_eq!(deleting::find(&tx, deletion.id).await.unwrap().slug, "acme");
    assert!(matches!(deleting::restore(&tx, shared::ids::fresh()).await, Err(Error::NotFound("deletion"))));
    let restored = deleting::restore(&tx, deletion.id).await.unwrap();
    assert_eq!((restored.status.as_str(), restored.delete_after), ("active", None));
    let waiting = "select count(*) from messages where kind = 'system' and state = 'scheduled'";
    let left: i64 = tx.query_one(waiting, &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "nobody is told any more");
    // The link has done its work: it ends no later deletion.
    assert!(matches!(deleting::restore(&tx, deletion.id).await, Err(Error::NotFound("deletion"))));
    let again = deleting::schedule(&tx, id, "acme", owner).await.unwrap();
    assert!(matches!(deleting::restore(&tx, deletion.id).await, Err(Error::NotFound("deletion"))));
    tx.commit().await.unwrap();

    // Once its time is over there is nothing to restore, whether or not it was deleted yet.
    scene.db.set_clock(again.delete_after).await;
    let tx = people.tx().await;
    assert!(matches!(deleting::restore(&tx, again.id).await, Err(Error::NotFound("deletion"))));
    tx.commit().await.unwrap();
    assert_eq!(deleting::finish(&maintenance, &store, deadline).await.unwrap().organizations, 1);
    assert!(matches!(deleting::organization_of(&app, again.id).await, Err(Error::NotFound("deletion"))));
    assert_eq!(scene.number("select count(*) from organizations where id = $1", &[&id]).await, 0);
    let logged = "select count(*) from admin_log where action = 'organization.deleted' and subject_id = $1";
    assert_eq!(scene.number(logged, &[&id]).await, 1);
}

#[tokio::test]
async fn the_default_organization_is_not_deleted() {
    let people = People::new().await;
    let owner = people.user("owner@users.test").await;
    people.join(organizations::DEFAULT, owner, Role::Owner).await;
    let tx = people.scene.db.app().begin(organizations::DEFAULT).await.unwrap();
    let refused = deleting::schedule(&tx, organizations::DEFAULT, "default", owner).await;
    assert_eq!(conflict(refused), "default_organization");
}

#[tokio::test]
async fn an_organization_that_is_being_deleted_plans_nothing() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    let sender = people.scene.sender(1, 50, 0).await;
    people.scene.running_campaign(3, &[sender], 1, 50).await;
    let id = people.scene.organization;
    let work = "select count(*) from organizations_with_work(clock_now(), now(), now()) as w (id) where w.id = $1";
    assert_eq!(people.scene.number(work, &[&id]).await, 1);
    let tx = people.tx().await;
    deleting::schedule(&tx, id, "acme", owner).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(people.scene.number(work, &[&id]).await, 0);
}
