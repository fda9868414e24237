//! A function behind the HTTP API.

use serde_json::Value;
use testkit::runtime_api::events;
use testkit::{Installation, Scene};

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_contact_is_found_by_its_own_organization_alone() {
    let scene = Scene::new().await;
    let contact = scene.contacts(1).await[0];
    let (stranger, _) = scene.another_organization("other").await;
    let functions = Installation::new(&scene.db).await;
    let contacts = functions.function("contacts", env!("CARGO_BIN_EXE_contacts")).start().await;
    let find = async |key: &str| {
        let event = events::http_request("GET", &format!("/v1/contacts/{contact}"), Some(key), None);
        contacts.invoke(&event).await.outcome.answer()
    };
    let answer = find(&scene.api_key().await).await;
    assert_eq!(answer["statusCode"], 200, "{answer:#}");
    assert_eq!(body(&answer)["email"], "person1@people.test");
    let answer = find(&scene.api_key_of(stranger).await).await;
    assert_eq!(answer["statusCode"], 404, "{answer:#}");
    assert!(contacts.peak_memory().is_some_and(|bytes| bytes > 1 << 20));
    assert!(contacts.processor_time().is_some());
}

#[tokio::test]
async fn what_a_function_logs_is_one_object_a_line_and_tells_no_key() {
    let scene = Scene::new().await;
    let key = scene.api_key().await;
    let functions = Installation::new(&scene.db).await;
    let contacts = functions.function("contacts", env!("CARGO_BIN_EXE_contacts")).start().await;
    contacts.invoke(&events::http_request("GET", "/v1/contacts?limit=1", Some(&key), None)).await.outcome.answer();
    contacts.kill();
    contacts.ended().await;
    let log = contacts.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered: Vec<&Value> =
        lines.iter().filter(|line| line["fields"]["message"] == "the request is answered").collect();
    assert_eq!(answered.len(), 1, "{log}");
    assert_eq!((&answered[0]["level"], &answered[0]["fields"]["status"]), (&"INFO".into(), &200.into()));
    assert!(!log.contains(&key));
}
