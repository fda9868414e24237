//! One AWS configuration and one HTTP client for every service that a function calls.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

/// Longer than this no call of ours waits, apart from sending, which sets its own.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach AWS: credentials, region, endpoints and the HTTP client.
#[derive(Clone)]
pub struct Aws {
    /// The configuration from which a service's client is made.
    pub config: SdkConfig,
}

impl Aws {
    /// Reads region, credentials and endpoints from the environment, as Lambda sets them.
    pub async fn load() -> Self {
        // Built by hand with ring: the SDK's default brings aws-lc, which is larger and slower to start.
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .timeout_config(aws_config::timeout::TimeoutConfig::builder().operation_timeout(OPERATION_TIMEOUT).build())
            .load()
            .await;
        Self { config }
    }
}
