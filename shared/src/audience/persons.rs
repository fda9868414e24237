//! What is known of the human beings behind contacts.
//!
//! A contact keeps what it was given; what was learned elsewhere stands in its person, and never overwrites it. What somebody has
//! set by hand of a person, no provider takes back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that is known of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PersonField")]
pub enum Field {
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// Where the person lives or works.
    City,
    /// The part of the country that it is in.
    Region,
    /// Two letters (ISO 3166-1).
    Country,
    /// Where the person works.
    Company,
    /// What the person does there.
    Profession,
    /// An IANA time zone.
    Timezone,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 8] = [
        Self::FirstName,
        Self::LastName,
        Self::City,
        Self::Region,
        Self::Country,
        Self::Company,
        Self::Profession,
        Self::Timezone,
    ];

    /// Its name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::City => "city",
            Self::Region => "region",
            Self::Country => "country",
            Self::Company => "company",
            Self::Profession => "profession",
            Self::Timezone => "timezone",
        }
    }

    /// The points that knowing it gives, of 145 together with the persona's.
    fn points(self) -> u32 {
        match self {
            Self::FirstName => 20,
            Self::LastName => 35,
            Self::City | Self::Region | Self::Country | Self::Company | Self::Profession => 10,
            Self::Timezone => 0,
        }
    }
}

/// The points of a persona.
const PERSONA_POINTS: u32 = 40;
/// The points of everything.
const ALL_POINTS: u32 = 145;

/// How much is known of a person, as per cent of 145 points, rounded to the nearest.
#[must_use]
pub fn score(known: impl IntoIterator<Item = Field>, has_persona: bool) -> i16 {
    let mut points = if has_persona { PERSONA_POINTS } else { 0 };
    points += known.into_iter().map(Field::points).sum::<u32>();
    i16::try_from((points * 100 + ALL_POINTS / 2) / ALL_POINTS).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_a_percentage_of_145_points() {
        assert_eq!(score([], false), 0);
        assert_eq!(score(Field::ALL, true), 100);
        assert_eq!(score([Field::FirstName], false), 14);
        assert_eq!(score([Field::FirstName, Field::LastName], false), 38);
        assert_eq!(score([Field::Country], false), 7);
        assert_eq!(score([Field::Timezone], false), 0);
        assert_eq!(score([], true), 28);
        assert_eq!(score(Field::ALL, false), 72);
    }
}
