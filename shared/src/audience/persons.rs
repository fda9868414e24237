//! What is known of the human beings behind contacts.
//!
//! A contact keeps what it was given; what was learned elsewhere stands in its person, and never overwrites it. What somebody has
//! set by hand of a person, no provider takes back.

mod learned;
pub mod personas;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

pub use self::learned::Learned;
use super::contacts;
use crate::fields::{Fields, patched};
use crate::{ContactId, Error, PersonId, Result, Tx};

/// Characters of a field.
pub const FIELD_MAXIMUM: usize = 200;

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

/// A person as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Person {
    /// Its id.
    pub id: PersonId,
    /// What is known, by field; null what is not.
    #[serde(flatten)]
    pub fields: PersonFields,
    /// A few sentences about the person.
    pub persona: Option<String>,
    /// How much is known, as per cent.
    pub score: i16,
    /// The fields that somebody has set by hand.
    pub set_by_hand: BTreeSet<Field>,
    /// Who told the rest last.
    pub provider: Option<String>,
    /// When that was.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub enriched_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// The fields of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PersonFields {
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Where the person lives or works.
    pub city: Option<String>,
    /// The part of the country that it is in.
    pub region: Option<String>,
    /// Two letters (ISO 3166-1).
    pub country: Option<String>,
    /// Where the person works.
    pub company: Option<String>,
    /// What the person does there.
    pub profession: Option<String>,
    /// An IANA time zone.
    pub timezone: Option<String>,
}

impl PersonFields {
    fn of(&mut self, field: Field) -> &mut Option<String> {
        match field {
            Field::FirstName => &mut self.first_name,
            Field::LastName => &mut self.last_name,
            Field::City => &mut self.city,
            Field::Region => &mut self.region,
            Field::Country => &mut self.country,
            Field::Company => &mut self.company,
            Field::Profession => &mut self.profession,
            Field::Timezone => &mut self.timezone,
        }
    }

    /// What is known.
    #[must_use]
    pub fn known(&self) -> BTreeMap<Field, String> {
        let mut fields = self.clone();
        Field::ALL.into_iter().filter_map(|field| Some((field, fields.of(field).take()?))).collect()
    }
}

/// What somebody sets of a person: absent fields stay, null empties one and leaves it to providers again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PersonPatch {
    /// Given name.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = FIELD_MAXIMUM))]
    first_name: Option<Option<String>>,
    /// Family name.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = FIELD_MAXIMUM))]
    last_name: Option<Option<String>>,
    /// Where the person lives or works.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = FIELD_MAXIMUM))]
    city: Option<Option<String>>,
    /// The part of the country that it is in.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = FIELD_MAXIMUM))]
    region: Option<Option<String>>,
    /// Two letters (ISO 3166-1).
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = 2))]
    country: Option<Option<String>>,
    /// Where the person works.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = FIELD_MAXIMUM))]
    company: Option<Option<String>>,
    /// What the person does there.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = FIELD_MAXIMUM))]
    profession: Option<Option<String>>,
    /// An IANA time zone.
    #[serde(deserialize_with = "patched")]
    timezone: Option<Option<String>>,
    /// A few sentences about the person.
    #[serde(deserialize_with = "patched")]
    #[schemars(length(max = personas::PERSONA_MAXIMUM))]
    persona: Option<Option<String>>,
}

/// What a patch sets, checked; none of a field empties it.
struct Changes {
    fields: BTreeMap<Field, Option<String>>,
    persona: Option<Option<String>>,
}

impl PersonPatch {
    /// The names of the fields that are given.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let given = self.given().map(|(field, _)| field.name());
        given.chain(self.persona.is_some().then_some("persona")).collect()
    }

    fn given(&self) -> impl Iterator<Item = (Field, &Option<String>)> {
        [
            (Field::FirstName, &self.first_name),
            (Field::LastName, &self.last_name),
            (Field::City, &self.city),
            (Field::Region, &self.region),
            (Field::Country, &self.country),
            (Field::Company, &self.company),
            (Field::Profession, &self.profession),
            (Field::Timezone, &self.timezone),
        ]
        .into_iter()
        .filter_map(|(field, given)| Some((field, given.as_ref()?)))
    }

    /// Checks what is given.
    ///
    /// Errors: [`Error::Invalid`] with every field that can't be it.
    fn check(&self) -> Result<Changes> {
        let mut fields = Fields::default();
        let mut changes = BTreeMap::new();
        for (field, text) in self.given() {
            let line = fields.line(field.name(), text.as_deref(), FIELD_MAXIMUM);
            let line = match (field, line) {
                (Field::Timezone, Some(zone)) => {
                    fields.timezone("timezone", Some(&zone)).map(|zone| zone.name().to_owned())
                }
                (Field::Country, Some(code)) => {
                    if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                        fields.refuse("country", "unknown_country", "country is two letters such as AU");
                    }
                    Some(code.to_ascii_uppercase())
                }
                (_, line) => line,
            };
            changes.insert(field, line);
        }
        let persona = self.persona.as_ref();
        let persona = persona.map(|text| fields.text("persona", text.as_deref(), personas::PERSONA_MAXIMUM));
        fields.finish()?;
        Ok(Changes { fields: changes, persona })
    }
}

/// The person behind a contact.
///
/// Errors: [`Error::NotFound`] where there is no such contact, or nothing is known of its person.
pub async fn of_contact(tx: &Tx, contact: ContactId) -> Result<Person> {
    let row = tx.query_opt(include_str!("persons/find_of_contact.sql"), &[&contact]).await?;
    from_row(&row.ok_or(Error::not_found("person"))?)
}

/// Sets fields by hand; the contact has a person afterwards.
///
/// Errors: [`Error::NotFound`] where there is no such contact, [`Error::Invalid`] for what can't be set.
pub async fn update(tx: &Tx, contact: ContactId, patch: &PersonPatch) -> Result<Person> {
    let Changes { fields, persona } = patch.check()?;
    contacts::lock(tx, contact).await?;
    let mut person = hold(tx, contact).await?;
    for (field, text) in fields {
        match text.is_some() {
            true => person.set_by_hand.insert(field),
            false => person.set_by_hand.remove(&field),
        };
        *person.fields.of(field) = text;
    }
    if let Some(text) = persona {
        person.persona = text.map(|text| Persona { text, model: None });
    }
    person.write(tx, contact).await?;
    of_contact(tx, contact).await
}

/// Somebody whose row is locked, or who has none yet.
#[derive(Debug)]
pub(super) struct Held {
    id: PersonId,
    is_new: bool,
    /// What is known.
    pub(super) fields: PersonFields,
    set_by_hand: BTreeSet<Field>,
    persona: Option<Persona>,
    provider: Option<String>,
    enriched_at: Option<DateTime<Utc>>,
}

/// A text about somebody, and which model has written it; none where somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Persona {
    /// The text.
    pub(super) text: String,
    /// The model.
    pub(super) model: Option<String>,
}

/// Locks the person of a contact that is locked already.
pub(super) async fn hold(tx: &Tx, contact: ContactId) -> Result<Held> {
    let Some(row) = tx.query_opt(include_str!("persons/lock_of_contact.sql"), &[&contact]).await? else {
        return Ok(Held {
            id: PersonId::fresh(),
            is_new: true,
            fields: PersonFields::default(),
            set_by_hand: BTreeSet::new(),
            persona: None,
            provider: None,
            enriched_at: None,
        });
    };
    let id: PersonId = row.try_get("id")?;
    let persona = tx.query_opt(include_str!("persons/find_persona.sql"), &[&id]).await?;
    let persona =
        persona.map(|row| Ok::<_, Error>(Persona { text: row.try_get("text")?, model: row.try_get("model")? }));
    Ok(Held {
        id,
        is_new: false,
        fields: fields_from_row(&row)?,
        set_by_hand: set_by_hand(&row)?,
        persona: persona.transpose()?,
        provider: row.try_get("provider")?,
        enriched_at: row.try_get("enriched_at")?,
    })
}

impl Held {
    /// Takes what a provider told, but for what was set by hand. What it knows nothing of stays.
    pub(super) fn learn(&mut self, learned: &Learned, provider: &str, now: DateTime<Utc>) {
        for (field, text) in &learned.0 {
            if !self.set_by_hand.contains(field) {
                *self.fields.of(*field) = Some(text.clone());
            }
        }
        self.provider = Some(provider.to_owned());
        self.enriched_at = Some(now);
    }

    /// Takes a text of a model, but in place of what somebody has written.
    pub(super) fn describe(&mut self, text: String, model: &str) {
        if self.persona.as_ref().is_none_or(|persona| persona.model.is_some()) {
            self.persona = Some(Persona { text, model: Some(model.to_owned()) });
        }
    }

    /// Writes the person, and refers the contact to it.
    pub(super) async fn write(self, tx: &Tx, contact: ContactId) -> Result<()> {
        let organization = tx.organization()?;
        let score = score(self.fields.known().into_keys(), self.persona.is_some());
        let set_by_hand: Vec<&str> = self.set_by_hand.iter().map(|field| field.name()).collect();
        let PersonFields { first_name, last_name, city, region, country, company, profession, timezone } = &self.fields;
        let params: [&(dyn ToSql + Sync); 14] = [
            &organization,
            &self.id,
            first_name,
            last_name,
            city,
            region,
            country,
            company,
            profession,
            timezone,
            &score,
            &set_by_hand,
            &self.provider,
            &self.enriched_at,
        ];
        tx.execute(include_str!("persons/upsert.sql"), &params).await?;
        match &self.persona {
            Some(Persona { text, model }) => {
                tx.execute(include_str!("persons/upsert_persona.sql"), &[&organization, &self.id, text, model]).await?
            }
            None => tx.execute(include_str!("persons/delete_persona.sql"), &[&self.id]).await?,
        };
        if self.is_new {
            tx.execute(include_str!("persons/refer.sql"), &[&contact, &self.id]).await?;
        }
        Ok(())
    }
}

fn from_row(row: &Row) -> Result<Person> {
    Ok(Person {
        id: row.try_get("id")?,
        fields: fields_from_row(row)?,
        persona: row.try_get("persona")?,
        score: row.try_get("score")?,
        set_by_hand: set_by_hand(row)?,
        provider: row.try_get("provider")?,
        enriched_at: row.try_get("enriched_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

pub(super) fn fields_from_row(row: &Row) -> Result<PersonFields> {
    let mut fields = PersonFields::default();
    for field in Field::ALL {
        *fields.of(field) = row.try_get(field.name())?;
    }
    Ok(fields)
}

pub(super) fn set_by_hand(row: &Row) -> Result<BTreeSet<Field>> {
    let names: Vec<String> = row.try_get("set_by_hand")?;
    Ok(Field::ALL.into_iter().filter(|field| names.iter().any(|name| name == field.name())).collect())
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
