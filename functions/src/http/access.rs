//! Who may do what: one table of all routes, which the router, the OpenAPI document and the tests read.
//!
//! A route that is not in it can't be served: [`route!`](crate::http::route) does not compile. A person needs the role that
//! stands in its row or a higher one, a program with an API key the scope. A row without a scope is for people alone, and what is
//! `outward` for no test key.

use axum::http::Method;
use axum::routing::MethodFilter;
use shared::platform::api_keys::Mode;
use shared::platform::credentials::Rights;
use shared::platform::memberships::Role;
use shared::platform::scopes::SCOPES;
use shared::{Error, Result};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Everybody: the route has no caller, or its token is the right.
    Everyone,
    /// Whoever has at least this role in the organization, or a key with the route's scope.
    AtLeast(Role),
    /// Whoever runs the installation.
    Administrator,
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// HTTP's method.
    pub method: &'static str,
    /// The path with its parameters in braces.
    pub path: &'static str,
    /// Who may call it.
    pub who: Who,
    /// What a key needs; none where no key will do.
    pub scope: Option<&'static str>,
    /// Whether it starts something that leaves Martlet: mail, a request to somebody else's program, a change at the mail provider.
    pub is_outward: bool,
    /// What it does, in a sentence.
    pub summary: &'static str,
}

impl Route {
    /// Checks whether somebody may call the route.
    ///
    /// Errors: [`Error::Forbidden`], naming what is needed; [`Error::TestKey`] for a test key where something would leave Martlet.
    pub fn check(&self, rights: &Rights) -> Result<()> {
        let needed = match (self.who, rights) {
            (Who::Everyone, _) => return Ok(()),
            (Who::Administrator, Rights::Person { is_admin: true, .. }) => return Ok(()),
            (Who::Administrator, _) => "an administrator of the installation".to_owned(),
            (Who::AtLeast(least), Rights::Person { role, .. }) if *role >= least => return Ok(()),
            (Who::AtLeast(least), Rights::Person { .. }) => format!("the role {}", least.name()),
            (Who::AtLeast(_), Rights::Key { scopes, mode, .. }) => match self.scope {
                Some(scope) if scopes.allow(scope) && self.is_outward && *mode == Mode::Test => {
                    return Err(Error::TestKey);
                }
                Some(scope) if scopes.allow(scope) => return Ok(()),
                Some(scope) => format!("the scope {scope}"),
                None => "a session of a person".to_owned(),
            },
        };
        Err(Error::Forbidden(needed))
    }

    /// The method as the router takes it.
    pub(super) fn filter(&self) -> MethodFilter {
        match self.method {
            "GET" => MethodFilter::GET,
            "POST" => MethodFilter::POST,
            "PUT" => MethodFilter::PUT,
            "PATCH" => MethodFilter::PATCH,
            "OPTIONS" => MethodFilter::OPTIONS,
            _ => MethodFilter::DELETE,
        }
    }
}

/// The row of a request, by its method and the path that the router has matched.
pub(super) fn matched(method: &Method, path: &str) -> Option<&'static Route> {
    // A HEAD is answered by the handler of GET.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().find(|route| route.method == method && route.path == path)
}

/// The row of a method and a path, while compiling.
#[must_use]
pub const fn find(method: &str, path: &str) -> &'static Route {
    let mut at = 0;
    while at < ROUTES.len() {
        if is_same(ROUTES[at].method, method) && is_same(ROUTES[at].path, path) {
            return &ROUTES[at];
        }
        at += 1;
    }
    panic!("the table of routes (http/access.rs) has no such entry")
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

const fn row(method: &'static str, path: &'static str, who: Who, scope: &'static str, summary: &'static str) -> Route {
    let scope = if scope.is_empty() { None } else { Some(known(scope)) };
    Route { method, path, who, scope, is_outward: false, summary }
}

/// A row of what a test key may not call, whatever its scopes.
const fn outward(
    method: &'static str,
    path: &'static str,
    who: Who,
    scope: &'static str,
    summary: &'static str,
) -> Route {
    Route { is_outward: true, ..row(method, path, who, scope, summary) }
}

/// A scope that keys can have, or the table does not compile.
const fn known(scope: &'static str) -> &'static str {
    let mut at = 0;
    while at < SCOPES.len() {
        if is_same(SCOPES[at], scope) {
            return scope;
        }
        at += 1;
    }
    panic!("there is no such scope")
}

/// A row of the table of routes by its method and path, as `route!(GET "/v1/lists")`. What the table lacks does not compile.
#[macro_export]
macro_rules! route {
    ($method:ident $path:literal) => {
        const { $crate::http::access::find(stringify!($method), $path) }
    };
}

const EVERYONE: Who = Who::Everyone;
const VIEWER: Who = Who::AtLeast(Role::Viewer);
const MEMBER: Who = Who::AtLeast(Role::Member);
const ADMIN: Who = Who::AtLeast(Role::Admin);
const OWNER: Who = Who::AtLeast(Role::Owner);
const ADMINISTRATOR: Who = Who::Administrator;

/// The table, by resource.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    row("GET", "/v1/admin/address-lists", ADMINISTRATOR, "", "How many entries administrators have added to the lists that addresses are checked by."),
    row("PUT", "/v1/admin/address-lists/{list}", ADMINISTRATOR, "", "Takes a file of disposable domains or of role names."),
    row("GET", "/v1/admin/config", ADMINISTRATOR, "", "Every setting of the installation."),
    row("GET", "/v1/admin/config/{category}/{key}", ADMINISTRATOR, "", "One setting with its bounds."),
    row("PUT", "/v1/admin/config/{category}/{key}", ADMINISTRATOR, "", "Sets a setting; it counts from the next transaction on."),
    row("GET", "/v1/admin/config/{category}/{key}/history", ADMINISTRATOR, "", "What a setting was before, who changed it, and when."),
    row("GET", "/v1/admin/health", ADMINISTRATOR, "", "What waits and for how long, the scheduler, the breaker, the database."),
    row("GET", "/v1/admin/log", ADMINISTRATOR, "", "What was done to the installation, the newest acts first."),
    row("GET", "/v1/admin/organizations", ADMINISTRATOR, "", "The organizations of the installation, the newest first."),
    row("GET", "/v1/admin/organizations/{id}", ADMINISTRATOR, "", "One organization: its plan, its owners, how much it has sent."),
    row("PATCH", "/v1/admin/organizations/{id}", ADMINISTRATOR, "", "Sets the plan of an organization."),
    row("POST", "/v1/admin/organizations/{id}/resume", ADMINISTRATOR, "", "Lets a suspended organization go on."),
    row("POST", "/v1/admin/organizations/{id}/suspend", ADMINISTRATOR, "", "Stops an organization: nothing is sent, nobody is let in."),
    row("POST", "/v1/admin/test-mails", ADMINISTRATOR, "", "Plans a mail by which to see whether mail goes."),
    row("GET", "/v1/admin/users", ADMINISTRATOR, "", "The people with an account, the newest first."),
    row("GET", "/v1/admin/users/{id}", ADMINISTRATOR, "", "One person, and where they belong."),
    row("POST", "/v1/admin/users/{id}/demote", ADMINISTRATOR, "", "Takes somebody's right to run the installation."),
    row("POST", "/v1/admin/users/{id}/disable", ADMINISTRATOR, "", "Keeps somebody from logging in, and ends their sessions."),
    row("POST", "/v1/admin/users/{id}/enable", ADMINISTRATOR, "", "Lets somebody log in again."),
    row("POST", "/v1/admin/users/{id}/promote", ADMINISTRATOR, "", "Makes somebody an administrator of the installation."),

    row("GET", "/v1/analytics/daily", VIEWER, "analytics:read", "The organization's counts of each day."),

    row("GET", "/v1/audit", ADMIN, "audit:read", "Who did what, the newest acts first."),
    row("GET", "/v1/audit/export", ADMIN, "audit:read", "The acts as CSV files, newest first; `x-next-cursor` asks for the next."),

    row("POST", "/v1/auth/email/confirm", EVERYONE, "", "Confirms an address by the token that was sent to it and the password that was chosen, once."),
    row("POST", "/v1/auth/email/resend", EVERYONE, "", "Has the mail sent again by which an address is confirmed."),
    row("POST", "/v1/auth/login", EVERYONE, "", "Opens a session by address and password."),
    row("POST", "/v1/auth/logout", VIEWER, "", "Ends the session that asks."),
    row("GET", "/v1/auth/me", VIEWER, "", "Who is logged in, and the organizations that they belong to."),
    row("PATCH", "/v1/auth/me", VIEWER, "", "Changes what somebody says of themselves."),
    row("GET", "/v1/auth/oidc", EVERYONE, "", "The identity providers that people can log in by."),
    row("POST", "/v1/auth/oidc/callback", EVERYONE, "", "Opens a session for whoever an identity provider says it is."),
    row("POST", "/v1/auth/oidc/start", EVERYONE, "", "Begins a login by an identity provider, for ten minutes."),
    row("POST", "/v1/auth/password", VIEWER, "", "Changes the password; the other sessions end."),
    row("POST", "/v1/auth/password/forgot", EVERYONE, "", "Has a mail sent by which another password is chosen."),
    row("POST", "/v1/auth/password/reset", EVERYONE, "", "Keeps another password by the token that was sent, once; all sessions end."),
    row("GET", "/v1/auth/sessions", VIEWER, "", "Where somebody is logged in, in all of their organizations."),
    row("DELETE", "/v1/auth/sessions", VIEWER, "", "Ends all sessions but the one that asks."),
    row("DELETE", "/v1/auth/sessions/{id}", VIEWER, "", "Ends one session of one's own."),
    row("POST", "/v1/auth/signup", EVERYONE, "", "Makes an account and an organization of its own, once the address is confirmed."),
    row("POST", "/v1/auth/signup/invite", EVERYONE, "", "Makes an account by the link of an invite, joins, and opens a session, once."),
    row("POST", "/v1/auth/switch", VIEWER, "", "Goes on in another organization, with another session."),

    row("GET", "/v1/campaigns", VIEWER, "campaigns:read", "The newest campaigns first."),
    row("POST", "/v1/campaigns", MEMBER, "campaigns:write", "Makes a draft."),
    row("GET", "/v1/campaigns/{id}", VIEWER, "campaigns:read", "One campaign, with how many people are in each status."),
    row("PATCH", "/v1/campaigns/{id}", MEMBER, "campaigns:write", "Changes a draft or a paused campaign."),
    row("DELETE", "/v1/campaigns/{id}", MEMBER, "campaigns:write", "Deletes a draft."),
    outward("POST", "/v1/campaigns/{id}/activate", MEMBER, "campaigns:write", "Enrolls the list as it is now, and begins to send."),
    row("POST", "/v1/campaigns/{id}/archive", MEMBER, "campaigns:write", "Ends a campaign for good."),
    row("GET", "/v1/campaigns/{id}/enrollments", VIEWER, "campaigns:read", "The people of a campaign with their state."),
    outward("POST", "/v1/campaigns/{id}/enrollments", MEMBER, "campaigns:write", "Enrolls more people in a campaign that runs, by a job."),
    row("DELETE", "/v1/campaigns/{id}/enrollments/{enrollment_id}", MEMBER, "campaigns:write", "Takes somebody out of a campaign."),
    row("GET", "/v1/campaigns/{id}/enrollments/{enrollment_id}/why", VIEWER, "campaigns:read", "When somebody is written to next, and what holds that."),
    row("POST", "/v1/campaigns/{id}/pause", MEMBER, "campaigns:write", "Pauses an active campaign."),
    row("GET", "/v1/campaigns/{id}/preflight", VIEWER, "campaigns:read", "What activation would refuse or mention."),
    row("GET", "/v1/campaigns/{id}/report", VIEWER, "campaigns:read", "What became of everybody when the campaign was completed."),
    outward("POST", "/v1/campaigns/{id}/resume", MEMBER, "campaigns:write", "Lets a paused campaign go on."),
    row("GET", "/v1/campaigns/{id}/senders", VIEWER, "campaigns:read", "The pool of senders."),
    row("PUT", "/v1/campaigns/{id}/senders", MEMBER, "campaigns:write", "Puts another pool of senders in its place."),
    row("GET", "/v1/campaigns/{id}/settings", VIEWER, "campaigns:read", "Window, limits and tracking of a campaign."),
    row("PATCH", "/v1/campaigns/{id}/settings", MEMBER, "campaigns:write", "Changes the settings that are given."),
    row("GET", "/v1/campaigns/{id}/statistics", VIEWER, "campaigns:read", "What became of everybody, step by step."),
    row("GET", "/v1/campaigns/{id}/statistics/daily", VIEWER, "campaigns:read", "The campaign's counts of each day."),
    row("GET", "/v1/campaigns/{id}/steps", VIEWER, "campaigns:read", "The sequence in order."),
    row("POST", "/v1/campaigns/{id}/steps", MEMBER, "campaigns:write", "Appends a step to a draft."),
    row("PUT", "/v1/campaigns/{id}/steps/order", MEMBER, "campaigns:write", "Puts the steps of a draft into another order."),
    row("PATCH", "/v1/campaigns/{id}/steps/{step_id}", MEMBER, "campaigns:write", "Changes a step."),
    row("DELETE", "/v1/campaigns/{id}/steps/{step_id}", MEMBER, "campaigns:write", "Deletes a step of a draft."),

    row("GET", "/v1/contacts", VIEWER, "contacts:read", "The newest contacts first."),
    row("POST", "/v1/contacts", MEMBER, "contacts:write", "Makes a contact."),
    row("GET", "/v1/contacts/{id}", VIEWER, "contacts:read", "One contact with its lists and its imported row."),
    row("PATCH", "/v1/contacts/{id}", MEMBER, "contacts:write", "Changes the fields that are given."),
    row("DELETE", "/v1/contacts/{id}", MEMBER, "contacts:write", "Deletes a contact, into the bin; suppressions stay."),
    row("POST", "/v1/contacts/bulk", MEMBER, "contacts:write", "Does the same to many contacts, by a job."),
    row("GET", "/v1/contacts/deleted", VIEWER, "contacts:read", "The bin; what was deleted last comes first."),
    row("GET", "/v1/contacts/deleted/{id}", VIEWER, "contacts:read", "One contact of the bin."),
    row("DELETE", "/v1/contacts/deleted/{id}", MEMBER, "contacts:write", "Takes a contact out of the bin for good."),
    row("POST", "/v1/contacts/deleted/{id}/restore", MEMBER, "contacts:write", "Brings a deleted contact back as it was."),
    row("GET", "/v1/contacts/duplicates", VIEWER, "contacts:read", "Contacts that are probably one person, in groups with the reason."),
    row("POST", "/v1/contacts/exports", MEMBER, "contacts:write", "Writes contacts into a CSV file, by a job."),
    row("GET", "/v1/contacts/exports/{job_id}", MEMBER, "contacts:read", "One export with its progress, and the link to its file."),
    row("POST", "/v1/contacts/{id}/erase", ADMIN, "contacts:write", "Erases a person, and keeps what is needed never to write to them again."),
    row("GET", "/v1/contacts/{id}/export", ADMIN, "contacts:read", "Everything that is stored about a person."),
    row("POST", "/v1/contacts/{id}/merge", MEMBER, "contacts:write", "Merges other contacts into this one."),
    row("POST", "/v1/contacts/{id}/tags", MEMBER, "contacts:write", "Gives a contact tags."),
    row("DELETE", "/v1/contacts/{id}/tags/{tag_id}", MEMBER, "contacts:write", "Takes a tag from a contact."),
    row("GET", "/v1/contacts/{id}/timeline", VIEWER, "contacts:read", "What has happened to a contact, the newest first."),
    row("GET", "/v1/contacts/{id}/person", VIEWER, "contacts:read", "What is known of the person behind a contact."),
    row("PATCH", "/v1/contacts/{id}/person", MEMBER, "contacts:write", "Sets what is known by hand; no provider takes that back."),
    row("GET", "/v1/contacts/{id}/why", VIEWER, "contacts:read", "When the person is written to next, and what holds that."),

    row("GET", "/v1/custom-fields", VIEWER, "contacts:read", "Every custom field that is defined, by key."),
    row("POST", "/v1/custom-fields", MEMBER, "contacts:write", "Defines a custom field."),
    row("GET", "/v1/custom-fields/{id}", VIEWER, "contacts:read", "One custom field."),
    row("PATCH", "/v1/custom-fields/{id}", MEMBER, "contacts:write", "Gives a custom field another name."),
    row("DELETE", "/v1/custom-fields/{id}", MEMBER, "contacts:write", "Deletes the definition of a custom field; the values stay."),

    row("GET", "/v1/docs", EVERYONE, "", "This description, to be read."),

    row("GET", "/v1/domains", VIEWER, "domains:read", "The newest domains first."),
    outward("POST", "/v1/domains", ADMIN, "domains:write", "Makes a domain; the answer holds the records to publish."),
    row("GET", "/v1/domains/{id}", VIEWER, "domains:read", "One domain with its records."),
    row("PATCH", "/v1/domains/{id}", ADMIN, "domains:write", "Changes the fields that are given."),
    outward("DELETE", "/v1/domains/{id}", ADMIN, "domains:write", "Deletes a domain that no sender uses."),
    outward("POST", "/v1/domains/{id}/verify", ADMIN, "domains:write", "Asks the provider whether the records are published."),

    row("POST", "/hooks/ses", EVERYONE, "", "For Amazon SNS alone: reports of SES, signed."),
    row("POST", "/hooks/stripe", EVERYONE, "", "For Stripe alone: what becomes of subscriptions, signed."),

    row("GET", "/v1/enrichment/jobs", VIEWER, "enrichment:read", "The newest enrichments first."),
    outward("POST", "/v1/enrichment/jobs", MEMBER, "enrichment:write", "Begins to learn about the people behind contacts."),
    row("GET", "/v1/enrichment/jobs/{id}", VIEWER, "enrichment:read", "One enrichment with its progress."),
    row("POST", "/v1/enrichment/jobs/{id}/cancel", MEMBER, "enrichment:write", "Stops an enrichment; what was learned stays."),
    outward("POST", "/v1/enrichment/jobs/{id}/resume", MEMBER, "enrichment:write", "Lets a cancelled enrichment go on where it stood."),
    row("GET", "/v1/enrichment/jobs/{id}/tasks", VIEWER, "enrichment:read", "What came of each contact."),

    row("GET", "/v1/imports", VIEWER, "imports:read", "The newest imports first."),
    row("POST", "/v1/imports", MEMBER, "imports:write", "Makes an import, and says where its file goes."),
    row("GET", "/v1/imports/{id}", VIEWER, "imports:read", "One import with its progress."),
    row("POST", "/v1/imports/{id}/abort", MEMBER, "imports:write", "Gives an upload in parts up, and the import with it."),
    row("POST", "/v1/imports/{id}/complete", MEMBER, "imports:write", "Makes the file of the parts that have been uploaded."),
    row("GET", "/v1/imports/{id}/errors", VIEWER, "imports:read", "The rows that could not be taken."),
    row("GET", "/v1/imports/{id}/errors/file", VIEWER, "imports:read", "Where these rows are downloaded as CSV."),
    row("GET", "/v1/imports/{id}/preview", VIEWER, "imports:read", "What the import would make of its file."),
    row("POST", "/v1/imports/{id}/start", MEMBER, "imports:write", "Starts an import whose file has been uploaded."),
    row("POST", "/v1/imports/{id}/upload", MEMBER, "imports:write", "The requests that upload the file, signed anew."),

    row("POST", "/v1/invites/accept", VIEWER, "", "Joins the organization of an invite, by the link in the mail."),
    row("POST", "/v1/invites/show", EVERYONE, "", "What an invite is to, by the link in the mail."),

    row("GET", "/v1/jobs", VIEWER, "jobs:read", "The newest jobs first."),
    row("GET", "/v1/jobs/{id}", VIEWER, "jobs:read", "One job with its progress."),

    row("GET", "/v1/lead-forms", VIEWER, "lead_forms:read", "The lead forms, the newest first."),
    row("POST", "/v1/lead-forms", ADMIN, "lead_forms:write", "Makes a lead form, with its key."),
    row("GET", "/v1/lead-forms/{id}", VIEWER, "lead_forms:read", "One lead form, and what has become of all that came through it."),
    row("GET", "/v1/lead-forms/{id}/leads", VIEWER, "contacts:read", "Who has come through a lead form, and what they agreed to, the newest first."),
    row("PATCH", "/v1/lead-forms/{id}", ADMIN, "lead_forms:write", "Changes the fields that are given; also enables and disables."),
    row("DELETE", "/v1/lead-forms/{id}", ADMIN, "lead_forms:write", "Deletes a lead form for good; whoever came through it stays."),
    row("POST", "/v1/lead-forms/{id}/rotate", ADMIN, "lead_forms:write", "Gives a lead form another key; the one before goes on for a while."),
    row("POST", "/v1/leads/{key}", EVERYONE, "", "Takes somebody who comes by themselves, through a form with this key."),
    row("OPTIONS", "/v1/leads/{key}", EVERYONE, "", "Tells a browser whether a page may send."),

    row("GET", "/v1/lists", VIEWER, "lists:read", "The newest lists first."),
    row("POST", "/v1/lists", MEMBER, "lists:write", "Makes a list."),
    row("GET", "/v1/lists/{id}", VIEWER, "lists:read", "One list."),
    row("PATCH", "/v1/lists/{id}", MEMBER, "lists:write", "Changes the fields that are given."),
    row("DELETE", "/v1/lists/{id}", MEMBER, "lists:write", "Deletes a list that nothing is about to use; its contacts stay."),
    row("GET", "/v1/lists/{id}/members", VIEWER, "lists:read", "Who is on a list, the newest first."),
    row("POST", "/v1/lists/{id}/members", MEMBER, "lists:write", "Puts contacts on a list."),
    row("DELETE", "/v1/lists/{id}/members/{contact_id}", MEMBER, "lists:write", "Takes a contact off a list."),

    row("GET", "/logos/{id}/{name}", EVERYONE, "", "The logo of an organization."),

    row("GET", "/v1/messages", VIEWER, "messages:read", "The ledger, the newest messages first."),
    outward("POST", "/v1/messages/resolve", MEMBER, "messages:write", "Decides about messages in review; what can't be resolved is passed over."),
    row("GET", "/v1/messages/{id}", VIEWER, "messages:read", "One message with its text, its events and why it stands where it stands."),
    outward("POST", "/v1/messages/{id}/resolve", MEMBER, "messages:write", "Skips a message in review, or has it sent again."),

    row("GET", "/v1/onboarding", VIEWER, "organization:read", "How far the onboarding has come, with the mails of the first days."),
    outward("PATCH", "/v1/onboarding", ADMIN, "organization:write", "Tells of the organization, and goes on to the next step."),

    row("GET", "/v1/openapi.json", EVERYONE, "", "This description, for programs."),

    row("GET", "/v1/organizations", VIEWER, "organization:read", "The organization that the credentials belong to."),
    row("POST", "/v1/organizations", VIEWER, "", "Makes another organization, whose owner is the caller."),
    row("GET", "/v1/organizations/{id}", VIEWER, "organization:read", "One organization."),
    row("PATCH", "/v1/organizations/{id}", ADMIN, "organization:write", "Changes the fields that are given."),
    row("POST", "/v1/organizations/{id}/exports", OWNER, "", "Writes all data of the organization into an archive."),
    row("GET", "/v1/organizations/{id}/exports/{job_id}", OWNER, "", "One export with its progress, and the link to its archive."),
    row("POST", "/v1/organizations/{id}/delete", OWNER, "", "Begins to delete the organization; a mailed link brings it back for a time."),
    row("GET", "/v1/organizations/{id}/invites", ADMIN, "members:read", "The invites, the newest first, ended ones too."),
    row("POST", "/v1/organizations/{id}/invites", ADMIN, "", "Invites somebody by mail."),
    row("GET", "/v1/organizations/{id}/invites/{invite_id}", ADMIN, "members:read", "One invite."),
    row("DELETE", "/v1/organizations/{id}/invites/{invite_id}", ADMIN, "", "Takes an invite back; its row stays."),
    row("POST", "/v1/organizations/{id}/invites/{invite_id}/resend", ADMIN, "", "Sends an invite once more, for the whole time again."),
    row("GET", "/v1/organizations/{id}/keys", ADMIN, "api_keys:read", "The API keys, the newest first, revoked ones too."),
    row("POST", "/v1/organizations/{id}/keys", ADMIN, "api_keys:write", "Makes an API key; this answer alone holds its text."),
    row("GET", "/v1/organizations/{id}/keys/{key_id}", ADMIN, "api_keys:read", "One API key."),
    row("PATCH", "/v1/organizations/{id}/keys/{key_id}", ADMIN, "api_keys:write", "Changes name, scopes or expiry."),
    row("DELETE", "/v1/organizations/{id}/keys/{key_id}", ADMIN, "api_keys:write", "Revokes a key for good; its row stays."),
    row("POST", "/v1/organizations/{id}/keys/{key_id}/rotate", ADMIN, "api_keys:write", "Makes a key like this one, which goes on beside it for a while."),
    row("GET", "/v1/organizations/{id}/usage", VIEWER, "organization:read", "What is used of each limit of the plan, and of the month."),
    row("POST", "/v1/organizations/{id}/leave", VIEWER, "", "Lets the caller leave the organization."),
    row("POST", "/v1/organizations/{id}/logo", ADMIN, "organization:write", "Says where the file of a logo is put."),
    row("PUT", "/v1/organizations/{id}/logo", ADMIN, "organization:write", "Makes the file that was put there the logo."),
    row("DELETE", "/v1/organizations/{id}/logo", ADMIN, "organization:write", "Takes the logo away."),
    row("GET", "/v1/organizations/{id}/members", VIEWER, "members:read", "Who belongs to the organization, and as what."),
    row("GET", "/v1/organizations/{id}/members/{user_id}", VIEWER, "members:read", "One member."),
    row("PATCH", "/v1/organizations/{id}/members/{user_id}", ADMIN, "", "Gives a member another role; their sessions end."),
    row("DELETE", "/v1/organizations/{id}/members/{user_id}", ADMIN, "", "Takes a member out of the organization, with the API keys that they have made where that is asked for."),

    row("POST", "/v1/restorations", EVERYONE, "", "Brings an organization back that is being deleted, by the link in the mail."),

    row("GET", "/v1/segments", VIEWER, "segments:read", "The newest segments first."),
    row("POST", "/v1/segments", MEMBER, "segments:write", "Makes a segment."),
    row("GET", "/v1/segments/preview", VIEWER, "segments:read", "How many people a filter means that no segment has yet, and the newest of them."),
    row("GET", "/v1/segments/{id}", VIEWER, "segments:read", "One segment."),
    row("PATCH", "/v1/segments/{id}", MEMBER, "segments:write", "Changes the fields that are given."),
    row("DELETE", "/v1/segments/{id}", MEMBER, "segments:write", "Deletes a segment that nothing is about to use; its people stay."),
    row("GET", "/v1/segments/{id}/count", VIEWER, "segments:read", "How many people are in a segment at this moment."),
    row("GET", "/v1/segments/{id}/members", VIEWER, "segments:read", "Who is in a segment at this moment, the newest first."),
    row("GET", "/v1/segments/{id}/preview", VIEWER, "segments:read", "How many people are in a segment at this moment, and the newest of them."),

    row("GET", "/v1/senders", VIEWER, "senders:read", "The newest senders first."),
    row("POST", "/v1/senders", ADMIN, "senders:write", "Makes a sender."),
    row("GET", "/v1/senders/{id}", VIEWER, "senders:read", "One sender with its health and what it may send today."),
    row("PATCH", "/v1/senders/{id}", ADMIN, "senders:write", "Changes the fields that are given."),
    row("DELETE", "/v1/senders/{id}", ADMIN, "senders:write", "Deletes a sender that nothing has used."),
    row("POST", "/v1/senders/{id}/pause", MEMBER, "senders:write", "Holds a sender back."),
    outward("POST", "/v1/senders/{id}/resume", MEMBER, "senders:write", "Lets a sender go on, or begin."),

    row("GET", "/v1/subscription", ADMIN, "organization:read", "Plan, trial and subscription as they stand."),

    row("GET", "/v1/suppressions", VIEWER, "suppressions:read", "Addresses that must not be written to, the newest first."),
    row("POST", "/v1/suppressions", MEMBER, "suppressions:write", "Suppresses an address."),
    row("GET", "/v1/suppressions/export", MEMBER, "suppressions:read", "The list as CSV files; `x-next-cursor` asks for the next."),
    row("POST", "/v1/suppressions/import", MEMBER, "suppressions:write", "Suppresses a list of addresses, as JSON or CSV."),
    row("GET", "/v1/suppressions/{id}", VIEWER, "suppressions:read", "One suppression."),
    row("DELETE", "/v1/suppressions/{id}", ADMIN, "suppressions:write", "Lifts a suppression; nobody is enrolled again."),
    row("POST", "/v1/suppressions/{id}/forget", ADMIN, "suppressions:write", "Puts a keyed hash in place of the address."),

    row("GET", "/v1/tags", VIEWER, "contacts:read", "The newest tags first."),
    row("POST", "/v1/tags", MEMBER, "contacts:write", "Makes a tag."),
    row("GET", "/v1/tags/{id}", VIEWER, "contacts:read", "One tag, with how many contacts have it."),
    row("PATCH", "/v1/tags/{id}", MEMBER, "contacts:write", "Gives a tag another name."),
    row("DELETE", "/v1/tags/{id}", MEMBER, "contacts:write", "Deletes a tag; its contacts stay."),

    row("GET", "/t/c/{*token}", EVERYONE, "", "A link in a mail: leads on to where it was written to lead."),
    row("GET", "/t/o/{*token}", EVERYONE, "", "The pixel of a mail."),
    row("GET", "/u/{*token}", EVERYONE, "", "Shows what a link unsubscribes from, and changes nothing."),
    row("POST", "/u/{*token}", EVERYONE, "", "Unsubscribes, also by one click (RFC 8058)."),

    row("GET", "/v1/verifications", VIEWER, "verifications:read", "What is known of addresses, in their order."),
    outward("POST", "/v1/verifications", MEMBER, "verifications:write", "Checks one address."),
    row("GET", "/v1/verifications/jobs", VIEWER, "verifications:read", "The newest verifications of many first."),
    outward("POST", "/v1/verifications/jobs", MEMBER, "verifications:write", "Begins to check the addresses of contacts."),
    row("GET", "/v1/verifications/jobs/{id}", VIEWER, "verifications:read", "One verification of many with its progress."),
    row("POST", "/v1/verifications/jobs/{id}/cancel", MEMBER, "verifications:write", "Stops a verification of many; what was found stays."),
    outward("POST", "/v1/verifications/jobs/{id}/resume", MEMBER, "verifications:write", "Lets a cancelled one go on where it stood."),
    row("GET", "/v1/verifications/summary", VIEWER, "verifications:read", "How many addresses are valid, invalid and unverified."),

    row("GET", "/v1/webhooks", ADMIN, "webhooks:read", "The webhook endpoints, the newest first."),
    outward("POST", "/v1/webhooks", ADMIN, "webhooks:write", "Makes a webhook endpoint; this answer alone holds its secret."),
    row("GET", "/v1/webhooks/deliveries", ADMIN, "webhooks:read", "What was told to endpoints and workflows, the newest first."),
    row("GET", "/v1/webhooks/deliveries/{id}", ADMIN, "webhooks:read", "One delivery with what is told."),
    outward("POST", "/v1/webhooks/deliveries/{id}/replay", ADMIN, "webhooks:write", "Tells it again, under the same webhook-id."),
    row("GET", "/v1/webhooks/{id}", ADMIN, "webhooks:read", "One webhook endpoint."),
    outward("PATCH", "/v1/webhooks/{id}", ADMIN, "webhooks:write", "Changes the fields that are given; also enables and disables."),
    row("DELETE", "/v1/webhooks/{id}", ADMIN, "webhooks:write", "Deletes a webhook endpoint with the record of its deliveries."),
    outward("POST", "/v1/webhooks/{id}/replay", ADMIN, "webhooks:write", "Tells an endpoint again what it has not taken since a time."),
    outward("POST", "/v1/webhooks/{id}/rotate", ADMIN, "webhooks:write", "Makes another secret; the one before signs for another day."),
    outward("POST", "/v1/webhooks/{id}/test", ADMIN, "webhooks:write", "Sends an endpoint an event that says nothing."),

    row("GET", "/v1/workflows", MEMBER, "workflows:read", "The workflows, the newest first."),
    outward("POST", "/v1/workflows", ADMIN, "workflows:write", "Makes a workflow; this answer alone holds its secret."),
    row("POST", "/v1/workflows/callbacks/{token}", EVERYONE, "", "For workflows alone: how a run has ended, signed."),
    row("GET", "/v1/workflows/runs", VIEWER, "workflows:read", "The runs of workflows, the newest first."),
    outward("POST", "/v1/workflows/runs", MEMBER, "workflows:write", "Starts a workflow, or notes a run that began elsewhere."),
    row("GET", "/v1/workflows/runs/{id}", VIEWER, "workflows:read", "One run with its metrics and errors."),
    row("GET", "/v1/workflows/{id}", MEMBER, "workflows:read", "One workflow."),
    outward("PATCH", "/v1/workflows/{id}", ADMIN, "workflows:write", "Changes the fields that are given; also enables and disables."),
    row("DELETE", "/v1/workflows/{id}", ADMIN, "workflows:write", "Deletes a workflow; its runs stay."),
    outward("POST", "/v1/workflows/{id}/rotate", ADMIN, "workflows:write", "Makes another secret; the one before is good for another day."),
];

#[cfg(test)]
mod tests {
    use shared::platform::scopes::Scopes;
    use shared::{ApiKeyId, SessionId, UserId};

    use super::*;

    fn person(role: Role, is_admin: bool) -> Rights {
        Rights::Person { user: UserId::fresh(), session: SessionId::fresh(), role, is_admin }
    }

    fn key(scope: &str) -> Rights {
        of_mode(Mode::Live, scope)
    }

    fn of_mode(mode: Mode, scope: &str) -> Rights {
        Rights::Key { id: ApiKeyId::fresh(), mode, scopes: Scopes::stored(vec![scope.to_owned()]), expires_at: None }
    }

    #[test]
    fn a_test_key_may_call_nothing_outward() {
        for route in ROUTES {
            let Some(scope) = route.scope else {
                assert!(!route.is_outward, "{route:?} is for no key at all");
                continue;
            };
            let answered = route.check(&of_mode(Mode::Test, scope));
            assert_eq!(matches!(answered, Err(Error::TestKey)), route.is_outward, "{route:?}");
            assert!(answered.is_ok() || route.is_outward && route.method != "GET", "{route:?}");
            assert!(route.check(&of_mode(Mode::Live, scope)).is_ok(), "{route:?}");
        }
    }

    #[test]
    fn each_role_may_what_the_ones_before_it_may_and_a_key_what_its_scopes_say() {
        let of = |who, scope| Route { method: "GET", path: "/", who, scope, is_outward: false, summary: "" };
        for needed in Role::ALL {
            let route = of(Who::AtLeast(needed), Some("contacts:read"));
            for role in Role::ALL {
                assert_eq!(
                    route.check(&person(role, false)).is_ok(),
                    role >= needed,
                    "{role:?} where {needed:?} is needed"
                );
            }
            assert!(route.check(&key("contacts:read")).is_ok() && route.check(&key("*")).is_ok());
            assert!(route.check(&key("contacts:write")).is_err());
            let route = of(Who::AtLeast(needed), None);
            assert!(route.check(&key("*")).is_err(), "only a person may");
        }
        let route = of(Who::Administrator, None);
        assert!(route.check(&person(Role::Viewer, true)).is_ok());
        assert!(route.check(&person(Role::Owner, false)).is_err() && route.check(&key("*")).is_err());
    }

    #[test]
    fn no_route_stands_twice_and_reading_changes_nothing() {
        for (at, route) in ROUTES.iter().enumerate() {
            assert!(
                !ROUTES[..at].iter().any(|other| (other.method, other.path) == (route.method, route.path)),
                "{route:?}"
            );
            let act = route.scope.and_then(|scope| scope.split_once(':')).map(|(_, act)| act);
            let expected = if route.method == "GET" { "read" } else { "write" };
            assert!(act.is_none_or(|act| act == expected), "{route:?}");
            assert!(
                route.summary.ends_with('.')
                    && ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&route.method)
            );
            assert!(act.is_none() || matches!(route.who, Who::AtLeast(_)), "{route:?}");
        }
    }
}
