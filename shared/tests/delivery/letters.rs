//! What every mail of a campaign says, and whom no mail reaches.

use chrono::Duration;
use mail_parser::{Message, MessageParser};
use shared::audience::contacts::{self, ContactFields};
use shared::outreach::settings::{self, SettingsPatch};
use shared::{ContactId, Tx};
use testkit::scene::wednesday_morning;

use crate::stage::Stage;

/// All mails of a campaign of two people and two steps.
async fn all_mails() -> (Stage, Vec<String>) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(2, &[sender], 2, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    for day in [0, 2] {
        stage.at(wednesday_morning() + Duration::days(day)).await;
        stage.tick().await;
        stage.deliver_queued().await;
    }
    let mails: Vec<String> = stage.mailer.handed().into_iter().map(|mail| mail.raw).collect();
    assert_eq!(mails.len(), 4);
    (stage, mails)
}

fn parse(raw: &str) -> Message<'_> {
    MessageParser::default().parse(raw.as_bytes()).unwrap()
}

async fn tenant(stage: &Stage) -> Tx {
    stage.scene.db.app().begin(stage.scene.organization).await.unwrap()
}

#[tokio::test]
async fn rfc_8058_headers_in_every_campaign_mail() {
    let (stage, mails) = all_mails().await;
    for (raw, handed) in mails.iter().zip(stage.mailer.handed()) {
        let mail = parse(raw);
        let header = |name: &str| mail.header_raw(name).unwrap().trim().to_owned();
        assert_eq!(header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
        let field = header("List-Unsubscribe");
        let token =
            field.strip_prefix("<https://mail.example.test/u/").and_then(|rest| rest.strip_suffix('>')).unwrap();
        let named = stage.letterhead.keys.open_unsubscribe_token(token);
        assert_eq!(named, Ok((handed.message.organization.0, handed.message.id.0)), "{field}");
        for body in [mail.body_text(0).unwrap(), mail.body_html(0).unwrap()] {
            assert!(body.contains(&format!("https://mail.example.test/u/{token}")), "{body}");
        }
    }
}

#[tokio::test]
async fn postal_address_is_in_every_campaign_mail() {
    let (_stage, mails) = all_mails().await;
    for raw in &mails {
        let mail = parse(raw);
        for body in [mail.body_text(0).unwrap(), mail.body_html(0).unwrap()] {
            assert!(body.contains("1 Test Street, Berlin"), "{body}");
        }
    }
}

#[tokio::test]
async fn from_only_on_the_tenants_verified_domain() {
    let (stage, mails) = all_mails().await;
    for raw in &mails {
        let mail = parse(raw);
        assert_eq!(mail.from().unwrap().first().unwrap().address(), Some("sender1@example.test"));
    }
    for status in ["pending", "failed"] {
        let stage = Stage::new().await;
        let sender = stage.scene.sender(1, 1_000, 0).await;
        stage.scene.running_campaign(1, &[sender], 1, 1_000).await;
        stage.tick().await;
        // The domain is lost after the mail was planned.
        stage.scene.run("update domains set status = $1, verified_at = null", &[&status]).await;
        stage.deliver_queued().await;
        assert!(stage.mailer.handed().is_empty(), "{status}");
        assert_eq!(stage.scene.states().await, "scheduled=1", "{status}");
        assert_eq!(stage.tick().await.granted, 0, "{status}: nor is anything planned");
    }
    drop(stage);
}

#[tokio::test]
async fn cr_lf_nul_from_a_contact_reach_no_header() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(1, &[sender], 1, 1_000).await;
    stage.scene.run("update contacts set first_name = E'Ada\\r\\nBcc: eve@evil.test'", &[]).await;
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "failed=1");
    assert!(stage.mailer.handed().is_empty());
    let message = stage.messages().await[0];
    assert_eq!(stage.message(message, "outcome_code").await.as_deref(), Some("subject_line_break"));
}

#[tokio::test]
async fn suppression_survives_deletion_and_reimport() {
    let (stage, messages) = Stage::with_two_mails_to_one_person().await;
    stage.unsubscribe(messages[0]).await;
    let contact: ContactId =
        stage.scene.rows("select contact_id from messages where id = $1", &[&messages[0].id]).await[0].get(0);
    let tx = tenant(&stage).await;
    contacts::delete(&tx, contact, None).await.unwrap();
    tx.commit().await.unwrap();
    let tx = tenant(&stage).await;
    let again = ContactFields { email: Some(Some("PERSON1@people.test".to_owned())), ..ContactFields::default() };
    let again = contacts::create(&tx, again).await.unwrap().id;
    tx.commit().await.unwrap();
    // Even somebody who is enrolled past the check of activation gets nothing.
    let sender = stage.scene.sender(2, 1_000, 0).await;
    let campaign = stage.scene.running_campaign(0, &[sender], 1, 1_000).await;
    stage
        .scene
        .run(
            "insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
             values ($1, gen_random_uuid(), $2, $3, $4, clock_now())",
            &[&stage.scene.organization, &campaign.campaign, &again, &sender],
        )
        .await;
    assert_eq!(stage.tick().await.granted, 1);
    let before = stage.mailer.handed().len();
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.handed().len(), before);
    assert_eq!(stage.scene.states().await, "sent=2 suppressed=1");
}

#[tokio::test]
async fn what_is_tracked_is_a_setting_of_the_campaign() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.draft_campaign(1, &[sender], 1, 1_000).await.campaign;
    let tx = tenant(&stage).await;
    let shown = settings::show(&tx, campaign).await.unwrap();
    assert!(shown.track_opens && shown.track_clicks, "both by default");
    let patch = SettingsPatch { track_opens: Some(false), ..SettingsPatch::default() };
    let shown = settings::update(&tx, campaign, patch).await.unwrap();
    assert_eq!((shown.track_opens, shown.track_clicks), (false, true));
    tx.commit().await.unwrap();
}
