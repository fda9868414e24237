//! What a file does to the contacts.

use serde_json::{Value, json};
use shared::audience::imports::{NewImport, Pace};
use shared::{ContactId, Error};

use crate::desk::{AT_ONCE, Desk, ROW_BY_ROW, counts, mapping, plain};

/// 5,000 rows, counted by their kinds: 4,000 people, of whom 500 stand there twice in another case, 400 rows without a
/// usable address, 100 rows with too many fields; every fifth row of a person is short.
fn five_thousand() -> Vec<u8> {
    let mut text = String::from("First Name;Last Name;E-Mail;Company Name;Job Title\r\n");
    for n in 0..4_000 {
        if n % 5 == 0 {
            text.push_str(&format!("Ada {n};Byron;Person{n}@People.test\r\n"));
        } else {
            text.push_str(&format!("Ada {n};\"By;ron\";person{n}@people.test;Engines \"{n}\";Countess\r\n"));
        }
        if n % 8 == 0 {
            text.push_str(&format!("Other {n};Name;PERSON{n}@people.TEST;Late & Sons;\r\n"));
        }
        if n % 10 == 0 {
            let bad = ["", "nobody", "a@", "@b.test", "a b@c.test"][n / 10 % 5];
            text.push_str(&format!("Bad;{n};{bad};;\r\n"));
        }
        if n % 40 == 0 {
            text.push_str(&format!("Too;Many;many{n}@people.test;a;b;c\r\n"));
        }
    }
    text.into_bytes()
}

/// Acts on many walk contacts by ascending ids up to that of the moment.
#[tokio::test]
async fn whoever_an_import_makes_has_an_id_of_its_time() {
    let desk = Desk::new().await;
    let before = ContactId::fresh();
    desk.import(desk.scene.organization, plain(), &five_thousand(), Pace::default()).await;
    let outside = "select count(*) from contacts where id not between $1 and $2 or substr(id::text, 15, 1) <> '7'";
    assert_eq!(desk.scene.number(outside, &[&before, &ContactId::fresh()]).await, 0);
}

#[tokio::test]
async fn five_thousand_rows_come_to_exact_counts_and_again_to_nothing() {
    let desk = Desk::new().await;
    let (organization, file) = (desk.scene.organization, five_thousand());
    let import = desk.import(organization, plain(), &file, Pace::default()).await;
    assert_eq!((import.status.as_str(), import.progress), ("completed", 100));
    // Of the 500 repeated rows, those of short rows (n divisible by 40: 100) fill the company in.
    assert_eq!(counts(&import), [5_000, 4_000, 100, 400, 500]);
    assert_eq!(import.completed_at, Some(testkit::scene::wednesday_morning()));
    let contacts = || async {
        let sql = "select jsonb_object_agg(email, jsonb_build_array(xmin::text, updated_at, first_name, company)) from contacts";
        desk.scene.rows(sql, &[]).await[0].get::<_, Value>(0)
    };
    let before = contacts().await;
    assert_eq!(before.as_object().unwrap().len(), 4_000);
    let values = |email: &str| (before[email][2].clone(), before[email][3].clone());
    assert_eq!(values("Person40@People.test"), (json!("Ada 40"), json!("Late & Sons")));
    assert_eq!(values("person8@people.test"), (json!("Ada 8"), json!("Engines \"8\"")));
    let codes: Vec<_> = desk.errors(organization, import.id).await.into_iter().map(|error| error.code).collect();
    let count = |code: &str| codes.iter().filter(|found| *found == code).count();
    assert_eq!(codes.len(), 500);
    assert_eq!(count("too_many_fields"), 100);
    assert_eq!(count("email_empty") + count("email_no_at") + count("email_domain") + count("email_local_part"), 400);

    let again = desk.import(organization, plain(), &file, Pace::default()).await;
    assert_eq!(counts(&again), [5_000, 0, 0, 4_500, 500]);
    assert_eq!(contacts().await, before, "no contact was even written to");
    assert_eq!(desk.scene.number("select count(*) from import_matches", &[]).await, 0);
}

#[tokio::test]
async fn values_of_the_file_win_where_there_are_any_and_custom_fields_are_merged() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    desk.scene
        .run(
            "insert into contacts (organization_id, id, email, first_name, company, custom, status)
             values ($1, gen_random_uuid(), 'Ada@People.test', 'Augusta', 'Engines', '{\"plan\": \"pro\", \"seats\": 3}', 'replied')",
            &[&organization],
        )
        .await;
    desk.scene
        .run(
            "insert into suppressions (organization_id, id, email_lower, reason) values ($1, gen_random_uuid(), 'gone@people.test', 'unsubscribe')",
            &[&organization],
        )
        .await;
    let file = "\u{feff}Email,First Name,Company,Seats,Time Zone,City\r\n\
        ADA@people.test, Ada ,,4,Europe/London,\"Lon\ndon\"\r\n\
        gone@people.test,\"Line\r\nbreak\",,,Mars/Olympus,\r\n";
    let import = desk.import(organization, plain(), file.as_bytes(), AT_ONCE).await;
    assert_eq!(counts(&import), [2, 1, 1, 0, 0]);
    assert_eq!(
        import.column_mapping.unwrap(),
        json!({"Email": "email", "First Name": "first_name", "Company": "company", "Seats": "custom.seats",
               "Time Zone": "timezone", "City": "custom.city"})
    );
    assert_eq!(
        desk.contacts(organization, Some(import.id)).await,
        json!([
            {"email": "Ada@People.test", "name": null, "first_name": "Ada", "last_name": null, "company": "Engines",
             "timezone": "Europe/London", "custom": {"plan": "pro", "seats": "4", "city": "Lon\ndon"},
             "raw": {"Email": "ADA@people.test", "First Name": " Ada ", "Seats": "4", "Time Zone": "Europe/London",
                     "City": "Lon\ndon"},
             "status": "replied", "source": "api", "made": false, "lists": 0, "tags": 0},
            {"email": "gone@people.test", "name": null, "first_name": "Line break", "last_name": null, "company": null,
             "timezone": null, "custom": {},
             "raw": {"Email": "gone@people.test", "First Name": "Line\r\nbreak", "Time Zone": "Mars/Olympus"},
             "status": "active", "source": "import", "made": true, "lists": 0, "tags": 0},
        ])
    );
    let kept = desk.scene.number("select count(*) from suppressions", &[]).await;
    assert_eq!(kept, 1, "an address stays suppressed, whoever brings it again");
}

#[tokio::test]
async fn a_repeated_address_fills_what_is_empty_wherever_a_chunk_ends() {
    let desk = Desk::new().await;
    let file = "email,company,city,size\n\
        ada@people.test,First,,\n\
        ADA@people.test,Second,Bonn,\n\
        bob@people.test,,,\n\
        Ada@People.test,Third,Ulm,9\n\
        ada@people.test,,,\n";
    for (n, pace) in [ROW_BY_ROW, AT_ONCE].into_iter().enumerate() {
        let (organization, _) = desk.scene.another_organization(&format!("repeats{n}")).await;
        desk.scene
            .run(
                "insert into contacts (organization_id, id, email, company) values ($1, gen_random_uuid(), 'ada@people.test', 'Old')",
                &[&organization],
            )
            .await;
        let import = desk.import(organization, plain(), file.as_bytes(), pace).await;
        assert_eq!(counts(&import), [5, 1, 3, 1, 0]);
        let contacts = desk.contacts(organization, None).await;
        assert_eq!(contacts[0]["company"], "First");
        assert_eq!(contacts[0]["custom"], json!({"city": "Bonn", "size": "9"}));
        assert_eq!(contacts[0]["raw"]["company"], "First");
        let again = desk.import(organization, plain(), file.as_bytes(), pace).await;
        assert_eq!(counts(&again), [5, 0, 0, 5, 0]);
        assert_eq!(desk.contacts(organization, None).await, contacts);
    }
}

#[tokio::test]
async fn a_list_gets_made_and_present_contacts_alike_and_another_organizations_list_is_refused() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    desk.scene.contacts(3).await;
    let list = desk.list(organization).await;
    let new = || NewImport { list_id: Some(list), ..plain() };
    let file = b"email\nperson1@people.test\nPERSON2@people.test\nnew@people.test\nnew@people.test\nnobody\n";
    for _ in 0..2 {
        desk.import(organization, new(), file, AT_ONCE).await;
        let sql = "select string_agg(email_lower, ' ' order by email_lower) from list_members m join contacts c on c.id = m.contact_id";
        let members: String = desk.scene.rows(sql, &[]).await[0].get(0);
        assert_eq!(members, "new@people.test person1@people.test person2@people.test");
    }

    let (other, _) = desk.scene.another_organization("other").await;
    let tx = desk.db.begin(other).await.unwrap();
    let refused = shared::audience::imports::create(&tx, &*desk.store, new()).await;
    let Err(Error::Invalid(errors)) = refused else { panic!("the list was accepted") };
    assert_eq!((errors[0].field.as_str(), errors[0].code), ("list_id", "not_found"));
    drop(tx);

    // The list is deleted while the import is under way: the people are still imported.
    let id = desk.started(organization, new(), b"email\na@people.test\nb@people.test\n").await;
    let (_, hinted) = desk.queue.take().unwrap();
    desk.importer(ROW_BY_ROW).run(organization, hinted, std::time::Instant::now()).await.unwrap();
    desk.scene.run("delete from lists where id = $1", &[&list]).await;
    desk.work(ROW_BY_ROW).await;
    let import = desk.find(organization, id).await;
    assert_eq!((import.status.as_str(), import.list_id), ("completed", None));
    assert_eq!(counts(&import), [2, 2, 0, 0, 0]);
}

#[tokio::test]
async fn what_the_caller_says_about_columns_wins_and_is_shown() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let said = mapping(&[("Private", Some("email")), ("Email", Some("custom.work")), ("Notes", None)]);
    let new = NewImport { column_mapping: Some(said), ..plain() };
    let file = b"Email,Private,Notes,Phone\nwork@people.test,home@people.test,secret,123\n";
    let import = desk.import(organization, new, file, AT_ONCE).await;
    assert_eq!(
        import.column_mapping.unwrap(),
        json!({"Email": "custom.work", "Private": "email", "Notes": null, "Phone": "custom.phone"})
    );
    let contacts = desk.contacts(organization, None).await;
    assert_eq!(contacts[0]["email"], "home@people.test");
    assert_eq!(contacts[0]["custom"], json!({"work": "work@people.test", "phone": "123"}));
    assert_eq!(contacts[0]["raw"]["Notes"], "secret", "the row is kept as it was");
}

#[tokio::test]
async fn what_martlet_has_written_is_read_as_it_was() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let file =
        b"email,first_name,custom.phone,\nada@people.test,'=Ada,'+49 30 1,,,\nbob@people.test,'t Hooft,''quoted',\n\
                 cleo@people.test,Cleo,,,more\n";
    let import = desk.import(organization, plain(), file, AT_ONCE).await;
    assert_eq!(counts(&import), [3, 2, 0, 0, 1]);
    assert_eq!(desk.codes(organization, import.id).await, [(4, "too_many_fields".to_owned())]);
    let sql = "select string_agg(concat_ws('|', first_name, custom ->> 'phone', raw_data ->> 'custom.phone'), ', ' order by email)
                 from contacts";
    let read = desk.scene.rows(sql, &[]).await[0].get::<_, String>(0);
    assert_eq!(read, "=Ada|+49 30 1|'+49 30 1, 't Hooft|'quoted'|''quoted'");
}

#[tokio::test]
async fn whoever_could_not_be_taken_is_put_on_no_list() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let half = "x".repeat(9_000);
    let sql = "insert into contacts (organization_id, id, email, custom) values ($1, gen_random_uuid(), 'ada@people.test', jsonb_build_object('a', $2::text))";
    desk.scene.run(sql, &[&organization, &half]).await;
    let list = desk.list(organization).await;
    let wishes = NewImport { list_id: Some(list), ..plain() };
    let file = format!("email,b\nada@people.test,{half}\nbob@people.test,1\n");
    let import = desk.import(organization, wishes, file.as_bytes(), AT_ONCE).await;
    assert_eq!(counts(&import), [2, 1, 0, 0, 1]);
    let sql =
        "select string_agg(email, ', ') from list_members m join contacts c on c.id = m.contact_id where list_id = $1";
    assert_eq!(desk.scene.rows(sql, &[&list]).await[0].get::<_, &str>(0), "bob@people.test");
}

#[tokio::test]
async fn too_much_in_custom_fields_fails_the_row_alone() {
    let desk = Desk::new().await;
    let organization = desk.scene.organization;
    let half = "x".repeat(9_000);
    let file = format!(
        "email,a,b,company\nada@people.test,{half},,\nada@people.test,,{half},\nada@people.test,,,Engines\n\
         bob@people.test,{half},{half},\ncleo@people.test,,,{}\n",
        "y".repeat(201)
    );
    let import = desk.import(organization, plain(), file.as_bytes(), AT_ONCE).await;
    assert_eq!(counts(&import), [5, 1, 1, 0, 3]);
    let expected = [(3, "custom_too_long"), (5, "custom_too_long"), (6, "too_long")];
    assert_eq!(desk.codes(organization, import.id).await, expected.map(|(line, code)| (line, code.to_owned())));
}
