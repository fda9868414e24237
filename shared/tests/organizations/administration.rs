use shared::platform::administration::health::{self, Queue};
use shared::platform::administration::organizations::{self, Administrator, Plan};
use shared::platform::administration::{self, users};
use shared::platform::memberships::Role;
use shared::platform::organizations::deleting;
use shared::{Database, Error, OrganizationId, Tx, UserId};

use crate::people::{People, conflict};

/// An administrator, and a transaction of the function that they work by.
async fn administrator(people: &People, email: &str) -> UserId {
    let user = people.member(email, Role::Owner).await;
    people.scene.run("update users set is_admin = true where id = $1", &[&user]).await;
    user
}

fn role(people: &People) -> Database {
    people.scene.db.as_role("martlet_admin")
}

async fn tx(people: &People) -> Tx {
    role(people).begin(people.scene.organization).await.unwrap()
}

#[tokio::test]
async fn organizations_are_found_with_what_they_are_and_have_sent() {
    let people = People::new().await;
    administrator(&people, "admin@users.test").await;
    let (other, _) = people.scene.another_organization("other").await;
    let stranger = people.user("stranger@users.test").await;
    people.join(other, stranger, Role::Owner).await;
    for (days, sent) in [(0, 5_i64), (29, 7), (30, 100)] {
        people
            .scene
            .run(
                "insert into daily_stats (organization_id, day, sent) values ($1, (clock_now() at time zone 'UTC')::date - $2::integer, $3)",
                &[&other, &days, &sent],
            )
            .await;
    }
    let delta = "insert into daily_stats_deltas (organization_id, day, sent) values ($1, clock_now()::date, 2)";
    people.scene.run(delta, &[&other]).await;
    let tx = tx(&people).await;
    let all = organizations::list(&tx, None, None, 10).await.unwrap();
    let slugs: Vec<&str> = all.iter().map(|organization| organization.slug.as_str()).collect();
    assert_eq!(slugs, ["other", "acme", "default"]);
    assert_eq!(
        (all[0].members, all[0].sent_30_days, all[0].owners.as_slice()),
        (1, 14, &["stranger@users.test".to_owned()][..])
    );
    let older = organizations::list(&tx, None, Some(all[0].id), 1).await.unwrap();
    assert_eq!(older[0].slug, "acme");
    for sought in ["OTH", "the"] {
        let found = organizations::list(&tx, Some(sought), None, 10).await.unwrap();
        assert_eq!(found.len(), 1, "{sought}");
    }
    // What stands for anything elsewhere stands for itself here.
    assert!(organizations::list(&tx, Some("%"), None, 10).await.unwrap().is_empty());
    assert_eq!(organizations::find(&tx, other).await.unwrap().slug, "other");
    let missing = organizations::find(&tx, OrganizationId::fresh()).await;
    assert!(matches!(missing, Err(Error::NotFound("organization"))));
}

#[tokio::test]
async fn plan_and_suspension_are_set_and_recorded_in_the_organization() {
    let people = People::new().await;
    let admin = administrator(&people, "admin@users.test").await;
    let by = Administrator { user: admin, request_id: Some("request") };
    let (other, _) = people.scene.another_organization("other").await;
    let tx = tx(&people).await;
    assert_eq!(organizations::set_plan(&tx, other, Plan::Pro, by).await.unwrap().plan_type, Plan::Pro);
    for _ in 0..2 {
        assert_eq!(organizations::suspend(&tx, other, by).await.unwrap().status, "suspended");
    }
    for _ in 0..2 {
        assert_eq!(organizations::resume(&tx, other, by).await.unwrap().status, "active");
    }
    assert_eq!(conflict(organizations::suspend(&tx, people.scene.organization, by).await), "own_organization");
    let missing = organizations::set_plan(&tx, OrganizationId::fresh(), Plan::Free, by).await;
    assert!(matches!(missing, Err(Error::NotFound("organization"))));
    tx.commit().await.unwrap();
    let acts = "select action, details::text from audit_log where organization_id = $1 and actor_id = $2 and request_id = 'request' order by created_at, id";
    let acts = people.scene.rows(acts, &[&other, &admin]).await;
    let acts: Vec<(&str, &str)> = acts.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        acts,
        [
            (
                "organization.plan_set",
                r#"{"by": "installation", "after": {"plan_type": "pro", "plan_source": "administrator"}, "before": {"plan_type": "enterprise", "plan_source": "administrator"}}"#
            ),
            (
                "organization.suspended",
                r#"{"by": "installation", "after": {"status": "suspended"}, "before": {"status": "active"}}"#
            ),
            (
                "organization.resumed",
                r#"{"by": "installation", "after": {"status": "active"}, "before": {"status": "suspended"}}"#
            ),
        ]
    );
    people
        .scene
        .run(
            "update organizations set status = 'deleting', deletion_id = gen_random_uuid(), delete_after = now() where id = $1",
            &[&other],
        )
        .await;
}

#[tokio::test]
async fn an_organization_that_is_suspended_while_it_is_being_deleted_comes_back_suspended() {
    let people = People::new().await;
    let admin = administrator(&people, "admin@users.test").await;
    let by = Administrator { user: admin, request_id: Some("request") };
    let (other, _) = people.scene.another_organization("other").await;
    let owner = people.user("owner@other.test").await;
    people.join(other, owner, Role::Owner).await;
    for (is_resumed, expected) in [(true, "active"), (false, "suspended")] {
        let there = people.scene.db.app().begin(other).await.unwrap();
        let deletion = deleting::schedule(&there, other, "other", owner).await.unwrap();
        there.commit().await.unwrap();
        let tx = tx(&people).await;
        for _ in 0..2 {
            assert_eq!(organizations::suspend(&tx, other, by).await.unwrap().status, "deleting");
        }
        if is_resumed {
            assert_eq!(organizations::resume(&tx, other, by).await.unwrap().status, "deleting");
        }
        tx.commit().await.unwrap();
        let there = people.scene.db.app().begin(other).await.unwrap();
        assert_eq!(deleting::restore(&there, deletion.id).await.unwrap().status, expected);
        there.commit().await.unwrap();
    }
    let acts = "select count(*) from audit_log where organization_id = $1 and actor_id = $2 and action = 'organization.suspended'";
    assert_eq!(people.scene.number(acts, &[&other, &admin]).await, 2);
}

#[tokio::test]
async fn whoever_is_no_owner_any_more_deletes_nothing() {
    let people = People::new().await;
    let owner = people.member("owner@users.test", Role::Owner).await;
    people.scene.run("update memberships set role = 'admin' where user_id = $1", &[&owner]).await;
    let tx = people.tx().await;
    let refused = deleting::schedule(&tx, people.scene.organization, "acme", owner).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
}

#[tokio::test]
async fn the_last_administrator_stays_and_whoever_is_promoted_is_trusted() {
    let people = People::new().await;
    let admin = administrator(&people, "admin@users.test").await;
    let person = people.member("person@users.test", Role::Viewer).await;
    people.session(people.scene.organization, person).await;
    let tx = tx(&people).await;
    for attempt in [users::demote(&tx, admin).await, users::disable(&tx, admin).await] {
        assert_eq!(conflict(attempt), "last_administrator");
    }
    assert!(!users::demote(&tx, person).await.unwrap().is_new);
    assert!(users::promote(&tx, person).await.unwrap().user.is_admin);
    assert!(!users::promote(&tx, person).await.unwrap().is_new);
    // One who can't log in does not count.
    assert!(users::disable(&tx, person).await.unwrap().user.disabled_at.is_some());
    assert_eq!(conflict(users::demote(&tx, admin).await), "last_administrator");
    assert!(users::enable(&tx, person).await.unwrap().user.disabled_at.is_none());
    assert!(users::demote(&tx, admin).await.unwrap().is_new);
    assert_eq!(conflict(users::demote(&tx, person).await), "last_administrator");
    assert!(matches!(users::promote(&tx, UserId::fresh()).await, Err(Error::NotFound("user"))));
    tx.commit().await.unwrap();
    assert_eq!(people.open_sessions(person).await, 0, "rights have changed");
    people.scene.run("update users set email_verified_at = null where id = $1", &[&admin]).await;
    let tx = role(&people).begin(people.scene.organization).await.unwrap();
    assert_eq!(conflict(users::promote(&tx, admin).await), "email_not_confirmed");
    users::disable(&tx, admin).await.unwrap();
    assert_eq!(conflict(users::promote(&tx, admin).await), "user_disabled");
}

#[tokio::test]
async fn of_two_administrators_who_are_demoted_at_once_one_stays() {
    let people = People::new().await;
    let (one, other) =
        (administrator(&people, "one@users.test").await, administrator(&people, "other@users.test").await);
    // Each with a pool, and so a connection, of its own.
    let (first, second) = (tx(&people).await, tx(&people).await);
    let backend: i32 = second.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    users::demote(&first, other).await.unwrap();
    let waiting = async {
        while people.scene.number("select cardinality(pg_blocking_pids($1))::bigint", &[&backend]).await == 0 {}
        first.commit().await.unwrap();
    };
    let (demoted, ()) = tokio::join!(users::demote(&second, one), waiting);
    assert_eq!(conflict(demoted), "last_administrator");
    second.rollback().await.unwrap();
    assert_eq!(people.scene.number("select count(*) from users where is_admin", &[]).await, 1);
}

#[tokio::test]
async fn whoever_is_disabled_is_logged_out_everywhere_and_let_in_nowhere() {
    let people = People::new().await;
    administrator(&people, "admin@users.test").await;
    let (other, _) = people.scene.another_organization("other").await;
    let (person, bystander) =
        (people.member("person@users.test", Role::Admin).await, people.member("by@users.test", Role::Admin).await);
    people.join(other, person, Role::Owner).await;
    for (organization, user) in [(people.scene.organization, person), (other, person), (other, person)] {
        people.session(organization, user).await;
    }
    people.session(people.scene.organization, bystander).await;
    let tx = tx(&people).await;
    users::disable(&tx, person).await.unwrap();
    let belongings = users::belongings(&tx, person).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(belongings.len(), 2);
    assert_eq!((people.open_sessions(person).await, people.open_sessions(bystander).await), (0, 1));
    for login in ["martlet_app", "martlet_identity"] {
        let tx = people.scene.db.as_role(login).begin(other).await.unwrap();
        let sql = "insert into sessions (organization_id, id, user_id, token_hash, expires_at)
                   values ($1, gen_random_uuid(), $2, sha256('x'), now() + interval '1 day')";
        let refused = tx.execute(sql, &[&other, &person]).await.unwrap_err();
        assert_eq!(shared::error::violated_constraint(&refused), Some("sessions_user_check"), "{login}");
    }
}

#[tokio::test]
async fn people_are_found_by_a_part_of_their_address_or_name() {
    let people = People::new().await;
    administrator(&people, "admin@users.test").await;
    let ada = people.user("ada@people.test").await;
    people.scene.run("update users set first_name = 'Ada', last_name = 'Lovelace' where id = $1", &[&ada]).await;
    let tx = tx(&people).await;
    for sought in ["ADA@", "people.test", "a love", "ada lovelace"] {
        let found = users::list(&tx, Some(sought), None, 10).await.unwrap();
        assert_eq!(found.iter().map(|user| user.id).collect::<Vec<_>>(), [ada], "{sought}");
    }
    assert_eq!(users::list(&tx, None, None, 10).await.unwrap().len(), 2);
    assert_eq!(users::list(&tx, None, Some(ada), 10).await.unwrap().len(), 1);
    assert!(users::list(&tx, Some("_"), None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_first_administrator_is_somebody_who_has_signed_up() {
    let people = People::new().await;
    let person = people.user("person@users.test").await;
    let owner = people.scene.db.as_role("owner");
    let make = async |email: &str| {
        let tx = owner.begin(shared::platform::organizations::DEFAULT).await.unwrap();
        let made = users::make_administrator(&tx, email).await?;
        tx.commit().await.map(|()| made)
    };
    assert!(matches!(make("nobody@users.test").await, Err(Error::NotFound("user"))));
    for _ in 0..2 {
        let made = make("Person@Users.test").await.unwrap();
        assert_eq!((made.id, made.is_admin), (person, true));
    }
    let tx = tx(&people).await;
    let log = administration::log(&tx, None, 10).await.unwrap();
    assert_eq!(log.len(), 1, "the second time nothing has changed");
    assert_eq!(
        (log[0].action.as_str(), log[0].subject_id, log[0].actor_kind.as_str()),
        ("user.promoted", Some(person.0), "system")
    );
}

#[tokio::test]
async fn the_state_of_the_installation_is_told_in_numbers() {
    let people = People::new().await;
    let sender = people.scene.sender(1, 50, 0).await;
    let campaign = people.scene.running_campaign(2, &[sender], 1, 50).await;
    for (n, state) in ["scheduled", "unknown"].into_iter().enumerate() {
        let attempted = (state == "unknown").then_some("10 minutes");
        people
            .scene
            .run(
                "insert into messages (organization_id, id, dedupe_key, campaign_id, step_id, sender_id, contact_id, recipient, state,
                                       slot_day, send_at, expires_at, attempt_token, attempted_at)
                 values ($1, gen_random_uuid(), $2, $3, $4, $5, $6, 'p@people.test', $2, current_date, clock_now() - interval '90 seconds',
                         clock_now() + interval '1 hour', gen_random_uuid(), now() - $7::text::interval)",
                &[
                    &people.scene.organization,
                    &state,
                    &campaign.campaign,
                    &campaign.steps[0],
                    &sender,
                    &campaign.contacts[n],
                    &attempted,
                ],
            )
            .await;
    }
    // One delivery is due, one waits, and of an endpoint that is told nothing nobody waits for any.
    let sql = "with endpoint as (
                   insert into webhook_endpoints (organization_id, id, url, status, disabled_reason)
                   select $1, gen_random_uuid(), 'https://example.test/', status, case status when 'disabled' then 'person' end
                     from unnest(array['enabled', 'disabled']) as status
                   returning id
               ), event as (
                   insert into webhook_events (organization_id, id, type, subject_id, occurred_at, data, fanned_out_at)
                   select $1, gen_random_uuid(), 'campaign.paused', $1, now(), '{}', now() from generate_series(1, 2)
                   returning id
               )
               insert into webhook_deliveries (organization_id, id, event_id, endpoint_id, next_attempt_at)
               select $1, gen_random_uuid(), v.id, e.id,
                      now() + case row_number() over (partition by e.id) when 1 then -interval '5 minutes' else interval '1 hour' end
                 from endpoint e cross join event v";
    people.scene.run(sql, &[&people.scene.organization]).await;
    let sql = "insert into jobs (organization_id, id, kind, subject_id, state, completed_at)
               values ($1, $1, 'organization_export', $1, 'completed', now())";
    people.scene.run(sql, &[&people.scene.organization]).await;
    let tx = tx(&people).await;
    let queue =
        Queue { name: "send".to_owned(), waiting: Some(3), in_flight: Some(0), delayed: Some(1), dead_letters: None };
    let health = health::examine(&tx, vec![queue.clone()]).await.unwrap();
    assert_eq!(health.queues, [queue]);
    assert!(health.functions.iter().all(|function| function.last_sign_at.is_none()), "{:?}", health.functions);
    let work: Vec<_> = health.work.iter().map(|work| (work.work.as_str(), work.waiting)).collect();
    assert_eq!(work, [("mails", 1), ("unresolved", 1), ("imports", 0), ("jobs", 0), ("deliveries", 1)]);
    assert_eq!(health.work[0].oldest_seconds, 90);
    assert!(health.work[1].oldest_seconds >= 600);
    assert!(health.work[4].oldest_seconds >= 300);
    let latest = shared::db::migrations::MIGRATIONS.last().unwrap().0;
    assert_eq!(health.database.schema_version, latest[..4].parse::<i32>().unwrap());
    assert!(health.database.size_bytes > 1_000_000);
    assert_eq!((health.breakers[0].account.as_str(), health.breakers[0].state.as_str()), ("ses", "closed"));
    assert_eq!((health.scheduler.runs, health.scheduler.last_run_at), (0, None));
    people.scene.run("update jobs set heartbeat_at = now()", &[]).await;
    let health = health::examine(&tx, Vec::new()).await.unwrap();
    let signs = health.functions.iter().filter(|function| function.last_sign_at.is_some());
    assert_eq!(signs.map(|function| function.name).collect::<Vec<_>>(), ["job_runner"]);
}
