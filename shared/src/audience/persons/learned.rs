//! What was told of somebody: fields that are what they should be, and nothing of the rest.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FIELD_MAXIMUM, Field};

/// Fields of a person as somebody told them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Learned(pub BTreeMap<Field, String>);

impl Learned {
    /// Reads an answer, each field where a JSON pointer says that it stands. What is not there or can't be it is left out.
    #[must_use]
    pub fn read(answer: &Value, pointers: &BTreeMap<Field, String>) -> Self {
        let said = pointers.iter().filter_map(|(field, pointer)| Some((*field, answer.pointer(pointer)?.as_str()?)));
        Self::of(said)
    }

    /// Of texts.
    pub fn of<'a>(said: impl IntoIterator<Item = (Field, &'a str)>) -> Self {
        Self(said.into_iter().filter_map(|(field, text)| Some((field, cleaned(field, text)?))).collect())
    }

    /// Whether nothing was told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A line that the field may have, or nothing. It may become part of a mail's header, so white space and control characters
/// become single spaces.
fn cleaned(field: Field, text: &str) -> Option<String> {
    let breaks = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line = text.split(breaks).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let line = match field {
        Field::Country => {
            let is_code = line.len() == 2 && line.bytes().all(|byte| byte.is_ascii_alphabetic());
            is_code.then(|| line.to_ascii_uppercase())?
        }
        Field::Timezone => line.parse::<Tz>().ok()?.name().to_owned(),
        _ => line,
    };
    (1..=FIELD_MAXIMUM).contains(&line.chars().count()).then_some(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_read_where_the_setting_says_and_what_can_t_be_it_is_left_out() {
        let pointers = [
            (Field::FirstName, "/person/name/0"),
            (Field::LastName, "/person/name/1"),
            (Field::Country, "/country"),
            (Field::Timezone, "/zone"),
            (Field::Company, "/jobs/0/a~1b"),
            (Field::City, "/nothing"),
            (Field::Profession, "/number"),
        ];
        let pointers = pointers.map(|(field, pointer)| (field, pointer.to_owned())).into();
        let answer = json!({"person": {"name": [" Ada\r\n", "x".repeat(201)]}, "country": "gb", "zone": "Mars/Base",
                            "jobs": [{"a/b": "Analytical"}], "number": 7});
        let learned = Learned::read(&answer, &pointers);
        let expected = Learned::of([(Field::FirstName, "Ada"), (Field::Country, "GB"), (Field::Company, "Analytical")]);
        assert_eq!(learned, expected);
        assert!(Learned::read(&json!([]), &pointers).is_empty());
        assert!(Learned::of([(Field::Country, "Germany"), (Field::City, " ")]).is_empty());
    }

    proptest! {
        #[test]
        fn whatever_is_told_is_a_line_that_the_database_takes(text in "\\PC{0,300}|[\\x00-\\x20a]{0,20}") {
            for (_, line) in Learned::of(Field::ALL.map(|field| (field, text.as_str()))).0 {
                prop_assert!((1..=200).contains(&line.chars().count()));
                prop_assert!(!line.chars().any(char::is_control));
            }
        }
    }
}
