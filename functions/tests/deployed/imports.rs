//! A workbook on its way through the bucket, the importer's queue and its function.

use serde_json::{Value, json};
use testkit::workbooks::{Workbook, row};

use crate::stack::Stack;

#[tokio::test]
#[ignore = "needs the deployed stack: `cargo xtask test` runs it"]
async fn the_people_of_a_workbook_become_contacts_and_its_mistakes_a_file() {
    let stack = Stack::from_environment();
    let name = stack.unique("workbook");
    let address = |who: &str| format!("{who}@{name}.example");
    let rows = [
        row(1, &["Email", "First Name", "Favourite bird"]),
        row(2, &[&address("ada"), "Ada", "martlet"]),
        row(3, &["nobody", "Nobody", ""]),
        row(4, &[&address("lin"), "Lín", ""]),
        row(5, &[&address("ADA"), "", "swift"]),
    ];
    let workbook = Workbook::new().sheet("People", &rows.concat()).bytes();
    let list = stack.post("/v1/lists", json!({"name": name}), 201).await;
    let new = json!({"file_name": "people.xlsx", "size": workbook.len(), "list_id": list["id"], "unmapped": "custom"});
    let made = stack.post("/v1/imports", new, 201).await;
    stack.put(&made["upload"], workbook).await;
    let path = format!("/v1/imports/{}", made["id"].as_str().unwrap());
    stack.post(&format!("{path}/start"), json!({}), 202).await;
    stack.until(&path, "the import is at its end", |import| import["status"] == "completed").await;

    let import = stack.get(&path).await;
    let counts = ["rows_total", "rows_created", "rows_failed"].map(|name| &import[name]);
    assert_eq!(counts, [&json!(4), &json!(2), &json!(1)], "{import:#}");
    let errors = stack.get(&format!("{path}/errors")).await;
    assert_eq!(errors["data"].as_array().map(Vec::len), Some(1), "{errors:#}");
    let members = stack.get(&format!("/v1/contacts?list_id={}", list["id"].as_str().unwrap())).await;
    let mut people: Vec<(&str, &Value)> = members["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|contact| (contact["first_name"].as_str().unwrap(), &contact["custom"]["favourite_bird"]))
        .collect();
    people.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(people, [("Ada", &json!("martlet")), ("Lín", &Value::Null)], "{members:#}");
}
