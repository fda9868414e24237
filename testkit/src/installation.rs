//! The functions as template.yaml has them installed: each with its variables, its database role and its secrets.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use shared::OrganizationId;
use shared::db::{Config, Stage};

use crate::TestDb;
use crate::aws_stand_in::AwsStandIn;
use crate::runtime_api::{Environment, Function, events};

/// The bucket of uploads.
pub const BUCKET: &str = "uploads";
/// The queue of messages to send.
pub const SEND_QUEUE: &str = "send";
/// The queue of imports.
pub const IMPORT_QUEUE: &str = "import";
/// The queue of jobs.
pub const JOB_QUEUE: &str = "job";
/// The queue of enrichment and verification.
pub const ENRICHMENT_QUEUE: &str = "enrichment";
/// The queue of what is told elsewhere.
pub const WEBHOOK_QUEUE: &str = "webhook";

const TOKEN_SECRET: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:tokens";
/// A machine under heavy load starts a function slowly. Nothing waits for this unless something hangs.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A database and the AWS stand-in, and the functions between them.
pub struct Installation<'a> {
    db: &'a TestDb,
    /// What the functions call in AWS.
    pub aws: AwsStandIn,
}

impl<'a> Installation<'a> {
    /// Functions on this database.
    pub async fn new(db: &'a TestDb) -> Self {
        let aws = AwsStandIn::start().await;
        aws.put_secret(TOKEN_SECRET, crate::KEYS);
        Self { db, aws }
    }

    /// The function `name`, whose binary is at `binary`, with every variable that a function may ask for.
    pub fn function(&self, name: &str, binary: impl AsRef<Path>) -> Function {
        let Config { host, port, dbname, user, password, stage, .. } = self.db.config(role(name));
        let secret = format!("arn:aws:secretsmanager:eu-central-1:000000000000:secret:{user}");
        self.aws.put_secret(&secret, json!({ "username": user, "password": password }).to_string());
        let mut function = Function::new(name, binary.as_ref())
            .timeout(TIMEOUT)
            .variable("AWS_ENDPOINT_URL", self.aws.url())
            .variable("DATABASE_HOST", host)
            .variable("DATABASE_PORT", port.to_string())
            .variable("DATABASE_NAME", dbname)
            .variable("DATABASE_TLS", "disable")
            .variable("DATABASE_SECRET_ARN", secret)
            .variable("TOKEN_SECRET_ARN", TOKEN_SECRET)
            .variable("SEND_QUEUE_URL", self.aws.queue_url(SEND_QUEUE))
            .variable("IMPORT_QUEUE_URL", self.aws.queue_url(IMPORT_QUEUE))
            .variable("JOB_QUEUE_URL", self.aws.queue_url(JOB_QUEUE))
            .variable("ENRICHMENT_QUEUE_URL", self.aws.queue_url(ENRICHMENT_QUEUE))
            .variable("WEBHOOK_QUEUE_URL", self.aws.queue_url(WEBHOOK_QUEUE))
            .variable("UPLOADS_BUCKET", BUCKET)
            .variable("SES_CONFIGURATION_SET", "driver")
            .variable("REPLY_DOMAIN", "reply.example.test")
            .variable("PUBLIC_URL", "https://mail.example.test");
        if stage == Stage::Local {
            function = function.variable("LOCAL_STACK", "1");
        }
        function
    }

    /// Starts an import of `file` with these wishes (fields of `POST /v1/imports`) by the function `imports`, whose hint of it then
    /// waits in [`IMPORT_QUEUE`].
    ///
    /// Panics where the function refuses it.
    pub async fn start_import(
        &self,
        imports: &Environment,
        organization: OrganizationId,
        api_key: &str,
        wishes: &Value,
        file: Vec<u8>,
    ) {
        let call = async |path: &str, body: &Value| -> Value {
            let request = events::http_request("POST", path, Some(api_key), Some(body));
            let answer = imports.invoke(&request).await.outcome.answer();
            assert!(answer["statusCode"].as_u64().is_some_and(|status| status < 300), "{answer:#}");
            serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
        };
        let mut new = wishes.clone();
        new["file_name"] = json!("people.csv");
        // Put at once, whatever it has: the stand-in takes it.
        new["size"] = json!(1);
        let made = call("/v1/imports", &new).await;
        let id = made["id"].as_str().unwrap();
        self.aws.put_object(BUCKET, &format!("uploads/{organization}/{id}"), file);
        call(&format!("/v1/imports/{id}/start"), &json!({})).await;
    }
}

/// The role that a function logs in as, as the mapping Functions of template.yaml has it.
fn role(function: &str) -> &'static str {
    match function {
        "scheduler" => "martlet_scheduler",
        "sender" => "martlet_sender",
        "feedback" => "martlet_feedback",
        "inbound" => "martlet_inbound",
        "auth" => "martlet_identity",
        "dispatcher" => "martlet_dispatcher",
        "admin" => "martlet_admin",
        "maintenance" => "martlet_maintenance",
        "stripe_events" => "martlet_billing",
        "migrate" => "owner",
        _ => "martlet_app",
    }
}
