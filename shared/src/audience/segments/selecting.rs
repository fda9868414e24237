//! Who is meant, read from the database: counted, in pages, in chunks, or kept as they are at this moment.
//!
//! Every statement is planned for the values that it is asked with. A page shows the newest contacts first, by their ids. Whoever
//! is one of many is soon met among the newest, and whoever is one of few is soon found by an index; but a planner that takes few
//! for many would walk through everybody until the page is full. So a page is read in two steps: of the newest [`WINDOW`] contacts
//! (of a list or a tag, where everybody who is meant is on it) those who are meant; and only where these do not fill the page,
//! all who are meant, of whom there are few then, unless all of them are old.

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::compiling::{Condition, Form, OrderedBy, Question, ROWS};
use crate::audience::contacts::{self, Contact};
use crate::{CampaignId, ContactId, Error, Result, Tx};

/// Contacts that a page looks at one by one: some milliseconds, and enough to fill a page with what one in a hundred is.
pub const WINDOW: i64 = 2_500;

/// A parameter of a statement around a condition.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A statement and its parameters, ready to be asked, so that plans and times can be looked at as well.
pub struct Asked<'a> {
    /// The statement.
    pub sql: String,
    condition: Condition,
    parameters: Vec<Parameter<'a>>,
}

impl<'a> Asked<'a> {
    fn new(statement: &str, question: &Question, form: Form, parameters: Vec<Parameter<'a>>) -> Self {
        let condition = match form {
            Form::Sets if statement.contains(ROWS) => question.condition_by_id(parameters.len()),
            _ => question.condition(form, parameters.len()),
        };
        Self { sql: condition.within(statement), condition, parameters }
    }

    /// Its parameters with their types.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        self.condition.after(&self.parameters)
    }

    async fn rows(&self, tx: &Tx) -> Result<Vec<Row>> {
        tx.query_once(&self.sql, &self.parameters()).await
    }
}

/// Asks a statement that keeps a place for who is meant.
pub(crate) async fn rows(
    tx: &Tx,
    statement: &str,
    question: &Question,
    parameters: Vec<Parameter<'_>>,
) -> Result<Vec<Row>> {
    Asked::new(statement, question, Form::Sets, parameters).rows(tx).await
}

/// The statement of [`count`].
#[must_use]
pub fn counting(question: &Question) -> Asked<'static> {
    Asked::new(include_str!("selecting/count.sql"), question, Form::Sets, Vec::new())
}

/// How many are meant.
pub async fn count(tx: &Tx, question: &Question) -> Result<i64> {
    let rows = counting(question).rows(tx).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a count has no row"))?;
    Ok(row.try_get("people")?)
}

/// Which page.
#[derive(Debug, Clone, Copy)]
pub struct PageOf {
    before: Option<ContactId>,
    limit: i64,
    window: i64,
    /// The list or tag whose members are looked at, where there is one.
    within: Uuid,
}

impl PageOf {
    /// Those older than `before`, at most `limit`.
    #[must_use]
    pub fn new(before: Option<ContactId>, limit: i64) -> Self {
        Self { before, limit, window: WINDOW, within: Uuid::nil() }
    }
}

/// The statements of [`page`], in their order: the one that looks at the newest is left out where it could only be in vain.
#[must_use]
pub fn paging<'a>(question: &Question, page: &'a mut PageOf) -> Vec<Asked<'a>> {
    let ordered_by = question.ordered_by();
    if let Some(OrderedBy::List(id) | OrderedBy::Tag(id)) = ordered_by {
        page.within = id;
    }
    let page = &*page;
    let (before, limit): (Parameter<'_>, Parameter<'_>) = ((&page.before, Type::UUID), (&page.limit, Type::INT8));
    let mut walked = vec![before.clone(), limit.clone(), (&page.window as &(dyn ToSql + Sync), Type::INT8)];
    let statement = match ordered_by {
        None => include_str!("selecting/page_of_newest.sql"),
        Some(OrderedBy::List(_)) => include_str!("selecting/page_of_list.sql"),
        Some(OrderedBy::Tag(_)) => include_str!("selecting/page_of_tag.sql"),
    };
    if ordered_by.is_some() {
        walked.push((&page.within, Type::UUID));
    }
    let all = Asked::new(include_str!("selecting/page_of_all.sql"), question, Form::Sets, vec![before, limit]);
    if question.names_addresses() {
        return vec![all];
    }
    vec![Asked::new(statement, question, Form::Probes, walked), all]
}

/// The newest who are meant, at most `limit`, older than `before`.
pub async fn page(tx: &Tx, question: &Question, before: Option<ContactId>, limit: i64) -> Result<Vec<Contact>> {
    let mut page = PageOf::new(before, limit);
    let mut rows = Vec::new();
    for asked in paging(question, &mut page) {
        rows = asked.rows(tx).await?;
        if i64::try_from(rows.len()).map_err(Error::internal)? >= limit {
            break;
        }
    }
    rows.iter().map(contacts::from_row).collect()
}

/// The ids of those who are meant, after one id and up to another, ascending, at most `limit`.
pub async fn read_ids(
    tx: &Tx,
    question: &Question,
    after: Option<ContactId>,
    up_to: ContactId,
    limit: i64,
) -> Result<Vec<ContactId>> {
    let parameters: Vec<Parameter<'_>> = vec![(&after, Type::UUID), (&up_to, Type::UUID), (&limit, Type::INT8)];
    let asked = Asked::new(include_str!("selecting/read_ids.sql"), question, Form::Sets, parameters);
    asked.rows(tx).await?.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// How many are meant, up to an id.
pub async fn count_up_to(tx: &Tx, question: &Question, up_to: ContactId) -> Result<i64> {
    let parameters: Vec<Parameter<'_>> = vec![(&up_to, Type::UUID)];
    let asked = Asked::new(include_str!("selecting/count_up_to.sql"), question, Form::Sets, parameters);
    let rows = asked.rows(tx).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a count has no row"))?;
    Ok(row.try_get("people")?)
}

/// Keeps who is meant at this moment as a campaign's audience, by one statement and so of one moment, and returns how many.
pub async fn keep(tx: &Tx, question: &Question, campaign: CampaignId) -> Result<i64> {
    let organization = tx.organization()?;
    let parameters: Vec<Parameter<'_>> = vec![(&organization, Type::UUID), (&campaign, Type::UUID)];
    let asked = Asked::new(include_str!("selecting/keep.sql"), question, Form::Sets, parameters);
    let rows = asked.rows(tx).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a count has no row"))?;
    Ok(row.try_get("people")?)
}
