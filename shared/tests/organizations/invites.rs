use chrono::Duration;
use shared::platform::invites::{self, Invite, NewInvite, Status};
use shared::platform::memberships::Role;
use shared::{Error, InviteId, Tx, UserId};
use testkit::scene::wednesday_morning;

use crate::people::{People, conflict, invalid};

fn new(email: &str, role: Role) -> NewInvite {
    NewInvite { email: email.to_owned(), role }
}

async fn invite(people: &People, email: &str, role: Role) -> Invite {
    let owner = people.acting(Role::Owner).await;
    let tx = people.tx().await;
    let invite = invites::create(&tx, owner, &new(email, role)).await.unwrap();
    tx.commit().await.unwrap();
    invite
}

/// A transaction of the function that logs people in.
async fn identity(people: &People) -> Tx {
    people.scene.db.as_role("martlet_identity").begin(people.scene.organization).await.unwrap()
}

async fn accept(people: &People, id: InviteId, user: UserId) -> shared::Result<Role> {
    let tx = identity(people).await;
    let accepted = invites::accept(&tx, id, user).await?;
    tx.commit().await?;
    assert_eq!((accepted.organization, accepted.invite), (people.scene.organization, id));
    Ok(accepted.role)
}

#[tokio::test]
async fn an_invite_is_accepted_once_by_the_address_that_it_was_sent_to() {
    let people = People::new().await;
    let made = invite(&people, "New.Person@Users.test", Role::Member).await;
    assert_eq!((made.status, made.mails, made.expires_at), (Status::Open, 1, wednesday_morning() + Duration::days(7)));
    let db = people.scene.db.as_role("martlet_identity");
    assert_eq!(invites::organization_of(&db, made.id).await.unwrap(), people.scene.organization);
    let tx = identity(&people).await;
    let shown = invites::show(&tx, made.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((shown.organization_name.as_str(), shown.role, shown.status), ("acme", Role::Member, Status::Open));

    let somebody_else = people.user("else@users.test").await;
    assert_eq!(conflict(accept(&people, made.id, somebody_else).await), "invite_for_another_address");
    let person = people.user("new.person@users.test").await;
    people.scene.run("update users set email_verified_at = null where id = $1", &[&person]).await;
    assert_eq!(conflict(accept(&people, made.id, person).await), "invite_for_another_address");
    people.scene.run("update users set email_verified_at = now(), disabled_at = now() where id = $1", &[&person]).await;
    assert_eq!(conflict(accept(&people, made.id, person).await), "invite_for_another_address");
    people.scene.run("update users set disabled_at = null where id = $1", &[&person]).await;
    assert_eq!(people.role(person).await, None);

    assert_eq!(accept(&people, made.id, person).await.unwrap(), Role::Member);
    assert_eq!(people.role(person).await.as_deref(), Some("member"));
    assert_eq!(conflict(accept(&people, made.id, person).await), "invite_used");
    let tx = people.tx().await;
    let found = invites::find(&tx, made.id).await.unwrap();
    assert_eq!((found.status, found.accepted_by), (Status::Accepted, Some(person)));
    let owner = people.acting(Role::Owner).await;
    for ended in [invites::revoke(&tx, owner, made.id).await, invites::resend(&tx, owner, made.id).await] {
        assert_eq!(conflict(ended), "invite_used");
    }
}

#[tokio::test]
async fn an_invite_is_mailed_with_a_link_that_is_kept_nowhere_and_taken_back_with_it() {
    let people = People::new().await;
    let inviter = people.member("ada@users.test", Role::Owner).await;
    people.scene.run("update users set first_name = 'Ada', last_name = 'L.' where id = $1", &[&inviter]).await;
    let tx = people.tx().await;
    let made = invites::create(&tx, inviter, &new("new@users.test", Role::Member)).await.unwrap();
    invites::resend(&tx, inviter, made.id).await.unwrap();
    tx.commit().await.unwrap();
    let sql = "select m.recipient, m.state, s.template, s.action_purpose, s.variables::text
                 from messages m join system_mails s on s.organization_id = m.organization_id and s.message_id = m.id
                where s.action_id = $1 order by m.dedupe_key";
    let mails = people.scene.rows(sql, &[&made.id]).await;
    assert_eq!(mails.len(), 2);
    let mail: [&str; 5] = std::array::from_fn(|column| mails[1].get(column));
    let variables = r#"{"role": "member", "inviter": "Ada L.", "organization": "acme"}"#;
    assert_eq!(mail, ["new@users.test", "scheduled", "invite", "invite", variables]);
    let tx = people.tx().await;
    invites::revoke(&tx, inviter, made.id).await.unwrap();
    tx.commit().await.unwrap();
    let states = people.scene.rows(sql, &[&made.id]).await;
    assert!(states.iter().all(|row| row.get::<_, &str>(1) == "cancelled"));
}

#[tokio::test]
async fn of_two_who_accept_at_once_one_does() {
    let people = People::new().await;
    let made = invite(&people, "new@users.test", Role::Viewer).await;
    let person = people.user("new@users.test").await;
    let (one, other) = tokio::join!(accept(&people, made.id, person), accept(&people, made.id, person));
    let refused = if one.is_err() { one } else { other };
    assert_eq!(conflict(refused), "invite_used");
    let joined = "select count(*) from memberships where user_id = $1";
    assert_eq!(people.scene.number(joined, &[&person]).await, 1);
}

#[tokio::test]
async fn an_invite_expires_after_seven_days_and_lives_on_when_it_is_sent_again() {
    let people = People::new().await;
    let made = invite(&people, "new@users.test", Role::Member).await;
    let person = people.user("new@users.test").await;
    let end = wednesday_morning() + Duration::days(7);
    people.scene.db.set_clock(end).await;
    assert_eq!(conflict(accept(&people, made.id, person).await), "invite_expired");
    let admin = people.acting(Role::Admin).await;
    let tx = people.tx().await;
    assert_eq!(invites::find(&tx, made.id).await.unwrap().status, Status::Expired);
    let renewed = invites::resend(&tx, admin, made.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((renewed.status, renewed.mails, renewed.expires_at), (Status::Open, 2, end + Duration::days(7)));
    people.scene.db.set_clock(end + Duration::days(7) - Duration::seconds(1)).await;
    assert_eq!(accept(&people, made.id, person).await.unwrap(), Role::Member);
}

#[tokio::test]
async fn an_address_has_one_open_invite_and_a_revoked_one_opens_nothing() {
    let people = People::new().await;
    let made = invite(&people, "new@users.test", Role::Member).await;
    let admin = people.acting(Role::Admin).await;
    let tx = people.tx().await;
    let again = invites::create(&tx, admin, &new("NEW@users.test", Role::Viewer)).await;
    assert_eq!(conflict(again), "invite_open");
    drop(tx);
    let tx = people.tx().await;
    assert_eq!(invites::revoke(&tx, admin, made.id).await.unwrap().status, Status::Revoked);
    assert_eq!(invites::revoke(&tx, admin, made.id).await.unwrap().status, Status::Revoked);
    assert_eq!(conflict(invites::resend(&tx, admin, made.id).await), "invite_revoked");
    tx.commit().await.unwrap();
    let person = people.user("new@users.test").await;
    assert_eq!(conflict(accept(&people, made.id, person).await), "invite_revoked");
    // Another one can be made, now and when that one has expired.
    let second = invite(&people, "new@users.test", Role::Viewer).await;
    people.scene.db.set_clock(wednesday_morning() + Duration::days(8)).await;
    let third = invite(&people, "new@users.test", Role::Admin).await;
    assert_eq!(conflict(accept(&people, second.id, person).await), "invite_revoked");
    assert_eq!(accept(&people, third.id, person).await.unwrap(), Role::Admin);
}

#[tokio::test]
async fn who_invites_gives_no_more_than_they_may_and_writes_to_nobody_without_end() {
    let people = People::new().await;
    let (owner, admin) = (people.acting(Role::Owner).await, people.acting(Role::Admin).await);
    let tx = people.tx().await;
    assert_eq!(conflict(invites::create(&tx, admin, &new("new@users.test", Role::Owner)).await), "owner_needed");
    assert_eq!(invalid(invites::create(&tx, owner, &new("nobody", Role::Viewer)).await), ["email no_at"]);
    let owners = invites::create(&tx, owner, &new("new@users.test", Role::Owner)).await.unwrap();
    assert_eq!(conflict(invites::resend(&tx, admin, owners.id).await), "owner_needed");
    assert_eq!(conflict(invites::revoke(&tx, admin, owners.id).await), "owner_needed");
    for mails in 2..=5 {
        assert_eq!(invites::resend(&tx, owner, owners.id).await.unwrap().mails, mails);
    }
    assert_eq!(conflict(invites::resend(&tx, owner, owners.id).await), "too_many_mails");
    tx.commit().await.unwrap();
    people
        .scene
        .run(
            "insert into invites (organization_id, id, email, role, expires_at)
             select $1, gen_random_uuid(), n || '@users.test', 'viewer', $2 from generate_series(1, 99) as n",
            &[&people.scene.organization, &(wednesday_morning() + Duration::days(1))],
        )
        .await;
    let tx = people.tx().await;
    let one_more = invites::create(&tx, owner, &new("more@users.test", Role::Viewer)).await;
    assert_eq!(conflict(one_more), "too_many_invites");
}

#[tokio::test]
async fn an_invite_tells_nobody_whether_an_address_has_an_account() {
    let people = People::new().await;
    let (other, _) = people.scene.another_organization("other").await;
    let known = people.user("known@users.test").await;
    people.join(other, known, Role::Owner).await;
    let described = async |email: &str| {
        let made = invite(&people, email, Role::Member).await;
        let tx = identity(&people).await;
        let shown = invites::show(&tx, made.id).await.unwrap();
        tx.commit().await.unwrap();
        let text = format!("{}\n{}", serde_json::to_string(&made).unwrap(), serde_json::to_string(&shown).unwrap());
        text.replace(email, "ADDRESS").replace(&made.id.to_string(), "ID")
    };
    let (with, without) = (described("known@users.test").await, described("unknown@users.test").await);
    let without_time = |text: String| {
        text.split("\"created_at\"")
            .map(|part| part.split_once(['}', ',']).map_or("", |(_, rest)| rest))
            .collect::<String>()
    };
    assert_eq!(without_time(with), without_time(without));
    // Those who belong to the organization are on the list of its members anyway.
    people.member("here@users.test", Role::Viewer).await;
    let owner = people.acting(Role::Owner).await;
    let tx = people.tx().await;
    let member = invites::create(&tx, owner, &new("Here@users.test", Role::Admin)).await;
    assert_eq!(conflict(member), "already_member");
}

#[tokio::test]
async fn invites_of_others_are_not_found_and_lead_nowhere_while_the_organization_is_not_active() {
    let people = People::new().await;
    let made = invite(&people, "new@users.test", Role::Member).await;
    let person = people.user("new@users.test").await;
    let (other, _) = people.scene.another_organization("other").await;
    let owner = people.user("owner@other.test").await;
    people.join(other, owner, Role::Owner).await;
    let tx = people.scene.db.app().begin(other).await.unwrap();
    for attempt in [
        invites::find(&tx, made.id).await,
        invites::revoke(&tx, owner, made.id).await,
        invites::resend(&tx, owner, made.id).await,
    ] {
        assert!(matches!(attempt, Err(Error::NotFound("invite"))));
    }
    assert!(invites::list(&tx, None, 10).await.unwrap().is_empty());
    drop(tx);
    let db = people.scene.db.as_role("martlet_identity");
    let tx = db.begin(other).await.unwrap();
    assert!(matches!(invites::accept(&tx, made.id, person).await, Err(Error::NotFound("invite"))));
    drop(tx);
    assert!(matches!(invites::organization_of(&db, InviteId::fresh()).await, Err(Error::NotFound("invite"))));
    people
        .scene
        .run("update organizations set status = 'suspended' where id = $1", &[&people.scene.organization])
        .await;
    assert!(matches!(accept(&people, made.id, person).await, Err(Error::NotFound("invite"))));
    assert_eq!(people.role(person).await, None);
}

#[tokio::test]
async fn who_is_a_member_already_keeps_their_role() {
    let people = People::new().await;
    let made = invite(&people, "new@users.test", Role::Viewer).await;
    let person = people.member("new@users.test", Role::Admin).await;
    assert_eq!(accept(&people, made.id, person).await.unwrap(), Role::Admin);
    assert_eq!(people.role(person).await.as_deref(), Some("admin"));
}

#[tokio::test]
async fn nobody_is_mailed_without_end_by_invites_that_are_taken_back() {
    let people = People::new().await;
    let owner = people.acting(Role::Owner).await;
    let give_and_take = async |email: &str| {
        let tx = people.tx().await;
        let made = invites::create(&tx, owner, &new(email, Role::Viewer)).await?;
        // It has left.
        tx.commit().await?;
        people.scene.run("update messages set state = 'sent' where kind = 'system'", &[]).await;
        let tx = people.tx().await;
        invites::revoke(&tx, owner, made.id).await?;
        tx.commit().await
    };
    for _ in 0..5 {
        give_and_take("victim@users.test").await.unwrap();
    }
    assert_eq!(conflict(give_and_take("Victim@users.test").await), "too_many_mails");
    // Nor by another organization.
    let (other, _) = people.scene.another_organization("other").await;
    let stranger = people.user("stranger@users.test").await;
    people.join(other, stranger, Role::Owner).await;
    let tx = people.scene.db.app().begin(other).await.unwrap();
    let refused = invites::create(&tx, stranger, &new("victim@users.test", Role::Viewer)).await;
    assert_eq!(conflict(refused), "too_many_mails");
    drop(tx);
    people.scene.run("update system_mails set created_at = created_at - interval '1 day'", &[]).await;
    give_and_take("victim@users.test").await.unwrap();
}

#[tokio::test]
async fn an_organization_makes_a_bounded_number_of_invites_a_day_those_taken_back_among_them() {
    let people = People::new().await;
    let owner = people.acting(Role::Owner).await;
    people.scene.run("update system_config set value = '3' where key = 'made_in_a_day'", &[]).await;
    let make = async |n: u8| {
        let tx = people.tx().await;
        let made = invites::create(&tx, owner, &new(&format!("person{n}@users.test"), Role::Viewer)).await?;
        invites::revoke(&tx, owner, made.id).await?;
        tx.commit().await
    };
    for n in 0..3 {
        make(n).await.unwrap();
    }
    assert_eq!(conflict(make(4).await), "too_many_invites");
    people.scene.run("update invites set created_at = created_at - interval '1 day'", &[]).await;
    make(5).await.unwrap();
}

#[tokio::test]
async fn whoever_has_lost_their_role_meanwhile_invites_and_revokes_nobody() {
    let people = People::new().await;
    let made = invite(&people, "new@users.test", Role::Member).await;
    let admin = people.acting(Role::Admin).await;
    for (change, is_member) in [
        ("update memberships set role = 'viewer' where user_id = $1", true),
        ("delete from memberships where user_id = $1", false),
    ] {
        people.scene.run(change, &[&admin]).await;
        let tx = people.tx().await;
        for refused in [
            invites::create(&tx, admin, &new("else@users.test", Role::Viewer)).await,
            invites::resend(&tx, admin, made.id).await,
            invites::revoke(&tx, admin, made.id).await,
        ] {
            match refused {
                Err(Error::Forbidden(_)) => assert!(is_member),
                Err(Error::Unauthorized) => assert!(!is_member),
                other => panic!("{other:?}"),
            }
        }
    }
}
