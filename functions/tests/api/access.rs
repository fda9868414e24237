//! Every route with a caller, called by nobody, by each role, by keys with and without its scope, and by somebody of another
//! organization: made of the table of routes and the samples in `events/`, so that a new route is covered by its sample.

use axum::Router;
use functions::http::access::{ROUTES, Route, Who};
use serde_json::Value;
use shared::OrganizationId;
use shared::platform::memberships::Role;
use shared::platform::scopes::SCOPES;
use testkit::{TestDb, scene};
use tokio_postgres::Client;

use crate::app::{Answer, call, filled_sample};
use crate::whole;

/// One row in every table of the organization.
const EVERYTHING: &str = include_str!("../../../shared/tests/database/everything.sql");

/// A request of a route.
struct Sample {
    name: String,
    text: String,
    route: &'static Route,
    /// Whether its path names something by an id.
    names_one: bool,
}

/// The samples of all routes that have a caller.
fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for folder in std::fs::read_dir(format!("{}/../events", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let folder = folder.unwrap().path();
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let event: Value = serde_json::from_str(&text).unwrap();
            let Some(raw_path) = event["rawPath"].as_str() else { continue };
            let method = event["requestContext"]["http"]["method"].as_str().unwrap();
            let name = format!(
                "{}/{}",
                folder.file_name().unwrap().to_str().unwrap(),
                path.file_stem().unwrap().to_str().unwrap()
            );
            let route = ROUTES.iter().filter(|route| route.method == method && fits(route.path, raw_path));
            // Of `/v1/messages/resolve` and `/v1/messages/{id}` the first is meant.
            let route = route.min_by_key(|route| route.path.matches('{').count());
            let route = route.unwrap_or_else(|| panic!("{name}: the table has no {method} {raw_path}"));
            if route.who != Who::Everyone {
                let names_one = raw_path.contains("${");
                samples.push(Sample { name, text, route, names_one });
            }
        }
    }
    samples.sort_by(|one, other| one.name.cmp(&other.name));
    samples
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    let rest = pattern.last().is_some_and(|last| last.starts_with("{*"));
    (pattern.len() == path.len() || rest && path.len() >= pattern.len())
        && pattern.iter().zip(&path).all(|(one, other)| one.starts_with('{') || one == other)
}

/// A database in which organizations have one row in every table.
struct World {
    db: TestDb,
    owner: Client,
    router: Router,
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let owner = db.owner().await;
        let router = whole::router(&db);
        Self { db, owner, router }
    }

    async fn organization(&self) -> OrganizationId {
        let organization = OrganizationId::fresh();
        let sql = EVERYTHING.replace("${ORGANIZATION}", &organization.to_string());
        self.owner.batch_execute(&sql).await.unwrap();
        // A draft has no mail.
        let active = format!("update campaigns set status = 'active' where organization_id = '{organization}'");
        self.owner.batch_execute(&active).await.unwrap();
        organization
    }

    /// The sample with the ids of an organization's rows, sent with any credentials.
    async fn send(&self, sample: &Sample, organization: OrganizationId, credentials: &str) -> Answer {
        let ids = self.ids(organization).await;
        let fill: Vec<(&str, &str)> = ids.iter().map(|(name, id)| (*name, id.as_str())).collect();
        call(self.router.clone(), filled_sample(&sample.name, &[fill.as_slice(), &[("API_KEY", credentials)]].concat()))
            .await
    }

    /// The placeholders of the samples and the ids of the rows that everything.sql makes.
    async fn ids(&self, organization: OrganizationId) -> Vec<(&'static str, String)> {
        let mut ids = vec![
            ("ORGANIZATION_ID", organization.to_string()),
            // As everything.sql calls it.
            ("ORGANIZATION_SLUG", format!("o-{organization}")),
        ];
        for (placeholder, row) in PLACEHOLDERS {
            let sql = format!("select md5('{organization} {row}')::uuid::text");
            ids.push((placeholder, self.owner.query_typed(&sql, &[]).await.unwrap()[0].get(0)));
        }
        ids
    }

    async fn key(&self, organization: OrganizationId, scopes: &[&str]) -> String {
        let tx = self.db.as_role("owner").begin(organization).await.unwrap();
        let made = shared::platform::api_keys::create(&tx, organization, "test").await.unwrap();
        tx.execute("update api_keys set scopes = $2 where id = $1", &[&made.id, &scopes]).await.unwrap();
        tx.commit().await.unwrap();
        made.text
    }

    /// A test key, in an organization whose other keys are for trying things out too.
    async fn test_key(&self, organization: OrganizationId, scopes: &[&str]) -> String {
        let key = self.key(organization, scopes).await;
        let sql = format!("update api_keys set mode = 'test' where organization_id = '{organization}'");
        self.owner.batch_execute(&sql).await.unwrap();
        key.replace("mk_live_", "mk_test_")
    }

    /// How much there is of what leaves Martlet.
    async fn leaving(&self) -> i64 {
        let sql = "select (select count(*) from messages) + (select count(*) from webhook_deliveries)
                        + (select count(*) from workflow_runs)";
        self.owner.query_typed(sql, &[]).await.unwrap()[0].get(0)
    }

    async fn session(&self, organization: OrganizationId, role: Role, is_admin: bool) -> String {
        scene::session(&self.db, organization, role, is_admin).await
    }

    /// Everything that an organization has, but what is noted of the requests themselves.
    async fn everything(&self, organization: OrganizationId) -> Vec<String> {
        let tables = "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
                       where a.attname = 'organization_id' and not a.attisdropped and c.relkind = 'r'
                         and c.relnamespace = 'public'::regnamespace
                         and c.relname not in ('request_counts', 'sessions', 'api_keys', 'memberships', 'idempotency_keys')";
        let mut all = Vec::new();
        for table in self.owner.query_typed(tables, &[]).await.unwrap() {
            let table: String = table.get(0);
            let sql = format!("select t::text from {table} t where organization_id = '{organization}' order by 1");
            let rows = self.owner.query_typed(&sql, &[]).await.unwrap();
            all.extend(rows.iter().map(|row| format!("{table} {}", row.get::<_, String>(0))));
        }
        for sql in [
            format!("select o::text from organizations o where id = '{organization}'"),
            format!(
                "select id || name || scopes::text || coalesce(revoked_at::text, '') || coalesce(expires_at::text, '') from api_keys where organization_id = '{organization}' order by 1"
            ),
            format!("select user_id || role from memberships where organization_id = '{organization}' order by 1"),
            format!(
                "select id || coalesce(ended_at::text, '') from sessions where organization_id = '{organization}' order by 1"
            ),
        ] {
            let rows = self.owner.query_typed(&sql, &[]).await.unwrap();
            all.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        }
        all
    }
}

/// What the samples call the rows of everything.sql.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("CAMPAIGN_ID", "campaign"),
    ("CONTACT_ID", "contact"),
    ("DELETED_ID", "deleted"),
    ("DELIVERY_ID", "delivery"),
    ("DOMAIN_ID", "domain"),
    ("ENDPOINT_ID", "endpoint"),
    ("ENRICHMENT_JOB_ID", "enrichment"),
    ("ENROLLMENT_ID", "enrollment"),
    ("FIELD_ID", "field"),
    ("IMPORT_ID", "import"),
    ("INVITE_ID", "invite"),
    ("JOB_ID", "job"),
    ("KEY_ID", "key"),
    ("LEAD_FORM_ID", "lead form"),
    ("LIST_ID", "list"),
    ("MESSAGE_ID", "message"),
    ("OTHER_CONTACT_ID", "deleted"),
    ("OTHER_STEP_ID", "step"),
    ("RUN_ID", "run"),
    ("SEGMENT_ID", "segment"),
    ("SENDER_ID", "sender"),
    ("SESSION_ID", "session"),
    ("STEP_ID", "step"),
    ("SUPPRESSION_ID", "suppression"),
    ("TAG_ID", "tag"),
    ("VERIFICATION_JOB_ID", "verification"),
    ("WORKFLOW_ID", "endpoint"),
    ("UPLOAD_ID", "upload"),
    ("USER_ID", "user"),
];

#[test]
fn every_route_with_a_caller_has_a_sample() {
    let samples = samples();
    let missing: Vec<&Route> = ROUTES
        .iter()
        .filter(|route| route.who != Who::Everyone && !samples.iter().any(|sample| sample.route == *route))
        .collect();
    assert!(missing.is_empty(), "routes without a sample in events/: {missing:#?}");
}

#[tokio::test]
async fn nobody_and_nobody_of_another_organization_reaches_what_one_has() {
    let world = World::new().await;
    let (ours, other) = (world.organization().await, world.organization().await);
    let ids = world.ids(ours).await;
    let before = world.everything(ours).await;
    for sample in &samples() {
        for credentials in ["", "mk_live_nonsense", "ms_nonsense"] {
            let answer = world.send(sample, ours, credentials).await;
            assert_eq!(answer.status, 401, "{}: {}", sample.name, answer.body);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        // Anew for each: some of the routes end what they are called with.
        let theirs = [world.key(other, &["*"]).await, world.session(other, Role::Owner, false).await];
        for credentials in &theirs {
            let answer = world.send(sample, ours, credentials).await;
            let (status, shown) = (answer.status, answer.body.to_string());
            if sample.names_one {
                let expected = if may(sample.route, credentials) { 404 } else { 403 };
                assert_eq!(status, expected, "{}: {shown}", sample.name);
            }
            assert!(!status.is_server_error(), "{}: {shown}", sample.name);
            // Who names an id may be told that it is not there.
            let told = ids.iter().filter(|(placeholder, _)| !sample.text.contains(&format!("${{{placeholder}}}")));
            for (_, id) in told {
                assert!(!shown.contains(id), "{}: {shown}", sample.name);
            }
        }
    }
    assert_eq!(world.everything(ours).await, before);
}

/// Whether an owner, or a key with all scopes, may call the route at all.
fn may(route: &Route, credentials: &str) -> bool {
    route.who != Who::Administrator && (credentials.starts_with("ms_") || route.scope.is_some())
}

#[tokio::test]
async fn each_role_may_call_what_the_table_says_and_nothing_else() {
    let world = World::new().await;
    let ours = world.organization().await;
    let sessions = [
        (Role::Viewer, world.session(ours, Role::Viewer, false).await),
        (Role::Member, world.session(ours, Role::Member, false).await),
        (Role::Admin, world.session(ours, Role::Admin, false).await),
        (Role::Owner, world.session(ours, Role::Owner, false).await),
    ];
    let before = world.everything(ours).await;
    for sample in &samples() {
        for (role, session) in &sessions {
            let is_allowed = matches!(sample.route.who, Who::AtLeast(least) if *role >= least);
            if is_allowed {
                // Whatever it does, it does to an organization of its own.
                let organization = world.organization().await;
                let session = world.session(organization, *role, false).await;
                allowed(&world, sample, organization, &session).await;
            } else {
                denied(&world, sample, ours, session).await;
            }
        }
        if sample.route.who == Who::Administrator {
            let organization = world.organization().await;
            let session = world.session(organization, Role::Viewer, true).await;
            allowed(&world, sample, organization, &session).await;
        }
    }
    assert_eq!(world.everything(ours).await, before, "who may not call a route changes nothing by it");
}

#[tokio::test]
async fn a_key_may_call_what_its_scopes_say_and_nothing_else() {
    let world = World::new().await;
    let ours = world.organization().await;
    for sample in &samples() {
        let others: Vec<&str> = SCOPES.iter().copied().filter(|scope| Some(*scope) != sample.route.scope).collect();
        let key = world.key(ours, &others).await;
        let before = world.everything(ours).await;
        denied(&world, sample, ours, &key).await;
        assert_eq!(world.everything(ours).await, before, "{}", sample.name);
        match sample.route.scope {
            Some(scope) => {
                let organization = world.organization().await;
                // Whoever makes keys gives no more than they have: what the sample gives.
                let given: &[&str] = if scope == "api_keys:write" { &["lists:read", "organization:read"] } else { &[] };
                let key = world.key(organization, &[&[scope], given].concat()).await;
                allowed(&world, sample, organization, &key).await;
            }
            None => denied(&world, sample, ours, &world.key(ours, &["*"]).await).await,
        }
    }
}

#[tokio::test]
async fn a_test_key_reads_and_writes_and_starts_nothing_that_leaves_martlet() {
    let world = World::new().await;
    let mut outward = Vec::new();
    for sample in &samples() {
        let Some(scope) = sample.route.scope else { continue };
        let organization = world.organization().await;
        let given: &[&str] = if scope == "api_keys:write" { &["lists:read", "organization:read"] } else { &[] };
        let key = world.test_key(organization, &[&[scope], given].concat()).await;
        let before = (world.leaving().await, world.everything(organization).await);
        if sample.route.is_outward {
            let answer = world.send(sample, organization, &key).await;
            assert_eq!((answer.status.as_u16(), answer.text("/code")), (403, "test_key"), "{}", sample.name);
            assert_eq!((world.leaving().await, world.everything(organization).await), before, "{}", sample.name);
            outward.push(format!("{} {}", sample.route.method, sample.route.path));
        } else {
            allowed(&world, sample, organization, &key).await;
            assert!(world.leaving().await <= before.0, "{}", sample.name);
        }
        // Its text says what it is, and as a live key it is none.
        let as_live = world.send(sample, organization, &key.replace("mk_test_", "mk_live_")).await;
        assert_eq!(as_live.status, 401, "{}", sample.name);
    }
    outward.sort();
    outward.dedup();
    assert_eq!(
        outward,
        [
            "DELETE /v1/domains/{id}",
            "PATCH /v1/onboarding",
            "PATCH /v1/webhooks/{id}",
            "PATCH /v1/workflows/{id}",
            "POST /v1/campaigns/{id}/activate",
            "POST /v1/campaigns/{id}/enrollments",
            "POST /v1/campaigns/{id}/resume",
            "POST /v1/domains",
            "POST /v1/domains/{id}/verify",
            "POST /v1/enrichment/jobs",
            "POST /v1/enrichment/jobs/{id}/resume",
            "POST /v1/messages/resolve",
            "POST /v1/messages/{id}/resolve",
            "POST /v1/senders/{id}/resume",
            "POST /v1/verifications",
            "POST /v1/verifications/jobs",
            "POST /v1/verifications/jobs/{id}/resume",
            "POST /v1/webhooks",
            "POST /v1/webhooks/deliveries/{id}/replay",
            "POST /v1/webhooks/{id}/replay",
            "POST /v1/webhooks/{id}/rotate",
            "POST /v1/webhooks/{id}/test",
            "POST /v1/workflows",
            "POST /v1/workflows/runs",
            "POST /v1/workflows/{id}/rotate",
        ]
    );
}

async fn denied(world: &World, sample: &Sample, organization: OrganizationId, credentials: &str) {
    let answer = world.send(sample, organization, credentials).await;
    assert_eq!(answer.status, 403, "{}: {}", sample.name, answer.body);
    assert_eq!(answer.text("/code"), "forbidden");
}

async fn allowed(world: &World, sample: &Sample, organization: OrganizationId, credentials: &str) {
    let answer = world.send(sample, organization, credentials).await;
    let status = answer.status.as_u16();
    assert!(status != 401 && status != 403 && status < 500, "{}: {status} {}", sample.name, answer.body);
}
