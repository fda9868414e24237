//! What can be asked of a person, and how each of it is compared.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::tree::{Operator, Wrong};
use crate::audience::contacts;

/// What the fields of the organization's own begin with.
const CUSTOM: &str = "custom.";
/// What is offered in place of a name that is nearly one of ours.
const SIMILAR: f64 = 0.75;

const STATUSES: &[&str] = &["active", "contacted", "replied", "bounced", "unsubscribed"];
const VERIFICATIONS: &[&str] = &["valid", "invalid", "unverified"];

/// Something that may be known of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The address.
    Email,
    /// What stands behind the address's last `@`.
    EmailDomain,
    /// The whole name.
    Name,
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// Where the contact works, as the organization has it.
    Company,
    /// Where the contact stands.
    Status,
    /// The contact's IANA time zone.
    Timezone,
    /// Where the contact came from.
    Source,
    /// When the contact was made.
    CreatedAt,
    /// The import that brought the contact.
    Import,
    /// The person's city.
    City,
    /// The person's region.
    Region,
    /// The person's country, by ISO 3166-1.
    Country,
    /// Where the person works, as it was found out.
    PersonCompany,
    /// What the person does.
    Profession,
    /// The person's IANA time zone, as it was found out.
    PersonTimezone,
    /// How much is known of the person, of 100.
    Score,
    /// A tag of the contact, by its name.
    Tag,
    /// A list that the contact is on, by its name or id.
    List,
    /// What the verification of the address has come to.
    Verification,
    /// A field of the organization's own, by its key.
    Custom(String),
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; the capital letters of ASCII are as good as the small ones.
    Text,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A number.
    Number,
    /// A time.
    Moment,
    /// Rows that have a name.
    Named,
    /// A row by its id.
    Id,
    /// As the organization has defined it.
    Custom,
}

const NAMED: [(&str, Field); 21] = [
    ("email", Field::Email),
    ("email_domain", Field::EmailDomain),
    ("name", Field::Name),
    ("first_name", Field::FirstName),
    ("last_name", Field::LastName),
    ("company", Field::Company),
    ("status", Field::Status),
    ("timezone", Field::Timezone),
    ("source", Field::Source),
    ("created_at", Field::CreatedAt),
    ("import", Field::Import),
    ("city", Field::City),
    ("region", Field::Region),
    ("country", Field::Country),
    ("person.company", Field::PersonCompany),
    ("profession", Field::Profession),
    ("person.timezone", Field::PersonTimezone),
    ("score", Field::Score),
    ("tag", Field::Tag),
    ("list", Field::List),
    ("verification", Field::Verification),
];

impl Field {
    /// The field of this name, in any case; a key of a custom field keeps its own.
    ///
    /// Errors: `unknown_field`, with the name that is most like it.
    pub fn parse(name: &str) -> Result<Self, Wrong> {
        let lower = name.to_ascii_lowercase();
        if let Some((_, field)) = NAMED.iter().find(|(known, _)| *known == lower) {
            return Ok(field.clone());
        }
        let key = name.split_at_checked(CUSTOM.len()).filter(|(group, _)| group.eq_ignore_ascii_case(CUSTOM));
        if let Some((_, key)) = key {
            if contacts::is_custom_key(key) {
                return Ok(Self::Custom(key.to_owned()));
            }
            let message = "a custom field's name has up to 64 letters, digits and _, and starts with no digit";
            return Err(Wrong::new("unknown_field", message));
        }
        let shown: String = name.chars().take(64).collect();
        let message = match most_similar(&lower, NAMED.iter().map(|(known, _)| *known)) {
            Some(similar) => format!("there is no field {shown}; did you mean {similar}?"),
            None => format!("there is no field {shown}; fields of your own are custom.<key>"),
        };
        Err(Wrong::new("unknown_field", message))
    }

    /// All that are not the organization's own.
    pub fn named() -> impl Iterator<Item = Self> {
        NAMED.into_iter().map(|(_, field)| field)
    }

    /// How it is compared.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Email
            | Self::EmailDomain
            | Self::Name
            | Self::FirstName
            | Self::LastName
            | Self::Company
            | Self::Timezone
            | Self::Source
            | Self::City
            | Self::Region
            | Self::Country
            | Self::PersonCompany
            | Self::Profession
            | Self::PersonTimezone => Kind::Text,
            Self::Status => Kind::Choice(STATUSES),
            Self::Verification => Kind::Choice(VERIFICATIONS),
            Self::CreatedAt => Kind::Moment,
            Self::Score => Kind::Number,
            Self::Tag | Self::List => Kind::Named,
            Self::Import => Kind::Id,
            Self::Custom(_) => Kind::Custom,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom(key) => write!(f, "{CUSTOM}{key}"),
            _ => f.write_str(NAMED.iter().find(|(_, field)| field == self).map_or("", |(name, _)| name)),
        }
    }
}

impl Kind {
    /// The operators that make sense of it.
    pub(super) fn operators(self) -> &'static [Operator] {
        use Operator::{BeginsWith, Eq, Ge, Gt, In, IsNotSet, IsSet, Le, Lt, Ne, NotIn};
        match self {
            Self::Text => &[Eq, Ne, In, NotIn, BeginsWith, IsSet, IsNotSet],
            Self::Choice(_) | Self::Named | Self::Id => &[Eq, Ne, In, NotIn, IsSet, IsNotSet],
            Self::Number => &[Eq, Ne, Lt, Le, Gt, Ge, In, NotIn, IsSet, IsNotSet],
            Self::Moment => &[Lt, Le, Gt, Ge],
            Self::Custom => &Operator::ALL,
        }
    }
}

/// A time as people write it: a day begins at midnight, UTC.
pub(super) fn moment(text: &str) -> Option<DateTime<Utc>> {
    let midnight = |text: &str| day(text).map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    // The database's calendar ends later than this, and so does anybody's patience.
    midnight(text).or_else(|| time(text)).filter(|time| (1..=9_999).contains(&chrono::Datelike::year(time)))
}

/// A day as people write it.
pub(super) fn day(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (1..=9_999).contains(&chrono::Datelike::year(&day)).then_some(day)
}

/// The one of these names that somebody who wrote `name` may have meant.
pub(super) fn most_similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any name is no slip of the pen, and the comparison takes the product of both lengths.
    if name.len() > 100 {
        return None;
    }
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}
