//! Opens and clicks: what mails carry for them, what is recorded of them, and what they prove.

use std::net::IpAddr;

use chrono::Duration;
use mail_parser::MessageParser;
use shared::delivery::feedback::{Event, EventKind};
use shared::delivery::messages::MessageKey;
use shared::delivery::sending::Answer;
use shared::delivery::tracking;
use shared::delivery::visitors::{Manner, Visit, Visitor};
use shared::{Error, LinkId, MessageId};
use testkit::scene::wednesday_morning;

use crate::stage::{BROWSER, Stage, person};

fn proxy() -> Visitor {
    let name = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
    Visitor::new(Some(IpAddr::from([203, 0, 113, 9])), name, Manner::Get)
}

/// A running campaign of `people` and two steps whose mails say `body`; nothing is planned yet.
async fn ready(people: usize, body: &str) -> Stage {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(people, &[sender], 2, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.scene.run("update steps set body_template = $1", &[&body]).await;
    stage
}

/// The same with the first mails sent half an hour ago.
async fn sent(people: usize, body: &str) -> (Stage, Vec<MessageKey>) {
    let stage = ready(people, body).await;
    stage.tick().await;
    stage.deliver_queued().await;
    stage.at(wednesday_morning() + Duration::minutes(30)).await;
    let messages = stage.messages().await;
    (stage, messages)
}

/// The plain and the HTML part of the `n`th mail that the provider was handed.
fn parts(stage: &Stage, n: usize) -> (String, String) {
    let raw = stage.mailer.handed()[n].raw.clone();
    let mail = MessageParser::default().parse(raw.as_bytes()).unwrap();
    (mail.body_text(0).unwrap().into_owned(), mail.body_html(0).unwrap().into_owned())
}

/// The tokens after this path in a text.
fn tokens(text: &str, path: &str) -> Vec<String> {
    let after = text.split(path).skip(1);
    after.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()).collect()
}

async fn links(stage: &Stage) -> Vec<(LinkId, String)> {
    let rows = stage.scene.rows("select id, url from tracked_links order by url", &[]).await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn count(stage: &Stage, sql: &str) -> i64 {
    stage.scene.number(&format!("select count(*) from {sql}"), &[]).await
}

async fn open(stage: &Stage, message: MessageKey, visitor: &Visitor) {
    tracking::open(&stage.worker("martlet_app"), message, visitor).await.unwrap();
}

async fn follow(stage: &Stage, message: MessageKey, link: LinkId, visitor: &Visitor) -> String {
    tracking::follow(&stage.worker("martlet_app"), message, link, visitor).await.unwrap()
}

#[tokio::test]
async fn links_of_the_html_part_lead_through_us_and_the_plain_part_says_where_they_lead() {
    let body = "See https://example.com/a?b=c&d=e, https://example.com/a?b=c&d=e\n\nor {{ unsubscribe_url }}\nor mailto:ada@example.com";
    let (stage, messages) = sent(1, body).await;
    let (text, html) = parts(&stage, 0);
    assert!(text.contains("See https://example.com/a?b=c&d=e, https://example.com/a?b=c&d=e"), "{text}");
    assert!(!text.contains("/t/"), "{text}");
    let clicks = tokens(&html, "href=\"https://mail.example.test/t/c/");
    assert_eq!(clicks.len(), 2, "{html}");
    assert!(html.contains(">https://example.com/a?b=c&amp;d=e</a>"), "the link still shows where it leads: {html}");
    let [(link, url)] = <[_; 1]>::try_from(links(&stage).await).unwrap();
    assert_eq!(url, "https://example.com/a?b=c&d=e");
    for token in &clicks {
        let named = stage.letterhead.keys.open_click_token(token);
        assert_eq!(named, Ok((messages[0].organization.0, messages[0].id.0, link.0)));
    }
    let pixels = tokens(&html, "<img src=\"https://mail.example.test/t/o/");
    let named = stage.letterhead.keys.open_pixel_token(&pixels[0]);
    assert_eq!((pixels.len(), named), (1, Ok((messages[0].organization.0, messages[0].id.0))));
    // Once in the footer and once where the template has it.
    assert_eq!(tokens(&html, "href=\"https://mail.example.test/u/").len(), 2, "{html}");
    assert!(!html.contains("href=\"mailto:"), "{html}");
}

#[tokio::test]
async fn of_each_link_the_first_message_is_noted_and_the_first_other_one() {
    let body = "See https://example.com/all and https://example.com/for/{{ email }}.";
    let stage = ready(4, body).await;
    let noted = async |url: &str| -> (Option<MessageId>, Option<MessageId>) {
        let sql = "select message_id, other_message_id from tracked_links where url like '%' || $1";
        let rows = stage.scene.rows(sql, &[&url]).await;
        (rows[0].get(0), rows[0].get(1))
    };
    // One mail at a time: the second tells that the link is not the first one's own, and the third nothing new.
    stage.scene.run("update campaign_settings set gap_seconds = 300", &[]).await;
    let mut sent: Vec<MessageId> = Vec::new();
    let mut shared = Vec::new();
    for n in 0..3 {
        stage.at(wednesday_morning() + Duration::minutes(5 * n)).await;
        stage.tick().await;
        stage.deliver_queued().await;
        let rows = stage
            .scene
            .rows("select id, recipient from messages where state = 'sent' and id <> all ($1)", &[&sent])
            .await;
        assert_eq!(rows.len(), 1);
        sent.push(rows[0].get(0));
        let own = noted(&format!("/for/{}", rows[0].get::<_, &str>(1))).await;
        assert_eq!(own, (sent.last().copied(), None));
        shared.push(noted("/all").await);
    }
    let first = Some(sent[0]);
    assert_eq!(shared, [(first, None), (first, Some(sent[1])), (first, Some(sent[1]))]);
}

#[tokio::test]
async fn a_campaign_that_tracks_nothing_sends_mail_that_leads_nowhere_else() {
    let stage = ready(1, "See https://example.com/.").await;
    stage.scene.run("update campaign_settings set track_opens = false, track_clicks = false", &[]).await;
    stage.tick().await;
    stage.deliver_queued().await;
    let (_, html) = parts(&stage, 0);
    assert!(html.contains("<a href=\"https://example.com/\">"), "{html}");
    assert!(!html.contains("/t/") && !html.contains("<img"), "{html}");
    assert_eq!(count(&stage, "tracked_links").await, 0);
}

#[tokio::test]
async fn opens_and_clicks_are_tracked_each_by_its_own_setting() {
    let stage = ready(1, "See https://example.com/.").await;
    stage.scene.run("update campaign_settings set track_opens = false", &[]).await;
    stage.tick().await;
    stage.deliver_queued().await;
    let (_, html) = parts(&stage, 0);
    assert!(html.contains("/t/c/") && !html.contains("<img"), "{html}");
    stage.scene.run("update campaign_settings set track_opens = true, track_clicks = false", &[]).await;
    stage.at(wednesday_morning() + Duration::days(2)).await;
    stage.tick().await;
    stage.deliver_queued().await;
    let (_, html) = parts(&stage, 1);
    assert!(!html.contains("/t/c/") && html.contains("<img"), "{html}");
}

#[tokio::test]
async fn a_link_is_stored_once_a_step_and_a_personal_one_for_each_person() {
    let (stage, _) = sent(12, "Our https://example.com/, yours https://example.com/?to={{ email }}").await;
    assert_eq!(links(&stage).await.len(), 1 + 12);
    stage.at(wednesday_morning() + Duration::days(2)).await;
    stage.tick().await;
    stage.deliver_queued().await;
    assert_eq!(links(&stage).await.len(), 2 * (1 + 12), "the second step has links of its own");
    assert_eq!(stage.scene.states().await, "sent=24");
}

#[tokio::test]
async fn opens_and_clicks_are_recorded_with_who_did_it() {
    let (stage, messages) = sent(1, "See https://example.com/.").await;
    let (link, _) = links(&stage).await.remove(0);
    open(&stage, messages[0], &person(1)).await;
    assert_eq!(follow(&stage, messages[0], link, &person(1)).await, "https://example.com/");
    let rows = stage
        .scene
        .rows("select kind, host(ip), user_agent, is_machine, details from message_events where ip is not null order by kind", &[])
        .await;
    let seen: Vec<(String, String, String, bool)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let by = |kind: &str| (kind.to_owned(), "192.0.2.1".to_owned(), BROWSER.to_owned(), false);
    assert_eq!(seen, [by("clicked"), by("opened")]);
    let details: serde_json::Value = rows[0].get(4);
    assert_eq!(details, serde_json::json!({"link_id": link, "url": "https://example.com/"}));
    assert_eq!(stage.message(messages[0], "(clicked_at = opened_at)").await.as_deref(), Some("true"));
    assert_eq!(stage.scene.states().await, "sent=1");
}

#[tokio::test]
async fn the_first_open_and_the_first_click_by_a_person_stay_the_first() {
    let (stage, messages) = sent(1, "See https://example.com/.").await;
    let (link, _) = links(&stage).await.remove(0);
    let at = |minutes| wednesday_morning() + Duration::minutes(minutes);
    follow(&stage, messages[0], link, &person(1)).await;
    assert_eq!(stage.message(messages[0], "opened_at").await, None, "a click says nothing of an open");
    stage.at(at(40)).await;
    open(&stage, messages[0], &person(1)).await;
    for minutes in [50, 20] {
        stage.at(at(minutes)).await;
        open(&stage, messages[0], &person(1)).await;
        follow(&stage, messages[0], link, &person(1)).await;
    }
    // Events may be recorded in another order than they happen: the earliest wins.
    let first = stage.scene.rows("select opened_at, clicked_at from messages", &[]).await;
    assert_eq!((first[0].get(0), first[0].get(1)), (Some(at(20)), Some(at(20))));
    assert_eq!(count(&stage, "message_events where kind = 'opened'").await, 3);
}

#[tokio::test]
async fn what_machines_do_is_kept_apart() {
    let (stage, messages) = sent(1, "See https://example.com/.").await;
    let (link, _) = links(&stage).await.remove(0);
    open(&stage, messages[0], &proxy()).await;
    follow(&stage, messages[0], link, &Visitor::new(None, BROWSER, Manner::Head)).await;
    // A scanner behind a browser's name, a second after the mail was sent, and another before it was delivered.
    stage.at(wednesday_morning() + Duration::seconds(1)).await;
    follow(&stage, messages[0], link, &person(1)).await;
    stage.scene.run("update messages set delivered_at = clock_now() + interval '10 seconds'", &[]).await;
    stage.at(wednesday_morning() + Duration::seconds(9)).await;
    follow(&stage, messages[0], link, &person(2)).await;
    let sql = "select details ->> 'machine' from message_events where is_machine order by 1";
    let why: Vec<String> = stage.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(why, ["head", "image_proxy", "too_quick", "too_quick"]);
    assert_eq!(stage.message(messages[0], "coalesce(opened_at, clicked_at)").await, None);
    assert_eq!(count(&stage, "message_events where not is_machine and kind in ('opened', 'clicked')").await, 0);
}

#[tokio::test]
async fn a_machine_does_not_hide_the_person_who_comes_in_the_same_minute() {
    let (stage, messages) = sent(1, "See https://example.com/.").await;
    let (link, _) = links(&stage).await.remove(0);
    let visitor = person(1);
    follow(&stage, messages[0], link, &Visitor { manner: Manner::Head, ..visitor.clone() }).await;
    follow(&stage, messages[0], link, &visitor).await;
    assert!(stage.message(messages[0], "clicked_at").await.is_some());
}

#[tokio::test]
async fn whoever_holds_a_link_cannot_fill_the_table() {
    let (stage, messages) = sent(1, "See https://example.com/.").await;
    let (link, _) = links(&stage).await.remove(0);
    for _ in 0..5 {
        follow(&stage, messages[0], link, &person(1)).await;
    }
    assert_eq!(count(&stage, "message_events where kind = 'clicked'").await, 1, "once a visitor and minute");
    for n in 0..120 {
        assert_eq!(follow(&stage, messages[0], link, &person(n)).await, "https://example.com/");
    }
    assert_eq!(count(&stage, "message_events where kind = 'clicked'").await, 100, "and no more in all");
    follow(&stage, messages[0], link, &Visitor::new(None, "", Manner::Get)).await;
    open(&stage, messages[0], &person(1)).await;
    assert_eq!(count(&stage, "message_events where kind = 'clicked' and is_machine").await, 1);
    assert!(stage.message(messages[0], "opened_at").await.is_some(), "clicks use up nothing that opens need");
}

#[tokio::test]
async fn an_open_or_a_click_resolves_a_mail_in_doubt() {
    for by_click in [false, true] {
        let stage = ready(1, "See https://example.com/.").await;
        stage.tick().await;
        stage.mailer.answer_next([Answer::Unclear("reset".to_owned())]);
        stage.deliver_queued().await;
        assert_eq!(stage.scene.states().await, "unknown=1");
        stage.at(wednesday_morning() + Duration::minutes(5)).await;
        let message = stage.messages().await[0];
        if by_click {
            let (link, _) = links(&stage).await.remove(0);
            follow(&stage, message, link, &person(1)).await;
        } else {
            // A proxy has it from a mailbox, so the mail is in one.
            open(&stage, message, &proxy()).await;
        }
        assert_eq!(stage.scene.states().await, "sent=1");
        assert_eq!(stage.people().await, "in_progress");
        assert_eq!(count(&stage, "contacts where status = 'contacted'").await, 1);
        stage.check("after the proof").await;
        // The provider's own report still finds its message, brings the id that nobody knew, and changes nothing that is
        // decided; a later one under another id is about another mail.
        assert_eq!(stage.message(message, "provider_message_id").await, None);
        let delivery = stage.event(message, EventKind::Delivered).await;
        let complaint = stage.event(message, EventKind::Complained).await;
        let foreign = Event { provider_message_id: "ses-other".to_owned(), ..complaint };
        assert_eq!(stage.apply(std::slice::from_ref(&delivery)).await.new, 1);
        assert_eq!(stage.apply(&[foreign]).await.passed_over, 1);
        let known = stage.message(message, "provider_message_id").await;
        assert_eq!(known, Some(delivery.provider_message_id));
        assert_eq!(stage.scene.states().await, "sent=1");
        stage.check("after the report").await;
    }
}

#[tokio::test]
async fn a_proof_counts_a_mail_that_had_lost_its_slot() {
    let stage = ready(1, "See https://example.com/.").await;
    stage.tick().await;
    stage.mailer.answer_next([Answer::Later("throttled".to_owned())]);
    stage.deliver_queued().await;
    let message = stage.messages().await[0];
    // It waits for a retry; then its campaign is paused, which takes the slot away.
    stage.scene.run("update campaigns set status = 'paused'", &[]).await;
    stage.pass_machine_time().await;
    stage.sweep().await;
    stage.deliver_queued().await;
    assert_eq!(stage.message(message, "slot_day").await, None);
    stage.scene.run("delete from limit_usage", &[]).await;
    open(&stage, message, &person(1)).await;
    assert_eq!(stage.scene.states().await, "sent=1");
    assert_eq!(stage.slots_used("sender").await, 1);
    stage.check("after the proof").await;
}

#[tokio::test]
async fn what_was_never_sent_or_is_not_there_records_nothing_and_breaks_nothing() {
    let stage = ready(1, "See https://example.com/.").await;
    stage.tick().await;
    let message = stage.messages().await[0];
    let missing = MessageKey { id: MessageId::fresh(), ..message };
    for key in [message, missing] {
        open(&stage, key, &person(1)).await;
        let followed = tracking::follow(&stage.worker("martlet_app"), key, LinkId::fresh(), &person(1)).await;
        assert!(matches!(followed, Err(Error::NotFound(_))), "{followed:?}");
    }
    assert_eq!(stage.scene.states().await, "scheduled=1");
    assert_eq!(count(&stage, "message_events").await, 0);
    stage.check("after the calls").await;
    stage.deliver_queued().await;
    assert_eq!(stage.scene.states().await, "sent=1");
    // The link outlives its message.
    let (link, _) = links(&stage).await.remove(0);
    assert_eq!(follow(&stage, missing, link, &person(1)).await, "https://example.com/");
}

#[tokio::test]
async fn another_organization_s_link_is_not_followed() {
    let (stage, messages) = sent(1, "See https://example.com/.").await;
    let (link, _) = links(&stage).await.remove(0);
    let (other, _) = stage.scene.another_organization("other").await;
    let key = MessageKey { organization: other, ..messages[0] };
    let followed = tracking::follow(&stage.worker("martlet_app"), key, link, &person(1)).await;
    assert!(matches!(followed, Err(Error::NotFound(_))), "{followed:?}");
    open(&stage, key, &person(1)).await;
    assert_eq!(count(&stage, "message_events where kind in ('opened', 'clicked')").await, 0);
}

#[tokio::test]
async fn visits_and_reports_at_the_same_moment_neither_deadlock_nor_lose_anything() {
    let stage = ready(4, "See https://example.com/.").await;
    stage.tick().await;
    stage.mailer.answer_next((0..4).map(|_| Answer::Unclear("reset".to_owned())));
    stage.deliver_queued().await;
    let messages = stage.messages().await;
    let (link, _) = links(&stage).await.remove(0);
    let mut reports = Vec::new();
    for message in &messages {
        reports.push(stage.event(*message, EventKind::Delivered).await);
    }
    stage.at(wednesday_morning() + Duration::minutes(5)).await;
    let visits = messages.iter().flat_map(|message| (1..=3).map(move |n| (*message, n))).map(async |(message, n)| {
        open(&stage, message, &person(n)).await;
        follow(&stage, message, link, &person(n)).await
    });
    tokio::join!(futures_util::future::join_all(visits), stage.apply(&reports));
    assert_eq!(stage.scene.states().await, "sent=4");
    for (kind, events) in [("opened", 12), ("clicked", 12), ("delivered", 4)] {
        assert_eq!(count(&stage, &format!("message_events where kind = '{kind}'")).await, events);
    }
    stage.check("at the end").await;
}

/// Opens and clicks that the provider itself has seen, `minutes` after the sending.
async fn reported(stage: &Stage, message: MessageKey, visit: Visit, minutes: i64) -> Event {
    let kind = if visit.link.is_some() { EventKind::Clicked } else { EventKind::Opened };
    let event = stage.event(message, kind).await;
    let occurred_at = event.sent_at + Duration::minutes(minutes);
    Event { occurred_at, dedupe_key: format!("{} {minutes}", kind.name()), visit: Some(visit), ..event }
}

fn click(visitor: Visitor, link: &str) -> Visit {
    Visit { visitor, link: Some(link.to_owned()) }
}

#[tokio::test]
async fn what_the_provider_sees_of_opens_and_clicks_follows_the_same_rules() {
    let (stage, messages) = sent(1, "See https://example.com/.").await;
    let message = messages[0];
    let open_by = |visitor| Visit { visitor, link: None };
    let machines = [
        reported(&stage, message, open_by(proxy()), 3).await,
        reported(&stage, message, open_by(Visitor::new(None, "", Manner::Get)), 4).await,
        // A scanner behind a browser's name, while the mail was on its way.
        reported(&stage, message, click(person(1), "a"), 0).await,
        // Nobody at all.
        Event { visit: None, ..reported(&stage, message, open_by(person(1)), 5).await },
    ];
    assert_eq!(stage.apply(&machines).await.new, 4);
    let sql = "select details ->> 'machine' from message_events where is_machine order by 1";
    let why: Vec<String> = stage.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(why, ["image_proxy", "too_quick", "unnamed", "unnamed"]);
    assert_eq!(stage.message(message, "coalesce(opened_at, clicked_at)").await, None);

    // One person, seen by our pixel and by the provider's in the same minute; then by the provider alone, earlier.
    open(&stage, message, &person(1)).await;
    assert_eq!(stage.apply(&[reported(&stage, message, open_by(person(1)), 30).await]).await.new, 0);
    let early = [
        reported(&stage, message, open_by(person(1)), 20).await,
        reported(&stage, message, click(person(1), "a"), 21).await,
        reported(&stage, message, click(person(1), "b"), 21).await,
        reported(&stage, message, click(person(1), "b"), 21).await,
    ];
    assert_eq!(stage.apply(&early).await.new, 3, "two links, each once a minute");
    let first = stage.scene.rows("select opened_at, clicked_at from messages", &[]).await;
    let at = |minutes| Some(wednesday_morning() + Duration::minutes(minutes));
    assert_eq!((first[0].get(0), first[0].get(1)), (at(20), at(21)));
    stage.check("at the end").await;
}

#[tokio::test]
async fn reports_of_visits_cannot_fill_the_table_either() {
    let (stage, messages) = sent(1, "See https://example.com/.").await;
    let mut visits = Vec::new();
    for n in 0..70 {
        visits.push(reported(&stage, messages[0], click(person(n), "a"), 10).await);
    }
    // Repeated in one batch they take no more room than once.
    visits.extend(visits.clone());
    assert_eq!(stage.apply(&visits).await.new, 70);
    let (link, _) = links(&stage).await.remove(0);
    for n in 0..20 {
        follow(&stage, messages[0], link, &person(n)).await;
    }
    let mut late = Vec::new();
    for n in 100..150 {
        late.push(reported(&stage, messages[0], click(person(n), "a"), 11).await);
    }
    assert_eq!(stage.apply(&late).await.new, 10, "one measure for both ways");
    let by_machine = reported(&stage, messages[0], click(proxy(), "a"), 12).await;
    assert_eq!(stage.apply(&[by_machine]).await.new, 1);
    assert_eq!(count(&stage, "message_events where kind = 'clicked' and not is_machine").await, 100);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_visit_that_the_provider_reports_of_a_mail_in_doubt_brings_its_id() {
    for visitor in [person(1), proxy()] {
        let stage = ready(1, "See https://example.com/.").await;
        stage.tick().await;
        stage.mailer.answer_next([Answer::Unclear("reset".to_owned())]);
        stage.deliver_queued().await;
        stage.at(wednesday_morning() + Duration::minutes(30)).await;
        let message = stage.messages().await[0];
        let event = reported(&stage, message, Visit { visitor, link: None }, 20).await;
        // In one batch as well the first id is the message's.
        let foreign = Event { provider_message_id: "ses-other".to_owned(), ..event.clone() };
        let applied = stage.apply(&[event.clone(), foreign.clone()]).await;
        assert_eq!((applied.new, applied.passed_over), (1, 1));
        assert_eq!(stage.scene.states().await, "sent=1");
        assert_eq!(stage.apply(&[foreign]).await.new, 0);
        assert_eq!(stage.message(message, "provider_message_id").await, Some(event.provider_message_id));
        stage.check("at the end").await;
    }
}
