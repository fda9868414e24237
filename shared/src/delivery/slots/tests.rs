use chrono::TimeZone as _;
use proptest::prelude::*;

use super::*;
use crate::delivery::schedule::{Holidays, SendDays};

/// A Wednesday.
fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 4, 10, 0, 0).unwrap()
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// Two campaigns and two senders of one organization in one domain make four pairs.
fn pair(campaign: u128, sender: u128, rules: OrganizationRules) -> Pair {
    Pair {
        organization: OrganizationId(id(1)),
        campaign: CampaignId(id(10 + campaign)),
        sender: SenderId(id(20 + sender)),
        domain: DomainId(id(30)),
        campaign_rules: CampaignRules {
            window: SendWindow {
                opens: NaiveTime::MIN,
                closes: NaiveTime::MIN,
                days: SendDays::ALL,
                holidays: Holidays::default(),
                zone: Tz::UTC,
            },
            daily_limit: 1_000,
            gap: Duration::zero(),
        },
        sender_rules: SenderRules { daily_limit: 1_000, gap: Duration::zero(), zone: Tz::UTC },
        organization_rules: rules,
    }
}

fn person(n: u128) -> Recipient {
    Recipient { contact: ContactId(id(100 + n)), domain: Some(id(200 + n % 3)) }
}

fn limited(mails: i32, days: i32) -> OrganizationRules {
    OrganizationRules { person_limit: Some(PersonLimit { mails, days }), ..OrganizationRules::default() }
}

fn grant(ledger: &mut Ledger, pair: &Pair, person: Recipient, at: DateTime<Utc>) -> Result<Slot, Constraint> {
    ledger.grant(pair, person, at, at, at).map_err(|binding| binding.name)
}

#[test]
fn each_limit_refuses_by_its_name_and_says_when_it_ends() {
    let midnight = Utc.with_ymd_and_hms(2026, 3, 5, 0, 0, 0).unwrap();
    let eleven = Utc.with_ymd_and_hms(2026, 3, 4, 11, 0, 0).unwrap();
    let one = Some(1);
    let none = OrganizationRules::default();
    let cases = [
        (OrganizationRules { plan_daily_limit: one, ..none }, Constraint::PlanDailyLimit, midnight),
        (OrganizationRules { daily_limit: one, ..none }, Constraint::OrganizationDailyLimit, midnight),
        (OrganizationRules { domain_daily_limit: one, ..none }, Constraint::DomainDailyLimit, midnight),
        (
            OrganizationRules { recipient_domain_hourly_limit: one, ..none },
            Constraint::RecipientDomainHourlyLimit,
            eleven,
        ),
        (limited(1, 1), Constraint::PersonLimit, midnight),
        (limited(1, 7), Constraint::PersonLimit, midnight + Duration::days(6)),
    ];
    for (rules, name, frees_at) in cases {
        let pair = pair(0, 0, rules);
        let mut ledger = Ledger::default();
        assert!(ledger.bindings(&pair, person(0), now()).is_empty());
        grant(&mut ledger, &pair, person(0), now()).unwrap();
        assert_eq!(grant(&mut ledger, &pair, person(0), now()), Err(name));
        let bindings = ledger.bindings(&pair, person(0), now());
        assert_eq!(bindings, [Binding::new(name, Some(frees_at))]);
        assert!(ledger.bindings(&pair, person(0), frees_at).is_empty(), "{name:?} has ended");
    }
}

#[test]
fn every_binding_limit_is_told_in_the_fixed_order() {
    let mut pair = pair(0, 0, OrganizationRules { daily_limit: Some(1), ..limited(1, 2) });
    pair.sender_rules = SenderRules { daily_limit: 1, gap: Duration::minutes(5), zone: Tz::Asia__Tokyo };
    pair.campaign_rules.daily_limit = 1;
    let account = Account::bounded(None, Some(1));
    let mut ledger = Ledger::new(BTreeMap::new(), account);
    grant(&mut ledger, &pair, person(0), now()).unwrap();
    let names: Vec<Constraint> = ledger.bindings(&pair, person(0), now()).iter().map(|binding| binding.name).collect();
    let expected = [
        Constraint::ProviderQuota,
        Constraint::OrganizationDailyLimit,
        Constraint::CampaignDailyLimit,
        Constraint::SenderDailyLimit,
        Constraint::SenderGap,
        Constraint::PersonLimit,
    ];
    assert_eq!(names, expected);
    let tokyo = Utc.with_ymd_and_hms(2026, 3, 4, 15, 0, 0).unwrap();
    assert_eq!(ledger.bindings(&pair, person(0), now())[3].frees_at, Some(tokyo), "Thursday begins in Tokyo");
}

#[test]
fn a_limit_of_nothing_never_ends() {
    let mut pair = pair(0, 0, OrganizationRules::default());
    pair.sender_rules.daily_limit = 0;
    let bindings = Ledger::default().bindings(&pair, person(0), now());
    assert_eq!(bindings, [Binding::new(Constraint::SenderDailyLimit, None)]);
}

#[test]
fn a_person_s_mails_are_summed_over_the_days_and_over_midnight() {
    let pair = pair(0, 0, limited(2, 3));
    let mut ledger = Ledger::default();
    let day = |days| now() + Duration::days(days);
    assert!(grant(&mut ledger, &pair, person(0), day(0)).is_ok());
    assert!(grant(&mut ledger, &pair, person(0), day(2)).is_ok());
    assert_eq!(grant(&mut ledger, &pair, person(0), day(2)), Err(Constraint::PersonLimit));
    assert!(grant(&mut ledger, &pair, person(1), day(2)).is_ok(), "somebody else");
    assert!(grant(&mut ledger, &pair, person(0), day(3)).is_ok(), "the first is out of the three days");
    assert_eq!(grant(&mut ledger, &pair, person(0), day(4)), Err(Constraint::PersonLimit));
}

#[test]
fn the_account_s_rate_spreads_mails_over_the_seconds_of_the_horizon() {
    let pair = pair(0, 0, OrganizationRules::default());
    let account = Account::bounded(Some(2), None);
    let mut ledger = Ledger::new(BTreeMap::new(), account);
    let until = now() + Duration::seconds(2);
    assert_eq!(ledger.free(&pair, now(), until, 100), 6);
    let mut seconds = Vec::new();
    while let Ok(slot) = ledger.grant(&pair, person(0), now(), now(), until) {
        seconds.push((slot.send_at - now()).num_seconds());
    }
    assert_eq!(seconds, [0, 0, 1, 1, 2, 2]);
}

/// What somebody wishes: campaign, sender, person.
type Wish = (u128, u128, u128);

#[derive(Debug, Clone)]
struct Caps {
    rules: OrganizationRules,
    campaign: i64,
    sender: i64,
    quota: Option<i64>,
}

fn caps() -> impl Strategy<Value = Caps> {
    let cap = || prop::option::of(0_i64..12);
    let people = prop::option::of((1..3_i32, 1..4_i32));
    (cap(), cap(), cap(), cap(), people, 0_i64..12, 0_i64..12, cap()).prop_map(
        |(plan_daily_limit, daily_limit, domain_daily_limit, hourly, people, campaign, sender, quota)| Caps {
            rules: OrganizationRules {
                plan_daily_limit,
                daily_limit,
                domain_daily_limit,
                recipient_domain_hourly_limit: hourly,
                person_limit: people.map(|(mails, days)| PersonLimit { mails, days }),
            },
            campaign,
            sender,
            quota,
        },
    )
}

fn capped(caps: &Caps, campaign: u128, sender: u128) -> Pair {
    let mut pair = pair(campaign, sender, caps.rules);
    pair.campaign_rules.daily_limit = caps.campaign;
    pair.sender_rules.daily_limit = caps.sender;
    pair
}

/// Grants as many wishes as there is room for, in their order.
fn granted(caps: &Caps, wishes: &[Wish]) -> (Ledger, Vec<bool>) {
    let mut ledger = Ledger::new(BTreeMap::new(), Account::bounded(None, caps.quota));
    let given = wishes
        .iter()
        .map(|(campaign, sender, n)| grant(&mut ledger, &capped(caps, *campaign, *sender), person(*n), now()).is_ok())
        .collect();
    (ledger, given)
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    prop::collection::vec((0_u128..2, 0_u128..2, 0_u128..8), 0..40)
}

proptest! {
    #[test]
    fn no_limit_is_ever_passed(caps in caps(), wishes in wishes()) {
        let (_, given) = granted(&caps, &wishes);
        let given: Vec<&Wish> = wishes.iter().zip(&given).filter(|(_, given)| **given).map(|(wish, _)| wish).collect();
        let count = |of: &dyn Fn(&Wish) -> bool| i64::try_from(given.iter().filter(|wish| of(wish)).count()).unwrap();
        let within = |used: i64, limit: Option<i64>| limit.is_none_or(|limit| used <= limit);
        let OrganizationRules { plan_daily_limit, daily_limit, domain_daily_limit, .. } = caps.rules;
        for limit in [plan_daily_limit, daily_limit, domain_daily_limit, caps.quota] {
            prop_assert!(within(count(&|_| true), limit));
        }
        for n in 0..2 {
            prop_assert!(count(&|wish| wish.0 == n) <= caps.campaign);
            prop_assert!(count(&|wish| wish.1 == n) <= caps.sender);
        }
        for n in 0..8 {
            let limit = caps.rules.person_limit.map(|limit| limit.mails.into());
            prop_assert!(within(count(&|wish| wish.2 == n), limit));
        }
        for n in 0..3 {
            prop_assert!(within(count(&|wish| wish.2 % 3 == n), caps.rules.recipient_domain_hourly_limit));
        }
    }

    /// Whoever was refused is refused at the end as well: nothing that could be granted was left, and usage only grows.
    #[test]
    fn everything_that_can_be_granted_is(caps in caps(), wishes in wishes()) {
        let (mut ledger, given) = granted(&caps, &wishes);
        for ((campaign, sender, n), given) in wishes.iter().zip(given) {
            let pair = capped(&caps, *campaign, *sender);
            if !given {
                prop_assert!(!ledger.bindings(&pair, person(*n), now()).is_empty());
                prop_assert!(grant(&mut ledger, &pair, person(*n), now()).is_err());
            }
        }
    }

    #[test]
    fn of_one_pair_the_order_of_the_people_does_not_change_how_many_go(
        caps in caps(),
        (people, shuffled) in prop::collection::vec(0_u128..8, 0..30)
            .prop_flat_map(|people| (Just(people.clone()), Just(people).prop_shuffle())),
    ) {
        let caps = Caps { rules: OrganizationRules { person_limit: None, ..caps.rules }, ..caps };
        let total = |people: &[u128]| {
            let wishes: Vec<Wish> = people.iter().map(|n| (0, 0, *n)).collect();
            granted(&caps, &wishes).1.into_iter().filter(|given| *given).count()
        };
        prop_assert_eq!(total(&people), total(&shuffled));
    }

    #[test]
    fn a_wider_limit_never_grants_fewer_of_one_pair(caps in caps(), people in prop::collection::vec(0_u128..8, 0..30)) {
        let wishes: Vec<Wish> = people.iter().map(|n| (0, 0, *n)).collect();
        let total = |caps: &Caps| granted(caps, &wishes).1.into_iter().filter(|given| *given).count();
        let before = total(&caps);
        let wider = |limit: Option<i64>| limit.map(|limit| limit + 1);
        let rules = caps.rules;
        for rules in [
            OrganizationRules { plan_daily_limit: wider(rules.plan_daily_limit), ..rules },
            OrganizationRules { daily_limit: wider(rules.daily_limit), ..rules },
            OrganizationRules { domain_daily_limit: wider(rules.domain_daily_limit), ..rules },
            OrganizationRules { recipient_domain_hourly_limit: wider(rules.recipient_domain_hourly_limit), ..rules },
            OrganizationRules { person_limit: None, ..rules },
        ] {
            let after = total(&Caps { rules, ..caps.clone() });
            prop_assert!(after >= before);
        }
    }

    #[test]
    fn what_is_free_is_never_less_than_what_is_granted(caps in caps(), people in prop::collection::vec(0_u128..8, 0..30)) {
        let pair = capped(&caps, 0, 0);
        let mut ledger = Ledger::new(BTreeMap::new(), Account::bounded(None, caps.quota));
        let free = ledger.free(&pair, now(), now(), 1_000);
        let mut granted = 0;
        for n in people {
            granted += i64::from(grant(&mut ledger, &pair, person(n), now()).is_ok());
        }
        prop_assert!(granted <= free);
        prop_assert_eq!(ledger.free(&pair, now(), now(), 1_000), free - granted);
    }
}
