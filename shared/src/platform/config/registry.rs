//! Every setting there is: what it is for, what it may be, and what it is at first. A migration writes each of them with this default
//! and this description; a test holds the two to be the same.

use serde_json::Value;

use crate::audience::providers;
use crate::platform::identity_providers;

/// A setting.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// What it belongs to.
    pub category: &'static str,
    /// Its name there.
    pub key: &'static str,
    /// What it may be.
    pub bounds: Bounds,
    /// What it is at first, as the database keeps it.
    pub default: &'static str,
    /// What it is for.
    pub description: &'static str,
}

/// What a setting may be.
#[derive(Debug, Clone, Copy)]
pub enum Bounds {
    /// A whole number.
    Number {
        /// The smallest.
        least: i64,
        /// The largest.
        most: i64,
    },
    /// Yes or no.
    Boolean,
    /// A duration; its bounds are written as it is.
    Duration {
        /// The shortest.
        least: &'static str,
        /// The longest.
        most: &'static str,
    },
    /// JSON of some shape.
    Json {
        /// Says what is wrong with a value.
        check: fn(&Value) -> Result<(), &'static str>,
    },
    /// One line of text.
    String {
        /// Characters at most.
        most: usize,
        /// What it has to be.
        form: StringForm,
    },
}

/// What a text has to be.
#[derive(Debug, Clone, Copy)]
pub enum StringForm {
    /// Any line.
    Any,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// The address of a mailbox, or nothing.
    EmailOrEmpty,
    /// An https URL that others are put behind, or nothing.
    UrlOrEmpty,
}

impl Bounds {
    /// The name of the type, as the column `value_type` has it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Number { .. } => "number",
            Self::Boolean => "boolean",
            Self::Duration { .. } => "duration",
            Self::Json { .. } => "json",
            Self::String { .. } => "string",
        }
    }
}

/// The setting of this name.
#[must_use]
pub fn definition(category: &str, key: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.category == category && definition.key == key)
}

const fn number(
    category: &'static str,
    key: &'static str,
    (least, most): (i64, i64),
    default: &'static str,
    description: &'static str,
) -> Definition {
    Definition { category, key, bounds: Bounds::Number { least, most }, default, description }
}

const fn duration(
    category: &'static str,
    key: &'static str,
    (least, most): (&'static str, &'static str),
    default: &'static str,
    description: &'static str,
) -> Definition {
    Definition { category, key, bounds: Bounds::Duration { least, most }, default, description }
}

const fn string(
    category: &'static str,
    key: &'static str,
    (most, form): (usize, StringForm),
    default: &'static str,
    description: &'static str,
) -> Definition {
    Definition { category, key, bounds: Bounds::String { most, form }, default, description }
}

/// Every setting, in the order of their names.
pub const DEFINITIONS: &[Definition] = &[
    duration(
        "email",
        "onboarding_reminder_delay",
        ("1m", "30 days"),
        "2 hours",
        "How long after the sign-up somebody is reminded who has not completed their onboarding.",
    ),
    duration(
        "email",
        "trial_day_2_delay",
        ("1m", "365 days"),
        "2 days",
        "How long after the trial's beginning its first mail is sent.",
    ),
    duration(
        "email",
        "trial_day_5_delay",
        ("1m", "365 days"),
        "5 days",
        "How long after the trial's beginning its second mail is sent.",
    ),
    duration(
        "email",
        "trial_expiry_delay",
        ("1m", "365 days"),
        "7 days",
        "How long after the trial's beginning the mail about its end is sent, at the end at the earliest.",
    ),
    duration(
        "email",
        "welcome_delay",
        ("0s", "30 days"),
        "10 minutes",
        "How long after the sign-up the welcome is sent.",
    ),
    duration(
        "enrichment",
        "answers_kept_for",
        ("1 day", "365 days"),
        "30 days",
        "How old an answer may be at most that one organization is given because another asked before.",
    ),
    number(
        "enrichment",
        "cost",
        (0, 1_000_000_000),
        "0",
        "What asking the provider about one person costs, in millionths of its currency.",
    ),
    number(
        "enrichment",
        "daily_budget",
        (0, 1_000_000_000_000),
        "0",
        "What an organization may spend on that within a day (UTC), in the same unit; nothing is asked that would pass it.",
    ),
    Definition {
        category: "enrichment",
        key: "provider",
        bounds: Bounds::Json { check: providers::check_person_provider },
        default: "{}",
        description: "Who is asked about persons: an object with name, url and fields, or with name and file; while it is empty, the examples that the program brings.",
    },
    Definition {
        category: "enrichment",
        key: "share_answers",
        bounds: Bounds::Boolean,
        default: "false",
        description: "Whether what the provider has answered to one organization is kept, by a keyed hash of the address, and given to the others.",
    },
    Definition {
        category: "enrichment",
        key: "text_model",
        bounds: Bounds::Json { check: providers::check_chat_model },
        default: "{}",
        description: "Which text model writes personas, as an object with name, url and model; while it is empty, none are written.",
    },
    number("health", "bounce_points", (0, 100), "10", "Points of health that each per cent of hard bounces costs."),
    number(
        "health",
        "campaign_bounce_percent",
        (1, 100),
        "5",
        "A campaign with this many per cent of hard bounces pauses itself.",
    ),
    number(
        "health",
        "complaint_points",
        (0, 10_000),
        "200",
        "Points of health that each per cent of complaints costs.",
    ),
    number(
        "health",
        "minimum_bounces",
        (1, 10_000),
        "5",
        "Hard bounces before which nothing pauses itself, together with minimum_sends.",
    ),
    number(
        "health",
        "minimum_complaints",
        (1, 10_000),
        "3",
        "Complaints after which fewer mails and bounces are enough.",
    ),
    number(
        "health",
        "minimum_sends",
        (1, 10_000),
        "100",
        "Mails before which nothing pauses itself, together with minimum_bounces.",
    ),
    number("health", "reply_points", (0, 100), "1", "Points of health that each per cent of replies gives."),
    number("health", "reply_points_maximum", (0, 100), "10", "Points of health that replies give at most."),
    number("health", "sender_pause_below", (0, 100), "50", "A sender whose health is below this pauses itself."),
    duration(
        "health",
        "window",
        ("1 day", "365 days"),
        "30 days",
        "How old the mails are at most by which senders and campaigns are judged.",
    ),
    number("health", "window_sends", (10, 10_000), "500", "How many of the latest mails they are judged by at most."),
    duration("invites", "lifetime", ("1h", "90 days"), "7 days", "How long an invite can be accepted."),
    number(
        "invites",
        "made_in_a_day",
        (1, 100_000),
        "100",
        "Invites that an organization makes within a day, those that it takes back among them.",
    ),
    number(
        "invites",
        "mails_of_address",
        (1, 100),
        "5",
        "Mails with an invite that one address is sent within a day, whichever organizations invite.",
    ),
    number(
        "login",
        "failures_of_account",
        (1, 100_000),
        "100",
        "The same of one account from all addresses; an address that the account was logged in from before is let in nevertheless.",
    ),
    number(
        "login",
        "failures_of_account_and_address",
        (1, 1_000),
        "5",
        "Failed attempts to log in to one account from one address in a window, after which that address waits.",
    ),
    number("login", "failures_of_address", (1, 100_000), "50", "The same of one address with all accounts."),
    number(
        "login",
        "mails_of_account",
        (1, 100),
        "3",
        "Mails with a link that one address is sent in an hour because somebody asks for them.",
    ),
    number("login", "sign_ups_of_address", (1, 100_000), "10", "Sign-ups of one address in an hour."),
    duration("login", "window", ("1m", "1 day"), "15m", "How long failed attempts to log in are counted together."),
    string(
        "mail",
        "console_url",
        (500, StringForm::UrlOrEmpty),
        "",
        "Where the links of the installation's own mails lead; while it is empty, to the public address of this installation.",
    ),
    string(
        "mail",
        "system_sender",
        (254, StringForm::EmailOrEmpty),
        "",
        "The address that the installation's own mails come from, on a domain that SES has verified. While it is empty they wait.",
    ),
    string(
        "mail",
        "system_sender_name",
        (100, StringForm::Any),
        "Martlet",
        "The name that people see beside that address.",
    ),
    Definition {
        category: "oidc",
        key: "providers",
        bounds: Bounds::Json { check: identity_providers::check },
        default: "[]",
        description: "Identity providers (OpenID Connect), each an object with name, issuer and client_id.",
    },
    duration(
        "organizations",
        "deletion_grace",
        ("1h", "365 days"),
        "30 days",
        "How long an organization that is being deleted can be restored.",
    ),
    number(
        "outreach",
        "activation_inline_limit",
        (0, 10_000),
        "500",
        "Audiences up to this size are enrolled in the request; larger ones by a job.",
    ),
    number("ramp", "days", (1, 365), "30", "Days after which such a sender may send up to its daily limit."),
    number("ramp", "start", (1, 100_000), "5", "Mails on the first day of a sender that begins to send."),
    number("rate_limits", "basic", (1, 1_000_000), "300", "Requests a minute of one API key on the plan basic."),
    number(
        "rate_limits",
        "enterprise",
        (1, 1_000_000),
        "3000",
        "Requests a minute of one API key on the plan enterprise.",
    ),
    number("rate_limits", "free", (1, 1_000_000), "60", "Requests a minute of one API key on the plan free."),
    number("rate_limits", "pro", (1, 1_000_000), "600", "Requests a minute of one API key on the plan pro."),
    number(
        "rate_limits",
        "public",
        (1, 1_000_000),
        "100",
        "Requests a minute of one address to the public routes of the API.",
    ),
    number(
        "sending",
        "breaker_failures",
        (1, 1_000),
        "5",
        "Answers without a known outcome in a row after which the provider account's breaker opens.",
    ),
    duration(
        "sending",
        "breaker_pause",
        ("1s", "1 day"),
        "60s",
        "How long an open breaker waits before it lets a single probe through.",
    ),
    duration(
        "sending",
        "unknown_grace",
        ("1m", "7 days"),
        "30m",
        "How long a send whose outcome is unknown waits for a provider event before a person is asked.",
    ),
    duration("sessions", "idle", ("1m", "90 days"), "7 days", "How long a session lasts that nobody uses."),
    duration("sessions", "lifetime", ("1m", "365 days"), "30 days", "How long a session lasts at most."),
    Definition {
        category: "stripe",
        key: "prices",
        bounds: Bounds::Json { check: plans_by_price },
        default: "{}",
        description: "Which plan a price of Stripe pays for, as {\"price_1\": \"basic\", \"price_2\": \"pro\"}.",
    },
    duration("trial", "length", ("1 day", "365 days"), "7 days", "How long a trial lasts."),
    string(
        "trial",
        "plan",
        (20, StringForm::OneOf(&["basic", "pro", "enterprise"])),
        "pro",
        "The plan that a trial lends: basic, pro or enterprise.",
    ),
    number(
        "verification",
        "cost",
        (0, 1_000_000_000),
        "0",
        "What asking the provider about one address costs, in millionths of its currency.",
    ),
    number(
        "verification",
        "daily_budget",
        (0, 1_000_000_000_000),
        "0",
        "What an organization may spend on that within a day (UTC), in the same unit; nothing is asked that would pass it.",
    ),
    duration(
        "verification",
        "fresh_for",
        ("1h", "365 days"),
        "30 days",
        "How long an address that was checked is not checked again by a job, unless it is told to.",
    ),
    Definition {
        category: "verification",
        key: "provider",
        bounds: Bounds::Json { check: providers::check_mailbox_provider },
        default: "{}",
        description: "Who is asked whether mailboxes take mail, as an object with name, url and verdict; while it is empty, nobody knows.",
    },
    duration(
        "webhooks",
        "disable_after",
        ("1h", "90 days"),
        "5 days",
        "How long every attempt to reach a webhook endpoint may fail before it is disabled and its owners are told.",
    ),
    duration(
        "webhooks",
        "keep_for",
        ("1 day", "365 days"),
        "30 days",
        "How long webhook events and their deliveries are kept.",
    ),
    duration("workflows", "keep_for", ("1 day", "365 days"), "90 days", "How long runs of workflows are kept."),
    duration(
        "workflows",
        "run_timeout",
        ("10m", "30 days"),
        "1 day",
        "How long a run may last, from its start on, before it is noted as timed out; a report that comes later still counts.",
    ),
];

/// Prices with the plans that they pay for.
fn plans_by_price(value: &Value) -> Result<(), &'static str> {
    let is_plan = |plan: &Value| plan.as_str().is_some_and(|plan| ["basic", "pro", "enterprise"].contains(&plan));
    let is_map = value.as_object().is_some_and(|prices| prices.values().all(is_plan));
    if is_map { Ok(()) } else { Err("value is an object of prices with basic, pro or enterprise") }
}
