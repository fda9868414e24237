use shared::platform::memberships::{self, Role};
use shared::{Error, Tx, UserId};

use crate::people::{People, conflict};

#[tokio::test]
async fn only_an_owner_makes_and_unmakes_owners() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    let admin = people.member("admin@users.test", Role::Admin).await;
    let member = people.member("member@users.test", Role::Member).await;
    let tx = people.tx().await;
    // An admin manages everybody who is no owner, admins included, and nobody becomes one by an admin.
    for to in [Role::Viewer, Role::Admin, Role::Member] {
        assert_eq!(memberships::change_role(&tx, Role::Admin, member, to).await.unwrap().member.role, to);
    }
    assert_eq!(
        memberships::change_role(&tx, Role::Admin, admin, Role::Member).await.unwrap().member.role,
        Role::Member
    );
    for (user, to) in [(member, Role::Owner), (admin, Role::Owner), (owner, Role::Admin), (owner, Role::Viewer)] {
        assert_eq!(conflict(memberships::change_role(&tx, Role::Admin, user, to).await), "owner_needed");
    }
    assert_eq!(conflict(memberships::remove(&tx, Role::Admin, owner).await), "owner_needed");
    assert_eq!(memberships::change_role(&tx, Role::Owner, admin, Role::Owner).await.unwrap().member.role, Role::Owner);
    assert_eq!(memberships::remove(&tx, Role::Owner, owner).await.unwrap().before, Role::Owner);
    tx.commit().await.unwrap();
    assert_eq!([people.role(owner).await, people.role(admin).await], [None, Some("owner".to_owned())]);
}

#[tokio::test]
async fn the_last_owner_stays_whatever_is_tried() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    people.member("admin@users.test", Role::Admin).await;
    // An owner of another organization is none here.
    let (other, _) = people.scene.another_organization("other").await;
    people.join(other, owner, Role::Owner).await;
    let stranger = people.user("stranger@users.test").await;
    people.join(other, stranger, Role::Owner).await;
    let tx = people.tx().await;
    assert_eq!(conflict(memberships::change_role(&tx, Role::Owner, owner, Role::Admin).await), "last_owner");
    assert_eq!(conflict(memberships::remove(&tx, Role::Owner, owner).await), "last_owner");
    assert_eq!(conflict(memberships::leave(&tx, owner).await), "last_owner");
    // To make an owner what they are changes nothing, and is allowed.
    assert_eq!(memberships::change_role(&tx, Role::Admin, owner, Role::Owner).await.unwrap().sessions_ended, 0);
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
            0 => memberships::remove(tx, Role::Owner, victim).await,
            1 => memberships::change_role(tx, Role::Owner, victim, Role::Viewer).await,
            _ => memberships::leave(tx, actor).await,
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
        assert_eq!(conflict(gone), "last_owner");
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
    people.member("owner@users.test", Role::Owner).await;
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
    assert_eq!(memberships::change_role(&tx, Role::Admin, changed, Role::Member).await.unwrap().sessions_ended, 0);
    assert_eq!(memberships::change_role(&tx, Role::Admin, changed, Role::Admin).await.unwrap().sessions_ended, 2);
    assert_eq!(memberships::remove(&tx, Role::Admin, removed).await.unwrap().sessions_ended, 2);
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
        memberships::change_role(&tx, Role::Owner, stranger, Role::Viewer).await.map(|_| ()),
        memberships::remove(&tx, Role::Owner, stranger).await.map(|_| ()),
        memberships::leave(&tx, stranger).await.map(|_| ()),
    ] {
        assert!(matches!(attempt, Err(Error::NotFound("member"))));
    }
    tx.commit().await.unwrap();
    let kept = "select count(*) from memberships where organization_id = $1 and role = 'owner'";
    assert_eq!(people.scene.number(kept, &[&other]).await, 1);
}
