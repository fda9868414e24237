//! One AWS configuration and one HTTP client for every service that a function calls.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sesv2::config::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

use crate::environment::optional;

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
    #[must_use]
    pub fn load() -> Self {
        // Built by hand with ring: the SDK's default brings aws-lc, which is larger and slower to start.
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        // Put together by hand as well: the SDK's own loader looks for credentials in files and on the network, where a
        // function has none, and brings the clients of the services that it would ask.
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(optional("AWS_REGION").map(Region::new))
            .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
            .timeout_config(TimeoutConfig::builder().operation_timeout(OPERATION_TIMEOUT).build())
            .http_client(http);
        config.set_endpoint_url(optional("AWS_ENDPOINT_URL"));
        Self { config: config.build() }
    }

    /// The configuration for SES, whose stand-in has an address of its own on the local stack.
    #[must_use]
    pub fn ses_config(&self) -> SdkConfig {
        let mut config = self.config.to_builder();
        if let Some(url) = optional("AWS_ENDPOINT_URL_SESV2") {
            config.set_endpoint_url(Some(url));
        }
        config.build()
    }
}
