//! The ledger, read, and its doubtful mails resolved.

use std::sync::Arc;

use axum::http::Method;
use functions::api::{campaigns, messages, senders};
use serde_json::{Value, json};
use shared::delivery::messages::{Kind, State};
use testkit::FakeAccount;

use crate::app::App;
use crate::campaigns::Hints;

/// A ledger of three sent messages and one that failed.
async fn ledger() -> App {
    let app = App::new().await;
    let sender = app.scene.sender(1, 100, 30).await;
    app.scene.running_campaign(4, &[sender], 1, 100).await;
    app.scene
        .run(
            "insert into messages (organization_id, id, dedupe_key, enrollment_id, campaign_id, step_id, contact_id, sender_id,
                                   recipient, state, slot_day, send_at, expires_at)
             select e.organization_id, gen_random_uuid(), e.id::text, e.id, e.campaign_id, s.id, e.contact_id, e.sender_id,
                    c.email, case when c.email like 'person4@%' then 'failed' else 'sent' end, current_date, now(), now()
               from enrollments e
               join steps s on s.campaign_id = e.campaign_id
               join contacts c on c.id = e.contact_id",
            &[],
        )
        .await;
    app
}

#[tokio::test]
async fn the_ledger_is_listed_by_state_in_pages() {
    let app = ledger().await;
    let router = messages::router(app.scene.db.app());
    let all = app.sample(router.clone(), "messages/list", &[]).await.expect(200);
    assert_eq!(all.body["data"].as_array().unwrap().len(), 3);
    assert_eq!(all.body["next_cursor"], Value::Null);

    let first = app.send(router.clone(), Method::GET, "/v1/messages?limit=2", None).await.expect(200);
    let cursor = first.text("/next_cursor").to_owned();
    let path = format!("/v1/messages?limit=2&cursor={cursor}");
    let second = app.send(router.clone(), Method::GET, &path, None).await.expect(200);
    assert_eq!(second.body["data"].as_array().unwrap().len(), 2);
    let other_filter = format!("/v1/messages?state=sent&cursor={cursor}");
    app.send(router.clone(), Method::GET, &other_filter, None).await.expect(400);
    app.send(router.clone(), Method::GET, "/v1/messages?state=lost", None).await.expect(400);
    let none = app.send(router, Method::GET, "/v1/messages?limit=101", None).await.expect(422);
    assert_eq!(none.text("/errors/0/field"), "limit");
}

/// The first letters of the recipients of the answer to a question.
async fn recipients(app: &App, query: &str) -> String {
    let path = format!("/v1/messages?{query}");
    let answer = app.send(messages::router(app.scene.db.app()), Method::GET, &path, None).await.expect(200);
    answer.body["data"].as_array().unwrap().iter().map(|message| &message["recipient"].as_str().unwrap()[..1]).collect()
}

/// Messages to a, b, c and d, planned in the night, at noon and two in the evening; c's has no campaign, b's another step
/// and d's another sender.
async fn mixed_ledger() -> App {
    let app = App::new().await;
    let senders = [app.scene.sender(1, 100, 30).await, app.scene.sender(2, 100, 30).await];
    let campaign = app.scene.running_campaign(4, &senders[..1], 2, 100).await;
    for (n, recipient, kind, step, sender, at) in [
        (1, "a", "campaign", Some(0), 0, "2026-03-01 00:00Z"),
        (2, "b", "campaign", Some(1), 0, "2026-03-01 12:00Z"),
        (3, "c", "direct", None, 0, "2026-03-01 18:00Z"),
        (4, "d", "campaign", Some(0), 1, "2026-03-01 18:00Z"),
    ] {
        let sql = format!(
            "insert into messages (organization_id, id, kind, dedupe_key, enrollment_id, campaign_id, step_id, contact_id, sender_id,
                                   recipient, state, slot_day, send_at, expires_at, created_at)
             select organization_id, md5('message {n}')::uuid, '{kind}', '{n}', id, case when $1::uuid is not null then campaign_id end,
                    $1, contact_id, $2, '{recipient}@people.test', 'sent', current_date, clock_now(), clock_now(), '{at}'
               from enrollments where contact_id = $3"
        );
        let step = step.map(|step: usize| campaign.steps[step]);
        let contact = campaign.contacts[n - 1];
        assert_eq!(app.scene.run(&sql, &[&step, &senders[sender], &contact]).await, 1);
    }
    app
}

#[tokio::test]
async fn the_ledger_is_narrowed_by_what_a_message_belongs_to_and_by_time() {
    let app = mixed_ledger().await;
    let of = async |column: &str, recipient: &str| -> String {
        let sql = format!("select {column}::text from messages where recipient = '{recipient}@people.test'");
        app.scene.rows(&sql, &[]).await[0].get(0)
    };
    assert_eq!(recipients(&app, "to=2026-03-01T18:00:00Z").await, "ba");
    assert_eq!(recipients(&app, "from=2026-03-01T00:00:00Z&to=2026-03-01T12:00:00.001Z").await, "ba");
    assert_eq!(recipients(&app, "from=2026-03-01T13:00:00%2B01:00&to=2026-03-01T18:00:00Z").await, "b");
    assert_eq!(
        recipients(&app, &format!("campaign_id={}&to=2026-03-01T18:00:00Z", of("campaign_id", "a").await)).await,
        "ba"
    );
    assert_eq!(recipients(&app, &format!("step_id={}", of("step_id", "a").await)).await, "da");
    assert_eq!(recipients(&app, &format!("step_id={}", of("step_id", "b").await)).await, "b");
    assert_eq!(recipients(&app, &format!("enrollment_id={}", of("enrollment_id", "b").await)).await, "b");
    assert_eq!(recipients(&app, &format!("contact_id={}", of("contact_id", "c").await)).await, "c");
    assert_eq!(recipients(&app, &format!("sender_id={}", of("sender_id", "d").await)).await, "d");
    assert_eq!(recipients(&app, "kind=direct").await, "c");
    assert_eq!(recipients(&app, "kind=campaign&state=sent").await, "dba");
    assert_eq!(recipients(&app, "kind=system").await, "");
    let stranger = uuid::Uuid::nil();
    for filter in ["campaign_id", "step_id", "enrollment_id", "contact_id", "sender_id"] {
        assert_eq!(recipients(&app, &format!("{filter}={stranger}")).await, "", "{filter}");
    }
    let router = messages::router(app.scene.db.app());
    for bad in [
        "campaign_id=1",
        "step_id=",
        "enrollment_id=me",
        "sender_id=me",
        "kind=letter",
        "state=Sent",
        "from=yesterday",
        "until=1",
    ] {
        let refused = app.send(router.clone(), Method::GET, &format!("/v1/messages?{bad}"), None).await.expect(400);
        assert!(refused.text("/detail").len() > 10, "{bad}: {:#}", refused.body);
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_pass_over_messages_of_one_moment() {
    let app = mixed_ledger().await;
    let all = recipients(&app, "").await;
    assert_eq!(&all[2..], "ba");
    let router = messages::router(app.scene.db.app());
    let (mut seen, mut cursor) = (String::new(), String::new());
    for _ in 0..4 {
        let path = format!("/v1/messages?from=2026-03-01T00:00:00Z&limit=1{cursor}");
        let page = app.send(router.clone(), Method::GET, &path, None).await.expect(200);
        seen += &page.text("/data/0/recipient")[..1];
        cursor = page.body["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    }
    assert_eq!((seen, cursor), (all, String::new()));

    let first = app.send(router.clone(), Method::GET, "/v1/messages?kind=campaign&limit=1", None).await.expect(200);
    let cursor = first.text("/next_cursor").to_owned();
    for other in ["", "kind=direct&", "kind=campaign&state=sent&"] {
        let path = format!("/v1/messages?{other}limit=1&cursor={cursor}");
        app.send(router.clone(), Method::GET, &path, None).await.expect(400);
    }
    let (stranger, _) = app.scene.another_organization("other").await;
    let key = app.scene.api_key_of(stranger).await;
    let path = format!("/v1/messages?kind=campaign&limit=1&cursor={cursor}");
    app.send_as(router.clone(), Method::GET, &path, None, Some(&key)).await.expect(400);
    let none = app.send_as(router, Method::GET, "/v1/messages?kind=campaign", None, Some(&key)).await.expect(200);
    assert_eq!(none.body["data"], json!([]));
}

#[tokio::test]
async fn kinds_and_states_are_those_of_the_schema() {
    let app = App::new().await;
    let kinds: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
    let states: Vec<&str> = State::ALL.into_iter().map(State::name).collect();
    for (constraint, known) in [("messages_kind_check", kinds), ("messages_state_check", states)] {
        let sql = "select pg_get_constraintdef(oid) from pg_constraint where conname = $1";
        let text: String = app.scene.rows(sql, &[&constraint]).await[0].get(0);
        let named: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
        assert_eq!(named, known);
    }
}

/// One message as the API shows it.
async fn shown(app: &App, id: uuid::Uuid) -> Value {
    let path = format!("/v1/messages/{id}");
    app.send(messages::router(app.scene.db.app()), Method::GET, &path, None).await.expect(200).body
}

#[tokio::test]
async fn an_event_tells_who_did_it_and_whether_it_was_a_machine() {
    let app = ledger().await;
    let id: uuid::Uuid = app.scene.rows("select id from messages where state = 'sent'", &[]).await[0].get(0);
    let insert = "insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, ip, user_agent, is_machine, details)
                  select organization_id, gen_random_uuid(), id, told.kind, told.kind || n,
                         '2026-03-04 10:00Z'::timestamptz + n * interval '1 s', ip, user_agent, is_machine, details
                    from messages
                   cross join (values ('delivered', null::inet, null, false, '{}'::jsonb, 1),
                                      ('opened', '192.0.2.7', 'A scanner', true, '{\"machine\": \"scanner\"}', 1),
                                      ('clicked', '2001:db8::7', 'A browser', false, '{\"url\": \"https://example.com/\"}', 120),
                                      ('unsubscribed', '192.0.2.8', 'A browser', false, '{\"scope\": \"everything\"}', 1))
                     as told (kind, ip, user_agent, is_machine, details, times)
                   cross join lateral generate_series(1, times) as n
                   where id = $1";
    app.scene.run(insert, &[&id]).await;
    app.scene
        .run(
            "update messages set opened_at = '2026-03-04 10:01Z', clicked_at = '2026-03-04 10:02Z' where id = $1",
            &[&id],
        )
        .await;
    let message = shown(&app, id).await;
    assert_eq!(message["opened_at"], "2026-03-04T10:01:00.000Z");
    assert_eq!(message["clicked_at"], "2026-03-04T10:02:00.000Z");
    let events = message["events"].as_array().unwrap();
    let first = |kind: &str| {
        let event = events.iter().find(|event| event["kind"] == kind).unwrap();
        assert!(event["id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
        assert_eq!(event["occurred_at"], "2026-03-04T10:00:01.000Z");
        [&event["is_machine"], &event["ip"], &event["user_agent"], &event["details"]].map(Value::clone)
    };
    assert_eq!(first("delivered"), [Value::Null, Value::Null, Value::Null, json!({})]);
    assert_eq!(first("opened"), [json!(true), json!("192.0.2.7"), json!("A scanner"), json!({"machine": "scanner"})]);
    assert_eq!(
        first("clicked"),
        [json!(false), json!("2001:db8::7"), json!("A browser"), json!({"url": "https://example.com/"})]
    );
    assert_eq!(
        first("unsubscribed"),
        [Value::Null, json!("192.0.2.8"), json!("A browser"), json!({"scope": "everything"})]
    );
    let times: Vec<&str> = events.iter().map(|event| event["occurred_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    // The first hundred of a kind, and all that is of other kinds.
    assert_eq!((times.len(), times.last()), (103, Some(&"2026-03-04T10:01:40.000Z")));
}

#[tokio::test]
async fn a_planned_message_does_not_say_that_it_waits_for_its_time_while_something_holds_it() {
    let app = ledger().await;
    let row = app
        .scene
        .rows(
            "update messages set state = 'scheduled', sender_id = (select id from senders limit 1) where state = 'failed'
             returning id, campaign_id, sender_id",
            &[],
        )
        .await
        .remove(0);
    let (id, campaign, sender): (uuid::Uuid, uuid::Uuid, uuid::Uuid) = (row.get(0), row.get(1), row.get(2));
    let wait = "update enrollments set waiting_message_id = $1, next_due_at = null where id = (select enrollment_id from messages where id = $1)";
    app.scene.run(wait, &[&id]).await;
    let plan = "update messages set send_at = clock_now() + interval '1 minute', expires_at = clock_now() + interval '1 hour' where id = $1";
    app.scene.run(plan, &[&id]).await;
    let waits =
        json!({"code": "planned", "message": "It has a slot and waits for its time.", "since": null, "limits": []});
    assert_eq!(shown(&app, id).await["why"], waits);

    let senders = senders::router(app.scene.db.app());
    app.send(senders.clone(), Method::POST, &format!("/v1/senders/{sender}/pause"), None).await.expect(200);
    assert_eq!(shown(&app, id).await["why"]["code"], "sender_paused");
    app.send(senders, Method::POST, &format!("/v1/senders/{sender}/resume"), None).await.expect(200);
    assert_eq!(shown(&app, id).await["why"], waits);

    let campaigns = campaigns::router(app.scene.db.app(), Arc::<Hints>::default(), Arc::<FakeAccount>::default());
    app.send(campaigns, Method::POST, &format!("/v1/campaigns/{campaign}/pause"), None).await.expect(200);
    let paused = shown(&app, id).await["why"].clone();
    assert_eq!(paused["code"], "campaign_paused");
    assert_eq!(paused["since"], "2026-03-04T10:00:00.000Z");

    // Without a slot it says by name what else keeps it from one, and when that ends.
    app.scene.run("update messages set slot_day = null where id = $1", &[&id]).await;
    app.scene.run("update senders set daily_limit = 0", &[]).await;
    app.scene.run("update campaign_settings set window_end = '10:00', send_days = '{wednesday}'", &[]).await;
    let why = shown(&app, id).await["why"].clone();
    assert_eq!(why["code"], "campaign_paused");
    let limits = json!([
        {"name": "sender_daily_limit", "message": "The sender has used up its mails of the day.", "frees_at": null},
        {"name": "window", "message": "The campaign's sending window is closed.", "frees_at": "2026-03-11T09:00:00.000Z"},
    ]);
    assert_eq!(why["limits"], limits);
}

#[tokio::test]
async fn a_message_is_shown_with_its_events_and_to_its_own_organization_alone() {
    let app = ledger().await;
    let router = messages::router(app.scene.db.app());
    let id: uuid::Uuid = app.scene.rows("select id from messages where state = 'sent'", &[]).await[0].get(0);
    app.scene
        .run(
            "insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at)
             values ($1, gen_random_uuid(), $2, 'delivered', 'delivered', now())",
            &[&app.scene.organization, &id],
        )
        .await;
    let shown = app.sample(router.clone(), "messages/find", &[("MESSAGE_ID", &id.to_string())]).await.expect(200);
    assert_eq!(shown.text("/state"), "sent");
    assert_eq!(shown.text("/events/0/kind"), "delivered");
    assert_eq!(shown.text("/why/code"), "accepted");

    let (stranger, _) = app.scene.another_organization("other").await;
    let key = app.scene.api_key_of(stranger).await;
    let path = format!("/v1/messages/{id}");
    app.send_as(router.clone(), Method::GET, &path, None, Some(&key)).await.expect(404);
    app.send_as(router.clone(), Method::GET, &path, None, None).await.expect(401);
    let list = app.send_as(router, Method::GET, "/v1/messages", None, Some(&key)).await.expect(200);
    assert_eq!(list.body["data"], serde_json::json!([]));
}

/// A ledger with a mail in review that its person waits for.
async fn doubtful_ledger() -> (App, uuid::Uuid) {
    let app = ledger().await;
    let sql =
        "update messages set state = 'review', attempts = 1, attempt_token = gen_random_uuid(), attempted_at = now(),
                      slot_day = '2026-03-04'
                where id = (select id from messages where state = 'sent' order by id limit 1) returning id";
    let id: uuid::Uuid = app.scene.rows(sql, &[]).await[0].get(0);
    let wait = "update enrollments set waiting_message_id = $1, next_due_at = null where id = (select enrollment_id from messages where id = $1)";
    app.scene.run(wait, &[&id]).await;
    (app, id)
}

#[tokio::test]
async fn a_mail_in_review_is_listed_until_somebody_resolves_it() {
    let (app, id) = doubtful_ledger().await;
    let router = messages::router(app.scene.db.app());
    let waiting = async || {
        let path = "/v1/messages?state=review&skipped=false";
        let page = app.send(router.clone(), Method::GET, path, None).await.expect(200);
        page.body["data"].as_array().unwrap().len()
    };
    assert_eq!(waiting().await, 1);
    let path = format!("/v1/messages/{id}/resolve");
    for bad in [json!({}), json!({"action": "ignore"}), json!({"action": "skip", "id": id}), json!("skip")] {
        let refused = app.send(router.clone(), Method::POST, &path, Some(bad.clone())).await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{bad}: {:#}", refused.body);
    }
    let skip = Some(json!({"action": "skip"}));
    let skipped = app.send(router.clone(), Method::POST, &path, skip.clone()).await.expect(200);
    assert_eq!((skipped.text("/state"), skipped.text("/why/code")), ("review", "skipped"));
    assert_eq!(skipped.text("/skipped_at"), "2026-03-04T10:00:00.000Z");
    assert_eq!((skipped.text("/events/0/kind"), skipped.text("/events/0/details/api_key_id").len()), ("skipped", 36));
    assert_eq!(waiting().await, 0);
    let again = app.send(router.clone(), Method::POST, &path, skip).await.expect(409);
    assert_eq!(again.text("/code"), "message_skipped");
    let acts = app.scene.rows("select action, subject_id from audit_log", &[]).await;
    let acts: Vec<(String, uuid::Uuid)> = acts.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(acts, [("message.skipped".to_owned(), id)]);
}

#[tokio::test]
async fn mails_in_review_are_resolved_by_their_ids_or_by_their_campaign() {
    let (app, id) = doubtful_ledger().await;
    let router = messages::router(app.scene.db.app());
    let campaign: uuid::Uuid = app.scene.rows("select id from campaigns", &[]).await[0].get(0);
    let send = async |body: Value| app.send(router.clone(), Method::POST, "/v1/messages/resolve", Some(body)).await;
    let many: Vec<uuid::Uuid> = (0..1_001).map(uuid::Uuid::from_u128).collect();
    for bad in [
        json!({"action": "skip"}),
        json!({"action": "skip", "message_ids": []}),
        json!({"action": "skip", "message_ids": many}),
        json!({"action": "skip", "message_ids": [id], "campaign_id": campaign}),
    ] {
        let refused = send(bad).await.expect(422);
        assert_eq!(refused.text("/errors/0/field"), "message_ids");
    }
    send(json!({"action": "skip", "campaign_id": uuid::Uuid::nil()})).await.expect(404);
    let stranger = uuid::Uuid::nil();
    let named = send(json!({"action": "resend", "message_ids": [stranger, id]})).await.expect(200);
    let expected = json!({"resolved": [id], "passed_over": [{"id": stranger, "code": "not_found"}], "has_more": false});
    assert_eq!(named.body, expected);
    let all = send(json!({"action": "skip", "campaign_id": campaign})).await.expect(200);
    assert_eq!(all.body, json!({"resolved": [], "passed_over": [], "has_more": false}));
}

#[tokio::test]
async fn nobody_resolves_the_mail_of_another_organization() {
    let (app, id) = doubtful_ledger().await;
    let router = messages::router(app.scene.db.app());
    let campaign: uuid::Uuid = app.scene.rows("select id from campaigns", &[]).await[0].get(0);
    let (stranger, _) = app.scene.another_organization("other").await;
    let key = app.scene.api_key_of(stranger).await;
    let path = format!("/v1/messages/{id}/resolve");
    for (path, body, status) in [
        (path.as_str(), json!({"action": "skip"}), 404),
        ("/v1/messages/resolve", json!({"action": "skip", "message_ids": [id]}), 200),
        ("/v1/messages/resolve", json!({"action": "skip", "campaign_id": campaign}), 404),
    ] {
        let answer =
            app.send_as(router.clone(), Method::POST, path, Some(body.clone()), Some(&key)).await.expect(status);
        if status == 200 {
            assert_eq!(answer.body["passed_over"], json!([{"id": id, "code": "not_found"}]));
        }
        app.send_as(router.clone(), Method::POST, path, Some(body), None).await.expect(401);
    }
    assert_eq!(app.scene.number("select count(*) from messages where skipped_at is not null", &[]).await, 0);
}
