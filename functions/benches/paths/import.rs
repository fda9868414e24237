//! The importer's binary against COPY of the deduplicated rows, in the order of the file, into a table with the same indexes
//! and no row-level security.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use shared::ListId;
use testkit::Scene;
use testkit::installation::{IMPORT_QUEUE, Installation};
use testkit::runtime_api::{Environment, events};

use crate::Options;
use crate::rounds::{Figure, Target, progress, times};

/// Rows of the file, unless somebody says how many.
const ROWS: usize = 1_000_000;
/// One row in so many repeats an earlier one: 5 per cent.
const REPEATS: usize = 20;
/// Rows upserted, and in one transaction.
const UPSERTED: usize = 20_000;
const UPSERTS: usize = 10_000;
/// Bytes handed to COPY at once.
const PIECE: usize = 1 << 20;

pub(crate) async fn measure(options: &Options) -> Vec<Figure> {
    let rows = options.rows.unwrap_or(ROWS);
    let file = file(rows);
    let (mut first, mut again, mut beside, mut speeds) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let limit = copy(rows).await;
        let upserted = upsert(rows).await;
        let [ours, repeated] = import(&file, Destination::Contacts).await;
        let [listed, _] = import(&file, Destination::List).await;
        progress(&format!(
            "import, round {round}: COPY {limit:.2?}, ours {ours:.2?}, the same file again {repeated:.2?}; \
             into a list {listed:.2?}, by upserts {upserted:.2?}"
        ));
        // As throughput: what COPY takes longer is for the better.
        first.push(times(limit, ours));
        again.push(times(limit, repeated));
        beside.push(times(upserted, listed));
        speeds.push(ours);
    }
    #[expect(clippy::cast_precision_loss, reason = "shown in thousands")]
    let speed = rows as f64 / crate::rounds::middle(&speeds).as_secs_f64() / 1e3;
    let note = format!("{} rows, {speed:.0} thousand a second", rows);
    vec![
        Figure::new("import", "speed beside COPY", Target::AtLeast(0.8), first).note(note),
        Figure::new("import.again", "the same file again, beside COPY", Target::AtLeast(0.6), again),
        Figure::new(
            "import.upsert",
            "speed into a list, beside upserts, 10,000 a transaction",
            Target::AtLeast(10.0),
            beside,
        ),
    ]
}

struct Person {
    number: usize,
    email: String,
}

/// The people of the file's rows. A row that repeats one stands well behind it.
fn people(rows: usize) -> impl Iterator<Item = (Person, bool)> {
    (0..rows).map(|row| {
        let repeats = row % REPEATS == REPEATS - 1;
        let number = if repeats { row / 2 / REPEATS * REPEATS } else { row };
        (Person { number, email: format!("person{number}.{}@company{}.example", number % 97, number % 5_000) }, repeats)
    })
}

impl Person {
    fn columns(&self) -> [String; 7] {
        let n = self.number;
        [
            self.email.clone(),
            format!("First{}", n % 300),
            format!("Last{}", n % 7_000),
            format!("Company {}", n % 5_000),
            ["free", "basic", "pro"][n % 3].to_owned(),
            format!("City {}", n % 900),
            (n * 37 % 10_000).to_string(),
        ]
    }
}

const HEADER: [&str; 7] = ["email", "first_name", "last_name", "company", "plan", "city", "score"];

fn file(rows: usize) -> Vec<u8> {
    let mut file = HEADER.join(",") + "\n";
    for (person, _) in people(rows) {
        file += &person.columns().join(",");
        file.push('\n');
    }
    file.into_bytes()
}

/// The rows as the import leaves them, each address once, in the text format of COPY.
fn copied(scene: &Scene, rows: usize) -> String {
    let mut text = String::new();
    let (organization, import) = (scene.organization, shared::ids::fresh());
    for (person, _) in people(rows).filter(|(_, repeats)| !repeats) {
        let columns = person.columns();
        let [email, first_name, last_name, company, plan, city, score] = &columns;
        let custom = json!({ "plan": plan, "city": city, "score": score });
        let raw: Value = HEADER.iter().zip(&columns).map(|(name, value)| (*name, value.as_str())).collect();
        writeln!(
            text,
            "{organization}\t{}\t{email}\t{first_name}\t{last_name}\t{company}\t{custom}\t{raw}\t{import}\timport",
            shared::ids::fresh()
        )
        .unwrap();
    }
    text
}

async fn copy(rows: usize) -> Duration {
    let scene = Scene::new().await;
    let owner = scene.db.owner().await;
    owner.batch_execute("create table bare_contacts (like contacts including all)").await.unwrap();
    let text = bytes(copied(&scene, rows));
    let begun = Instant::now();
    let sink = owner
        .copy_in(
            "copy bare_contacts (organization_id, id, email, first_name, last_name, company, custom, raw_data, import_batch_id, source) from stdin",
        )
        .await
        .unwrap();
    let mut sink = std::pin::pin!(sink);
    for piece in text {
        sink.send(piece).await.unwrap();
    }
    sink.finish().await.unwrap();
    begun.elapsed()
}

/// The time that a file would take row by row, each contact and its place in the list upserted by one statement that is awaited,
/// with a commit after every ten thousand: as listmonk's importer does it, whose prepared statement has these two parts. Measured
/// over the first rows of the file, since it takes long and each row as long as the others.
#[expect(clippy::disallowed_methods, reason = "the statement is prepared, and its table has no tenant")]
async fn upsert(rows: usize) -> Duration {
    let scene = Scene::new().await;
    let owner = scene.db.owner().await;
    for table in ["contacts", "list_members"] {
        owner.batch_execute(&format!("create table bare_{table} (like {table} including all)")).await.unwrap();
    }
    let (organization, import, list) = (scene.organization, shared::ids::fresh(), shared::ids::fresh());
    let upsert = owner.prepare(include_str!("upsert.sql")).await.unwrap();
    let count = rows.min(UPSERTED);
    let people: Vec<[String; 7]> = people(count).map(|(person, _)| person.columns()).collect();
    let begun = Instant::now();
    for batch in people.chunks(UPSERTS) {
        owner.batch_execute("begin").await.unwrap();
        for columns in batch {
            let [email, first_name, last_name, company, plan, city, score] = columns;
            let custom = json!({ "plan": plan, "city": city, "score": score });
            let raw: Value = HEADER.iter().zip(columns).map(|(name, value)| (*name, value.as_str())).collect();
            let id = shared::ids::fresh();
            owner
                .execute(
                    &upsert,
                    &[&organization, &id, &email, &first_name, &last_name, &company, &custom, &raw, &import, &list],
                )
                .await
                .unwrap();
        }
        owner.batch_execute("commit").await.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "a ratio of two counts of rows")]
    begun.elapsed().mul_f64(rows as f64 / count as f64)
}

fn bytes(text: String) -> Vec<axum::body::Bytes> {
    let all = axum::body::Bytes::from(text);
    (0..all.len()).step_by(PIECE).map(|start| all.slice(start..all.len().min(start + PIECE))).collect()
}

/// What an import adds to.
#[derive(Clone, Copy)]
enum Destination {
    Contacts,
    /// And to a list, whose members they become.
    List,
}

/// The time of an import by the functions, and of the same file once more.
async fn import(file: &[u8], destination: Destination) -> [Duration; 2] {
    let scene = Scene::new().await;
    let made = match destination {
        Destination::Contacts => json!({}),
        Destination::List => json!({ "list_id": new_list(&scene).await }),
    };
    let functions = Installation::new(&scene.db).await;
    let imports = functions.function("imports", env!("CARGO_BIN_EXE_imports")).start().await;
    let importer = functions.function("importer", env!("CARGO_BIN_EXE_importer")).start().await;
    importer.ready().await.unwrap();
    let first = run(&scene, &functions, &imports, &importer, &made, file).await;
    let again = run(&scene, &functions, &imports, &importer, &made, file).await;
    check(&scene, file, destination).await;
    [first, again]
}

async fn new_list(scene: &Scene) -> ListId {
    let list = ListId::fresh();
    scene
        .run("insert into lists (organization_id, id, name) values ($1, $2, 'People')", &[&scene.organization, &list])
        .await;
    list
}

async fn run(
    scene: &Scene,
    functions: &Installation<'_>,
    imports: &Environment,
    importer: &Environment,
    import: &Value,
    file: &[u8],
) -> Duration {
    let key = scene.api_key().await;
    functions.start_import(imports, scene.organization, &key, import, file.to_vec()).await;
    let begun = Instant::now();
    loop {
        let hints = functions.aws.drain_queue(IMPORT_QUEUE);
        if hints.is_empty() {
            return begun.elapsed();
        }
        let hints: Vec<Value> = hints.iter().map(|hint| serde_json::from_str(&hint.body).unwrap()).collect();
        importer.invoke(&events::queue_batch(&hints)).await.outcome.answer();
    }
}

/// What was measured is the whole work.
async fn check(scene: &Scene, file: &[u8], destination: Destination) {
    let rows = file.iter().filter(|byte| **byte == b'\n').count() - 1;
    let distinct = people(rows).filter(|(_, repeats)| !repeats).count() as i64;
    let counted = scene
        .rows(
            "select (select count(*) from contacts), (select count(*) from list_members),
                    (select sum(rows_total)::bigint from import_batches where status = 'completed')",
            &[],
        )
        .await;
    let counted: [i64; 3] = std::array::from_fn(|n| counted[0].get(n));
    let listed = if matches!(destination, Destination::List) { distinct } else { 0 };
    assert_eq!(counted, [distinct, listed, 2 * rows as i64]);
}
