//! A few people of whom everything that can be asked is known of some, drawn from a seed, and the same in a database.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};
use shared::ContactId;
use shared::audience::segments::fields::{Field, Kind};
use shared::audience::segments::tree::{Act, Engagement, FieldTest, Literal, Operator, Takes, Tree};
use testkit::Scene;
use testkit::scene::wednesday_morning;
use uuid::Uuid;

/// Somebody as the test knows them.
#[derive(Debug, Clone)]
pub(crate) struct Human {
    pub(crate) id: ContactId,
    pub(crate) email: String,
    pub(crate) name: Option<String>,
    pub(crate) first_name: Option<String>,
    pub(crate) last_name: Option<String>,
    pub(crate) company: Option<String>,
    pub(crate) status: String,
    pub(crate) timezone: Option<String>,
    pub(crate) source: String,
    pub(crate) import: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) person: Option<Person>,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) lists: BTreeSet<String>,
    pub(crate) custom: BTreeMap<String, Custom>,
    pub(crate) verification: Option<String>,
    pub(crate) engagements: Vec<(&'static str, String, DateTime<Utc>)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) city: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) company: Option<String>,
    pub(crate) profession: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) score: i16,
}

#[derive(Debug, Clone)]
pub(crate) enum Custom {
    Text(String),
    Number(f64),
    Boolean(bool),
}

const FIRST: [&str; 6] = ["Ada", "ada", "Änne", "Grace", "O\"Neil", "Linus"];
const LAST: [&str; 5] = ["Lovelace", "Hopper", "LOVE", "%", "Torvalds"];
const COMPANIES: [&str; 5] = ["Acme", "acme", "Acme Ltd", "Globex_1", "\u{10FFFF}"];
const DOMAINS: [&str; 3] = ["people.test", "Example.test", "mail.people.test"];
const STATUSES: [&str; 5] = ["active", "contacted", "replied", "bounced", "unsubscribed"];
const ZONES: [&str; 3] = ["Europe/Berlin", "Europe/London", "Australia/Sydney"];
const COUNTRIES: [&str; 4] = ["AU", "DE", "US", "AT"];
const CITIES: [&str; 4] = ["Sydney", "sydney", "Berlin", "Sy"];
pub(crate) const TAGS: [&str; 4] = ["VIP", "cold", "Rare tag", "used by nobody"];
pub(crate) const LISTS: [&str; 3] = ["Buyers", "buyers", "Readers"];
pub(crate) const CAMPAIGNS: [&str; 2] = ["Spring", "Autumn"];
const VERIFICATIONS: [&str; 3] = ["valid", "invalid", "unverified"];
const DAYS: [&str; 4] = ["2026-01-01", "2026-02-28", "2026-03-01", "2026-03-04"];
const PLANS: [&str; 4] = ["pro", "PRO", "Basic", "free"];

/// Draws by the finalizer of `SplitMix64`, the same each time.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    pub(crate) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn maybe(&mut self, of: &[&str]) -> Option<String> {
        (self.below(3) > 0).then(|| self.one(of).to_owned())
    }

    fn some(&mut self, of: &[&str]) -> BTreeSet<String> {
        of.iter().filter(|_| self.below(3) == 0).map(|name| (*name).to_owned()).collect()
    }
}

pub(crate) fn draw(seed: u64, count: usize, import: Uuid) -> Vec<Human> {
    let draws = &mut Draws(seed);
    (0..count).map(|number| human(draws, number, import)).collect()
}

fn human(draws: &mut Draws, number: usize, import: Uuid) -> Human {
    let person = (draws.below(4) > 0).then(|| Person {
        city: draws.maybe(&CITIES),
        region: draws.maybe(&["NSW", "Bavaria", "bavaria"]),
        country: draws.maybe(&COUNTRIES),
        company: draws.maybe(&COMPANIES),
        profession: draws.maybe(&["Engineer", "engineering", "Poet"]),
        timezone: draws.maybe(&ZONES),
        score: [0, 59, 60, 61, 100][draws.below(5)],
    });
    let mut custom = BTreeMap::new();
    if draws.below(3) > 0 {
        // Some values are not of their field's type, and so are not known.
        let plan = if draws.below(6) == 0 { Custom::Number(3.0) } else { Custom::Text(draws.one(&PLANS).to_owned()) };
        custom.insert("plan".to_owned(), plan);
    }
    if draws.below(3) > 0 {
        custom.insert("seats".to_owned(), Custom::Number([-1.5, 0.0, 3.0, 3.5, 1000.0][draws.below(5)]));
    }
    if draws.below(3) > 0 {
        custom.insert("vip".to_owned(), Custom::Boolean(draws.below(2) == 0));
    }
    if draws.below(3) > 0 {
        custom.insert("renewal".to_owned(), Custom::Text(draws.one(&DAYS).to_owned()));
    }
    let engagements = (0..draws.below(3)).map(|_| {
        let at = wednesday_morning() - Duration::hours([1, 24 * 6 + 23, 24 * 7 + 1, 24 * 40][draws.below(4)]);
        (Act::ALL[draws.below(3)].name(), draws.one(&CAMPAIGNS).to_owned(), at)
    });
    let engagements = engagements.collect();
    Human {
        id: ContactId::fresh(),
        email: format!("{}{number}@{}", draws.one(&["Ada.", "x", "b_"]), draws.one(&DOMAINS)),
        name: (draws.below(3) == 0).then(|| format!("{} {}", draws.one(&FIRST), draws.one(&LAST))),
        first_name: draws.maybe(&FIRST),
        last_name: draws.maybe(&LAST),
        company: draws.maybe(&COMPANIES),
        status: draws.one(&STATUSES).to_owned(),
        timezone: draws.maybe(&ZONES),
        source: draws.one(&["api", "import"]).to_owned(),
        import: (draws.below(2) == 0).then_some(import),
        created_at: format!("{}T10:00:00Z", draws.one(&DAYS)).parse().unwrap(),
        person,
        tags: draws.some(&TAGS[..3]),
        lists: draws.some(&LISTS),
        custom,
        verification: draws.maybe(&VERIFICATIONS),
        engagements,
    }
}

/// Puts people into the scene's organization, with everything that they have and did.
pub(crate) async fn settle(scene: &Scene, import: Uuid, people: &[Human]) {
    let organization = &scene.organization;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    scene
        .run(
            "insert into import_batches (organization_id, id, file_name, object_key) values ($1, $2, 'people.csv', 'key')",
            &[organization, &import],
        )
        .await;
    for (table, all) in [("tags", names(&TAGS)), ("lists", names(&LISTS)), ("campaigns", names(&CAMPAIGNS))] {
        let sql = format!(
            "insert into {table} (organization_id, id, name) select $1, md5(name)::uuid, name from unnest($2::text[]) as name"
        );
        scene.run(&sql, &[organization, &all]).await;
    }
    for (key, r#type) in [("plan", "text"), ("seats", "number"), ("vip", "boolean"), ("renewal", "date")] {
        scene
            .run(
                "insert into custom_fields (organization_id, id, key, name, type, state) values ($1, md5($2)::uuid, $2, $2, $3, 'ready')",
                &[organization, &key, &r#type],
            )
            .await;
    }
    let rows = Value::Array(people.iter().map(row).collect());
    for sql in [
        "insert into persons (organization_id, id, city, region, country, company, profession, timezone, score)
         select $1, (h.row ->> 'id')::uuid, p.city, p.region, p.country, p.company, p.profession, p.timezone, p.score
           from jsonb_array_elements($2) as h (row)
          cross join lateral jsonb_to_record(h.row -> 'person') as p
                (city text, region text, country text, company text, profession text, timezone text, score smallint)
          where jsonb_typeof(h.row -> 'person') = 'object'",
        "insert into contacts (organization_id, id, email, name, first_name, last_name, company, status, timezone, source,
                import_batch_id, created_at, custom, person_id)
         select $1, h.id, h.email, h.name, h.first_name, h.last_name, h.company, h.status, h.timezone, h.source, h.import,
                h.created_at, h.custom, case when jsonb_typeof(h.person) = 'object' then h.id end
           from jsonb_to_recordset($2) as h (id uuid, email text, name text, first_name text, last_name text, company text,
                status text, timezone text, source text, import uuid, created_at timestamptz, custom jsonb, person jsonb)",
        "insert into contact_tags (organization_id, tag_id, contact_id)
         select $1, md5(t)::uuid, h.id
           from jsonb_to_recordset($2) as h (id uuid, tags jsonb), jsonb_array_elements_text(h.tags) as t",
        "insert into list_members (organization_id, list_id, contact_id)
         select $1, md5(t)::uuid, h.id
           from jsonb_to_recordset($2) as h (id uuid, lists jsonb), jsonb_array_elements_text(h.lists) as t",
        "insert into email_verifications (organization_id, email_lower, syntax, disposable, role_based, deliverable, blacklisted,
                status, checked_at)
         select $1, lower(h.email), 'passed', 'passed', 'passed',
                case h.verification when 'valid' then 'passed' when 'invalid' then 'failed' else 'unknown' end, 'passed',
                h.verification, now()
           from jsonb_to_recordset($2) as h (email text, verification text)
          where h.verification is not null",
        // A mail for each thing that somebody did, and a machine that did everything with each mail.
        "insert into messages (organization_id, id, kind, dedupe_key, campaign_id, contact_id, recipient, state, slot_day, send_at, expires_at)
         select $1, md5(format('%s %s', h.id, e.number))::uuid, 'direct', format('%s %s', h.id, e.number), md5(e.value ->> 1)::uuid, h.id,
                h.email, 'sent', current_date, now(), now()
           from jsonb_to_recordset($2) as h (id uuid, email text, engagements jsonb),
                jsonb_array_elements(h.engagements) with ordinality as e (value, number)",
        "insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, is_machine)
         select $1, gen_random_uuid(), md5(format('%s %s', h.id, e.number))::uuid, did.kind, did.kind || did.is_machine, did.at, did.is_machine
           from jsonb_to_recordset($2) as h (id uuid, engagements jsonb),
                jsonb_array_elements(h.engagements) with ordinality as e (value, number)
          cross join lateral (values (e.value ->> 0, (e.value ->> 2)::timestamptz, false),
                                     ('opened', clock_now(), true), ('clicked', clock_now(), true),
                                     ('auto_replied', clock_now(), false)) as did (kind, at, is_machine)",
    ] {
        scene.run(sql, &[organization, &rows]).await;
    }
}

fn row(human: &Human) -> Value {
    let custom: Map<String, Value> = human
        .custom
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Custom::Text(text) => json!(text),
                Custom::Number(number) => json!(number),
                Custom::Boolean(truth) => json!(truth),
            };
            (key.clone(), value)
        })
        .collect();
    let person = human.person.as_ref().map(|person| {
        json!({
            "city": person.city, "region": person.region, "country": person.country, "company": person.company,
            "profession": person.profession, "timezone": person.timezone, "score": person.score,
        })
    });
    json!({
        "id": human.id, "email": human.email, "name": human.name, "first_name": human.first_name,
        "last_name": human.last_name, "company": human.company, "status": human.status, "timezone": human.timezone,
        "source": human.source, "import": human.import, "created_at": human.created_at, "person": person,
        "tags": human.tags, "lists": human.lists, "custom": custom, "verification": human.verification,
        "engagements": human.engagements,
    })
}

/// A tree about what these people have, of at most so many levels.
pub(crate) fn draw_tree(draws: &mut Draws, levels: usize, import: Uuid) -> Tree {
    match draws.below(if levels == 0 { 6 } else { 12 }) {
        0..=4 => draw_test(draws, import),
        5 => {
            let campaign = (draws.below(2) == 0).then(|| draws.one(&CAMPAIGNS).to_owned());
            let days = (draws.below(2) == 0).then(|| [7, 30, 3_650][draws.below(3)]);
            Tree::Engagement(Engagement::new(Act::ALL[draws.below(3)], campaign, days).unwrap())
        }
        6..=7 => Tree::Not(Box::new(draw_tree(draws, levels - 1, import))),
        branch => {
            let trees: Vec<Tree> = (0..2 + draws.below(2)).map(|_| draw_tree(draws, levels - 1, import)).collect();
            if branch < 10 { Tree::And(trees) } else { Tree::Or(trees) }
        }
    }
}

fn draw_test(draws: &mut Draws, import: Uuid) -> Tree {
    let custom = ["plan", "seats", "vip", "renewal"].map(|key| Field::Custom(key.to_owned()));
    let fields: Vec<Field> = Field::named().chain(custom).collect();
    loop {
        let field = fields[draws.below(fields.len())].clone();
        let operator = Operator::ALL[draws.below(Operator::ALL.len())];
        let values = match operator.takes() {
            Takes::None => 0,
            Takes::One => 1,
            Takes::Several => 1 + draws.below(3),
        };
        let values: Vec<Literal> = (0..values).map(|_| draw_literal(draws, &field, import)).collect();
        let makes_sense = match &field {
            Field::Custom(key) => match key.as_str() {
                "plan" => !matches!(operator, Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge),
                "vip" => !matches!(
                    operator,
                    Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge | Operator::BeginsWith
                ),
                _ => operator != Operator::BeginsWith,
            },
            _ => true,
        };
        if makes_sense && let Ok(test) = FieldTest::new(field, operator, values) {
            return Tree::Field(test);
        }
    }
}

fn draw_literal(draws: &mut Draws, field: &Field, import: Uuid) -> Literal {
    let text = |text: &str| Literal::Text(text.to_owned());
    match field {
        Field::Email => Literal::Text(format!("{}{}@People.test", draws.one(&["ada.", "X"]), draws.below(40))),
        Field::EmailDomain => text(draws.one(&["PEOPLE.test", "example.test", "mail"])),
        Field::Name | Field::FirstName => text(draws.one(&["ADA", "a", "änne", "o\"neil", "Grace Hopper", "%"])),
        Field::LastName => text(draws.one(&["Love", "lovelace", "%", "_"])),
        Field::Company | Field::PersonCompany => text(draws.one(&["ACME", "acme ltd", "\u{10FFFF}", "_"])),
        Field::Timezone | Field::PersonTimezone => text(draws.one(&["Europe/Berlin", "europe/london", "Europe/"])),
        Field::Source => text(draws.one(&["api", "IMPORT", "a"])),
        Field::CreatedAt => text(draws.one(&DAYS)),
        Field::Import => Literal::Text(if draws.below(2) == 0 { import } else { Uuid::nil() }.to_string()),
        Field::City => text(draws.one(&["sydney", "SY", "Berlin"])),
        Field::Region => text(draws.one(&["nsw", "Bav"])),
        Field::Country => text(draws.one(&["AU", "de", "A", "US"])),
        Field::Profession => text(draws.one(&["engineer", "poet"])),
        Field::Score => Literal::Number([-70_000.0, 0.0, 59.5, 60.0, 99.9, 100.0, 1e12][draws.below(7)]),
        Field::Tag => text(draws.one(&["vip", "COLD", "rare tag", "used by nobody"])),
        Field::List => text(draws.one(&LISTS)),
        Field::Status | Field::Verification => {
            let Kind::Choice(choices) = field.kind() else { panic!("no choice") };
            text(draws.one(choices))
        }
        Field::Custom(key) => match key.as_str() {
            "plan" => text(draws.one(&["pro", "BASIC", "fr"])),
            "seats" => Literal::Number([0.0, 3.0, 3.25, -2.0][draws.below(4)]),
            "vip" => Literal::Boolean(draws.below(2) == 0),
            _ => text(draws.one(&DAYS)),
        },
    }
}
