use shared::platform::api_keys::{self, KeyFields, NewKeyFields, Rotation};
use shared::platform::credentials::Rights;
use shared::platform::memberships::{self, KeysMade, Role};
use shared::platform::scopes::Scopes;
use shared::{Error, Tx, UserId};

use crate::people::{People, conflict};

#[tokio::test]
async fn only_an_owner_makes_and_unmakes_owners() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    let admin = people.member("admin@users.test", Role::Admin).await;
    let member = people.member("member@users.test", Role::Member).await;
    let tx = people.tx().await;
    let acting = people.member("acting@users.test", Role::Admin).await;
    // An admin manages everybody who is no owner, admins included, and nobody becomes one by an admin.
    for to in [Role::Viewer, Role::Admin, Role::Member] {
        assert_eq!(memberships::change_role(&tx, acting, member, to).await.unwrap().member.role, to);
    }
    assert_eq!(memberships::change_role(&tx, acting, admin, Role::Member).await.unwrap().member.role, Role::Member);
    for (user, to) in [(member, Role::Owner), (admin, Role::Owner), (owner, Role::Admin), (owner, Role::Viewer)] {
        assert_eq!(conflict(memberships::change_role(&tx, acting, user, to).await), "owner_needed");
    }
    assert_eq!(conflict(memberships::remove(&tx, acting, owner, KeysMade::GoOn).await), "owner_needed");
    assert_eq!(memberships::change_role(&tx, owner, admin, Role::Owner).await.unwrap().member.role, Role::Owner);
    assert_eq!(memberships::remove(&tx, admin, owner, KeysMade::GoOn).await.unwrap().member.role, Role::Owner);
    tx.commit().await.unwrap();
    assert_eq!([people.role(owner).await, people.role(admin).await], [None, Some("owner".to_owned())]);
}

#[tokio::test]
async fn the_last_owner_stays_whatever_is_tried() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    let admin = people.member("admin@users.test", Role::Admin).await;
    // An owner of another organization is none here.
    let (other, _) = people.scene.another_organization("other").await;
    people.join(other, owner, Role::Owner).await;
    let stranger = people.user("stranger@users.test").await;
    people.join(other, stranger, Role::Owner).await;
    let tx = people.tx().await;
    assert_eq!(conflict(memberships::change_role(&tx, owner, owner, Role::Admin).await), "last_owner");
    assert_eq!(conflict(memberships::remove(&tx, owner, owner, KeysMade::GoOn).await), "last_owner");
    assert_eq!(conflict(memberships::leave(&tx, owner).await), "last_owner");
    // To make an owner what they are changes nothing, and is allowed.
    assert_eq!(memberships::change_role(&tx, admin, owner, Role::Owner).await.unwrap().sessions_ended, 0);
    tx.commit().await.unwrap();
    assert_eq!(people.role(owner).await.as_deref(), Some("owner"));
}

#[tokio::test]
async fn of_two_owners_who_remove_each_other_at_once_one_stays() {
    let people = People::new().await;
    let (one, other) =
        (people.member("one@users.test", Role::Owner).await, people.member("other@users.test", Role::Owner).await);
    for round in 0..3 {
        let act = async |tx: &Tx, actor: UserId, victim: UserId| match round {
            0 => memberships::remove(tx, actor, victim, KeysMade::GoOn).await.map(drop),
            1 => memberships::change_role(tx, actor, victim, Role::Viewer).await.map(drop),
            _ => memberships::leave(tx, actor).await.map(drop),
        };
        // Each with a pool, and so a connection, of its own.
        let (first, second) = (people.tx().await, people.tx().await);
        let backend: i32 = second.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        act(&first, one, other).await.unwrap();
        let waiting = async {
            let blocked = "select cardinality(pg_blocking_pids($1))::bigint";
            while people.scene.number(blocked, &[&backend]).await == 0 {}
            first.rollback().await.unwrap();
        };
        // Undone, it is as if the first had never been; committed, nobody else may go.
        let (gone, ()) = tokio::join!(act(&second, other, one), waiting);
        gone.unwrap();
        second.rollback().await.unwrap();

        let (first, second) = (people.tx().await, people.tx().await);
        let backend: i32 = second.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        act(&first, one, other).await.unwrap();
        let waiting = async {
            let blocked = "select cardinality(pg_blocking_pids($1))::bigint";
            while people.scene.number(blocked, &[&backend]).await == 0 {}
            first.commit().await.unwrap();
        };
        let (gone, ()) = tokio::join!(act(&second, other, one), waiting);
        match (round, gone) {
            // Whoever was removed or is something else now acts no more.
            (0, Err(Error::Unauthorized)) | (1, Err(Error::Forbidden(_))) => {}
            (_, gone) => assert_eq!(conflict(gone), "last_owner"),
        }
        second.rollback().await.unwrap();
        let owners = "select count(*) from memberships where organization_id = $1 and role = 'owner'";
        assert_eq!(people.scene.number(owners, &[&people.scene.organization]).await, 1);
        for user in [one, other] {
            people
                .scene
                .run(
                    "insert into memberships (organization_id, user_id, role) values ($1, $2, 'owner')
                         on conflict on constraint memberships_pkey do update set role = 'owner'",
                    &[&people.scene.organization, &user],
                )
                .await;
        }
    }
}

#[tokio::test]
async fn sessions_end_on_a_change_of_role_and_on_removal() {
    let people = People::new().await;
    let organization = people.scene.organization;
    let (other, _) = people.scene.another_organization("other").await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    let (changed, removed, gone) = (
        people.member("changed@users.test", Role::Member).await,
        people.member("removed@users.test", Role::Member).await,
        people.member("gone@users.test", Role::Viewer).await,
    );
    for user in [changed, removed, gone] {
        people.join(other, user, Role::Member).await;
        for organization in [organization, organization, other] {
            people.session(organization, user).await;
        }
    }
    let tx = people.tx().await;
    // What changes nothing ends nothing.
    assert_eq!(memberships::change_role(&tx, owner, changed, Role::Member).await.unwrap().sessions_ended, 0);
    assert_eq!(memberships::change_role(&tx, owner, changed, Role::Admin).await.unwrap().sessions_ended, 2);
    assert_eq!(memberships::remove(&tx, owner, removed, KeysMade::GoOn).await.unwrap().sessions_ended, 2);
    assert_eq!(memberships::leave(&tx, gone).await.unwrap().sessions_ended, 2);
    tx.commit().await.unwrap();
    for user in [changed, removed, gone] {
        assert_eq!(people.open_sessions(user).await, 1, "in the other organization nothing has changed");
    }
}

#[tokio::test]
async fn members_are_listed_and_nobody_elses() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    let member = people.member("member@users.test", Role::Member).await;
    let (other, _) = people.scene.another_organization("other").await;
    let stranger = people.user("stranger@users.test").await;
    people.join(other, stranger, Role::Owner).await;
    let tx = people.tx().await;
    let listed = memberships::list(&tx, None, 10).await.unwrap();
    let seen: Vec<_> = listed.iter().map(|member| (member.user_id, member.email.as_str(), member.role)).collect();
    assert_eq!(seen, [(member, "member@users.test", Role::Member), (owner, "owner@users.test", Role::Owner)]);
    assert_eq!(memberships::list(&tx, Some(member), 10).await.unwrap().len(), 1);
    assert_eq!(memberships::list(&tx, None, 1).await.unwrap().len(), 1);
    for attempt in [
        memberships::find(&tx, stranger).await.map(|_| ()),
        memberships::change_role(&tx, owner, stranger, Role::Viewer).await.map(|_| ()),
        memberships::remove(&tx, owner, stranger, KeysMade::GoOn).await.map(|_| ()),
        memberships::leave(&tx, stranger).await.map(|_| ()),
    ] {
        assert!(matches!(attempt, Err(Error::NotFound("member"))));
    }
    tx.commit().await.unwrap();
    let kept = "select count(*) from memberships where organization_id = $1 and role = 'owner'";
    assert_eq!(people.scene.number(kept, &[&other]).await, 1);
}

#[tokio::test]
async fn what_whoever_acts_may_do_is_read_behind_the_lock() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    let admin = people.member("admin@users.test", Role::Admin).await;
    let viewer = people.member("viewer@users.test", Role::Viewer).await;
    // The admin is authenticated, and then the owner takes the role away.
    let (first, second) = (people.tx().await, people.tx().await);
    let backend: i32 = second.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    memberships::change_role(&first, owner, admin, Role::Member).await.unwrap();
    let waiting = async {
        let blocked = "select cardinality(pg_blocking_pids($1))::bigint";
        while people.scene.number(blocked, &[&backend]).await == 0 {}
        first.commit().await.unwrap();
    };
    let (refused, ()) = tokio::join!(memberships::remove(&second, admin, viewer, KeysMade::GoOn), waiting);
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    drop(second);
    assert_eq!(people.role(viewer).await.as_deref(), Some("viewer"));
    let tx = people.tx().await;
    memberships::remove(&tx, owner, admin, KeysMade::GoOn).await.unwrap();
    let gone = memberships::change_role(&tx, admin, viewer, Role::Admin).await;
    assert!(matches!(gone, Err(Error::Unauthorized)), "{gone:?}");
}

#[tokio::test]
async fn an_owner_who_is_disabled_is_not_the_other_owner() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    let other = people.member("other@users.test", Role::Owner).await;
    people.scene.run("update users set disabled_at = now() where id = $1", &[&other]).await;
    let tx = people.tx().await;
    assert_eq!(conflict(memberships::leave(&tx, owner).await), "last_owner");
    assert_eq!(conflict(memberships::change_role(&tx, owner, owner, Role::Admin).await), "last_owner");
    tx.commit().await.unwrap();
    people.scene.run("update users set disabled_at = null where id = $1", &[&other]).await;
    let tx = people.tx().await;
    memberships::leave(&tx, owner).await.unwrap();
}

#[tokio::test]
async fn the_keys_of_whoever_is_removed_are_told_and_revoked_where_that_is_asked_for() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    let (one, other) =
        (people.member("one@users.test", Role::Admin).await, people.member("other@users.test", Role::Admin).await);
    for (made_by, state) in [
        (one, "null, null"),
        (one, "now(), null"),
        (one, "null, clock_now()"),
        (other, "null, null"),
        (other, "null, null"),
    ] {
        let sql = format!(
            "insert into api_keys (organization_id, id, name, prefix, key_hash, created_by, revoked_at, expires_at)
             select $1, id, 'key', 'mk_live_', sha256(id::text::bytea), $2, {state} from gen_random_uuid() as id"
        );
        people.scene.run(&sql, &[&people.scene.organization, &made_by]).await;
    }
    let open = "select count(*) from api_keys where revoked_at is null and expires_at is null";
    let before = people.scene.number(open, &[]).await;
    let tx = people.tx().await;
    assert_eq!(memberships::remove(&tx, owner, one, KeysMade::GoOn).await.unwrap().api_keys.len(), 1);
    tx.commit().await.unwrap();
    assert_eq!(people.scene.number(open, &[]).await, before);
    let tx = people.tx().await;
    assert_eq!(memberships::remove(&tx, owner, other, KeysMade::Revoked).await.unwrap().api_keys.len(), 2);
    tx.commit().await.unwrap();
    assert_eq!(people.scene.number(open, &[]).await, before - 2);
}

#[tokio::test]
async fn whoever_was_taken_out_or_narrowed_since_they_were_let_in_makes_no_key() {
    let people = People::new().await;
    let admin = people.member("admin@users.test", Role::Admin).await;
    let session = people.session(people.scene.organization, admin).await;
    let person = Rights::Person { user: admin, session, role: Role::Admin, is_admin: false };
    let new = |scopes: Option<&str>| NewKeyFields {
        name: "n8n".to_owned(),
        mode: None,
        scopes: scopes.map(|scope| vec![scope.to_owned()]),
        expires_at: None,
    };
    let tx = people.tx().await;
    let (key, _) = api_keys::issue(&tx, &person, &new(None)).await.unwrap();
    tx.commit().await.unwrap();
    let program =
        Rights::Key { id: key.id, mode: key.mode, scopes: Scopes::stored(key.scopes.clone()), expires_at: None };

    people.scene.run("update api_keys set scopes = '{api_keys:write}'", &[]).await;
    let tx = people.tx().await;
    let refused = api_keys::issue(&tx, &program, &new(None)).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{:?}", refused.err());
    people.scene.run("update api_keys set revoked_at = now()", &[]).await;
    for refused in [
        api_keys::issue(&tx, &program, &new(Some("contacts:read"))).await.err(),
        api_keys::rotate(&tx, &program, key.id, &Rotation::default()).await.err(),
        api_keys::update(&tx, &program, key.id, KeyFields::default()).await.err(),
        api_keys::revoke(&tx, &program, key.id).await.err(),
    ] {
        assert!(matches!(refused, Some(Error::Unauthorized)), "{refused:?}");
    }
    people.scene.run("update memberships set role = 'member' where user_id = $1", &[&admin]).await;
    let refused = api_keys::issue(&tx, &person, &new(None)).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{:?}", refused.err());
    people.scene.run("delete from memberships where user_id = $1", &[&admin]).await;
    let refused = api_keys::issue(&tx, &person, &new(None)).await;
    assert!(matches!(refused, Err(Error::Unauthorized)), "{:?}", refused.err());
}
