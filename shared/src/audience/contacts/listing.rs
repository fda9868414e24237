//! Which contacts a list shows: every way to say it is a condition, and all of them are asked as segments are.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Contact, Status};
use crate::audience::segments;
use crate::audience::segments::compiling::Question;
use crate::audience::segments::fields::Field;
use crate::audience::segments::selecting;
use crate::audience::segments::text::TEXT_MAXIMUM;
use crate::audience::segments::tree::{FieldTest, LITERAL_MAXIMUM, Literal, Operator, Tree};
use crate::{ContactId, Error, ListId, Result, Tx};

/// Words that are looked for at once; whoever names more has found them with fewer.
const WORDS_MAXIMUM: usize = 8;

/// Which contacts a list shows; all conditions hold together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The whole address, in any case.
    pub email: Option<String>,
    /// How the address begins, in any case.
    pub email_prefix: Option<String>,
    /// A list that the contact is on.
    pub list_id: Option<ListId>,
    /// Where it stands.
    pub status: Option<Status>,
    /// The name of a tag that the contact has, in any case.
    pub tag: Option<String>,
    /// Words, each of which the address, the company or a part of the name begins with, in any case.
    #[schemars(length(max = LITERAL_MAXIMUM))]
    pub q: Option<String>,
    /// Who is meant, in the text form of segments.
    #[schemars(length(max = TEXT_MAXIMUM))]
    pub filter: Option<String>,
}

/// The newest contacts that the filter admits, at most `limit`, older than `before`.
///
/// Errors: [`Error::Invalid`] for a filter that can't be read, with the place of the mistake, and for what it names and
/// is not there.
pub async fn list(tx: &Tx, filter: &Filter, before: Option<ContactId>, limit: i64) -> Result<Vec<Contact>> {
    match question(tx, filter).await? {
        Some(question) => selecting::page(tx, &question, before, limit).await,
        None => Ok(Vec::new()),
    }
}

/// What the filter asks; none where nobody can be meant.
async fn question(tx: &Tx, filter: &Filter) -> Result<Option<Question>> {
    let mut question = Question::everybody();
    if let Some(list) = filter.list_id {
        question = question.and(Question::on_list(list));
    }
    for (field, operator, text) in [
        (Field::Email, Operator::Eq, given(&filter.email)),
        (Field::Email, Operator::BeginsWith, given(&filter.email_prefix)),
        (Field::Status, Operator::Eq, filter.status.map(Status::name)),
    ] {
        let Some(text) = text else { continue };
        // What can't be compared is no address: it has a NUL, which the database does not know, or has no end.
        let Ok(test) = FieldTest::new(field, operator, vec![Literal::Text(text.to_owned())]) else { return Ok(None) };
        question = question.and(segments::resolve(tx, "email", &Tree::Field(test)).await?);
    }
    if let Some(tag) = given(&filter.tag) {
        let test = FieldTest::new(Field::Tag, Operator::Eq, vec![Literal::Text(tag.to_owned())])
            .map_err(|wrong| Error::invalid("tag", wrong.code, wrong.message))?;
        question = question.and(segments::resolve(tx, "tag", &Tree::Field(test)).await?);
    }
    if let Some(text) = given(&filter.q) {
        question = question.and(Question::words(&words(text)?));
    }
    if let Some(text) = given(&filter.filter) {
        let tree = segments::read_text("filter", text)?;
        question = question.and(segments::resolve(tx, "filter", &tree).await?);
    }
    Ok(Some(question))
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}

fn words(text: &str) -> Result<Vec<String>> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if text.contains('\0') || text.chars().count() > LITERAL_MAXIMUM || words.len() > WORDS_MAXIMUM {
        let message = format!("q has {WORDS_MAXIMUM} words and {LITERAL_MAXIMUM} characters at most, and no NUL");
        return Err(Error::invalid("q", "too_long", message));
    }
    Ok(words)
}
