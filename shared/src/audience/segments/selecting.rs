//! Who is meant, read from the database: counted, in pages, in chunks, or kept as they are at this moment.
//!
//! Every statement is planned for the values that it is asked with. A page shows the newest contacts first, by their ids. Whoever
//! is one of many is soon met among the newest, and whoever is one of few is soon found by an index; but a planner that takes few
//! for many would walk through everybody until the page is full. So a page is read in steps: of the newest [`WINDOW`] contacts
//! (of a list or a tag, where everybody who is meant is on it) those who are meant; where these are a good part of the page,
//! those of the next [`FURTHER`]; and only where these do not fill it either, all who are meant, of whom there are few then,
//! unless all of them are old. Each step goes on behind the last whom the one before found.

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::compiling::{Condition, Form, OrderedBy, Question, ROWS};
use crate::audience::contacts::{self, Contact};
use crate::{CampaignId, ContactId, Error, Result, Tx};

/// Contacts that a page looks at one by one: some milliseconds, and enough to fill a page with what one in a hundred is.
pub const WINDOW: i64 = 2_500;
/// Contacts that it looks at further where these were nearly enough.
pub const FURTHER: i64 = 3 * WINDOW;

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

/// A page on its way: whom it is still to find, and how.
#[derive(Debug, Clone)]
pub struct PageOf {
    before: Option<ContactId>,
    /// Contacts that are missing.
    limit: i64,
    window: i64,
    ordered_by: Option<OrderedBy>,
    step: Step,
}

/// What a page is read by next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The newest, one by one.
    Newest,
    /// Those behind them.
    Further,
    /// All who are meant.
    All,
    Done,
}

impl PageOf {
    /// Those older than `before`, at most `limit`.
    #[must_use]
    pub fn new(question: &Question, before: Option<ContactId>, limit: i64) -> Self {
        // Whoever is named by an address is found by it.
        let step = if question.names_addresses() { Step::All } else { Step::Newest };
        Self { before, limit, window: WINDOW, ordered_by: question.ordered_by(), step }
    }

    /// What is to be asked next, unless the page is read.
    #[must_use]
    pub fn asked<'a>(&'a self, question: &Question) -> Option<Asked<'a>> {
        let mut parameters: Vec<Parameter<'a>> = vec![(&self.before, Type::UUID), (&self.limit, Type::INT8)];
        if self.step == Step::Done {
            return None;
        }
        if self.step == Step::All {
            return Some(Asked::new(include_str!("selecting/page_of_all.sql"), question, Form::Sets, parameters));
        }
        parameters.push((&self.window, Type::INT8));
        let statement = match &self.ordered_by {
            None => include_str!("selecting/page_of_newest.sql"),
            Some(OrderedBy::List(id)) => {
                parameters.push((id, Type::UUID));
                include_str!("selecting/page_of_list.sql")
            }
            Some(OrderedBy::Tag(id)) => {
                parameters.push((id, Type::UUID));
                include_str!("selecting/page_of_tag.sql")
            }
        };
        Some(Asked::new(statement, question, Form::Probes, parameters))
    }

    /// Goes on behind what was answered.
    pub fn took(&mut self, rows: &[Row]) -> Result<()> {
        let found = i64::try_from(rows.len()).map_err(Error::internal)?;
        if let Some(last) = rows.last() {
            self.before = Some(last.try_get("id")?);
        }
        self.limit -= found;
        self.step = match self.step {
            _ if self.limit <= 0 => Step::Done,
            // As many again, or twice as many, are probably met within three times as far.
            Step::Newest if self.limit <= 2 * found => {
                self.window = FURTHER;
                Step::Further
            }
            Step::Newest | Step::Further => Step::All,
            Step::All | Step::Done => Step::Done,
        };
        Ok(())
    }
}

/// The newest who are meant, at most `limit`, older than `before`.
pub async fn page(tx: &Tx, question: &Question, before: Option<ContactId>, limit: i64) -> Result<Vec<Contact>> {
    let mut page = PageOf::new(question, before, limit);
    let mut contacts = Vec::new();
    while let Some(asked) = page.asked(question) {
        let rows = asked.rows(tx).await?;
        page.took(&rows)?;
        contacts.extend(rows.iter().map(contacts::from_row).collect::<Result<Vec<_>>>()?);
    }
    Ok(contacts)
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
