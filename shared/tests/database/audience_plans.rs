//! Plans of what is asked of the audience, as martlet_app gets them: by indexes, in their order, and never through a table.

use shared::ListId;
use testkit::Scene;

use super::plans::{condition, crowded, explain};

/// What one contact, one list, one tag or one bin is asked for, in its own words and with its parameters.
#[tokio::test]
async fn what_is_asked_of_contacts_is_found_by_indexes() {
    let scene = crowded().await;
    let everything = "with t as (insert into tags (organization_id, id, name) values ($1, gen_random_uuid(), 'Tag') returning id),
             l as (insert into lists (organization_id, id, name) values ($1, gen_random_uuid(), 'List') returning id),
             f as (insert into custom_fields (organization_id, id, key, name, type) values ($1, gen_random_uuid(), 'k', 'K', 'number') returning id),
             m as (insert into list_members (organization_id, list_id, contact_id) select $1, l.id, c.id from contacts c, l where c.organization_id = $1),
             v as (insert into custom_values (organization_id, field_id, contact_id, number_value)
                   select $1, f.id, c.id, length(c.email) from contacts c, f where c.organization_id = $1),
             w as (insert into leads (organization_id, id, lead_form_id, form_name, contact_id, received_at, network_hash)
                   select $1, gen_random_uuid(), $1, 'Form', c.id, now(), sha256('x') from contacts c where c.organization_id = $1),
             d as (insert into deleted_contacts (organization_id, id, email_lower, snapshot, reason, deleted_at)
                   select $1, c.id, c.email_lower, '{}', 'deleted', now() from contacts c where c.organization_id = $1)
        insert into contact_tags (organization_id, tag_id, contact_id) select $1, t.id, c.id from contacts c, t where c.organization_id = $1";
    scene.run(everything, &[&scene.organization]).await;
    let mails = "insert into messages (organization_id, id, kind, dedupe_key, contact_id, recipient, state, send_at, expires_at)
                 select organization_id, gen_random_uuid(), 'direct', id::text, id, email, 'cancelled', now(), now() from contacts
                  where organization_id = $1";
    scene.run(mails, &[&scene.organization]).await;
    scene.run("analyze list_members, contact_tags, custom_values, deleted_contacts, leads, messages", &[]).await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let id = "'00000000-0000-7000-8000-000000000000'";
    let contact = format!("({id}::uuid)");
    for (sql, params, index) in [
        (include_str!("../../src/audience/selection/read.sql"), vec![id, id, "2000"], "contacts_pkey"),
        (include_str!("../../src/audience/selection/read_of_list.sql"), vec![id, id, "2000", id], "list_members_pkey"),
        (include_str!("../../src/audience/tags/of_contact.sql"), vec![id], "contact_tags_contact_idx"),
        (
            include_str!("../../src/audience/bulk_acts/untag.sql"),
            vec![id, "array['00000000-0000-7000-8000-000000000000']"],
            "contact_tags_",
        ),
        (
            include_str!("../../src/audience/deleted_contacts/list.sql"),
            vec!["null", "null", "20"],
            "deleted_contacts_deleted_at_idx",
        ),
        (
            include_str!("../../src/audience/personal_data/find_deleted.sql"),
            vec![id, "'person7@people.test'"],
            "deleted_contacts_email_idx",
        ),
        (
            include_str!("../../src/audience/timeline/read.sql"),
            vec![contact.as_str(), "'person7@people.test'", "null", "null", "null", "20"],
            "messages_contact_idx",
        ),
        (include_str!("../../src/audience/leads/list.sql"), vec![id, "null", "21"], "leads_form_idx"),
        (include_str!("../../src/audience/personal_data/exporting/leads.sql"), vec![id, "20", id], "leads_contact_idx"),
        (
            "select contact_id from custom_values where field_id = $1 and number_value >= $2",
            vec![id, "19"],
            "custom_values_number_idx",
        ),
    ] {
        let question =
            (1..=params.len()).rev().fold(sql.to_owned(), |sql, n| sql.replace(&format!("${n}"), params[n - 1]));
        let plan = explain(&tx, &question).await;
        assert!(plan.contains(index), "{index} is not used:\n{question}\n{plan}");
        for table in ["contacts", "list_members", "contact_tags", "custom_values", "deleted_contacts", "leads"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{table} is read through:\n{question}\n{plan}");
        }
    }
    let plan = explain(&tx, &format!("select from custom_values where field_id = {id} and number_value >= 19")).await;
    assert!(condition(&plan, "Index Cond").contains("number_value"), "{plan}");
}

/// What is stored of one person beside much of others, where it is not free text.
#[tokio::test]
async fn what_is_stored_of_a_person_is_found_by_indexes() {
    let scene = crowded().await;
    let sender = scene.sender(1, 1_000, 0).await;
    scene.running_campaign(1, &[sender], 1, 1_000).await;
    for fill in [
        "insert into persons (organization_id, id) select organization_id, id from contacts where organization_id = $1",
        "insert into email_verifications (organization_id, email_lower, syntax, disposable, role_based, deliverable, blacklisted, status, checked_at)
         select organization_id, email_lower, 'passed', 'passed', 'passed', 'passed', 'passed', 'valid', now() from contacts
          where organization_id = $1",
        "insert into messages (organization_id, id, kind, dedupe_key, contact_id, recipient, state, send_at, expires_at)
         select organization_id, id, 'direct', id::text, id, email, 'cancelled', now(), now() from contacts where organization_id = $1",
        "insert into replies (organization_id, id, message_id, contact_id, mime_message_id, from_address, is_automatic, object_key, received_at)
         select organization_id, id, id, id, id::text, email, false, id::text, now() from contacts where organization_id = $1",
        "insert into audit_log (organization_id, id, actor_kind, action, subject_id, details)
         select organization_id, id, 'system', 'tested', id, case when right(id::text, 2) = '00' then jsonb_build_object('contact_id', id) else '{}' end
           from contacts where organization_id = $1",
        "insert into tracked_links (organization_id, id, campaign_id, step_id, url, message_id)
         select c.organization_id, c.id, s.campaign_id, s.id, 'https://example.test/' || c.id, c.id
           from contacts c join steps s on s.organization_id = c.organization_id
          where c.organization_id = $1",
    ] {
        scene.run(fill, &[&scene.organization]).await;
    }
    scene.run("analyze persons, email_verifications, messages, replies, audit_log, tracked_links, contacts", &[]).await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let (id, ids) = ("'00000000-0000-7000-8000-000000000000'", "array['00000000-0000-7000-8000-000000000000'::uuid]");
    let links = include_str!("../../src/audience/personal_data/find_links.sql");
    // Without the half that looks through the text of all links.
    let links =
        links.split_once("union\nselect id, other_message_id\n  from tracked_links\n where names_person").unwrap().0;
    macro_rules! of_person {
        ($file:literal) => {
            include_str!(concat!("../../src/audience/personal_data/", $file, ".sql"))
        };
    }
    for (sql, params, index) in [
        (of_person!("erasing/delete_person"), vec![id, ids], "persons_pkey"),
        (of_person!("erasing/delete_verifications"), vec!["array['a@people.test']", ids], "email_verifications_pkey"),
        (
            of_person!("exporting/email_verifications"),
            vec![id, "20", "'a@people.test'", ids],
            "email_verifications_pkey",
        ),
        (of_person!("erasing/delete_replies"), vec![ids, id, "'a@people.test'"], "replies_from_idx"),
        (of_person!("exporting/replies"), vec![id, "20", ids, id, "'a@people.test'"], "replies_from_idx"),
        (of_person!("exporting/audit_log"), vec![id, "20", ids, id], "audit_log_contact_idx"),
        (links, vec![ids, "array['https://example.test/']", ids], "tracked_links_message_idx"),
    ] {
        let question =
            (1..=params.len()).rev().fold(sql.to_owned(), |sql, n| sql.replace(&format!("${n}"), params[n - 1]));
        let plan = explain(&tx, question.trim_end().trim_end_matches(';')).await;
        assert!(plan.contains(index), "{index} is not used:\n{question}\n{plan}");
        for table in ["persons", "email_verifications", "messages", "replies", "audit_log", "tracked_links", "contacts"]
        {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{table} is read through:\n{question}\n{plan}");
        }
    }
}

#[tokio::test]
async fn tasks_and_verifications_are_listed_by_indexes_whatever_the_filter() {
    let scene = crowded().await;
    let fill = "with j as (insert into enrichment_jobs (organization_id, id, selection, up_to, status, started_at, ended_at)
                           select $1, ('00000000-0000-7000-8000-00000000000' || n)::uuid, '{}', $1, 'completed', now(), now()
                             from generate_series(1, 2) as n
                           returning id),
                     v as (insert into email_verifications (organization_id, email_lower, syntax, disposable, role_based, deliverable,
                                                            blacklisted, status, checked_at)
                           select organization_id, email_lower, 'passed', 'passed', 'passed',
                                  case when right(id::text, 2) = '00' then 'failed' else 'passed' end, 'passed',
                                  case when right(id::text, 2) = '00' then 'invalid' else 'valid' end, now()
                             from contacts where organization_id = $1)
                insert into enrichment_tasks (organization_id, job_id, contact_id, status, due_at, ended_at)
                select c.organization_id, j.id, c.id, case when right(c.id::text, 2) = '00' then 'failed' else 'completed' end, null, now()
                  from contacts c, j where c.organization_id = $1";
    scene.run(fill, &[&scene.organization]).await;
    scene.run("analyze enrichment_tasks, email_verifications", &[]).await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let (job, middle) =
        ("'00000000-0000-7000-8000-000000000001'::uuid", "'80000000-0000-0000-0000-000000000000'::uuid");
    let tasks = include_str!("../../src/audience/enrichment/list_tasks.sql");
    let all = include_str!("../../src/audience/verifications/list.sql");
    let of_status = include_str!("../../src/audience/verifications/list_by_status.sql");
    let of_address = include_str!("../../src/audience/verifications/list_by_email.sql");
    for (sql, params, index, looked_up) in [
        (tasks, vec![job, "null::text", "null::uuid", "21"], "enrichment_tasks_pkey", vec!["job_id"]),
        (tasks, vec![job, "null::text", middle, "21"], "enrichment_tasks_pkey", vec!["job_id", "contact_id"]),
        (tasks, vec![job, "'failed'", "null::uuid", "21"], "enrichment_tasks_status_idx", vec!["job_id", "status"]),
        (
            tasks,
            vec![job, "'failed'", middle, "21"],
            "enrichment_tasks_status_idx",
            vec!["job_id", "status", "contact_id"],
        ),
        (all, vec!["null::text", "21"], "email_verifications_pkey", vec![]),
        (all, vec!["'person5@people.test'", "21"], "email_verifications_pkey", vec!["email_lower"]),
        (of_status, vec!["'invalid'", "null::text", "21"], "email_verifications_status_idx", vec!["status"]),
        (
            of_status,
            // Nearly everybody: the next of all addresses are the next of these.
            vec!["'valid'", "'person5@'", "21"],
            "email_verifications_",
            vec!["email_lower"],
        ),
        (
            of_address,
            vec!["'person5@people.test'", "'valid'", "null::text", "21"],
            "email_verifications_",
            vec!["email_lower"],
        ),
    ] {
        let question = (1..=params.len())
            .rev()
            .fold(sql.to_owned(), |sql, n| sql.replace(&format!("${n}"), &format!("({})", params[n - 1])));
        let plan = explain(&tx, &question).await;
        assert!(
            plan.contains(index) && !plan.contains("Seq Scan") && !plan.contains("Sort"),
            "{index}:\n{question}\n{plan}"
        );
        let found_by = condition(&plan, "Index Cond");
        for column in [&["organization_id"], looked_up.as_slice()].concat() {
            assert!(found_by.contains(column), "{column} is not looked up:\n{question}\n{plan}");
        }
    }
}

/// Of a page nobody is read but those whom it shows and the entries of the index on the way to them, in the index's order.
#[tokio::test]
async fn duplicates_are_read_from_indexes_in_their_order() {
    let scene = crowded().await;
    for sql in [
        "insert into persons (organization_id, id) select organization_id, md5('p' || email)::uuid from contacts",
        "update contacts set person_id = md5('p' || email)::uuid, first_name = 'Ada', last_name = md5(email), company = 'Acme'",
        // One in ten has a mailbox with a tag, and one in a hundred is somebody else as well.
        "update contacts set email = replace(email, '@', '+x@') where id::text like '%7'",
        "update contacts set first_name = 'Ada', last_name = 'Lovelace' where id::text like '%77'",
        "analyze contacts",
        "analyze persons",
    ] {
        scene.run(sql, &[]).await;
    }
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    for (walk, read, place, indexes) in [
        (
            include_str!("../../src/audience/duplicates/walk_person.sql"),
            include_str!("../../src/audience/duplicates/read_person.sql"),
            "'70000000-0000-0000-0000-000000000000'",
            &["contacts_person_idx"][..],
        ),
        (
            include_str!("../../src/audience/duplicates/walk_mailbox.sql"),
            include_str!("../../src/audience/duplicates/read_mailbox.sql"),
            "'person5'",
            &["contacts_address_base_idx", "contacts_email_key"],
        ),
        (
            include_str!("../../src/audience/duplicates/walk_name_and_company.sql"),
            include_str!("../../src/audience/duplicates/read_name_and_company.sql"),
            "'1234567890'",
            &["contacts_namesake_idx"],
        ),
    ] {
        let keys = format!("array[{place}]");
        for (sql, first, second) in [(walk, "null", "1000"), (walk, place, "1000"), (read, keys.as_str(), "21")] {
            let question = sql.replace("$1", first).replace("$2", second).replace("$3", "21");
            let plan = explain(&tx, &question).await;
            assert!(
                !plan.contains("Seq Scan on contacts") && !plan.contains("Sort Key: contacts"),
                "{question}\n{plan}"
            );
            assert!(indexes.iter().all(|index| plan.contains(index)), "{question}\n{plan}");
        }
    }
}

/// Puts the values in place of the parameters, as the planner sees them.
fn filled(sql: &str, params: &[&str]) -> String {
    // From the last, since $1 is the beginning of $10.
    (1..=params.len())
        .rev()
        .fold(sql.to_owned(), |sql, n| sql.replace(&format!("${n}"), &format!("({})", params[n - 1])))
}

/// An organization that has suppressed many addresses beside a few of each other kind, and another one with some.
async fn with_suppressions() -> (Scene, String, String) {
    let scene = crowded().await;
    let campaign = scene.draft_campaign(0, &[], 1, 100).await.campaign;
    let list = ListId::fresh();
    scene
        .run(
            "insert into lists (organization_id, id, name) values ($1, $2, 'Handpicked')",
            &[&scene.organization, &list],
        )
        .await;
    let many = "insert into suppressions (organization_id, id, email_lower, reason, created_at)
                select organization_id, gen_random_uuid(), email_lower, 'unsubscribe', timestamptz '2026-03-01' - n * interval '1 minute'
                  from (select *, row_number() over (order by email_lower) as n from contacts) as c";
    scene.run(many, &[]).await;
    let few = "insert into suppressions (organization_id, id, email_lower, domain, campaign_id, list_id, reason)
               select $1, gen_random_uuid(), case when n > 5 then 'few' || n || '@people.test' end, case when n <= 5 then 'domain' || n || '.test' end,
                      case n % 3 when 0 then $2::uuid end, case n % 3 when 1 then $3::uuid end, 'complaint'
                 from generate_series(1, 30) as n";
    scene.run(few, &[&scene.organization, &campaign, &list]).await;
    scene.run("analyze suppressions", &[]).await;
    (scene, format!("'{campaign}'::uuid"), format!("'{list}'::uuid"))
}

#[tokio::test]
async fn suppressions_are_listed_by_indexes_whatever_the_filter() {
    let (scene, campaign, list) = with_suppressions().await;
    let sql = include_str!("../../src/audience/suppressions/list.sql");
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let middle = "'80000000-0000-0000-0000-000000000000'::uuid";
    // What is given, the index, and what it looks up.
    for (given, index, looked_up) in [
        (vec![], "suppressions_pkey", ""),
        (vec![(1, middle)], "suppressions_pkey", "id <"),
        // Nearly all: the next of all are the next of these.
        (vec![(3, "'unsubscribe'")], "suppressions_pkey", ""),
        (vec![(3, "'complaint'")], "suppressions_reason_idx", "reason = "),
        (vec![(3, "'complaint'"), (1, middle)], "suppressions_reason_idx", "id <"),
        (vec![(4, "'person777@people.test'"), (5, "array[sha256('x')]")], "suppressions_email_key", "email_lower = "),
        (vec![(6, "'domain3.test'")], "suppressions_domain_idx", "domain = "),
        (vec![(7, &campaign)], "suppressions_campaign_idx", "campaign_id = "),
        (vec![(8, &list)], "suppressions_list_idx", "list_id = "),
        (vec![(9, "'organization'")], "suppressions_pkey", ""),
        (vec![(9, "'campaign'")], "suppressions_campaign_idx", ""),
        (vec![(9, "'list'")], "suppressions_list_idx", ""),
        (
            vec![(10, "'2026-02-28 23:55Z'"), (11, "'2026-02-28 23:58Z'")],
            "suppressions_created_at_idx",
            "created_at >=",
        ),
        (vec![(11, "'2001-01-01Z'")], "suppressions_created_at_idx", "created_at <"),
    ] {
        let mut params = ["null"; 11];
        params[1] = "21";
        for (n, value) in given {
            params[n - 1] = value;
        }
        let question = filled(sql, &params);
        let plan = explain(&tx, &question).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{index}:\n{question}\n{plan}");
        let found_by = condition(&plan, "Index Cond");
        assert!(found_by.contains("organization_id = ") && found_by.contains(looked_up), "{question}\n{plan}");
    }
}

/// Lists of what there is much of after years: each page is read from the end of its index, and counts no more than it says.
#[tokio::test]
async fn pages_of_lists_tags_imports_forms_and_jobs_are_read_from_indexes() {
    let scene = crowded().await;
    for sql in [
        "insert into lists (organization_id, id, name) select $1, gen_random_uuid(), 'List ' || n from generate_series(1, 2000) as n",
        "insert into tags (organization_id, id, name) select $1, gen_random_uuid(), 'Tag ' || n from generate_series(1, 1000) as n",
        "insert into list_members (organization_id, list_id, contact_id)
         select $1, l.id, c.id from contacts c cross join (select id from lists limit 2) as l where c.organization_id = $1",
        "insert into contact_tags (organization_id, tag_id, contact_id)
         select $1, t.id, c.id from contacts c cross join (select id from tags limit 2) as t where c.organization_id = $1",
        "insert into segments (organization_id, id, name, tree) select $1, gen_random_uuid(), 'Segment ' || n, '{}' from generate_series(1, 2000) as n",
        "insert into import_batches (organization_id, id, file_name, object_key)
         select $1, gen_random_uuid(), n || '.csv', 'key' || n from generate_series(1, 5000) as n",
        "insert into import_tags (organization_id, import_batch_id, tag_id)
         select $1, b.id, t.id from import_batches b cross join (select id from tags limit 3) as t",
        "insert into import_errors (organization_id, import_batch_id, line, code, reason, raw)
         select $1, b.id, n, 'invalid_email', 'no address', 'x' from (select id from import_batches limit 10) as b, generate_series(1, 2000) as n",
        "insert into lead_forms (organization_id, id, name, key)
         select $1, gen_random_uuid(), 'Form ' || n, 'lead_' || md5('k' || n) || substr(md5('l' || n), 1, 24) from generate_series(1, 2000) as n",
        "insert into lead_form_usage (organization_id, lead_form_id) select organization_id, id from lead_forms",
        "insert into lead_form_lists (organization_id, lead_form_id, list_id)
         select $1, f.id, l.id from lead_forms f cross join (select id from lists limit 3) as l",
        "insert into lead_form_tags (organization_id, lead_form_id, tag_id)
         select $1, f.id, t.id from lead_forms f cross join (select id from tags limit 3) as t",
        "insert into jobs (organization_id, id, kind, subject_id, state)
         select $1, gen_random_uuid(), 'contact_export', gen_random_uuid(), 'completed' from generate_series(1, 5000) as n",
        "insert into enrichment_jobs (organization_id, id, up_to, status, started_at, ended_at)
         select $1, gen_random_uuid(), $1, 'completed', now(), now() from generate_series(1, 5000) as n",
        "insert into verification_jobs (organization_id, id, up_to, status, started_at, ended_at)
         select $1, gen_random_uuid(), $1, 'completed', now(), now() from generate_series(1, 5000) as n",
    ] {
        scene.run(&sql.replace("$1", &format!("'{}'::uuid", scene.organization)), &[]).await;
    }
    // As the server does by itself: what all can see is counted by an index alone.
    scene.run("vacuum analyze", &[]).await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let middle = "'80000000-0000-0000-0000-000000000000'::uuid";
    let batch: String = scene.rows("select import_batch_id::text from import_errors limit 1", &[]).await[0].get(0);
    let batch = format!("'{batch}'::uuid");
    let contacts = "array(select id from contacts order by id limit 1000)";
    let pages: [(&str, &str, &[&str]); 8] = [
        (include_str!("../../src/audience/lists/list.sql"), "lists_pkey", &["list_members_pkey"]),
        (include_str!("../../src/audience/tags/list.sql"), "tags_pkey", &["contact_tags_pkey"]),
        (include_str!("../../src/audience/segments/list.sql"), "segments_pkey", &[]),
        (include_str!("../../src/audience/imports/list.sql"), "import_batches_pkey", &["import_tags_pkey"]),
        (
            include_str!("../../src/audience/lead_forms/list.sql"),
            "lead_forms_pkey",
            &["lead_form_lists_pkey", "lead_form_tags_pkey"],
        ),
        (include_str!("../../src/audience/enrichment/list.sql"), "enrichment_jobs_pkey", &[]),
        (include_str!("../../src/audience/verifications/jobs/list.sql"), "verification_jobs_pkey", &[]),
        (include_str!("../../src/platform/jobs/list.sql"), "jobs_pkey", &[]),
    ];
    for (sql, index, others) in pages {
        for before in ["null::uuid", middle] {
            let question = filled(sql, &[before, "21"]);
            let plan = explain(&tx, &question).await;
            assert!(plan.contains(&format!("Backward using {index} ")), "{question}\n{plan}");
            assert!(others.iter().all(|index| plan.contains(index)), "{question}\n{plan}");
            // A form has one row of counts, and an organization a hundred forms at most.
            let plan = plan.replace("Seq Scan on lead_form_usage", "");
            assert!(!plan.contains("Seq Scan"), "{question}\n{plan}");
        }
    }
    for (sql, params, index) in [
        (include_str!("../../src/audience/imports/list_errors.sql"), [batch.as_str(), "0", "21"], "import_errors_pkey"),
        (
            include_str!("../../src/audience/imports/list_errors.sql"),
            [batch.as_str(), "1500", "21"],
            "import_errors_pkey",
        ),
        (include_str!("../../src/audience/contact_exports/read.sql"), [contacts, "", ""], "contacts_pkey"),
        (include_str!("../../src/audience/selection/count.sql"), [middle, "", ""], "contacts_pkey"),
    ] {
        let question = filled(sql, &params);
        let plan = explain(&tx, &question).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan on import_errors"), "{question}\n{plan}");
        assert!(
            !plan.contains("Seq Scan on contacts") && !plan.contains("Sort Key: import_errors"),
            "{question}\n{plan}"
        );
    }
}

/// What the trigger asks of each who leaves the bin, as the owner.
#[tokio::test]
async fn whether_another_in_the_bin_has_a_person_is_found_by_an_index() {
    let scene = crowded().await;
    let fill = "insert into deleted_contacts (organization_id, id, email_lower, snapshot, reason, deleted_at)
                select organization_id, id, email_lower, jsonb_build_object('contact', jsonb_build_object('person_id', id)), 'deleted', now()
                  from contacts";
    scene.run(fill, &[]).await;
    scene.run("analyze deleted_contacts", &[]).await;
    let tx = scene.db.as_role("owner").begin(scene.organization).await.unwrap();
    let question = format!(
        "select from deleted_contacts d where d.organization_id = '{}' and d.snapshot #>> '{{contact,person_id}}' = 'x'",
        scene.organization
    );
    let plan = explain(&tx, &question).await;
    assert!(plan.contains("deleted_contacts_person_idx") && !plan.contains("Seq Scan"), "{plan}");
    assert!(condition(&plan, "Index Cond").contains("person_id"), "{plan}");
}
