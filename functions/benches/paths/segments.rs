//! Segments, lists and searches over a generated organization: the count beside the same SQL in psql, and the pages beside what they
//! may take of the database's time.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use shared::audience::segments;
use shared::audience::segments::compiling::Question;
use shared::audience::segments::selecting::{self, Asked, PageOf};
use shared::{ContactId, OrganizationId, Tx};
use testkit::TestDb;
use testkit::generator::{Options as Generated, generate};

use crate::Options;
use crate::rounds::{Figure, Target, middle, progress, times};

/// Contacts, unless somebody says how many.
const CONTACTS: usize = 1_000_000;
/// What 95 of 100 pages may take at most: planning and execution, as EXPLAIN ANALYZE reports them.
const PAGE: Duration = Duration::from_millis(50);
/// Pages of each round that are told of by name.
const SLOWEST: usize = 8;
/// Rows that a page of twenty reads.
const ROWS: i64 = 21;

/// What segments are made of: many and few, one table and several, and, or and not.
const SEGMENTS: [&str; 8] = [
    "country = \"AU\" and score >= 60 and opened(30d)",
    "country = \"US\" and not tag = \"Newsletter\"",
    "tag = \"VIP\" and verification = \"valid\"",
    "custom.plan = \"enterprise\" and custom.seats > 100",
    "company begins with \"acme\" and status = \"contacted\"",
    "list = \"Newsletter readers\" and (country in (\"DE\", \"AT\", \"CH\") or timezone = \"Europe/Berlin\")",
    "clicked(\"Campaign 2\") or replied(90d)",
    "profession = \"Falconer\" or tag = \"Board\"",
];

/// Filters of pages, beside the segments.
const FILTERS: [&str; 24] = [
    "country = \"US\"",
    "country = \"IS\"",
    "country = \"US\" and region = \"DE North\"",
    "score < 40",
    "opened(30d)",
    "not opened()",
    "replied(7d)",
    "tag = \"Newsletter\"",
    "tag = \"Press\"",
    "tag = \"Newsletter\" and list = \"Handpicked\"",
    "list = \"The first ones\" and status = \"replied\"",
    "company = \"acme systems\"",
    "company is not set",
    "email_domain = \"gmail.test\"",
    "email_domain = \"company19999.test\"",
    "status = \"bounced\" and verification = \"valid\"",
    "source = \"api\" and custom.vip = true",
    "timezone = \"Atlantic/Reykjavik\"",
    "custom.plan = \"legacy\"",
    "custom.seats > 490",
    "custom.renewal < \"2026-01-01\"",
    "profession in (\"Falconer\", \"Luthier\") and (tag = \"Press\" or opened(7d))",
    "not (country = \"US\" or tag = \"Newsletter\") and score = 100",
    "created_at < \"2025-01-01\"",
];

/// What lists and searches ask.
const LISTS: [&str; 6] = [
    "everybody",
    "list = \"Everybody\"",
    "list = \"The first ones\"",
    "list = \"Event\"",
    "email begins with \"zoe.a\"",
    "status = \"unsubscribed\"",
];
const SEARCHES: [&str; 10] = [
    "zoe",
    "zoe ashton",
    "acme systems",
    "james.marton",
    "nobody",
    "a",
    "chen vandelay",
    "yorkez",
    "blue foods",
    "falc",
];

pub(crate) async fn measure(options: &Options) -> Vec<Figure> {
    let rows = options.rows.unwrap_or(CONTACTS);
    let db = TestDb::new().await;
    let contacts = u32::try_from(rows).unwrap();
    let mut owner = db.owner().await;
    let tell = |what: &str| progress(&format!("segments: generating {what}"));
    let organization = generate(&mut owner, Generated { contacts, seed: 1 }, tell).await.unwrap();
    // As a server that is looked after has it.
    for table in
        ["contacts", "persons", "contact_tags", "list_members", "custom_values", "email_verifications", "engagements"]
    {
        owner.batch_execute(&format!("vacuum analyze {table}")).await.unwrap();
    }
    let tx = db.app().begin(organization).await.unwrap();
    let mut questions = Vec::new();
    for text in SEGMENTS {
        questions.push((text, ask(&tx, text).await));
    }
    let counts = count(&db, &tx, organization, &questions, options.rounds).await;
    for text in FILTERS {
        questions.push((text, ask(&tx, text).await));
    }
    let mut lists = Vec::new();
    for text in LISTS {
        lists.push((text, ask(&tx, text).await));
    }
    let words = |text: &str| Question::words(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
    lists.extend(SEARCHES.map(|text| (text, words(text))));
    let note = format!("{contacts} contacts");
    vec![
        counts.note(note.clone()),
        pages("segments.pages", "pages of filters, of 50 ms", &tx, &questions, options.rounds).await.note(note.clone()),
        pages("segments.lists", "pages of lists and searches, of 50 ms", &tx, &lists, options.rounds).await.note(note),
    ]
}

async fn ask(tx: &Tx, text: &str) -> Question {
    let tree = segments::read_text("filter", text).unwrap();
    segments::resolve(tx, "filter", &tree).await.unwrap()
}

/// A question, and how it was put.
type Put = (&'static str, Question);

/// All segments counted by us, and the same statements by psql, which tells how long it waited for each.
async fn count(db: &TestDb, tx: &Tx, organization: OrganizationId, questions: &[Put], rounds: usize) -> Figure {
    let mut script =
        format!("begin; select set_config('app.organization_id', '{organization}', true) \\g /dev/null\n\\timing on\n");
    for (_, question) in questions {
        let asked = selecting::counting(question);
        script.push_str(&format!(
            "{} \\bind {} \\g\n",
            asked.sql.trim_end().trim_end_matches(';').replace('\n', " "),
            literals(tx, &asked).await
        ));
    }
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let (limit, theirs) = psql(db, &script);
        let mut ours = Vec::new();
        let begun = Instant::now();
        for (_, question) in questions {
            ours.push(selecting::count(tx, question).await.unwrap());
        }
        let took = begun.elapsed();
        assert_eq!(ours, theirs, "psql counts otherwise");
        progress(&format!("segments, round {round}: psql {limit:.2?}, ours {took:.2?}"));
        ratios.push(times(took, limit));
    }
    Figure::new("segments.count", "times psql's time for the same counts", Target::AtMost(1.2), ratios)
}

/// The parameters of a statement as psql takes them.
async fn literals(tx: &Tx, asked: &Asked<'_>) -> String {
    let parameters = asked.parameters();
    let each: Vec<String> = (1..=parameters.len()).map(|n| format!("quote_literal((${n})::text)")).collect();
    let rows = tx.query_once(&format!("select array[{}]::text[]", each.join(", ")), &parameters).await.unwrap();
    rows[0].get::<_, Vec<String>>(0).join(" ")
}

/// Runs psql as the API's role, and returns how long it waited for all answers, and these.
#[expect(clippy::disallowed_methods, reason = "the caller of a measurement says which psql it has")]
fn psql(db: &TestDb, script: &str) -> (Duration, Vec<i64>) {
    let config = db.config("martlet_app");
    let program = std::env::var("PSQL").unwrap_or_else(|_| "psql".to_owned());
    let mut command = Command::new(program);
    command
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"])
        .args(["--host", &config.host, "--port", &config.port.to_string()])
        .args(["--username", &config.user, "--dbname", &config.dbname])
        .env("PGPASSWORD", &config.password)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("psql can be started: its path is in PSQL");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "psql has failed");
    let (mut took, mut counts) = (Duration::ZERO, Vec::new());
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if let Some(time) = line.strip_prefix("Time: ") {
            let milliseconds: f64 = time.split(' ').next().unwrap().parse().unwrap();
            took += Duration::from_secs_f64(milliseconds / 1e3);
        } else if !line.is_empty() {
            counts.push(line.parse().unwrap());
        }
    }
    (took, counts)
}

/// The first page of each question and one from the middle, a ratio a round.
async fn pages(path: &'static str, says: &'static str, tx: &Tx, questions: &[Put], rounds: usize) -> Figure {
    let rows = tx
        .query_once("select id from contacts order by id offset (select count(*) / 2 from contacts) limit 1", &[])
        .await;
    let middle_of_all: ContactId = rows.unwrap()[0].get(0);
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let mut took = Vec::new();
        for (text, question) in questions {
            for before in [None, Some(middle_of_all)] {
                took.push((page(tx, question, before).await, *text));
            }
        }
        took.sort_unstable();
        let times_alone: Vec<Duration> = took.iter().map(|(took, _)| *took).collect();
        let p95 = times_alone[(took.len() * 95).div_ceil(100) - 1];
        progress(&format!("{path}, round {round}: p95 {p95:.1?}, median {:.1?}", middle(&times_alone)));
        for (took, text) in took.iter().rev().take(SLOWEST) {
            progress(&format!("  {took:.1?} {text}"));
        }
        ratios.push(times(p95, PAGE));
    }
    Figure::new(path, says, Target::AtMost(1.0), ratios)
}

/// What the database says that a page takes it.
async fn page(tx: &Tx, question: &Question, before: Option<ContactId>) -> Duration {
    let mut page = PageOf::new(question, before, ROWS);
    let mut took = Duration::ZERO;
    while let Some(asked) = page.asked(question) {
        let explained = format!("explain (analyze, timing off, format json) {}", asked.sql);
        let plan: Value = tx.query_once(&explained, &asked.parameters()).await.unwrap()[0].get(0);
        let number = |path: &str| plan.pointer(path).and_then(Value::as_f64).unwrap();
        took += Duration::from_secs_f64((number("/0/Planning Time") + number("/0/Execution Time")) / 1e3);
        let rows = tx.query_once(&asked.sql, &asked.parameters()).await.unwrap();
        page.took(&rows).unwrap();
    }
    took
}
