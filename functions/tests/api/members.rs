//! The people of an organization, its invites, and its end, through the router.

use std::sync::Arc;

use axum::http::Method;
use functions::api::invites::{self, Invites};
use functions::api::organizations;
use functions::api::restorations::{self, Restorations};
use serde_json::{Value, json};
use shared::delivery::tokens::{Action, ActionPurpose};
use shared::platform::memberships::Role;
use shared::{OrganizationId, UserId};

use crate::app::{Answer, App, call, filled_sample};

struct People {
    app: App,
    organization: String,
}

impl People {
    async fn new() -> Self {
        let app = App::new().await;
        let organization = app.scene.organization.to_string();
        Self { app, organization }
    }

    /// Somebody who is logged in, and who they are.
    async fn member(&self, role: Role) -> (String, String) {
        let session = self.app.scene.session(role).await;
        let sql = "select user_id from sessions order by id desc limit 1";
        let user: UserId = self.app.scene.rows(sql, &[]).await[0].get(0);
        (session, user.to_string())
    }

    async fn ask(&self, session: &str, name: &str, fill: &[(&str, &str)]) -> Answer {
        let own = [("ORGANIZATION_ID", self.organization.as_str()), ("API_KEY", session)];
        call(organizations::router(self.app.scene.db.app()), filled_sample(name, &[fill, &own].concat())).await
    }

    async fn send(&self, session: &str, method: Method, rest: &str, body: Option<Value>) -> Answer {
        let path = format!("/v1/organizations/{}{rest}", self.organization);
        let router = organizations::router(self.app.scene.db.app());
        self.app.send_as(router, method, &path, body, Some(session)).await
    }

    async fn acts(&self, action: &str) -> i64 {
        let sql = "select count(*) from audit_log where action = $1 and actor_kind = 'user' and request_id is not null";
        self.app.scene.number(sql, &[&action]).await
    }
}

#[tokio::test]
async fn members_are_listed_changed_and_removed_and_their_sessions_end() {
    let people = People::new().await;
    let (owner, _) = people.member(Role::Owner).await;
    let (admin, _) = people.member(Role::Admin).await;
    let (member, member_id) = people.member(Role::Viewer).await;
    let fill = [("USER_ID", member_id.as_str())];
    let list = people.ask(&member, "organizations/members_list", &[]).await.expect(200);
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(people.ask(&member, "organizations/members_find", &fill).await.expect(200).text("/role"), "viewer");
    people.ask(&member, "organizations/members_update", &fill).await.expect(403);
    let changed = people.ask(&admin, "organizations/members_update", &fill).await.expect(200);
    assert_eq!(changed.text("/role"), "member");
    people.ask(&member, "organizations/members_list", &[]).await.expect(401);
    // The same again is no change.
    people.ask(&admin, "organizations/members_update", &fill).await.expect(200);
    assert_eq!(people.acts("member.role_changed").await, 1);
    let rest = format!("/members/{member_id}");
    let owners = people.send(&admin, Method::PATCH, &rest, Some(json!({"role": "owner"}))).await.expect(409);
    assert_eq!(owners.text("/code"), "owner_needed");
    for wrong in [json!({"role": "god"}), json!({"role": "viewer", "is_admin": true}), json!({})] {
        people.send(&owner, Method::PATCH, &rest, Some(wrong)).await.expect(422);
    }
    let removed = people.ask(&admin, "organizations/members_remove", &fill).await.expect(200);
    assert_eq!(removed.body, json!({"sessions_ended": 0, "api_keys_left": 0, "api_keys_revoked": 0}));
    people.ask(&admin, "organizations/members_remove", &fill).await.expect(404);
    assert_eq!(people.acts("member.removed").await, 1);
    // A program sees members and changes none.
    people.send(&people.app.key, Method::GET, "/members", None).await.expect(200);
    people.send(&people.app.key, Method::PATCH, &rest, Some(json!({"role": "viewer"}))).await.expect(403);
}

#[tokio::test]
async fn whoever_removes_somebody_is_told_of_the_keys_that_they_have_made_and_may_revoke_them() {
    let people = People::new().await;
    let (owner, _) = people.member(Role::Owner).await;
    let keys_of = async || {
        let (admin, id) = people.member(Role::Admin).await;
        let key = people.send(&admin, Method::POST, "/keys", Some(json!({"name": "theirs"}))).await.expect(201);
        (id, key.text("/key").to_owned())
    };
    let (one, kept) = keys_of().await;
    let removed = people.send(&owner, Method::DELETE, &format!("/members/{one}"), None).await.expect(200);
    assert_eq!(removed.body, json!({"sessions_ended": 1, "api_keys_left": 1, "api_keys_revoked": 0}));
    people.send(&kept, Method::GET, "/members", None).await.expect(200);
    let (other, gone) = keys_of().await;
    // Also what their key has made, and what it is rotated to.
    let second = people.send(&gone, Method::POST, "/keys", Some(json!({"name": "its own"}))).await.expect(201);
    let rotate = format!("/keys/{}/rotate", second.text("/id"));
    let third = people.send(&gone, Method::POST, &rotate, Some(json!({}))).await.expect(201).text("/key").to_owned();
    let path = format!("/members/{other}?revoke_keys=");
    people.send(&owner, Method::DELETE, &format!("{path}perhaps"), None).await.expect(400);
    let removed = people.send(&owner, Method::DELETE, &format!("{path}true"), None).await.expect(200);
    assert_eq!(removed.body, json!({"sessions_ended": 1, "api_keys_left": 0, "api_keys_revoked": 3}));
    for key in [&gone, &second.text("/key").to_owned(), &third] {
        people.send(key, Method::GET, "/members", None).await.expect(401);
    }
}

#[tokio::test]
async fn whoever_leaves_is_gone_and_the_last_owner_stays() {
    let people = People::new().await;
    let (owner, _) = people.member(Role::Owner).await;
    let (viewer, _) = people.member(Role::Viewer).await;
    people.ask(&viewer, "organizations/leave", &[]).await.expect(200);
    people.ask(&viewer, "organizations/members_list", &[]).await.expect(401);
    assert_eq!(people.ask(&owner, "organizations/leave", &[]).await.expect(409).text("/code"), "last_owner");
    assert_eq!(people.acts("member.left").await, 1);
}

#[tokio::test]
async fn somebody_is_invited_again_and_no_more() {
    let people = People::new().await;
    let (admin, _) = people.member(Role::Admin).await;
    let made = people.ask(&admin, "organizations/invites_create", &[]).await.expect(201);
    let id = made.text("/id").to_owned();
    assert_eq!(made.headers["location"], format!("/v1/organizations/{}/invites/{id}", people.organization));
    assert_eq!((made.text("/status"), made.text("/role")), ("open", "member"));
    let again = people.ask(&admin, "organizations/invites_create", &[]).await.expect(409);
    assert_eq!(again.text("/code"), "invite_open");
    let fill = [("INVITE_ID", id.as_str())];
    assert_eq!(people.ask(&admin, "organizations/invites_resend", &fill).await.expect(200).body["mails"], 2);
    assert_eq!(people.ask(&admin, "organizations/invites_find", &fill).await.expect(200).text("/id"), id);
    assert_eq!(people.ask(&admin, "organizations/invites_revoke", &fill).await.expect(200).text("/status"), "revoked");
    let list = people.ask(&admin, "organizations/invites_list", &[]).await.expect(200);
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(1));
    for (body, field) in [
        (json!({"email": "nobody", "role": "viewer"}), "email"),
        (json!({"email": "a@example.test", "role": "god"}), ""),
        (json!({"email": "a@example.test", "role": "viewer", "organization_id": OrganizationId::fresh()}), ""),
    ] {
        let refused = people.send(&admin, Method::POST, "/invites", Some(body)).await.expect(422);
        if !field.is_empty() {
            assert_eq!(refused.text("/errors/0/field"), field);
        }
    }
    for action in ["invite.created", "invite.resent", "invite.revoked"] {
        assert_eq!(people.acts(action).await, 1, "{action}");
    }
    // The address stands with the invite and in no record of an act.
    let told = "select count(*) from audit_log where details::text like '%new.colleague%'";
    assert_eq!(people.app.scene.number(told, &[]).await, 0);
}

#[tokio::test]
async fn invites_are_single_use_and_expire_and_are_for_one_address() {
    let people = People::new().await;
    let (admin, _) = people.member(Role::Admin).await;
    let (other, _) = people.app.scene.another_organization("other").await;
    let session = people.app.scene.session_of(other, Role::Viewer).await;
    let row = &people.app.scene.rows("select id, email from users order by id desc limit 1", &[]).await[0];
    let (user, email): (UserId, String) = (row.get(0), row.get(1));
    let invite = json!({"email": email, "role": "member"});
    let made = people.send(&admin, Method::POST, "/invites", Some(invite)).await.expect(201);
    let keys = Arc::new(testkit::key_ring());
    let token_of =
        |made: &Answer, purpose| keys.action_token(Action { purpose, id: made.text("/id").parse().unwrap() });
    let token = token_of(&made, ActionPurpose::Invite);
    let post = async |act: &str, token: &str, session: Option<&str>| {
        let router = invites::router(Invites { db: people.app.scene.db.app(), keys: keys.clone() });
        let body = Some(json!({"token": token}));
        people.app.send_as(router, Method::POST, &format!("/v1/invites/{act}"), body, session).await
    };
    let shown = post("show", &token, None).await.expect(200);
    assert_eq!(
        (shown.text("/organization_name"), shown.text("/email"), shown.text("/status")),
        ("acme", email.as_str(), "open")
    );
    for wrong in ["nonsense", &token_of(&made, ActionPurpose::ResetPassword)] {
        post("show", wrong, None).await.expect(404);
        post("accept", wrong, Some(&session)).await.expect(404);
    }
    // Neither nobody nor a program nor another person.
    post("accept", &token, None).await.expect(401);
    post("accept", &token, Some(&people.app.key)).await.expect(403);
    let refused = post("accept", &token, Some(&admin)).await.expect(409);
    assert_eq!(refused.text("/code"), "invite_for_another_address");

    let day = chrono::Duration::days(1);
    let now = testkit::scene::wednesday_morning();
    people.app.scene.db.set_clock(now + day * 7).await;
    assert_eq!(post("accept", &token, Some(&session)).await.expect(409).text("/code"), "invite_expired");
    people.app.scene.db.set_clock(now + day * 6).await;
    let accepted = post("accept", &token, Some(&session)).await.expect(200);
    assert_eq!((accepted.text("/organization_id"), accepted.text("/role")), (people.organization.as_str(), "member"));
    assert_eq!(post("accept", &token, Some(&session)).await.expect(409).text("/code"), "invite_used");
    let joined = "select count(*) from memberships where user_id = $1";
    assert_eq!(people.app.scene.number(joined, &[&user]).await, 2);
    let told =
        "select count(*) from audit_log where action = 'invite.accepted' and organization_id = $1 and actor_id = $2";
    assert_eq!(people.app.scene.number(told, &[&people.app.scene.organization, &user]).await, 1);
}

#[tokio::test]
async fn another_organization_is_made_by_a_person_alone() {
    let people = People::new().await;
    let (viewer, user) = people.member(Role::Viewer).await;
    let made = people.ask(&viewer, "organizations/create", &[]).await.expect(201);
    let id: OrganizationId = made.text("/id").parse().unwrap();
    let owner =
        "select count(*) from memberships where organization_id = $1 and user_id = $2::text::uuid and role = 'owner'";
    assert_eq!(people.app.scene.number(owner, &[&id, &user]).await, 1);
    assert_eq!(people.ask(&viewer, "organizations/create", &[]).await.expect(409).text("/code"), "slug_taken");
    people.ask(&people.app.key, "organizations/create", &[]).await.expect(403);
}

#[tokio::test]
async fn organization_id_role_and_is_admin_are_never_settable_from_a_body() {
    let people = People::new().await;
    let (owner, user) = people.member(Role::Owner).await;
    let before = people.app.scene.rows("select o::text from organizations o order by 1", &[]).await.len();
    for (method, rest, body) in [
        (Method::PATCH, String::new(), json!({"name": "Acme"})),
        (Method::PATCH, format!("/members/{user}"), json!({"role": "owner"})),
        (Method::POST, "/invites".to_owned(), json!({"email": "a@example.test", "role": "viewer"})),
        (Method::POST, "/delete".to_owned(), json!({"slug": "acme"})),
        (Method::POST, "/keys".to_owned(), json!({"name": "key", "scopes": ["lists:read"]})),
    ] {
        for (field, value) in [
            ("organization_id", json!(OrganizationId::fresh())),
            ("is_admin", json!(true)),
            ("user_id", json!(UserId::fresh())),
            ("plan_type", json!("enterprise")),
            ("status", json!("active")),
        ] {
            let mut body = body.clone();
            body[field] = value;
            people.send(&owner, method.clone(), &rest, Some(body)).await.expect(422);
        }
    }
    let body = json!({"name": "New", "slug": "new", "role": "owner"});
    let router = organizations::router(people.app.scene.db.app());
    people.app.send_as(router, Method::POST, "/v1/organizations", Some(body), Some(&owner)).await.expect(422);
    let after = people.app.scene.rows("select o::text from organizations o order by 1", &[]).await.len();
    assert_eq!(after, before);
    assert_eq!(people.app.scene.number("select count(*) from users where is_admin", &[]).await, 0);
}

#[tokio::test]
async fn an_organization_that_is_being_deleted_lets_nobody_in_and_comes_back_by_its_link() {
    let people = People::new().await;
    let (owner, _) = people.member(Role::Owner).await;
    let (admin, _) = people.member(Role::Admin).await;
    let slug = [("ORGANIZATION_SLUG", "acme")];
    people.ask(&admin, "organizations/delete", &slug).await.expect(403);
    let wrong = people.ask(&owner, "organizations/delete", &[("ORGANIZATION_SLUG", "Acme")]).await.expect(422);
    assert_eq!(wrong.text("/errors/0/code"), "mismatch");
    let deleting = people.ask(&owner, "organizations/delete", &slug).await.expect(200);
    assert_eq!((deleting.text("/status"), deleting.text("/delete_after")), ("deleting", "2026-04-03T10:00:00.000Z"));
    for credentials in [&owner, &admin, &people.app.key] {
        people.ask(credentials, "organizations/members_list", &[]).await.expect(401);
    }
    let deletion = "select deletion_id from organizations where slug = 'acme'";
    let id: uuid::Uuid = people.app.scene.rows(deletion, &[]).await[0].get(0);
    let keys = Arc::new(testkit::key_ring());
    let token = |purpose| keys.action_token(Action { purpose, id });
    let restore = async |token: &str| {
        let state = Restorations { db: people.app.scene.db.app(), keys: keys.clone() };
        call(restorations::router(state), filled_sample("organizations/restore", &[("TOKEN", token)])).await
    };
    for wrong in ["nonsense".to_owned(), token(ActionPurpose::Invite), token(ActionPurpose::ResetPassword)] {
        restore(&wrong).await.expect(404);
    }
    let right = token(ActionPurpose::RestoreOrganization);
    let restored = restore(&right).await.expect(200);
    assert_eq!((restored.text("/slug"), restored.text("/status")), ("acme", "active"));
    restore(&right).await.expect(404);
    people.ask(&owner, "organizations/members_list", &[]).await.expect(200);
    people.ask(&admin, "organizations/members_list", &[]).await.expect(401);
    let restored = "select count(*) from audit_log where action = 'organization.restored' and request_id is not null";
    assert_eq!(people.app.scene.number(restored, &[]).await, 1);
}
