//! How the statements are found: by indexes, as martlet_app gets them, in an organization that is large enough for the planner to
//! see what it costs to read a table through.

use serde_json::Value;
use shared::audience::segments;
use shared::audience::segments::compiling::{Form, Question};
use shared::audience::segments::selecting::{self, Asked, PageOf};
use shared::{CampaignId, ContactId, OrganizationId, Tx};
use testkit::TestDb;
use testkit::generator::{Options, generate};
use tokio_postgres::types::Type;

/// Enough that reading any of the tables through is never the way to a page.
const CONTACTS: u32 = 40_000;
/// Tables that grow with the number of people.
const LARGE: [&str; 9] = [
    "contacts",
    "persons",
    "contact_tags",
    "list_members",
    "custom_values",
    "email_verifications",
    "engagements",
    "messages",
    "message_events",
];

/// Conditions that few or none meet, each with an index that it is found by.
const RARE: &[(&str, &str)] = &[
    ("email = \"nobody@people.test\"", "contacts_email_key"),
    ("email begins with \"zoe.ash\"", "contacts_email_key"),
    ("email_domain = \"company19990.test\"", "contacts_email_domain_idx"),
    ("first_name = \"zebedee\"", "contacts_first_name_idx"),
    ("last_name begins with \"yorkez\"", "contacts_last_name_idx"),
    ("name = \"zoe ashton\"", "contacts_name_idx"),
    ("company = \"acme systems 19800\"", "contacts_company_idx"),
    ("timezone = \"Europe/Vaduz\"", "contacts_timezone_idx"),
    ("status = \"unsubscribed\" and company = \"acme labs\"", "contacts_"),
    ("source = \"lead\"", "contacts_source_idx"),
    ("created_at < \"2000-01-01\"", "contacts_created_at_idx"),
    ("import = \"00000000-0000-0000-0000-000000000001\"", "contacts_import_batch_idx"),
    ("country = \"LI\"", "persons_country_idx"),
    ("city begins with \"zurich\"", "persons_city_idx"),
    ("region = \"ticino\"", "persons_region_idx"),
    ("person.company = \"acme systems 19800\"", "persons_company_idx"),
    ("profession = \"stuntman\"", "persons_profession_idx"),
    ("person.timezone = \"Europe/Vaduz\"", "persons_timezone_idx"),
    ("score < 30", "persons_score_idx"),
    ("tag = \"Board\"", "contact_tags_pkey"),
    ("list = \"Handpicked\"", "list_members_pkey"),
    ("custom.plan = \"ultimate\"", "custom_values_text_idx"),
    ("custom.plan begins with \"ult\"", "custom_values_text_idx"),
    ("custom.seats > 499", "custom_values_number_idx"),
    ("custom.vip = false", "custom_values_boolean_idx"),
    ("custom.renewal < \"2000-01-01\"", "custom_values_date_idx"),
    ("replied(1d)", "engagements_"),
    ("replied(\"Campaign 1\", 1d)", "engagements_"),
    ("country = \"IS\" and tag = \"VIP\"", "contact_tags_"),
    ("tag = \"Newsletter\" and list = \"Handpicked\"", "list_members_pkey"),
    ("tag = \"Press\" and not opened(30d)", "contact_tags_pkey"),
    ("profession = \"stuntman\" or tag = \"Board\"", "persons_profession_idx"),
    ("company = \"acme systems 19800\" or email begins with \"zoe.ash\"", "contacts_company_idx"),
    (
        "country = \"US\" and tag = \"Investor\" and verification = \"valid\" and score >= 60 and opened(30d)",
        "contact_tags_",
    ),
];

/// Conditions that say nothing of the contact itself.
const OF_OTHER_TABLES: &[&str] = &[
    "list = \"Handpicked\"",
    "tag = \"Board\" and not opened(30d)",
    "custom.plan = \"ultimate\" and custom.seats > 499",
    "tag = \"Board\" and (list = \"Handpicked\" or not replied())",
];

/// Conditions that many meet: the first page is among the newest.
const FREQUENT: &[&str] = &[
    "everybody",
    "country = \"US\"",
    "status = \"active\"",
    "not country = \"US\"",
    "tag = \"Newsletter\"",
    "list = \"Everybody\" and not tag = \"Newsletter\"",
    "verification = \"valid\" and score >= 60",
    "custom.plan = \"free\" or email_domain = \"gmail.test\"",
    "not opened(30d)",
    "company is not set or city is set",
];

async fn explain(tx: &Tx, asked: &Asked<'_>) -> String {
    let rows = tx.query_once(&format!("explain (costs off) {}", asked.sql), &asked.parameters()).await.unwrap();
    rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>().join("\n")
}

/// The plans of a page for which the newest are in vain, so that all who are meant are asked for in the end.
async fn page_plans(tx: &Tx, question: &Question) -> Vec<String> {
    let (mut page, mut plans) = (PageOf::new(question, None, 21), Vec::new());
    while let Some(asked) = page.asked(question) {
        plans.push(explain(tx, &asked).await);
        page.took(&[]).unwrap();
    }
    plans
}

/// The large tables that a plan reads through.
fn read_through(plan: &str) -> Vec<&str> {
    let lines = plan.lines().filter(|line| line.contains("Seq Scan on "));
    lines
        .filter(|line| {
            LARGE.iter().any(|table| {
                line.contains(&format!("Seq Scan on {table} ")) || line.ends_with(&format!("Seq Scan on {table}"))
            })
        })
        .collect()
}

async fn ask(tx: &Tx, text: &str) -> Question {
    let tree = segments::read_text("filter", text).unwrap();
    segments::resolve(tx, "filter", &tree).await.unwrap()
}

async fn large_organization() -> (TestDb, OrganizationId) {
    organization_of(CONTACTS).await
}

async fn organization_of(contacts: u32) -> (TestDb, OrganizationId) {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    let options = Options { contacts, seed: 5 };
    let organization = generate(&mut owner, options, |_| {}).await.unwrap();
    (db, organization)
}

/// One database for all: it takes some seconds to make.
#[tokio::test]
async fn no_page_filter_search_or_count_of_few_reads_a_large_table_through() {
    let (db, organization) = large_organization().await;
    let tx = db.app().begin(organization).await.unwrap();
    let mut wrong = Vec::new();
    for (text, index) in RARE {
        let question = ask(&tx, text).await;
        let plans = page_plans(&tx, &question).await;
        for plan in &plans {
            if !read_through(plan).is_empty() {
                wrong.push(format!("a page of {text}:\n{plan}"));
            }
        }
        let all = plans.last().unwrap();
        let count = explain(&tx, &selecting::counting(&question)).await;
        if !all.contains(index) || !count.contains(index) || !read_through(&count).is_empty() {
            wrong.push(format!("{text} is not found by {index}:\n{all}\n{count}"));
        }
        let outside = [all, &count].into_iter().any(|plan| !plan.contains("organization_id = "));
        assert!(!outside, "{text} looks up no organization:\n{all}\n{count}");
    }
    for text in OF_OTHER_TABLES {
        let question = ask(&tx, text).await;
        let all = page_plans(&tx, &question).await.pop().unwrap();
        let count = explain(&tx, &selecting::counting(&question)).await;
        // A page reads the contacts that it shows.
        let reads = [&all, &count].map(|plan| plan.matches(" on contacts c").count());
        if reads != [1, 0] {
            wrong.push(format!("{text} reads contacts:\n{all}\n{count}"));
        }
    }
    for text in FREQUENT {
        let question = ask(&tx, text).await;
        let newest = &page_plans(&tx, &question).await[0];
        if !read_through(newest).is_empty() || newest.contains("Sort Key") {
            wrong.push(format!("the first page of {text}:\n{newest}"));
        }
        let mut page = PageOf::new(&question, None, 21);
        let statement = page.asked(&question).unwrap();
        let rows = tx.query_once(&statement.sql, &statement.parameters()).await.unwrap();
        assert_eq!(rows.len(), 21, "{text}");
        // Had the newest been some of the page alone, those behind them would be looked at.
        page.took(&rows[..7]).unwrap();
        let further = explain(&tx, &page.asked(&question).unwrap()).await;
        if !read_through(&further).is_empty() || further.contains("Sort Key") {
            wrong.push(format!("the rest of the first page of {text}:\n{further}"));
        }
    }
    for words in [vec!["zebedee"], vec!["zoe", "ashton"], vec!["acme", "systems", "19800"]] {
        let question = Question::words(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        for plan in page_plans(&tx, &question).await {
            if !read_through(&plan).is_empty() {
                wrong.push(format!("a search for {words:?}:\n{plan}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of the plans:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// However a page is read: by the newest, by those behind them, by all who are meant, or by two or three of these.
#[tokio::test]
async fn pages_show_everybody_who_is_meant_once_and_the_newest_first() {
    let (db, organization) = organization_of(16_000).await;
    let tx = db.app().begin(organization).await.unwrap();
    let mut steps = [0; 4];
    for text in [
        "country = \"IS\"",
        "country = \"IS\" and tag = \"Newsletter\"",
        "list = \"Everybody\" and country = \"IS\"",
        "tag = \"Newsletter\" and custom.plan = \"enterprise\"",
        "custom.plan = \"enterprise\" and custom.seats > 100",
        "clicked(\"Campaign 2\") or replied(90d)",
        "company begins with \"acme\" and status = \"contacted\"",
        "tag = \"Board\"",
        "email begins with \"zoe.ash\"",
    ] {
        let question = ask(&tx, text).await;
        let (mut before, mut shown): (Option<ContactId>, Vec<ContactId>) = (None, Vec::new());
        loop {
            let (mut page, mut asked, mut found) = (PageOf::new(&question, before, 20), 0, 0);
            while let Some(statement) = page.asked(&question) {
                let rows = tx.query_once(&statement.sql, &statement.parameters()).await.unwrap();
                page.took(&rows).unwrap();
                (asked, found) = (asked + 1, found + rows.len());
            }
            steps[asked] += 1;
            let contacts = selecting::page(&tx, &question, before, 20).await.unwrap();
            assert_eq!(contacts.len(), found, "{text}");
            shown.extend(contacts.iter().map(|contact| contact.id));
            before = shown.last().copied();
            if contacts.len() < 20 {
                break;
            }
        }
        let last: ContactId = "ffffffff-ffff-ffff-ffff-ffffffffffff".parse().unwrap();
        let mut meant = selecting::read_ids(&tx, &question, None, last, 1_000_000).await.unwrap();
        meant.reverse();
        assert!(!meant.is_empty(), "{text}");
        assert_eq!(shown, meant, "{text}");
    }
    assert!(steps[1..].iter().all(|pages| *pages > 0), "not every way was gone: {steps:?}");
}

/// The planner knows how many have a value of a custom field, and not only how many values there are of all fields.
#[tokio::test]
async fn how_many_have_a_value_of_a_custom_field_is_estimated() {
    let (db, organization) = organization_of(8_000).await;
    let tx = db.app().begin(organization).await.unwrap();
    for text in ["custom.vip = true", "custom.plan = \"enterprise\"", "custom.plan in (\"free\", \"team\")"] {
        let question = ask(&tx, text).await;
        let counting = selecting::counting(&question);
        let sql = format!("explain (analyze, format json) {}", counting.sql);
        let plan: Value = tx.query_once(&sql, &counting.parameters()).await.unwrap()[0].get(0);
        let scan = plan.pointer("/0/Plan/Plans/0").unwrap();
        let [estimated, found] = ["Plan Rows", "Actual Rows"].map(|name| scan[name].as_f64().unwrap());
        assert!(found > 100.0 && (0.5..2.0).contains(&(estimated / found)), "{text}: {plan:#}");
    }
}

/// Preflight's warning about addresses that were found invalid: of few people of many, of few invalid ones of many.
#[tokio::test]
async fn who_has_an_invalid_address_is_found_without_reading_large_tables_through() {
    let (db, organization) = large_organization().await;
    let owner = db.owner().await;
    let few = "update email_verifications set status = 'unverified', deliverable = 'unknown'
                where status = 'invalid' and email_lower not like 'zoe.ash%'";
    let sql = include_str!("../../src/outreach/preflight/invalid_addresses.sql");
    let campaign = CampaignId::fresh();
    for (texts, prepare) in
        [(["tag = \"Board\"", "list = \"Handpicked\""], None), (["everybody", "country = \"US\""], Some(few))]
    {
        if let Some(prepare) = prepare {
            owner.batch_execute(&format!("{prepare}; analyze email_verifications")).await.unwrap();
        }
        let tx = db.app().begin(organization).await.unwrap();
        for text in texts {
            let condition = ask(&tx, text).await.condition(Form::Sets, 1);
            let sql = format!("explain (costs off) {}", condition.within(sql));
            let rows = tx.query_once(&sql, &condition.after(&[(&campaign, Type::UUID)])).await.unwrap();
            let plan = rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>().join("\n");
            assert!(read_through(&plan).is_empty(), "{text}:\n{plan}");
        }
        tx.commit().await.unwrap();
    }
}

/// An index condition under row-level security has to be leakproof.
#[tokio::test]
async fn what_is_compared_by_an_index_leaks_nothing() {
    let db = TestDb::new().await;
    let leaky = db
        .owner()
        .await
        .query_typed(
            "select p.oid::regprocedure::text
               from pg_proc p
              where p.proname = any (array['texteq', 'text_lt', 'text_le', 'text_gt', 'text_ge', 'uuid_eq', 'uuid_lt', 'uuid_le',
                    'uuid_gt', 'uuid_ge', 'int2eq', 'int2lt', 'int2le', 'int2gt', 'int2ge', 'float8eq', 'float8lt', 'float8le',
                    'float8gt', 'float8ge', 'booleq', 'date_eq', 'date_lt', 'date_le', 'date_gt', 'date_ge', 'timestamptz_lt',
                    'timestamptz_le', 'timestamptz_gt', 'timestamptz_ge'])
                and not p.proleakproof",
            &[],
        )
        .await
        .unwrap();
    let leaky: Vec<String> = leaky.iter().map(|row| row.get(0)).collect();
    assert_eq!(leaky, [""; 0]);
}
