//! The rules that every table, policy, function and role of the database keeps, read from PostgreSQL's own catalog.
//!
//! A rule is a query that returns one sentence for each violation. What is exempt from a rule is named here, with the
//! reason; an exemption that nothing needs any more is itself a violation.

use shared::db::migrations::RUN_TIME_ROLES;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// Tables without a tenant, and why they have none.
pub const TABLES_WITHOUT_TENANT: &[(&str, &str)] = &[
    ("address_request_counts", "requests by the hash of an address, which asks before anybody knows its tenant"),
    ("address_lists", "domains and names by which the whole installation judges addresses, which administrators write"),
    ("attempt_counts", "attempts to log in by keyed hashes of addresses, before anybody knows their tenant"),
    ("admin_log", "what was done to the installation as a whole, which only its administrators read"),
    (
        "enrichment_cache",
        "what a provider answered of an address, by its keyed hash, for whoever asks for that one; no role reads it",
    ),
    ("identities", "how identity providers call people, who may belong to several organizations"),
    ("ledger_runs", "one row about the database as a whole, of which the scheduler counts and the sender reads"),
    ("oidc_logins", "logins under way, before anybody knows whose they are"),
    ("plan_limits", "what each plan allows, which only the owner writes"),
    (
        "provider_account_usage",
        "mails of the whole installation by the hour and the second, counted against one account's bounds",
    ),
    (
        "provider_accounts",
        "one account with the mail provider serves the whole installation; it holds no tenant's data",
    ),
    ("refinery_schema_history", "the migrator's own record, which no run-time role may read"),
    ("stripe_events_waiting", "what Stripe tells of customers of whom nobody knows yet whose they are"),
    ("system_config", "settings of the whole installation, which its administrators write"),
    ("system_config_history", "what those settings were before, which only administrators read"),
    ("user_tokens", "what people may do once who were sent a token; only whoever logs them in sees them"),
    ("users", "people, who may belong to several organizations; row-level security shows each its own"),
];

/// Indexes of tenant tables that do not begin with the tenant, and why.
pub const INDEXES_WITHOUT_TENANT: &[(&str, &str)] = &[
    ("invites_id_idx", "whoever holds the link of an invite knows no tenant"),
    ("onboarding_founder_idx", "whoever deletes a person asks for what they have founded, wherever it is"),
    ("memberships_user_idx", "a login asks for the organizations of one person"),
    ("sessions_of_user_idx", "a person asks for their sessions in all of their organizations"),
    ("organizations_deletion_key", "whoever holds the link that ends a deletion is logged in nowhere"),
    (
        "organizations_slug_key",
        "the short name is an organization's name to the world; only the owner and a sign-up insert organizations",
    ),
    ("stripe_customers_id_key", "a customer of Stripe is one organization's; only what Stripe has signed writes it"),
    (
        "subscriptions_stripe_customer_key",
        "a customer of Stripe is one organization's; only what Stripe has signed writes it",
    ),
];

/// Functions that run with the owner's rights and so see every tenant, and what they tell.
pub const FUNCTIONS_ACROSS_TENANTS: &[(&str, &str)] = &[
    ("begin_trial", "the status of the caller's own trial; whether its founder had one elsewhere follows from it"),
    (
        "begin_onboarding",
        "yes or no: begins the onboarding of an organization for its owner, who belongs to the one that asks",
    ),
    ("abandon_sign_ups", "a number: deletes accounts that nobody has confirmed for a week, for maintenance"),
    (
        "administer_organization",
        "sets plan or status of one organization, for the installation's administrators, and records it there",
    ),
    (
        "delete_organization_rows",
        "a number: deletes rows of an organization whose time of grace is over, for maintenance, and of no other",
    ),
    (
        "blacklist_verifications",
        "nothing: makes what is known of the addresses that are suppressed invalid, in the tenants of these",
    ),
    ("cached_answers", "what a provider answered of addresses whose keyed hashes the caller knows, and not to whom"),
    ("cancel_system_mails", "how many of the installation's own mails were taken back, for whoever planned them"),
    (
        "end_sessions_of_user",
        "how many sessions of one person have ended in all of their organizations, for themselves",
    ),
    ("domain_is_taken", "yes or no: whether another organization has verified a domain"),
    ("end_sessions_of_user", "a number: ends the sessions of one person, whom an administrator disables"),
    ("forget_answers", "a number: deletes what was answered of addresses, for whoever erases a person"),
    ("forget_person_of_deleted", "nothing: deletes the person of a contact that leaves the bin for good"),
    ("found_organization", "nothing: makes an organization whose owner belongs to the one that asks"),
    (
        "insert_custom_values",
        "nothing: keeps the values of defined fields of the contacts that are written, in their own tenants",
    ),
    (
        "insert_engagements",
        "nothing: keeps what people did with mails whose events are written, in the tenants of these",
    ),
    ("invite_is_for", "yes or no: whether the address of an invite is the confirmed one of somebody"),
    ("invite_mails_to", "a number: how many mails with an invite an address was sent within a day, by whomever"),
    ("keep_answers", "nothing: keeps what a provider answered, by keyed hashes of addresses"),
    (
        "mail_waits_for_account",
        "yes or no: whether anybody's mail waits that the provider account could be probed with, for the scheduler",
    ),
    ("move_engagements", "nothing: moves what people did with one mail to the contact that has it now"),
    ("organizations_with_jobs_untouched_since", "which organizations have jobs that nobody is on, for maintenance"),
    (
        "organizations_with_imports_untouched_since",
        "which organizations have imports that nobody is on, for maintenance",
    ),
    (
        "organizations_with_learning_untouched_since",
        "which organizations have enrichments or verifications that nobody is on, for maintenance",
    ),
    (
        "organizations_with_enrichments_ended_before",
        "which organizations have tasks of enrichments that ended long ago, for maintenance",
    ),
    (
        "organizations_with_contacts_deleted_before",
        "which organizations have contacts in their bin whose time is over, for maintenance",
    ),
    ("organization_of_deletion", "the organization of one deletion, for whoever holds the signed link that ends it"),
    ("organization_of_invite", "the organization of one invite, for whoever holds its signed link"),
    (
        "organizations_of_installation",
        "what the installation's administrators see of organizations: names, plans, owners and counts",
    ),
    (
        "organization_of_stripe_customer",
        "the organization of one customer, for what Stripe tells, which names no other",
    ),
    (
        "organizations_of_user",
        "the organizations of one person, for their login, which has no other way to know where they belong",
    ),
    (
        "organizations_with_deliveries_due",
        "ids of organizations, for the scheduler, which has no other way to know its tenants",
    ),
    (
        "organizations_with_endpoints_to_delete",
        "ids of organizations, for maintenance, which has no other way to know its tenants",
    ),
    (
        "organizations_with_exports_untouched_since",
        "ids of organizations, for maintenance, which has no other way to know its tenants",
    ),
    (
        "organizations_with_runs_to_end",
        "ids of organizations, for maintenance, which has no other way to know its tenants",
    ),
    (
        "organizations_with_webhook_events_before",
        "ids of organizations, for maintenance, which has no other way to know its tenants",
    ),
    ("organizations_to_delete", "ids of organizations, for maintenance, which has no other way to know its tenants"),
    ("organizations_to_examine", "ids of organizations, for maintenance, which has no other way to know its tenants"),
    ("organizations_with_deltas", "ids of organizations, for maintenance, which has no other way to know its tenants"),
    (
        "organizations_with_expired_idempotency_keys",
        "ids of organizations, for maintenance, which has no other way to know its tenants",
    ),
    (
        "organizations_with_lifecycle",
        "ids of organizations, for the scheduler, which has no other way to know its tenants",
    ),
    ("person_who_signed_up", "the address of one person, for a mail to them, in an organization of the caller's batch"),
    ("plan_system_mail", "the id of a mail of the installation, which is in the default organization's ledger"),
    ("sessions_of_user", "the open sessions of one person in all of their organizations, for themselves"),
    (
        "owner_addresses",
        "where the owners of an organization of the batch are written to, for the dispatcher, which may not read people",
    ),
    ("oldest_unresolved_seconds", "one number: for how long the oldest mail has waited for its outcome, for an alarm"),
    ("organizations_to_hold", "ids of organizations, for the scheduler, after the database was restored"),
    ("organizations_with_work", "ids of organizations, for the scheduler, which has no other way to know its tenants"),
    ("refuse_disabled_users", "nothing: refuses the session of somebody whom an administrator has disabled"),
    (
        "set_restored_as",
        "yes or no: whether an organization is being deleted, of which an administrator says how it comes back",
    ),
    ("sweep_answers", "a number: deletes what providers answered long ago, for maintenance"),
    ("sweep_request_counts", "a number: deletes counts of requests whose minute is long over, for maintenance"),
    ("schema_version", "one number: how far the database has been migrated"),
    ("signs_of_life", "times: when functions have last left a trace, whoever they worked for"),
    (
        "update_custom_values",
        "nothing: keeps the values of defined fields of the contacts that are written, in their own tenants",
    ),
    ("waiting_work", "numbers: how much waits and for how long, over all organizations"),
];

/// What the rules speak about: tables, policies, privileges and the like as named sub-queries before each of them.
const SUBJECTS: &str = include_str!("catalog/subjects.sql");

macro_rules! rules {
    ($($name:literal),+ $(,)?) => {
        const RULES: &[(&str, &str)] = &[$(($name, include_str!(concat!("catalog/", $name, ".sql")))),+];
    };
}

rules![
    "schemas",
    "row_security",
    "tenant_columns",
    "policies",
    "foreign_keys",
    "foreign_key_indexes",
    "indexes",
    "roles",
    "privileges",
    "views",
    "functions",
    "touched_tables",
    "names",
    "kinds",
    "exemptions",
];

/// What breaks a rule, one sentence each, beginning with the table, function or role at fault.
pub async fn violations(client: &Client) -> Vec<String> {
    violations_among(client, RUN_TIME_ROLES).await
}

/// The same, with other roles taken for the run-time roles.
pub async fn violations_among(client: &Client, run_time_roles: &[&str]) -> Vec<String> {
    let names = |exempt: &[(&'static str, &str)]| -> Vec<&str> { exempt.iter().map(|(name, _)| *name).collect() };
    let lists = [
        run_time_roles.to_vec(),
        names(TABLES_WITHOUT_TENANT),
        names(INDEXES_WITHOUT_TENANT),
        names(FUNCTIONS_ACROSS_TENANTS),
    ];
    let mut found = Vec::new();
    for (rule, sql) in RULES {
        let rows = client
            .query_typed(
                &format!("{SUBJECTS}{sql}"),
                &[
                    (&lists[0], Type::TEXT_ARRAY),
                    (&lists[1], Type::TEXT_ARRAY),
                    (&lists[2], Type::TEXT_ARRAY),
                    (&lists[3], Type::TEXT_ARRAY),
                ],
            )
            .await
            .unwrap_or_else(|error| panic!("the rule {rule} can't be read: {error:?}"));
        found.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    found.sort();
    found
}
