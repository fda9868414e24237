//! What a tree means, said once more without a database: of one person after the other.

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use shared::audience::segments::fields::Field;
use shared::audience::segments::tree::{Act, FieldTest, Literal, Operator, Tree};

use crate::people::{Custom, Human};

/// Whether a tree means somebody.
pub(crate) fn means(tree: &Tree, human: &Human, now: DateTime<Utc>) -> bool {
    match tree {
        Tree::Everybody => true,
        Tree::And(trees) => trees.iter().all(|tree| means(tree, human, now)),
        Tree::Or(trees) => trees.iter().any(|tree| means(tree, human, now)),
        Tree::Not(tree) => !means(tree, human, now),
        Tree::Field(test) => compares(test, human),
        Tree::Engagement(engagement) => human.engagements.iter().any(|(act, campaign, at)| {
            let act_is = match engagement.act {
                Act::Opened => "opened",
                Act::Clicked => "clicked",
                Act::Replied => "replied",
            };
            *act == act_is
                && engagement.campaign.as_ref().is_none_or(|name| name == campaign)
                && engagement.within_days().is_none_or(|days| *at >= now - Duration::days(days.into()))
        }),
    }
}

/// What is known: several where somebody may have several.
enum Known {
    Texts(Vec<String>),
    /// Names whose case matters.
    Names(Vec<String>),
    Number(Option<f64>),
    Boolean(Option<bool>),
    Day(Option<NaiveDate>),
    Moment(DateTime<Utc>),
}

fn known(field: &Field, human: &Human) -> Known {
    let one = |text: Option<&String>| Known::Texts(text.into_iter().cloned().collect());
    let person = human.person.as_ref();
    match field {
        Field::Email => one(Some(&human.email)),
        Field::EmailDomain => Known::Texts(vec![human.email.rsplit('@').next().unwrap().to_owned()]),
        Field::Name => one(human.name.as_ref()),
        Field::FirstName => one(human.first_name.as_ref()),
        Field::LastName => one(human.last_name.as_ref()),
        Field::Company => one(human.company.as_ref()),
        Field::Status => one(Some(&human.status)),
        Field::Timezone => one(human.timezone.as_ref()),
        Field::Source => one(Some(&human.source)),
        Field::CreatedAt => Known::Moment(human.created_at),
        Field::Import => Known::Texts(human.import.iter().map(ToString::to_string).collect()),
        Field::City => one(person.and_then(|person| person.city.as_ref())),
        Field::Region => one(person.and_then(|person| person.region.as_ref())),
        Field::Country => one(person.and_then(|person| person.country.as_ref())),
        Field::PersonCompany => one(person.and_then(|person| person.company.as_ref())),
        Field::Profession => one(person.and_then(|person| person.profession.as_ref())),
        Field::PersonTimezone => one(person.and_then(|person| person.timezone.as_ref())),
        Field::Score => Known::Number(person.map(|person| f64::from(person.score))),
        Field::Tag => Known::Texts(human.tags.iter().cloned().collect()),
        Field::List => Known::Names(human.lists.iter().cloned().collect()),
        Field::Verification => one(human.verification.as_ref()),
        Field::Custom(key) => match (key.as_str(), human.custom.get(key)) {
            ("seats", value) => Known::Number(match value {
                Some(Custom::Number(number)) => Some(*number),
                _ => None,
            }),
            ("vip", value) => Known::Boolean(match value {
                Some(Custom::Boolean(truth)) => Some(*truth),
                _ => None,
            }),
            ("renewal", value) => Known::Day(match value {
                Some(Custom::Text(text)) => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok(),
                _ => None,
            }),
            (_, value) => Known::Texts(match value {
                Some(Custom::Text(text)) => vec![text.clone()],
                _ => Vec::new(),
            }),
        },
    }
}

fn compares(test: &FieldTest, human: &Human) -> bool {
    let known = known(test.field(), human);
    let one_is = |values: &[Literal]| values.iter().any(|value| is(&known, value));
    let first = &test.values().first();
    match test.operator() {
        Operator::Eq | Operator::In => one_is(test.values()),
        Operator::Ne | Operator::NotIn => !one_is(test.values()),
        Operator::IsSet => is_known(&known),
        Operator::IsNotSet => !is_known(&known),
        Operator::BeginsWith => match (&known, first.unwrap()) {
            (Known::Texts(texts), Literal::Text(prefix)) => {
                texts.iter().any(|text| fold(text).starts_with(&fold(prefix)))
            }
            _ => panic!("no text begins with this: {test}"),
        },
        Operator::Lt => order(&known, first.unwrap()).is_some_and(std::cmp::Ordering::is_lt),
        Operator::Le => order(&known, first.unwrap()).is_some_and(std::cmp::Ordering::is_le),
        Operator::Gt => order(&known, first.unwrap()).is_some_and(std::cmp::Ordering::is_gt),
        Operator::Ge => order(&known, first.unwrap()).is_some_and(std::cmp::Ordering::is_ge),
    }
}

fn fold(text: &str) -> String {
    text.to_ascii_lowercase()
}

fn is_known(known: &Known) -> bool {
    match known {
        Known::Texts(texts) | Known::Names(texts) => !texts.is_empty(),
        Known::Number(number) => number.is_some(),
        Known::Boolean(truth) => truth.is_some(),
        Known::Day(day) => day.is_some(),
        Known::Moment(_) => true,
    }
}

fn is(known: &Known, literal: &Literal) -> bool {
    match (known, literal) {
        (Known::Texts(texts), Literal::Text(text)) => texts.iter().any(|known| fold(known) == fold(text)),
        (Known::Names(names), Literal::Text(text)) => names.contains(text),
        (Known::Boolean(truth), Literal::Boolean(wanted)) => *truth == Some(*wanted),
        _ => order(known, literal).is_some_and(std::cmp::Ordering::is_eq),
    }
}

fn order(known: &Known, literal: &Literal) -> Option<std::cmp::Ordering> {
    let day = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").unwrap();
    match (known, literal) {
        (Known::Number(number), Literal::Number(wanted)) => number.as_ref()?.partial_cmp(wanted),
        (Known::Day(known), Literal::Text(text)) => Some(known.as_ref()?.cmp(&day(text))),
        (Known::Moment(known), Literal::Text(text)) => Some(known.cmp(&day(text).and_time(NaiveTime::MIN).and_utc())),
        _ => None,
    }
}
