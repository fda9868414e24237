//! Every statement of this crate is one file that PostgreSQL can prepare and that some module includes.

use std::path::{Path, PathBuf};

use testkit::TestDb;

#[tokio::test]
async fn every_sql_file_is_one_statement_that_prepares() {
    let db = TestDb::new().await;
    let owner = db.owner().await;
    let files = files("sql");
    assert!(files.len() > 10, "{files:?}");
    let mut broken = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // Several statements are refused by the server, none is not.
        if without_comments(&text).trim().trim_end_matches(';').is_empty() {
            broken.push(format!("{}: holds no statement", file.display()));
        } else if let Err(error) = owner.prepare(&text).await {
            let reason = error.as_db_error().map_or_else(|| error.to_string(), |cause| cause.message().to_owned());
            broken.push(format!("{}: {reason}", file.display()));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_sql_file_is_included_by_the_module_beside_it() {
    let mut included: Vec<PathBuf> = Vec::new();
    for module in files("rs") {
        let text = std::fs::read_to_string(&module).unwrap();
        let names = text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        included.extend(names.map(|name| module.with_file_name(name)));
    }
    let unused: Vec<PathBuf> = files("sql").into_iter().filter(|file| !included.contains(file)).collect();
    assert!(unused.is_empty(), "no module includes {unused:#?}");
}

/// Each has a sentence for whoever looks at the message, which a code written here would not have.
#[test]
fn no_sql_file_has_an_outcome_code_of_its_own() {
    let writers: Vec<String> = files("sql").iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let assigned: Vec<&str> = writers
        .iter()
        .flat_map(|sql| sql.split("outcome_code = ").skip(1))
        .filter_map(|rest| rest.split([',', '\n']).next())
        .collect();
    assert!(assigned.len() >= 7, "{assigned:?}");
    assert!(assigned.iter().all(|value| !value.contains('\'')), "{assigned:?}");
}

/// The files below `src` with this extension.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
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

fn without_comments(sql: &str) -> String {
    sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n")
}
