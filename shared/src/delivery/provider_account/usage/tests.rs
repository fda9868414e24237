use chrono::TimeZone as _;
use proptest::prelude::*;

use super::*;

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 4, 12, 0, 0).unwrap()
}

#[test]
fn an_account_that_has_told_nothing_holds_nobody_back() {
    let mut account = Account::default();
    for _ in 0..1_000 {
        account.promise(noon());
    }
    assert_eq!(account.free(noon(), noon(), 500), 500);
    assert_eq!(account.earliest(noon(), noon()), Some(noon()));
    assert!(!account.is_used_up(noon()));
}

#[test]
fn the_quota_has_room_again_a_day_after_the_hour_is_over() {
    let mut account = Account { daily_quota: Some(3), ..Account::default() };
    for minutes in [0, 59, 60] {
        account.promise(noon() + Duration::minutes(minutes));
    }
    let at = |hours| noon() + Duration::hours(hours);
    assert!(account.is_used_up(at(2)) && account.is_used_up(at(24)));
    assert_eq!(account.free(at(25), at(25), 10), 2, "the two of the first hour are older than a day");
    assert_eq!(account.free(at(26), at(26), 10), 3);
    assert_eq!(account.frees_at(at(2)), Some(at(25)));
    account.sent_elsewhere = 3;
    assert_eq!(account.frees_at(at(2)), None, "others alone use it up");
}

#[test]
fn a_second_that_is_full_passes_the_mail_on_to_the_next() {
    let mut account = Account { mails_per_second: Some(2), ..Account::default() };
    let until = noon() + Duration::seconds(1);
    let half = noon() + Duration::milliseconds(500);
    assert_eq!(account.free(noon(), until, 10), 4);
    let mut given = Vec::new();
    while let Some(at) = account.earliest(half, until) {
        account.promise(at);
        given.push((at - noon()).num_milliseconds());
    }
    assert_eq!(given, [500, 500, 1_000, 1_000]);
    assert_eq!(account.free(noon(), until, 10), 0);
}

proptest! {
    #[test]
    fn no_second_and_no_day_ever_holds_more_than_its_bound(
        rate in 1_i64..5,
        quota in 0_i64..40,
        wishes in prop::collection::vec(0_i64..200_000, 1..80),
    ) {
        let mut account = Account { mails_per_second: Some(rate), daily_quota: Some(quota), ..Account::default() };
        let mut given = Vec::new();
        let mut wishes = wishes;
        wishes.sort_unstable();
        for wish in wishes {
            let from = noon() + Duration::seconds(wish);
            if account.is_used_up(from) {
                continue;
            }
            if let Some(at) = account.earliest(from, from + Duration::minutes(2)) {
                account.promise(at);
                given.push(at);
            }
        }
        for at in &given {
            let within = given.iter().filter(|other| **other > *at - Duration::hours(24) && *other <= at).count();
            prop_assert!(i64::try_from(within).unwrap() <= quota);
            let same = given.iter().filter(|other| second(**other) == second(*at)).count();
            prop_assert!(i64::try_from(same).unwrap() <= rate);
        }
    }
}
