//! What the compiler does not see: the tree keeps its own rules.

#![expect(clippy::unwrap_used, reason = "a test that can't be prepared has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Statements on tenant data go through `shared::Tx`; only these files talk to the driver.
const HOME_OF_THE_DRIVER: &[&str] = &["shared/src/db.rs", "shared/src/db/migrations.rs"];
/// Ways around `shared::Tx`. The ones that clippy can name are in clippy.toml as well.
const DRIVER: &[&str] = &[
    "batch_execute",
    "simple_query",
    "query_typed",
    "query_raw",
    "execute_raw",
    "copy_in",
    ".prepare",
    ".transaction(",
    "tokio_postgres::Client",
    "tokio_postgres::connect",
    "tokio_postgres::Config",
    "deadpool_postgres",
];

#[test]
fn clippy_disallows_unprepared_questions() {
    let clippy = read(&root().join("clippy.toml"));
    for method in ["query", "query_one", "query_opt", "execute"] {
        let entry = format!("path = \"tokio_postgres::Client::{method}\"");
        assert!(clippy.contains(&entry), "clippy.toml does not disallow Client::{method}");
    }
}

#[test]
fn only_the_database_module_talks_to_the_driver() {
    let mut around = Vec::new();
    for file in sources("rs") {
        let name = relative(&file);
        if HOME_OF_THE_DRIVER.contains(&&*name) {
            continue;
        }
        let code = without_comments(&read(&file), "//");
        let ways = DRIVER.iter().filter(|way| code.contains(**way));
        around.extend(ways.map(|way| format!("{name}: {way}")));
        // The owner's connection knows no tenant; only the migrator has it.
        if code.contains("connect_as_owner") && name != "functions/src/events/migrate.rs" {
            around.push(format!("{name}: connect_as_owner"));
        }
    }
    assert!(around.is_empty(), "{around:#?}");
    let manifest = read(&root().join("functions/Cargo.toml"));
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
    assert!(!dependencies.contains("postgres"), "functions reach the database through shared alone");
}

#[test]
fn a_setting_never_outlives_its_transaction() {
    let mut outlive = Vec::new();
    for file in [sources("rs"), sources("sql")].concat() {
        let name = relative(&file);
        for setting in session_settings(&read(&file)) {
            // The migrator's session is no tenant's, and it ends by RESET.
            if name != "shared/src/db/migrations.rs" || !setting.starts_with("SET lock_timeout = ") {
                outlive.push(format!("{name}: {setting}"));
            }
        }
    }
    assert!(outlive.is_empty(), "{outlive:#?}");
}

#[test]
fn the_search_for_session_settings_bites() {
    for bad in [
        "select set_config('app.organization_id', $1, false)",
        "SELECT SET_CONFIG('app.organization_id', format('%s', $1), is_local)",
        "set app.organization_id = '1';",
        "-- why\nset session role martlet_app;",
        "select 1;\n  SET LOCAL app.organization_id = '1'",
        r#"client.run("SET app.organization_id = 1")"#,
        r#"client.run("BEGIN; set role martlet_app")"#,
    ] {
        assert_eq!(session_settings(bad).len(), 1, "{bad}");
    }
    for good in [
        "select set_config('app.organization_id', format('%s', $1), true)",
        "update contacts\n   set name = $1;",
        "-- set app.x = 1\nselect 1;",
        "create function f() returns int language sql set search_path = pg_catalog as 'select 1';",
        r#"tx.run("update contacts set name = $1")"#,
    ] {
        assert_eq!(session_settings(good), [""; 0], "{good}");
    }
}

#[test]
fn every_binary_is_a_function_of_the_template_and_the_reverse() {
    let template = read(&root().join("template.yaml"));
    let declared: BTreeSet<String> = declared_functions(&template).collect();
    let built: BTreeSet<String> = binaries().iter().map(|name| format!("{}Function", pascal_case(name))).collect();
    assert_eq!(declared, built, "left: template.yaml, right: functions/src/bin");
    for name in binaries() {
        let package = format!("CodeUri: .local/package/{name}.zip");
        assert!(template.contains(&package), "template.yaml has no {package}");
    }
}

#[test]
fn every_function_has_a_sample_event() {
    for name in binaries() {
        let folder = root().join("events").join(&name);
        let samples = if folder.is_dir() { files(&format!("events/{name}"), "json").len() } else { 0 };
        assert!(samples > 0, "events/{name} holds no sample");
    }
}

#[test]
fn every_sample_event_is_json() {
    let samples = files("events", "json");
    assert!(!samples.is_empty());
    for sample in samples {
        let parsed = serde_json::from_str::<serde_json::Value>(&read(&sample));
        assert!(parsed.is_ok(), "{}: {}", relative(&sample), parsed.unwrap_err());
    }
    let others: Vec<PathBuf> = ["yaml", "yml", "txt"].iter().flat_map(|other| files("events", other)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn every_command_in_the_readme_exists() {
    let known = commands(&read(&root().join("xtask/src/main.rs")));
    assert!(!known.is_empty(), "no `enum Command` in xtask/src/main.rs");
    let told = told_commands(&read(&root().join("README.md")));
    assert!(!told.is_empty(), "README.md tells no command");
    for command in told {
        assert!(known.contains(&command), "README.md tells `cargo xtask {command}`; there are {known:?}");
    }
}

#[test]
fn every_test_that_the_security_checklist_names_exists() {
    let known: BTreeSet<String> = ["functions", "shared", "testkit", "xtask"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .flat_map(|file| tests(&read(&file)))
        .collect();
    let checklist = read(&root().join("docs/security.md"));
    let named = named_tests(&checklist);
    assert!(named.len() > 40, "docs/security.md names {} tests", named.len());
    let missing: Vec<&String> = named.iter().filter(|test| !known.contains(*test)).collect();
    assert!(missing.is_empty(), "docs/security.md names tests that do not exist: {missing:#?}");
}

#[test]
fn the_readers_of_the_tree_read_what_they_should() {
    let code = "#[tokio::test]\nasync fn one_is() {\n    #[test]\n    #[ignore = \"why\"]\n    fn two_is() {}\nfn no_test() {}";
    assert_eq!(tests(code), ["one_is", "two_is"]);
    let table = "| promise | tests |\n|---|---|\n| `SET` is not used. | `one_is`, `two_is` |\n| Later. | not there yet |\n`no_table`";
    assert_eq!(named_tests(table), ["one_is", "two_is"]);
    assert_eq!(pascal_case("job_runner"), "JobRunner");
    let template =
        "Resources:\n  JobsFunction:\n    Type: AWS::Serverless::Function\n  JobsPolicy:\n    Type: AWS::IAM::Policy\n";
    assert_eq!(declared_functions(template).collect::<Vec<_>>(), ["JobsFunction"]);
    let main =
        "enum Command {\n    /// Say it\n    Up {\n        now: Now,\n    },\n    FaultRun,\n}\nenum Now { Soon }";
    assert_eq!(commands(main), ["up", "fault-run"]);
    let readme = "cargo xtask no\n```sh\ncargo xtask demo --seed 7 # twice\nKEY=1 cargo xtask up && cargo xtask down\n```\ncargo xtask neither\n";
    assert_eq!(told_commands(readme), ["demo", "up", "down"]);
}

/// The logical ids of the template's functions.
fn declared_functions(template: &str) -> impl Iterator<Item = String> {
    let lines: Vec<&str> = template.lines().collect();
    let pairs: Vec<_> = lines.windows(2).map(|pair| (pair[0].to_owned(), pair[1].trim().to_owned())).collect();
    pairs.into_iter().filter(|(_, kind)| kind == "Type: AWS::Serverless::Function").map(|(id, _)| {
        let id = id.strip_prefix("  ").and_then(|id| id.strip_suffix(':'));
        id.expect("a function's type stands right below its id").to_owned()
    })
}

/// The names of the binaries of this package.
fn binaries() -> Vec<String> {
    let files = files("functions/src/bin", "rs");
    files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn pascal_case(name: &str) -> String {
    let capital = |word: &str| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]);
    name.split('_').map(capital).collect()
}

/// The commands of `cargo xtask`, as clap derives them from the variants of `enum Command`.
fn commands(main: &str) -> Vec<String> {
    let declared = main.split_once("enum Command {\n").map_or("", |(_, rest)| rest.split("\n}").next().unwrap());
    let variants = declared.lines().filter_map(|line| line.strip_prefix("    ")).filter_map(|line| {
        let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
        name.starts_with(|first: char| first.is_ascii_uppercase()).then_some(name)
    });
    let kebab = |name: String| {
        let mut kebab = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !kebab.is_empty() {
                kebab.push('-');
            }
            kebab.push(letter.to_ascii_lowercase());
        }
        kebab
    };
    variants.map(kebab).collect()
}

/// The word after each `cargo xtask` in the blocks of code.
fn told_commands(readme: &str) -> Vec<String> {
    let blocks = readme.split("```").skip(1).step_by(2);
    let calls = blocks.flat_map(|block| block.split("cargo xtask ").skip(1));
    calls.filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned).collect()
}

/// The names of the functions below `#[test]` and `#[tokio::test]`.
fn tests(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in code.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            found.extend(rest.split('(').next().map(str::to_owned));
            is_test = false;
        }
    }
    found
}

/// What stands in backquotes in the last column of the tables.
fn named_tests(checklist: &str) -> Vec<String> {
    let rows = checklist.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells = rows.filter_map(|row| row.rsplit_once('|')).map(|(_, cell)| cell);
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// What sets a variable for longer than a transaction, or by a statement of its own, which cannot take a parameter.
fn session_settings(text: &str) -> Vec<String> {
    let code = without_comments(&without_comments(text, "--"), "//");
    let lower = code.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, name) in lower.match_indices("set_config(") {
        let call = arguments(&code[at + name.len()..]);
        if !call.trim_end().ends_with(", true") {
            found.push(format!("set_config({call})"));
        }
    }
    for (at, _) in lower.match_indices("set ") {
        // A statement begins with the text, a string literal, or after the one before.
        if matches!(code[..at].trim_end().chars().last(), None | Some('"' | ';')) {
            found.push(code[at..].lines().next().unwrap_or_default().to_owned());
        }
    }
    found
}

/// The text up to the bracket that closes what has been opened before it.
fn arguments(text: &str) -> &str {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// The source files that reach the database, and the migrations.
fn sources(extension: &str) -> Vec<PathBuf> {
    ["functions/src", "shared/src", "migrations"].iter().flat_map(|folder| files(folder, extension)).collect()
}

/// The files below the folder with this extension.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|its| its == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn without_comments(text: &str, mark: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with(mark)).collect::<Vec<_>>().join("\n")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
