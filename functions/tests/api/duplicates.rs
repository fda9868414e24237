//! Contacts that are probably one person: in groups, each with the reason, to be merged.

use serde_json::{Value, json};
use shared::audience::duplicates::{self, Filter, Group, Reach};

use crate::bulk::Desk;

const PATH: &str = "/v1/contacts/duplicates";

async fn make(desk: &Desk, fields: Value) -> String {
    desk.post("/v1/contacts", fields).await.expect(201).text("/id").to_owned()
}

/// The groups of a page as reason, count and addresses.
fn groups(page: &Value) -> Vec<(String, i64, Vec<String>)> {
    let group = |group: &Value| {
        let emails =
            group["contacts"].as_array().unwrap().iter().map(|contact| contact["email"].as_str().unwrap().to_owned());
        (group["reason"].as_str().unwrap().to_owned(), group["count"].as_i64().unwrap(), emails.collect())
    };
    page["data"].as_array().unwrap().iter().map(group).collect()
}

/// The same of every page of so many groups.
async fn all(desk: &Desk, query: &str, limit: usize) -> Vec<(String, i64, Vec<String>)> {
    let first = format!("{PATH}?limit={limit}{query}");
    let mut page = desk.get(&first).await;
    let mut found = groups(&page);
    while let Some(cursor) = page["next_cursor"].as_str() {
        assert!(groups(&page).len() <= limit);
        page = desk.get(&format!("{first}&cursor={cursor}")).await;
        found.extend(groups(&page));
    }
    found
}

/// Every group, read with such a reach.
async fn walked(desk: &Desk, reach: Reach) -> Vec<Group> {
    let tx = desk.app.scene.db.app().begin(desk.app.scene.organization).await.unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..100 {
        let read = duplicates::list(&tx, &Filter::default(), after.as_ref(), reach).await.unwrap();
        assert!(read.groups.len() <= reach.groups);
        found.extend(read.groups);
        after = read.next;
        if after.is_none() {
            tx.commit().await.unwrap();
            return found;
        }
    }
    panic!("it never ends");
}

fn told(reason: &str, emails: &[&str]) -> (String, i64, Vec<String>) {
    (reason.to_owned(), i64::try_from(emails.len()).unwrap(), emails.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn contacts_that_are_probably_one_person_are_found_with_the_reason() {
    let desk = Desk::new().await;
    for (email, first, last, name, company) in [
        ("Jane+news@acme.test", Some("Jane"), Some("Doe"), None, Some("Acme, Inc.")),
        ("jane@acme.test", None, None, None, None),
        ("jane+shop@acme.test", None, None, None, None),
        // Another domain, and a mailbox whose dots count.
        ("jane@other.test", None, None, Some("JANE DOE"), Some("ACME Inc")),
        ("j.ane@acme.test", None, None, None, None),
        ("ada.love.lace+x@gmail.com", None, None, None, None),
        ("adalovelace@googlemail.com", None, None, None, None),
        // Alone with its tag, or without a company: nobody is like them.
        ("bob+x@people.test", Some("Jane"), Some("Doe"), None, None),
        ("+x@people.test", None, None, Some("Jane Doe"), Some("Acme Ltd")),
        ("eve@people.test", Some("Jean-Luc"), Some("O'Neill"), None, Some("Ship")),
        ("mallory@people.test", Some("Jean Luc"), Some("ONeill"), None, Some("ship")),
    ] {
        make(&desk, json!({"email": email, "first_name": first, "last_name": last, "name": name, "company": company}))
            .await;
    }
    let one = desk.app.scene.rows("select id::text from contacts where email = 'eve@people.test'", &[]).await[0]
        .get::<_, String>(0);
    let path = format!("/v1/contacts/{one}/person");
    desk.send(axum::http::Method::PATCH, &path, Some(json!({"city": "Bonn"}))).await.expect(200);
    let same = "update contacts set person_id = (select person_id from contacts where email = 'eve@people.test')
                 where email = 'bob+x@people.test'";
    desk.app.scene.run(same, &[]).await;

    let mut found = all(&desk, "", 1).await;
    assert_eq!(all(&desk, "", 100).await, found, "the size of pages changes nothing");
    // Those of a name are in the order of a hash.
    found[3..].sort();
    assert_eq!(
        found,
        [
            told("same_person", &["bob+x@people.test", "eve@people.test"]),
            told("same_mailbox", &["ada.love.lace+x@gmail.com", "adalovelace@googlemail.com"]),
            told("same_mailbox", &["Jane+news@acme.test", "jane@acme.test", "jane+shop@acme.test"]),
            told("same_name_and_company", &["Jane+news@acme.test", "jane@other.test"]),
            told("same_name_and_company", &["eve@people.test", "mallory@people.test"]),
        ]
    );
    assert_eq!(all(&desk, "&reason=same_mailbox", 1).await, found[1..3]);
    let expected = walked(&desk, Reach { groups: 100, contacts: 100 }).await;
    assert_eq!(expected.len(), 5);
    for contacts in 1..8 {
        for groups in 1..7 {
            let reach = Reach { groups, contacts };
            assert_eq!(walked(&desk, reach).await, expected, "{reach:?}");
        }
    }

    // The first of a group takes in the others, and the group is gone.
    let page = desk.get(&format!("{PATH}?reason=same_mailbox&limit=1")).await;
    let ids: Vec<&str> =
        page["data"][0]["contacts"].as_array().unwrap().iter().map(|contact| contact["id"].as_str().unwrap()).collect();
    desk.post(&format!("/v1/contacts/{}/merge", ids[0]), json!({"contact_ids": ids[1..]})).await.expect(200);
    assert_eq!(all(&desk, "&reason=same_mailbox", 5).await, found[2..3]);
}

#[tokio::test]
async fn a_group_shows_as_many_as_one_merge_takes_and_counts_all() {
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    let fill = "insert into contacts (organization_id, id, email) select $1, gen_random_uuid(), format('ada+%s@people.test', n) from generate_series(1, 30) n";
    scene.run(fill, &[&scene.organization]).await;
    let (other, _) = scene.another_organization("other").await;
    scene.run(fill, &[&other]).await;
    let page = desk.get(PATH).await;
    let group = &page["data"][0];
    assert_eq!((&group["count"], group["contacts"].as_array().unwrap().len()), (&json!(30), 21));
    let ids: Vec<String> = group["contacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|contact| contact["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids.is_sorted());
    desk.post(&format!("/v1/contacts/{}/merge", ids[0]), json!({"contact_ids": ids[1..]})).await.expect(200);
    assert_eq!(desk.get(PATH).await["data"][0]["count"], json!(10));
}

#[tokio::test]
async fn what_is_no_reason_and_no_cursor_of_the_list_is_refused() {
    use base64::Engine as _;

    let desk = Desk::new().await;
    for query in ["?reason=alike", "?reasons=same_person", "?cursor=x", "?limit=0"] {
        let status = if query.contains("limit") { 422 } else { 400 };
        desk.send(axum::http::Method::GET, &format!("{PATH}{query}"), None).await.expect(status);
    }
    for place in [
        json!({"same_person": "x"}),
        json!({"same_name_and_company": 1.5}),
        json!("same_person"),
        json!({"same_mailbox": "\u{0}"}),
    ] {
        let cursor = json!({"o": desk.app.scene.organization, "f": "", "b": place}).to_string();
        let cursor = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(cursor);
        desk.send(axum::http::Method::GET, &format!("{PATH}?cursor={cursor}"), None).await.expect(400);
    }
}
