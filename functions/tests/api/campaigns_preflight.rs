//! Preflight: each code, and nothing else, for what is wrong.

use serde_json::{Value, json};
use shared::delivery::provider_account::AccountState;
use testkit::FakeAccount;
use testkit::scene::CampaignScene;

use crate::campaigns::Desk;

/// The codes of the errors, then those of the warnings.
fn codes(preflight: &Value) -> (Vec<&str>, Vec<&str>) {
    let of = |kind: &str| -> Vec<&str> {
        preflight[kind].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
    };
    (of("errors"), of("warnings"))
}

impl Desk {
    async fn preflight(&self, scene: &CampaignScene) -> Value {
        let answer = self.sample("preflight", &[("CAMPAIGN_ID", &scene.campaign.to_string())]).await.expect(200);
        let errors = answer.body["errors"].as_array().unwrap();
        assert_eq!(answer.body["can_activate"], json!(errors.is_empty()));
        answer.body
    }

    async fn write(&self, scene: &CampaignScene, subject: &str, body: &str) {
        self.app
            .scene
            .run(
                "update steps set subject_template = $2, body_template = $3 where id = $1",
                &[&scene.steps[0], &subject, &body],
            )
            .await;
    }
}

#[tokio::test]
async fn an_empty_campaign_lacks_everything() {
    let desk = Desk::new().await;
    let mut scene = desk.app.scene.draft_campaign(0, &[], 0, 50).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec!["no_steps", "no_senders", "empty_audience"], vec![]));
    let bare = desk.send(axum::http::Method::POST, "/v1/campaigns", Some(json!({"name": "Bare"}))).await.expect(201);
    scene.campaign = bare.text("/id").parse().unwrap();
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec!["no_steps", "no_senders", "empty_audience"], vec![]), "without a list");
    assert_eq!(preflight["audience"], 0);
}

#[tokio::test]
async fn senders_must_be_able_to_send() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec![]));
    let set = async |sql: &str| desk.app.scene.run(&format!("update senders set {sql}"), &[]).await;

    desk.app.scene.run("update senders set status = 'paused' where id = $1", &[&scene.senders[0]]).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["sender_paused"]));
    assert_eq!(preflight["warnings"][0]["sender_ids"], json!([scene.senders[0]]));
    set("status = 'pending'").await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec!["sender_paused"], vec![]));
    assert_eq!(preflight["errors"][0]["sender_ids"].as_array().unwrap().len(), 2);
    set("status = 'warming', daily_limit = 0").await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec!["no_sending_capacity"], vec![]));
    set("status = 'active', daily_limit = 40").await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["daily_limit_out_of_reach"]));
    assert_eq!(preflight["warnings"][0]["count"], 80);
    // Nine hours hold ten mails an hour apart, the last at the closing time itself, which is outside.
    set("daily_limit = 600, gap_seconds = 3600").await;
    assert_eq!(desk.preflight(&scene).await["warnings"][0]["count"], 18);
    set("gap_seconds = 0").await;
    desk.app.scene.run("update domains set status = 'pending'", &[]).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec!["domain_not_verified"], vec![]));
}

#[tokio::test]
async fn a_mail_needs_a_postal_address() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    for address in [None, Some("  ")] {
        desk.app.scene.run("update organizations set postal_address = $1", &[&address]).await;
        assert_eq!(codes(&desk.preflight(&scene).await), (vec!["missing_postal_address"], vec![]));
    }
}

#[tokio::test]
async fn suppressed_members_are_counted_and_left_out() {
    let desk = Desk::new().await;
    let scene = desk.draft(3).await;
    let suppress = "insert into suppressions (organization_id, id, email_lower, campaign_id, reason)
                    select organization_id, gen_random_uuid(), email_lower, $2, 'unsubscribe' from contacts where id = $1";
    desk.app.scene.run(suppress, &[&scene.contacts[0], &None::<shared::CampaignId>]).await;
    desk.app.scene.run(suppress, &[&scene.contacts[0], &Some(scene.campaign)]).await;
    desk.app.scene.run(suppress, &[&scene.contacts[1], &Some(scene.campaign)]).await;
    // Another organization's suppression of the same address says nothing here.
    let (other, _) = desk.app.scene.another_organization("other").await;
    desk.app
        .scene
        .run(
            "insert into suppressions (organization_id, id, email_lower, reason)
             values ($1, gen_random_uuid(), 'person3@people.test', 'manual')",
            &[&other],
        )
        .await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["suppressed_contacts"]));
    assert_eq!((&preflight["warnings"][0]["count"], &preflight["audience"]), (&json!(2), &json!(1)));
    desk.app.scene.run(suppress, &[&scene.contacts[2], &None::<shared::CampaignId>]).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec!["empty_audience"], vec!["suppressed_contacts"]));
}

#[tokio::test]
async fn addresses_that_were_found_invalid_are_a_warning_and_no_error() {
    let desk = Desk::new().await;
    let scene = desk.draft(4).await;
    let (other, _) = desk.app.scene.another_organization("other").await;
    let found = "insert into email_verifications (organization_id, email_lower, syntax, disposable, role_based, deliverable,
                                                  blacklisted, status, checked_at)
                 select $1, e.email, 'passed', 'passed', 'passed', e.deliverable, 'passed', e.status, clock_now()
                   from (values ('person1@people.test', 'failed', 'invalid'), ('person2@people.test', 'passed', 'valid'),
                                ('person3@people.test', 'unknown', 'unverified'), ('person4@people.test', 'failed', 'invalid'),
                                ('nobody@people.test', 'failed', 'invalid')) as e (email, deliverable, status)";
    // What another organization has found out is nothing to this one.
    desk.app.scene.run(found, &[&other]).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec![]));
    desk.app.scene.run(found, &[&desk.app.scene.organization]).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["invalid_addresses"]));
    assert_eq!((&preflight["warnings"][0]["count"], &preflight["audience"]), (&json!(2), &json!(4)));
    // Whoever is suppressed is not written to, whatever the address is.
    let suppress = "insert into suppressions (organization_id, id, email_lower, reason)
                    values ($1, gen_random_uuid(), 'person4@people.test', 'manual')";
    desk.app.scene.run(suppress, &[&desk.app.scene.organization]).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["suppressed_contacts", "invalid_addresses"]));
    assert_eq!(preflight["warnings"][1]["count"], 1);
}

#[tokio::test]
async fn a_variable_that_nothing_can_fill_refuses_the_activation() {
    let desk = Desk::new().await;
    let scene = desk.draft(2).await;
    desk.write(&scene, "{{ email }} {{ sender.name }} {{ sender.email }}", "{{ unsubscribe_url }}").await;
    desk.app.scene.run("update senders set display_name = 'Ada'", &[]).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec![]));
    desk.app.scene.run("update senders set display_name = null where id = $1", &[&scene.senders[1]]).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["missing_sender_name"]));
    assert_eq!(preflight["warnings"][0]["sender_ids"], json!([scene.senders[1]]));
    desk.write(&scene, "Hello {{ frist_name }}", "{{ custom.city }}").await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec!["undefined_variable", "undefined_variable"], vec![]));
    assert_eq!(preflight["errors"][0]["variable"], "frist_name");
    assert_eq!(preflight["errors"][0]["step_id"], json!(scene.steps[0]));
    assert_eq!(preflight["errors"][1]["variable"], "custom.city");
    for error in preflight["errors"].as_array().unwrap() {
        assert_eq!((&error["count"], &error["contact_ids"]), (&json!(2), &json!(scene.contacts)), "{error:#}");
    }
    desk.app.scene.run("update contacts set custom = '{\"city\": \"Ulm\"}' where id = $1", &[&scene.contacts[0]]).await;
    desk.write(&scene, "Hello", "{{ custom.city }}").await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["missing_values"]));
    assert_eq!(preflight["warnings"][0]["contact_ids"], json!([scene.contacts[1]]));
}

#[tokio::test]
async fn empty_values_are_counted_with_examples_unless_there_is_a_default() {
    let desk = Desk::new().await;
    let scene = desk.draft(8).await;
    desk.write(&scene, "{{ first_name }}", "{{ company }} {{ last_name | default('friend') }} {% if name %}{{ name }}{% endif %}{{ custom.a | default('') }}").await;
    desk.app.scene.run("update contacts set company = 'ACME'", &[]).await;
    desk.app.scene.run("update contacts set company = ' ' where id = any ($1)", &[&&scene.contacts[1..]]).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["missing_values"]));
    let warning = &preflight["warnings"][0];
    assert_eq!((&warning["variable"], &warning["count"]), (&json!("company"), &json!(7)));
    assert_eq!(warning["contact_ids"], json!(scene.contacts[1..6]));
}

#[tokio::test]
async fn a_template_that_became_unreadable_is_an_error() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    desk.write(&scene, "Hello {{ first_name", "Body").await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec!["invalid_template"], vec![]));
    assert_eq!(preflight["errors"][0]["step_id"], json!(scene.steps[0]));
}

#[tokio::test]
async fn an_account_in_the_sandbox_must_know_everybody_in_the_audience() {
    let desk = Desk::new().await;
    let scene = desk.draft(3).await;
    let activate = format!("/v1/campaigns/{}/activate", scene.campaign);
    desk.account.say(Some(AccountState { production: false, daily_quota: Some(200), ..FakeAccount::well() }));
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec!["ses_sandbox"], vec![]));
    assert_eq!(preflight["errors"][0]["count"], 3);
    let refused = desk.post(&activate).await.expect(409);
    assert_eq!(refused.text("/code"), "preflight_failed");
    assert!(refused.text("/detail").contains("ses_sandbox"), "{}", refused.text("/detail"));

    // The simulator, an address at the organization's own verified domain, and one that is suppressed anyway.
    let addresses = "update contacts set email = $2 where id = $1";
    desk.app.scene.run(addresses, &[&scene.contacts[0], &"bounce+1@simulator.amazonses.com"]).await;
    let domain: String = desk.app.scene.rows("select name from domains where status = 'verified'", &[]).await[0].get(0);
    desk.app.scene.run(addresses, &[&scene.contacts[1], &format!("ada@{domain}")]).await;
    assert_eq!(desk.preflight(&scene).await["errors"][0]["count"], 1);
    desk.app
        .scene
        .run(
            "insert into suppressions (organization_id, id, email_lower, reason)
             select organization_id, gen_random_uuid(), email_lower, 'manual' from contacts where id = $1",
            &[&scene.contacts[2]],
        )
        .await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec!["suppressed_contacts", "ses_sandbox"]));
    // A domain below the verified one is not known to be anybody's.
    desk.app.scene.run(addresses, &[&scene.contacts[1], &format!("ada@below.{domain}")]).await;
    assert_eq!(codes(&desk.preflight(&scene).await).0, ["ses_sandbox"]);
    desk.app.scene.run(addresses, &[&scene.contacts[1], &format!("eve@{domain}")]).await;
    desk.post(&activate).await.expect(200);
}

#[tokio::test]
async fn what_the_account_may_not_do_is_told_before() {
    let desk = Desk::new().await;
    let scene = desk.draft(3).await;
    desk.account.say(Some(AccountState { sending: false, ..FakeAccount::well() }));
    assert_eq!(codes(&desk.preflight(&scene).await), (vec!["provider_paused"], vec![]));
    desk.account.say(Some(AccountState { under_review: true, daily_quota: Some(2), ..FakeAccount::well() }));
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["provider_under_review", "provider_quota_too_small"]));
    assert_eq!(preflight["warnings"][1]["count"], 2);
    desk.account.say(Some(AccountState { daily_quota: Some(3), ..FakeAccount::well() }));
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec![]), "it is enough for three people");
    desk.account.say(Some(AccountState { daily_quota: None, ..FakeAccount::well() }));
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec![]));
}

#[tokio::test]
async fn a_provider_out_of_reach_is_told_and_keeps_nobody_from_going_on() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    desk.account.say(None);
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec!["provider_unreachable"]));
    desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(200);
}

#[tokio::test]
async fn of_many_for_whom_a_variable_is_undefined_five_are_named() {
    let desk = Desk::new().await;
    let scene = desk.draft(8).await;
    desk.write(&scene, "{{ nickname }}", "{{ custom.city }}").await;
    let suppress = "insert into suppressions (organization_id, id, email_lower, reason)
                    select organization_id, gen_random_uuid(), email_lower, 'manual' from contacts where id = $1";
    desk.app.scene.run(suppress, &[&scene.contacts[0]]).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight).0, ["undefined_variable", "undefined_variable"]);
    for error in preflight["errors"].as_array().unwrap() {
        assert_eq!((&error["count"], &error["contact_ids"]), (&json!(7), &json!(scene.contacts[1..6])), "{error:#}");
    }
    let refused = desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(409);
    assert!(refused.text("/detail").contains("undefined_variable"), "{}", refused.text("/detail"));
    // Where nobody would be enrolled it is still wrong, and concerns nobody.
    desk.app.scene.run("delete from list_members", &[]).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight).0, ["empty_audience", "undefined_variable"]);
    assert_eq!((&preflight["errors"][1]["count"], preflight["errors"][1].get("contact_ids")), (&json!(0), None));
}

#[tokio::test]
async fn holidays_on_every_send_day_leave_no_window() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    let set = async |sql: &str| desk.app.scene.run(sql, &[]).await;
    set("update campaign_settings set send_days = '{monday}', holidays = array(
             select day::date from generate_series(date '2026-03-09', '2026-12-28', '7 days') as day)")
    .await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["no_window"]), "there is a Monday in January");
    assert_eq!(preflight["warnings"][0]["at"], "2027-01-04T09:00:00.000Z");
    set("update organizations set holidays = array(
             select day::date from generate_series(date '2027-01-04', '2027-06-28', '7 days') as day)")
    .await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight).0, ["no_window"]);
    let refused = desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(409);
    assert!(refused.text("/detail").contains("no_window"), "{}", refused.text("/detail"));
}

#[tokio::test]
async fn a_window_that_opens_later_than_a_mail_may_be_late_is_told() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    let at = async |hour: u32| {
        let at = testkit::scene::wednesday_morning() + chrono::TimeDelta::hours(i64::from(hour) - 10);
        desk.app.scene.db.set_clock(at).await;
    };
    at(20).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["no_window"]));
    assert_eq!(preflight["warnings"][0]["at"], "2026-03-05T09:00:00.000Z");
    // The first step's own time counts: six hours later it is two in the night, ten later six in the morning.
    desk.app.scene.run("update steps set delay_hours = 10 where position = 1", &[]).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec![]), "three hours are within four");
    let offset = "update steps set timing = 'offset', start_offset_ms = 21600000 where position = 1";
    desk.app.scene.run(offset, &[]).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec!["no_window"]));
    desk.app.scene.run("update campaign_settings set maximum_lateness_seconds = 604800", &[]).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec![]));
    desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(200);
}

#[tokio::test]
async fn the_end_is_projected() {
    let desk = Desk::new().await;
    let scene = desk.draft(30).await;
    // Two senders, 30 seconds apart: 30 mails take some minutes, and so do those of the steps two and four days later.
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec![]));
    assert_eq!(
        preflight["projected_finish_at"].as_str().map(|at| &at[..13]),
        Some("2026-03-09T09"),
        "Friday, then Monday"
    );
    // The account's own quota binds as well.
    desk.account.say(Some(AccountState { daily_quota: Some(10), ..FakeAccount::well() }));
    assert_eq!(desk.preflight(&scene).await["projected_finish_at"].as_str().map(|at| &at[..10]), Some("2026-03-16"));
    desk.account.say(Some(FakeAccount::well()));
    desk.app.scene.run("update campaign_settings set daily_limit = 1, send_days = '{monday}'", &[]).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["no_window", "projected_finish"]));
    assert_eq!(preflight["warnings"][1]["at"], preflight["projected_finish_at"]);
    assert_eq!(preflight["projected_finish_at"].as_str().map(|at| &at[..4]), Some("2027"));
    desk.app.scene.run("update steps set delay_days = 365", &[]).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight).1.last(), Some(&"projected_finish"));
    assert_eq!((&preflight["projected_finish_at"], preflight["warnings"][1].get("at")), (&Value::Null, None));
    desk.app.scene.run("delete from list_members", &[]).await;
    assert_eq!(desk.preflight(&scene).await["projected_finish_at"], Value::Null, "nothing would go");
}

#[tokio::test]
async fn links_that_are_not_https_are_counted_by_step() {
    let desk = Desk::new().await;
    let scene = desk.draft(1).await;
    desk.write(
        &scene,
        "Hello",
        "https://example.test/ http://example.test/ HTTP://{{ email }}.test and mailto:a@b.test",
    )
    .await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["insecure_link"]));
    let warning = &preflight["warnings"][0];
    assert_eq!((&warning["count"], &warning["step_id"]), (&json!(2), &json!(scene.steps[0])));
    desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(200);
}

#[tokio::test]
async fn mails_that_are_too_large_are_told() {
    let desk = Desk::new().await;
    let scene = desk.draft(2).await;
    let text = |bytes: usize| "word ".repeat(bytes / 5);
    desk.write(&scene, "Hello", &text(60_000)).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec![]));
    // Gmail shows 102 KB of the HTML part, in which a quotation mark takes six.
    desk.write(&scene, "Hello", &"\"&<".repeat(10_000)).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["message_too_large"]));
    assert_eq!(preflight["warnings"][0]["step_id"], json!(scene.steps[0]));
    assert!(preflight["warnings"][0]["count"].as_i64().unwrap() > 102 * 1024);
    // The longest value of the audience decides, whoever has it.
    let stories = "{{ custom.story | default('') }}".repeat(4);
    desk.write(&scene, "Hello", &format!("{}{stories}", text(60_000))).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec![]));
    let story = "update contacts set custom = jsonb_build_object('story', repeat('a', 15000)) where id = $1";
    desk.app.scene.run(story, &[&scene.contacts[1]]).await;
    assert_eq!(codes(&desk.preflight(&scene).await), (vec![], vec!["message_too_large"]));
    // 256 KiB is more than any mail may have; the other person gets theirs.
    desk.write(&scene, "Hello", &stories.repeat(5)).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec![], vec!["message_too_large"]));
    assert_eq!(preflight["warnings"][0].get("count"), None);
    // What is longer than any mail may be, for everybody, refuses the activation.
    desk.write(&scene, "Hello", &text(70_000)).await;
    let preflight = desk.preflight(&scene).await;
    assert_eq!(codes(&preflight), (vec!["message_too_large"], vec![]));
    let refused = desk.post(&format!("/v1/campaigns/{}/activate", scene.campaign)).await.expect(409);
    assert!(refused.text("/detail").contains("message_too_large"), "{}", refused.text("/detail"));
}
