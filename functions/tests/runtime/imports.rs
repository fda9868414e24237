//! The importer's process is killed in the middle of a file, at any moment, and another one takes its place.

use std::fmt::Write as _;

use futures_util::future::join;
use serde_json::{Value, json};
use shared::{ListId, OrganizationId};
use testkit::faults::draws::Draws;
use testkit::installation::IMPORT_QUEUE;
use testkit::runtime_api::{Environment, Outcome, events};
use testkit::{Installation, Scene};

const IMPORTS: &str = env!("CARGO_BIN_EXE_imports");
const IMPORTER: &str = env!("CARGO_BIN_EXE_importer");
/// Moments at which it is killed, each in an import of its own.
const KILLS: u64 = 20;
const SEED: u64 = 1;
const ROWS: usize = 2_500;
/// What makes a chunk of some hundreds of rows, so that a short file has many.
const WIDE: usize = 3_000;

/// Rows that repeat one another, that change what is stored, and that can't be taken.
fn file() -> Vec<u8> {
    let wide = "wide ".repeat(WIDE / 5);
    let mut file = "Email,First Name,Company,Notes\n".to_owned();
    for n in 0..ROWS {
        match n % 10 {
            3 => writeln!(file, "nobody {n},Nobody,,").unwrap(),
            7 => writeln!(file, "PERSON{}@people.test,,Company {n},", n / 20).unwrap(),
            _ => writeln!(file, "person{n}@people.test,First {n},,{wide}").unwrap(),
        }
    }
    file.into_bytes()
}

/// Everything that an import leaves behind, but for ids and times.
const OUTCOME: &str = "
    select json_build_object(
        'import', (select json_build_object('status', status, 'total', rows_total, 'created', rows_created, 'updated', rows_updated,
                                            'unchanged', rows_unchanged, 'failed', rows_failed, 'code', error_code)
                     from import_batches where organization_id = $1),
        'contacts', (select md5(string_agg(concat_ws('|', email, first_name, company, md5(custom::text), md5(raw_data::text)), ','
                                           order by email))
                       from contacts where organization_id = $1),
        'people', (select count(*) from contacts where organization_id = $1),
        'members', (select count(*) from list_members where organization_id = $1),
        'errors', (select md5(string_agg(concat_ws('|', line, code, raw), ',' order by line))
                     from import_errors where organization_id = $1),
        'wrong', (select count(*) from import_errors where organization_id = $1)
    )::text";

struct Desk<'a> {
    scene: &'a Scene,
    functions: &'a Installation<'a>,
    imports: Environment,
}

impl Desk<'_> {
    /// An organization in which the file waits for the importer, and the hint of it.
    async fn started(&self, name: &str) -> (OrganizationId, Vec<Value>) {
        let (organization, _) = self.scene.another_organization(name).await;
        let list = ListId::fresh();
        let sql = "insert into lists (organization_id, id, name) values ($1, $2, 'People')";
        self.scene.run(sql, &[&organization, &list]).await;
        let sql = "insert into contacts (organization_id, id, email, first_name)
                   select $1, gen_random_uuid(), format('person%s@people.test', n), 'Stored' from generate_series(1, 100) as n";
        self.scene.run(sql, &[&organization]).await;
        let key = self.scene.api_key_of(organization).await;
        self.functions.start_import(&self.imports, organization, &key, &json!({ "list_id": list }), file()).await;
        (organization, self.hints())
    }

    fn hints(&self) -> Vec<Value> {
        let hints = self.functions.aws.drain_queue(IMPORT_QUEUE);
        hints.iter().map(|hint| serde_json::from_str(&hint.body).unwrap()).collect()
    }

    async fn importer(&self) -> Environment {
        let importer = self.functions.function("importer", IMPORTER).start().await;
        importer.ready().await.unwrap();
        importer
    }

    /// Delivers hints until none is left: what fails is delivered again, as the queue does.
    async fn work(&self, mut hints: Vec<Value>) {
        let importer = self.importer().await;
        while let Some(hint) = hints.pop() {
            match importer.invoke(&events::queue_batch(&[&hint])).await.outcome {
                Outcome::Answered(_) => hints.extend(self.hints()),
                Outcome::Failed(_) => hints.push(hint),
                other => panic!("the importer has ended by itself: {other:?}"),
            }
        }
    }

    async fn outcome(&self, organization: OrganizationId) -> Value {
        serde_json::from_str(&self.scene.rows(OUTCOME, &[&organization]).await[0].get::<_, String>(0)).unwrap()
    }
}

#[tokio::test]
async fn an_importer_that_is_killed_at_any_moment_leaves_what_one_that_lives_does() {
    let scene = Scene::new().await;
    let functions = Installation::new(&scene.db).await;
    let imports = functions.function("imports", IMPORTS).start().await;
    let desk = Desk { scene: &scene, functions: &functions, imports };
    let (organization, hints) = desk.started("unharmed").await;
    let importer = desk.importer().await;
    let invocation = importer.invoke(&events::queue_batch(&hints)).await;
    invocation.outcome.answer();
    desk.work(desk.hints()).await;
    let expected = desk.outcome(organization).await;
    assert_eq!(expected["import"]["status"], "completed", "{expected:#}");
    assert_eq!(expected["wrong"], json!(ROWS / 10), "{expected:#}");

    let mut killed = 0;
    for n in 0..KILLS {
        let (organization, hints) = desk.started(&format!("killed-{n}")).await;
        let importer = desk.importer().await;
        let share = Draws::of(SEED, "kill", n).within(1..=99);
        let moment = invocation.took * u32::try_from(share).unwrap() / 100;
        let event = events::queue_batch(&hints);
        let (cut, ()) = join(importer.invoke(&event), async {
            // Not to wait for anything: whatever has happened by then is right.
            tokio::time::sleep(moment).await;
            importer.kill();
        })
        .await;
        let mut left = desk.hints();
        if matches!(cut.outcome, Outcome::Ended(_)) {
            killed += 1;
            left.extend(hints);
        }
        desk.work(left).await;
        let outcome = desk.outcome(organization).await;
        assert_eq!(outcome, expected, "killed after {moment:?}, the {n}th of seed {SEED}");
    }
    assert!(killed > KILLS / 2, "only {killed} were killed while they worked");
}
