//! What the database answers is what the tree means.

use std::collections::BTreeSet;

use shared::audience::contacts::{self, Filter};
use shared::audience::segments::compiling::Question;
use shared::audience::segments::tree::Tree;
use shared::audience::segments::{self, selecting};
use shared::{ContactId, Error, Tx};
use testkit::Scene;
use testkit::scene::wednesday_morning;
use uuid::Uuid;

use crate::interpreter::means;
use crate::people::{Draws, Human, draw, draw_tree, settle};

/// People beside whom another organization has the same ones.
async fn scene(seed: u64, count: usize) -> (Scene, Vec<Human>, Uuid) {
    let scene = Scene::new().await;
    let import = ContactId::fresh().0;
    let people = draw(seed, count, import);
    settle(&scene, import, &people).await;
    scene.run("analyze", &[]).await;
    (scene, people, import)
}

/// Everybody of a question, page after page, the newest first.
async fn pages(tx: &Tx, question: &Question, limit: usize) -> Vec<ContactId> {
    let mut found: Vec<ContactId> = Vec::new();
    loop {
        let page = selecting::page(tx, question, found.last().copied(), limit.try_into().unwrap()).await.unwrap();
        found.extend(page.iter().map(|contact| contact.id));
        if page.len() < limit {
            return found;
        }
    }
}

fn meant(people: &[Human], tree: &Tree) -> Vec<ContactId> {
    let now = wednesday_morning();
    let mut ids: Vec<ContactId> = people.iter().filter(|human| means(tree, human, now)).map(|human| human.id).collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids
}

#[tokio::test]
async fn every_tree_means_in_the_database_whom_it_means() {
    let (scene, people, import) = scene(7, 160).await;
    let (other, _) = scene.another_organization("other").await;
    scene
        .run(
            "insert into contacts (organization_id, id, email, first_name, company) select $1, gen_random_uuid(), email, 'Ada', 'Acme' from contacts",
            &[&other],
        )
        .await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let draws = &mut Draws(11);
    let mut sizes = BTreeSet::new();
    for _ in 0..250 {
        let tree = draw_tree(draws, 3, import);
        let question = segments::resolve(&tx, "tree", &tree).await.unwrap();
        let expected = meant(&people, &tree);
        // The short pages are filled by a walk through the newest contacts, the last of them by all who are meant.
        assert_eq!(pages(&tx, &question, 7).await, expected, "pages of {tree}");
        assert_eq!(selecting::count(&tx, &question).await.unwrap(), i64::try_from(expected.len()).unwrap(), "{tree}");
        let mut ascending = expected.clone();
        ascending.reverse();
        let largest = people.iter().map(|human| human.id).max().unwrap();
        let ids = selecting::read_ids(&tx, &question, None, largest, 1_000).await.unwrap();
        assert_eq!(ids, ascending, "ids of {tree}");
        sizes.insert(expected.len());
    }
    assert!(sizes.len() > 40, "the trees mean too many or too few: {sizes:?}");
}

#[tokio::test]
async fn what_is_not_known_equals_nothing_and_its_opposite_holds() {
    let (scene, people, _) = scene(7, 60).await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let ask = async |text: &str| -> BTreeSet<ContactId> {
        let tree = segments::read_text("filter", text).unwrap();
        let question = segments::resolve(&tx, "filter", &tree).await.unwrap();
        pages(&tx, &question, 100).await.into_iter().collect()
    };
    let all: BTreeSet<ContactId> = people.iter().map(|human| human.id).collect();
    let from_au = ask("country = \"AU\"").await;
    let unknown = ask("country is not set").await;
    assert!(!from_au.is_empty() && people.iter().any(|human| human.person.is_none() && unknown.contains(&human.id)));
    for opposite in
        ["country != \"AU\"", "not country = \"au\"", "country not in (\"AU\")", "not (country in (\"AU\", \"AU\"))"]
    {
        let others = ask(opposite).await;
        assert!(unknown.is_subset(&others), "{opposite} leaves out those without a country");
        assert!(others.is_disjoint(&from_au) && others.len() + from_au.len() == all.len(), "{opposite}");
    }
    assert_eq!(ask("everybody").await, all);
    assert_eq!(ask("not everybody").await, BTreeSet::new());
}

#[tokio::test]
async fn names_that_nothing_has_are_told_and_mean_nobody_else() {
    let (scene, _, _) = scene(3, 5).await;
    scene.run("update custom_fields set state = 'filling' where key = 'vip'", &[]).await;
    let (other, _) = scene.another_organization("other").await;
    scene.run("insert into tags (organization_id, id, name) values ($1, gen_random_uuid(), 'theirs')", &[&other]).await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    for (text, told) in [
        ("not tag = \"theirs\"", "unknown_tag: there is no tag \"theirs\""),
        ("list in (\"Buyers\", \"BUYERS\")", "unknown_list: there is no list \"BUYERS\""),
        ("opened(\"Winter\")", "unknown_campaign: there is no campaign \"Winter\""),
        (
            "custom.Plan = \"pro\"",
            "unknown_custom_field: no custom field \"Plan\" is defined: only defined ones can be selected by",
        ),
        ("custom.vip = true", "custom_field_filling: the values of \"vip\" are still being read; try again in a while"),
        ("custom.seats = \"3\"", "wrong_value: custom.seats is compared with a number"),
        (
            "custom.seats begins with \"3\"",
            "wrong_operator: custom.seats is a number, which is not compared by begins with",
        ),
        ("custom.plan > \"a\"", "wrong_operator: custom.plan is a text, which is not compared by >"),
        ("custom.renewal < \"soon\"", "wrong_value: custom.renewal is compared with a day as \"2026-03-04\""),
    ] {
        let tree = segments::read_text("filter", text).unwrap();
        match segments::resolve(&tx, "filter", &tree).await {
            Err(Error::Invalid(errors)) => {
                assert_eq!(format!("{}: {}", errors[0].code, errors[0].message), told, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let id: String = scene.rows("select id::text from lists where name = 'Readers'", &[]).await[0].get(0);
    let tree = segments::read_text("filter", &format!("list = \"{}\"", id.to_uppercase())).unwrap();
    assert!(segments::resolve(&tx, "filter", &tree).await.is_ok(), "a list is named by its id as well");
}

#[tokio::test]
async fn a_search_finds_the_beginnings_of_words() {
    let scene = Scene::new().await;
    for (email, name, first, last, company) in [
        ("ada@people.test", None, Some("Ada"), Some("Lovelace"), Some("Analytical Engines")),
        ("grace@example.test", Some("Rear Admiral Grace Hopper"), None, None, Some("Navy")),
        ("ADAM@people.test", None, Some("Eve"), Some("Adamson"), None),
        ("under_score@people.test", None, Some("100%"), None, None),
    ] {
        scene
            .run(
                "insert into contacts (organization_id, id, email, name, first_name, last_name, company)
                 values ($1, $2, $3, $4, $5, $6, $7)",
                &[&scene.organization, &ContactId::fresh(), &email, &name, &first, &last, &company],
            )
            .await;
    }
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    for (q, found) in [
        ("ada", vec!["ADAM@people.test", "ada@people.test"]),
        ("ADA love", vec!["ada@people.test"]),
        ("love ada", vec!["ada@people.test"]),
        ("ana", vec!["ada@people.test"]),
        ("hop", vec!["grace@example.test"]),
        ("rear hopper", vec!["grace@example.test"]),
        ("analytical  Engines", vec!["ada@people.test"]),
        ("rear admiral g", vec!["grace@example.test"]),
        ("engines analytical", vec![]),
        ("lace", vec![]),
        ("100%", vec!["under_score@people.test"]),
        ("%", vec![]),
        ("under_", vec!["under_score@people.test"]),
        ("  ", vec!["under_score@people.test", "ADAM@people.test", "grace@example.test", "ada@people.test"]),
    ] {
        let filter = Filter { q: Some(q.to_owned()), ..Filter::default() };
        let rows = contacts::list(&tx, &filter, None, 10).await.unwrap();
        let emails: Vec<&str> = rows.iter().map(|contact| contact.email.as_str()).collect();
        assert_eq!(emails, found, "{q}");
    }
}
