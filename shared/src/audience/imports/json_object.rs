//! JSON objects as text, in the form in which the database writes them: most need never be taken apart, since what a file
//! says a second time has the same text.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use serde::{Serialize, Serializer as _};
use serde_json::ser::Formatter;
use serde_json::{Map, Serializer, Value};

use crate::{Error, Result};

/// Bytes of a member of an object beside its name and its text.
const PUNCTUATION: usize = r#""": "", "#.len();

/// The text of a JSON object.
#[derive(Debug, Clone)]
pub(super) struct JsonObject(Arc<str>);

impl JsonObject {
    /// The object that has these texts by these names, of which no two are the same.
    pub(super) fn of_texts(mut members: Vec<(&str, Cow<'_, str>)>) -> Self {
        members.sort_unstable_by_key(|(name, _)| (name.len(), *name));
        let length = members.iter().map(|(name, text)| name.len() + text.len() + PUNCTUATION).sum();
        Self::write(members.iter().map(|(name, text)| (name, text)), length)
    }

    /// The object that has these members.
    pub(super) fn of(members: &Map<String, Value>) -> Self {
        let mut members: Vec<(&String, &Value)> = members.iter().collect();
        members.sort_unstable_by_key(|(name, _)| (name.len(), *name));
        Self::write(members.into_iter(), 0)
    }

    /// What the database holds.
    pub(super) fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// `length` is what is likely to be needed.
    fn write(members: impl Iterator<Item = (impl Serialize, impl Serialize)>, length: usize) -> Self {
        let mut text = Vec::with_capacity(length);
        // Texts and values can always be written.
        let written = Serializer::with_formatter(&mut text, Spaced).collect_map(members);
        let text = written.ok().and_then(|()| String::from_utf8(text).ok());
        Self(text.as_deref().unwrap_or("{}").into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        &*self.0 == "{}"
    }

    /// The object taken apart.
    ///
    /// Errors: [`Error::Internal`] when the text is none of an object.
    pub(super) fn members(&self) -> Result<Map<String, Value>> {
        serde_json::from_str(&self.0).map_err(Error::internal)
    }
}

impl PartialEq for JsonObject {
    /// The order of the names makes no difference, as in the database.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || matches!((self.members(), other.members()), (Ok(one), Ok(other)) if one == other)
    }
}

/// JSON as PostgreSQL writes a jsonb: a space after each comma and colon. The names come by their length first.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_is_that_of_the_database() {
        let texts = vec![("score", "7".into()), ("b", "\"q\" \\ \n\u{1}é".into()), ("a", Cow::Borrowed(""))];
        let object = JsonObject::of_texts(texts);
        assert_eq!(object.as_str(), r#"{"a": "", "b": "\"q\" \\ \n\u0001é", "score": "7"}"#);
        let Value::Object(members) = json!({ "long": [1, { "x": null }], "y": 2.5 }) else { unreachable!() };
        assert_eq!(JsonObject::of(&members).as_str(), r#"{"y": 2.5, "long": [1, {"x": null}]}"#);
        assert!(JsonObject::of_texts(Vec::new()).is_empty());
    }

    #[test]
    fn objects_are_compared_by_what_they_say() {
        let object = JsonObject::from_stored;
        assert!(object(r#"{"a": "1", "b": "2"}"#) == object(r#"{"b":"2","a":"1"}"#));
        assert!(object(r#"{"a": "1"}"#) != object(r#"{"a": 1}"#));
        assert!(object("{}") != object("broken"));
    }
}
