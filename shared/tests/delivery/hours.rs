//! At which hour each person is written to: zones of their own, holidays, jitter, and offsets from the campaign's start.

use chrono::{DateTime, Duration, TimeZone as _, Utc};
use shared::outreach::{activation, campaigns};
use shared::{CampaignId, SenderId};
use testkit::scene::{CampaignScene, wednesday_morning};

use crate::stage::Stage;

/// A moment of March 2026; the 4th is a Wednesday.
fn at(day: u32, hour: u32, minute: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, day, hour, minute, 0).unwrap()
}

impl Stage {
    /// A sender without a gap, and enough for a day.
    async fn quick_sender(&self) -> SenderId {
        self.scene.sender(1, 1_000, 0).await
    }

    async fn set(&self, settings: &str) {
        self.scene.run(&format!("update campaign_settings set {settings}"), &[]).await;
    }

    /// Gives the members of a campaign these zones, in their order.
    async fn live_in(&self, campaign: &CampaignScene, zones: &[Option<&str>]) {
        for (contact, zone) in campaign.contacts.iter().zip(zones) {
            self.scene.run("update contacts set timezone = $2 where id = $1", &[contact, zone]).await;
        }
    }

    /// When each person of a campaign is due, in the order of its members.
    async fn due(&self, campaign: &CampaignScene) -> Vec<Option<DateTime<Utc>>> {
        let sql = "select next_due_at from enrollments where campaign_id = $1 order by contact_id";
        self.scene.rows(sql, &[&campaign.campaign]).await.iter().map(|row| row.get(0)).collect()
    }

    async fn activate(&self, campaign: CampaignId) {
        let tx = self.worker("martlet_app").begin(self.scene.organization).await.unwrap();
        activation::activate(&tx, campaign, None).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn pause(&self, campaign: CampaignId) {
        let tx = self.worker("martlet_app").begin(self.scene.organization).await.unwrap();
        campaigns::pause(&tx, campaign).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn resume(&self, campaign: CampaignId) {
        let tx = self.worker("martlet_app").begin(self.scene.organization).await.unwrap();
        campaigns::resume(&tx, campaign).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Plans and delivers what is due now; how many mails that were.
    async fn send_due(&self) -> usize {
        let granted = self.tick().await.granted;
        self.deliver_queued().await;
        granted
    }

    /// Makes a step count from the start of its campaign.
    async fn offset(&self, campaign: &CampaignScene, step: usize, offset: Duration) {
        self.scene
            .run(
                "update steps set timing = 'offset', start_offset_ms = $2 where id = $1",
                &[&campaign.steps[step], &offset.num_milliseconds()],
            )
            .await;
    }
}

#[tokio::test]
async fn everybody_is_written_to_by_their_own_clock() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let campaign = stage.scene.draft_campaign(4, &[sender], 2, 1_000).await;
    stage.set("timezone_mode = 'recipient', gap_seconds = 0").await;
    stage.live_in(&campaign, &[Some("Asia/Tokyo"), Some("Europe/Berlin"), Some("America/New_York"), None]).await;
    stage.at(at(4, 12, 0)).await;
    stage.activate(campaign.campaign).await;
    let (tokyo, berlin, new_york, nowhere) = (at(5, 0, 0), at(4, 12, 0), at(4, 14, 0), at(4, 12, 0));
    assert_eq!(stage.due(&campaign).await, [tokyo, berlin, new_york, nowhere].map(Some));
    for (moment, sent) in
        [(at(4, 12, 0), 2), (at(4, 13, 59), 0), (at(4, 14, 0), 1), (at(4, 23, 59), 0), (at(5, 0, 0), 1)]
    {
        stage.at(moment).await;
        assert_eq!(stage.send_due().await, sent, "{moment}");
    }
    // The second step comes two days later by the same clocks: on Friday, and in Tokyo on Saturday, which is Monday.
    assert_eq!(stage.due(&campaign).await, [at(9, 0, 0), at(6, 12, 0), at(6, 14, 0), at(6, 12, 0)].map(Some));
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_backlog_of_another_zone_stands_in_nobody_s_way() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 60).await;
    let campaign = stage.scene.running_campaign(330, &[sender], 1, 1_000).await;
    stage.set("timezone_mode = 'recipient', gap_seconds = 0").await;
    let (asleep, awake) = campaign.contacts.split_at(325);
    let live = "update contacts set timezone = $2 where id = any ($1)";
    stage.scene.run(live, &[&asleep, &"Asia/Tokyo"]).await;
    stage.scene.run(live, &[&awake, &"America/Los_Angeles"]).await;
    // They were all due in the morning; now it is 12:00 in Los Angeles and 5:00 in Tokyo.
    stage
        .scene
        .run(
            "update enrollments set next_due_at = next_due_at + interval '1 second' where contact_id = any ($1)",
            &[&awake],
        )
        .await;
    stage.at(at(4, 20, 0)).await;
    assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 3, "one a minute");
    let moved = "select count(*) from enrollments where next_due_at = '2026-03-05T00:00:00Z'";
    assert_eq!(stage.scene.number(moved, &[]).await, 325, "nine o'clock in Tokyo");
    stage.check("at the end").await;
}

#[tokio::test]
async fn the_sender_looks_at_the_person_s_clock_again() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let campaign = stage.scene.running_campaign(2, &[sender], 1, 1_000).await;
    stage.set("timezone_mode = 'recipient', timezone = 'America/New_York', gap_seconds = 0").await;
    stage.live_in(&campaign, &[Some("Europe/Berlin"), None]).await;
    stage.at(at(4, 16, 59)).await;
    assert_eq!(stage.tick().await.granted, 2);
    stage.at(at(4, 17, 0)).await;
    stage.deliver_queued().await;
    assert_eq!(stage.mailer.accepted(), ["person2@people.test"], "in New York it is noon, in Berlin 18:00");
    assert_eq!(stage.tick().await.granted, 0);
    assert_eq!(stage.due(&campaign).await[0], Some(at(5, 8, 0)));
    stage.at(at(5, 8, 0)).await;
    assert_eq!(stage.send_due().await, 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_zone_that_nobody_knows_keeps_nobody_s_mail() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let campaign = stage.scene.running_campaign(2, &[sender], 1, 1_000).await;
    stage.set("timezone_mode = 'recipient', gap_seconds = 0").await;
    stage.live_in(&campaign, &[Some("Mars/Olympus"), Some("")]).await;
    assert_eq!(stage.send_due().await, 2);
    assert_eq!(stage.scene.states().await, "sent=2");
}

#[tokio::test]
async fn nothing_goes_on_a_holiday_of_the_campaign_or_of_the_organization() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let campaign = stage.scene.draft_campaign(1, &[sender], 2, 1_000).await;
    let other = stage.scene.running_campaign(1, &[sender], 1, 1_000).await;
    stage.set("gap_seconds = 0").await;
    stage
        .scene
        .run("update campaign_settings set holidays = '{2026-03-06}' where campaign_id = $1", &[&campaign.campaign])
        .await;
    stage.scene.run("update organizations set holidays = '{2026-03-04, 2026-03-09}'", &[]).await;
    stage.activate(campaign.campaign).await;
    assert_eq!(stage.due(&campaign).await, [Some(at(5, 9, 0))]);
    assert_eq!(stage.send_due().await, 0, "a campaign that was due before there was a holiday waits as well");
    stage.at(at(5, 9, 0)).await;
    assert_eq!(stage.send_due().await, 2);
    // Two days later is the weekend, behind it the organization's holiday.
    assert_eq!(stage.due(&campaign).await, [Some(at(10, 9, 0))]);
    assert_eq!(stage.due(&other).await, [None]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_holiday_that_comes_up_takes_back_what_is_planned() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let campaign = stage.scene.running_campaign(1, &[sender], 1, 1_000).await;
    assert_eq!(stage.tick().await.granted, 1);
    stage.scene.run("update organizations set holidays = '{2026-03-04}'", &[]).await;
    stage.deliver_queued().await;
    assert_eq!(stage.tick().await.granted, 0);
    assert_eq!(stage.scene.states().await, "scheduled=1");
    stage.at(at(5, 9, 0)).await;
    assert_eq!(stage.send_due().await, 1);
    assert_eq!(stage.due(&campaign).await, [None]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn jitter_spreads_every_step_within_the_window() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let campaign = stage.scene.draft_campaign(40, &[sender], 2, 1_000).await;
    stage.set("gap_seconds = 0, jitter_seconds = 3600").await;
    stage.at(at(4, 17, 30)).await;
    stage.activate(campaign.campaign).await;
    let due: Vec<DateTime<Utc>> = stage.due(&campaign).await.into_iter().flatten().collect();
    assert_eq!(due.len(), 40);
    assert!(due.iter().all(|due| (at(4, 17, 30)..at(4, 18, 0)).contains(due)), "{due:?}");
    assert!(due.iter().any(|other| *other != due[0]), "{due:?}");
    stage.at(at(4, 17, 59) + Duration::milliseconds(59_999)).await;
    assert_eq!(stage.send_due().await, 40);
    let next: Vec<DateTime<Utc>> = stage.due(&campaign).await.into_iter().flatten().collect();
    let sent_at = at(6, 17, 59) + Duration::milliseconds(59_999);
    assert!(next.iter().all(|due| (sent_at..at(6, 18, 0)).contains(due)), "a millisecond was left: {next:?}");
    stage.check("at the end").await;
}

#[tokio::test]
async fn an_offset_counts_from_the_start_and_waits_for_the_step_before() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let campaign = stage.scene.draft_campaign(1, &[sender], 3, 1_000).await;
    stage.offset(&campaign, 0, Duration::hours(2)).await;
    stage.offset(&campaign, 1, Duration::hours(1)).await;
    stage.offset(&campaign, 2, Duration::hours(30)).await;
    stage.activate(campaign.campaign).await;
    assert_eq!(stage.due(&campaign).await, [Some(at(4, 12, 0))]);
    stage.at(at(4, 12, 10)).await;
    assert_eq!(stage.send_due().await, 1);
    assert_eq!(stage.due(&campaign).await, [Some(at(4, 12, 10))], "its offset has passed");
    stage.at(at(4, 12, 20)).await;
    assert_eq!(stage.send_due().await, 1);
    assert_eq!(stage.due(&campaign).await, [Some(at(5, 16, 0))]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_pause_stops_the_clock_of_the_offsets_and_not_the_delays() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let offsets = stage.scene.draft_campaign(1, &[sender], 2, 1_000).await;
    let delays = stage.scene.draft_campaign(1, &[sender], 2, 1_000).await;
    stage.set("gap_seconds = 0").await;
    stage.offset(&offsets, 1, Duration::days(2)).await;
    for campaign in [&offsets, &delays] {
        stage.activate(campaign.campaign).await;
    }
    assert_eq!(stage.send_due().await, 2);
    let due = Some(wednesday_morning() + Duration::days(2));
    assert_eq!((stage.due(&offsets).await[0], stage.due(&delays).await[0]), (due, due));
    // Paused twice: on Wednesday for three hours, and from Thursday to Friday for 24.
    for (pause, resume) in [(at(4, 11, 0), at(4, 14, 0)), (at(5, 12, 0), at(6, 12, 0))] {
        stage.at(pause).await;
        stage.pause(offsets.campaign).await;
        stage.pause(delays.campaign).await;
        stage.at(resume).await;
        stage.resume(offsets.campaign).await;
        stage.resume(delays.campaign).await;
    }
    // 27 hours after Friday at 10 is Saturday.
    assert_eq!((stage.due(&offsets).await[0], stage.due(&delays).await[0]), (Some(at(9, 9, 0)), due));
    assert_eq!(stage.send_due().await, 1, "the delay has passed");
    for (moment, sent) in [(at(7, 13, 0), 0), (at(9, 8, 59), 0), (at(9, 9, 0), 1)] {
        stage.at(moment).await;
        assert_eq!(stage.send_due().await, sent, "{moment}");
    }
    assert_eq!(stage.scene.states().await, "sent=4");
    stage.check("at the end").await;
}

#[tokio::test]
async fn an_offset_that_was_reached_before_the_pause_is_not_put_off() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let campaign = stage.scene.draft_campaign(2, &[sender], 1, 1_000).await;
    stage.offset(&campaign, 0, Duration::hours(17)).await;
    stage.set("gap_seconds = 0, jitter_seconds = 600, timezone_mode = 'recipient'").await;
    stage.live_in(&campaign, &[Some("Europe/Berlin"), Some("Asia/Tokyo")]).await;
    stage.activate(campaign.campaign).await;
    // Reached at 3 o'clock UTC: noon in Tokyo, four o'clock in Berlin.
    let before = stage.due(&campaign).await;
    stage.at(at(5, 4, 0)).await;
    stage.pause(campaign.campaign).await;
    stage.at(at(5, 6, 0)).await;
    stage.resume(campaign.campaign).await;
    let after = stage.due(&campaign).await;
    assert_eq!(after[0], before[0], "in the window of Berlin it is reached in time");
    assert_eq!(after[1], Some(at(5, 5, 0)), "reached by the clock an hour before the resumption");
    assert_eq!(stage.send_due().await, 1, "in Tokyo; in Berlin it is seven");
    assert_eq!(stage.due(&campaign).await, [before[0], None]);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_claim_that_was_late_to_hear_of_the_pause_moves_the_person() {
    let stage = Stage::new().await;
    let sender = stage.quick_sender().await;
    let campaign = stage.scene.draft_campaign(1, &[sender], 1, 1_000).await;
    stage.offset(&campaign, 0, Duration::hours(1)).await;
    stage.activate(campaign.campaign).await;
    // A due time that was computed while the campaign was paused, as a report may have it done.
    stage.scene.run("update campaigns set paused_seconds = 7200", &[]).await;
    stage.at(at(4, 11, 0)).await;
    assert_eq!(stage.send_due().await, 0);
    assert_eq!(stage.due(&campaign).await, [Some(at(4, 13, 0))]);
    stage.at(at(4, 13, 0)).await;
    assert_eq!(stage.send_due().await, 1);
}

#[tokio::test]
async fn delays_that_fell_due_in_a_pause_are_spread_from_the_resumption() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 600).await;
    let campaign = stage.scene.running_campaign(6, &[sender], 1, 1_000).await;
    stage.pause(campaign.campaign).await;
    stage.at(at(5, 11, 0)).await;
    assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 0);
    stage.resume(campaign.campaign).await;
    for minute in 0..60 {
        stage.at(at(5, 11, minute)).await;
        stage.tick_ahead(Duration::minutes(2)).await;
    }
    let slots: Vec<DateTime<Utc>> = stage
        .scene
        .rows("select send_at from messages order by send_at", &[])
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(slots, [0, 10, 20, 30, 40, 50].map(|minute| at(5, 11, minute)), "ten minutes apart, none at once");
    stage.check("at the end").await;
}
