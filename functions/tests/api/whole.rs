//! The whole API in one router, as API Gateway puts it together.

use std::sync::Arc;

use axum::Router;
use functions::api::admin::{self, Admin};
use functions::api::auth;
use functions::api::contacts::{self, Contacts};
use functions::api::exports::{self, Exports};
use functions::api::imports::{self, Imports};
use functions::api::invites::{self, Invites};
use functions::api::leads::{self, Leads};
use functions::api::logos::{self, Logos};
use functions::api::restorations::{self, Restorations};
use functions::api::subscriptions::Subscriptions;
use functions::api::suppressions::{self, Suppressions};
use functions::api::{
    analytics, audit, campaigns, docs, domains, jobs, lead_forms, lists, messages, organizations, segments, senders,
    subscriptions, webhooks, workflows,
};
use testkit::{FakeAccount, FakeArchiveStore, FakeImportQueue, FakeObjectStore, TestDb};

use crate::admin::FakeQueues;
use crate::campaigns::Hints;
use crate::domains::Provider;

/// Every route that has a caller, with fakes of what is outside.
pub(crate) fn router(db: &TestDb) -> Router {
    let keys = Arc::new(testkit::key_ring());
    let accounts = crate::auth::state(db);
    let (admin_db, db) = (db.as_role("martlet_admin"), db.app());
    analytics::router(db.clone())
        .merge(admin::router(Admin { db: admin_db, queues: Arc::new(FakeQueues) }))
        .merge(audit::router(db.clone()))
        .merge(auth::router(accounts))
        .merge(campaigns::router(db.clone(), Arc::<Hints>::default(), Arc::<FakeAccount>::default()))
        .merge(contacts::router(Contacts {
            db: db.clone(),
            keys: keys.clone(),
            queue: Arc::<Hints>::default(),
            store: Arc::<FakeArchiveStore>::default(),
        }))
        .merge(docs::router())
        .merge(crate::enrichment::of(db.clone()))
        .merge(crate::verifications::of(db.clone()))
        .merge(domains::router(db.clone(), Arc::<Provider>::default()))
        .merge(exports::router(Exports {
            db: db.clone(),
            store: Arc::<FakeArchiveStore>::default(),
            queue: Arc::<Hints>::default(),
        }))
        .merge(imports::router(Imports {
            db: db.clone(),
            store: Arc::<FakeObjectStore>::default(),
            queue: Arc::<FakeImportQueue>::default(),
        }))
        .merge(invites::router(Invites { db: db.clone(), keys: keys.clone() }))
        .merge(jobs::router(db.clone()))
        .merge(lead_forms::router(db.clone()))
        .merge(leads::router(Leads { db: db.clone(), keys: keys.clone() }))
        .merge(lists::router(db.clone()))
        .merge(logos::router(Logos { db: db.clone(), keys: keys.clone(), store: Arc::<FakeObjectStore>::default() }))
        .merge(messages::router(db.clone()))
        .merge(organizations::router(db.clone()))
        .merge(restorations::router(Restorations { db: db.clone(), keys: keys.clone() }))
        .merge(segments::router(db.clone()))
        .merge(senders::router(db.clone()))
        .merge(subscriptions::router(Subscriptions { db: db.clone(), keys: keys.clone() }))
        .merge(suppressions::router(Suppressions { db: db.clone(), keys }))
        .merge(webhooks::router(crate::webhooks::webhooks(db.clone())))
        .merge(workflows::router(crate::webhooks::webhooks(db)))
}
