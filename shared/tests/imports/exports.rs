//! Files as widespread programs export them: their header lines, with people of our own.

use serde_json::{Value, json};

use crate::desk::{AT_ONCE, Desk, mapping, plain};

macro_rules! exports {
    ($($name:literal),+ $(,)?) => { [$(($name, include_bytes!(concat!("exports/", $name, ".csv")).as_slice())),+] };
}

#[tokio::test]
async fn people_come_out_of_every_programs_export() {
    let desk = Desk::new().await;
    let files = exports![
        "hubspot",
        "apollo",
        "mailchimp",
        "linkedin",
        "google_old",
        "google",
        "outlook",
        "outlook_german",
        "salesforce",
        "salesforce_backup",
        "pipedrive",
    ];
    for (name, file) in files {
        let (organization, _) = desk.scene.another_organization(&name.replace('_', "-")).await;
        let import = desk.import(organization, plain(), file, AT_ONCE).await;
        assert_eq!((import.status.as_str(), import.rows_created), ("completed", 1), "{name}: {:?}", import.error);
        let contact = desk.contacts(organization, None).await[0].clone();
        let fields = ["email", "first_name", "last_name"].map(|field| contact[field].clone());
        assert_eq!(fields, ["ada@people.test", "Ada", "Byron"].map(Value::from), "{name}");
        match name {
            "apollo" => assert_eq!(contact["company"], "Engines, Inc."),
            "mailchimp" => {
                assert_eq!((&contact["company"], &contact["timezone"]), (&Value::Null, &json!("Europe/London")));
            }
            _ => assert_eq!(contact["company"], "Engines", "{name}"),
        }
        let codes = desk.codes(organization, import.id).await;
        let expected: &[i64] = match name {
            "linkedin" => &[7],
            "salesforce" => &[5, 6],
            _ => &[],
        };
        assert_eq!(codes.iter().map(|(line, _)| *line).collect::<Vec<_>>(), expected, "{name}");
        assert!(codes.iter().all(|(_, code)| code == "email_empty"), "{name}: {codes:?}");
    }
}

#[tokio::test]
async fn another_address_stands_in_only_where_the_first_is_empty() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let file =
        b"Email,Secondary Email\n,ada@people.test\nnobody,bob@people.test\ncleo@people.test,old@people.test\n,\n";
    let import = desk.import(organization, plain(), file, AT_ONCE).await;
    assert_eq!(desk.codes(organization, import.id).await, [(3, "email_no_at".to_owned())]);
    let contacts = desk.contacts(organization, None).await;
    let emails: Vec<&Value> = contacts.as_array().unwrap().iter().map(|contact| &contact["email"]).collect();
    assert_eq!(emails, ["ada@people.test", "cleo@people.test"]);
    assert_eq!(contacts[1]["custom"], json!({"secondary_email": "old@people.test"}));
    // Whoever names the column means it.
    let (other, _) = desk.scene.another_organization("said").await;
    let said =
        shared::audience::imports::NewImport { column_mapping: Some(mapping(&[("Email", Some("email"))])), ..plain() };
    let import = desk.import(other, said, file, AT_ONCE).await;
    assert_eq!(desk.codes(other, import.id).await, [(2, "email_empty".to_owned()), (3, "email_no_at".to_owned())]);
}
