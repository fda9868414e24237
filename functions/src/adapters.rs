//! What stands behind the ports that `shared` declares: SQS, SES, S3, Secrets Manager, the hosts of SNS, of identity
//! providers and of webhooks.

pub mod aws;
pub mod data_providers;
pub mod identities;
pub mod ledger_memory;
pub mod mail_exchanges;
pub mod object_store;
pub mod provider_host;
pub mod secrets;
pub mod ses;
pub mod ses_account;
pub mod sns_host;
pub mod sqs;
pub mod webhook_poster;
