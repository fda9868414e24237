//! Who takes the mail of a domain, by DNS.
//!
//! Names are asked for as they are, whatever domain this machine is in. Answers are kept by this process for as long as DNS says,
//! within bounds: a domain that has no mail host today may have one tomorrow.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use shared::audience::verifications::checking::{MailHost, MailHosts};
use shared::platform::webhooks::is_local_name;
use shared::{Error, Result};

/// How long one server is waited for, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// All of a look-up, with the one for an address behind it.
const PATIENCE: Duration = Duration::from_secs(6);
/// Domains that are remembered.
const CACHE: u64 = 10_000;
/// How long an answer is kept at least and at most, and one that there is nothing.
const KEPT: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(24 * 60 * 60));
const NOTHING_KEPT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(60 * 60));

/// DNS by the servers of this machine, or others.
pub struct MailExchanges {
    resolver: TokioResolver,
}

impl MailExchanges {
    /// By the servers that this machine asks.
    ///
    /// Errors: [`Error::Internal`] where it says of none.
    pub fn of_machine() -> Result<Self> {
        let mut builder = TokioResolver::builder_tokio().map_err(Error::internal)?;
        set(builder.options_mut());
        Ok(Self { resolver: builder.build().map_err(Error::internal)? })
    }

    /// By one server.
    ///
    /// Errors: [`Error::Internal`].
    pub fn of_server(server: SocketAddr) -> Result<Self> {
        let mut by = NameServerConfig::udp_and_tcp(server.ip());
        for connection in &mut by.connections {
            connection.port = server.port();
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![by]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        set(builder.options_mut());
        Ok(Self { resolver: builder.build().map_err(Error::internal)? })
    }

    async fn ask(&self, domain: &str) -> MailHost {
        // What a network of our own has names for is nobody else's to know.
        if is_local_name(domain) {
            return MailHost::Absent;
        }
        let name = format!("{domain}.");
        match self.resolver.mx_lookup(name.as_str()).await {
            Ok(found) => {
                let exchanges: Vec<bool> = found
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::MX(exchange) => Some(exchange.exchange.is_root()),
                        _ => None,
                    })
                    .collect();
                match exchanges.as_slice() {
                    [] => self.ask_for_address(&name).await,
                    // RFC 7505: an exchange that is the root says that there is none.
                    all if all.iter().all(|is_root| *is_root) => MailHost::NullMx,
                    _ => MailHost::Present,
                }
            }
            Err(error) if error.is_nx_domain() => MailHost::Absent,
            Err(error) if is_nothing(&error) => self.ask_for_address(&name).await,
            Err(_) => MailHost::Unknown,
        }
    }

    /// Without an MX record a host is its own (RFC 5321 section 5.1).
    async fn ask_for_address(&self, name: &str) -> MailHost {
        match self.resolver.lookup_ip(name).await {
            Ok(found) if found.iter().next().is_some() => MailHost::Present,
            Ok(_) => MailHost::Absent,
            Err(error) if is_nothing(&error) => MailHost::Absent,
            Err(_) => MailHost::Unknown,
        }
    }
}

impl MailHosts for MailExchanges {
    fn look_up<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, MailHost> {
        Box::pin(async move { tokio::time::timeout(PATIENCE, self.ask(domain)).await.unwrap_or(MailHost::Unknown) })
    }
}

/// Whether DNS has answered that there is nothing, and not that it can't say.
fn is_nothing(error: &NetError) -> bool {
    use hickory_resolver::net::DnsError;
    use hickory_resolver::proto::op::ResponseCode;

    match error {
        NetError::Dns(DnsError::NoRecordsFound(nothing)) => {
            matches!(nothing.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
        }
        _ => false,
    }
}

fn set(options: &mut ResolverOpts) {
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.cache_size = CACHE;
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = 0;
    (options.positive_min_ttl, options.positive_max_ttl) = (Some(KEPT.0), Some(KEPT.1));
    (options.negative_min_ttl, options.negative_max_ttl) = (Some(NOTHING_KEPT.0), Some(NOTHING_KEPT.1));
}

#[cfg(test)]
mod tests;
