//! One-click unsubscribes as a mailbox provider makes them (RFC 8058).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url, redirect};

use super::store::Mail;

/// How long an unsubscribe may take: a function may have to start first.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes the requests.
#[derive(Debug, Clone)]
pub(crate) struct Unsubscriber {
    client: Client,
}

impl Unsubscriber {
    /// A client that reaches the local stack and nothing else.
    ///
    /// # Errors
    ///
    /// Fails where the HTTP client cannot be built.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            // RFC 8058, section 3.1: the sender must not answer with a redirect, so none is followed.
            .redirect(redirect::Policy::none())
            .dns_resolver(std::sync::Arc::new(LocalNames))
            .no_proxy()
            .build()?;
        Ok(Self { client })
    }

    /// Unsubscribes the recipient of a mail, and says how it was answered.
    ///
    /// # Errors
    ///
    /// Fails where the mail offers no one-click unsubscribe, where its address is not a local one,
    /// and where the answer is not a 2xx.
    pub(crate) async fn unsubscribe(&self, mail: &Mail) -> anyhow::Result<String> {
        let offered = mail.header("List-Unsubscribe").context("the mail has no List-Unsubscribe")?;
        let one_click = mail.header("List-Unsubscribe-Post").context("the mail has no List-Unsubscribe-Post")?;
        ensure!(
            one_click.trim().eq_ignore_ascii_case("List-Unsubscribe=One-Click"),
            "List-Unsubscribe-Post offers no one-click unsubscribe"
        );
        let url = web_address(offered).context("List-Unsubscribe has no web address")?;
        refuse_remote(&url)?;
        let request = self.client.post(url).form(&[("List-Unsubscribe", "One-Click")]);
        let status = request.send().await?.status();
        ensure!(status.is_success(), "answered {status}");
        Ok(format!("answered {status}"))
    }
}

/// The first web address among the `<…>` of a List-Unsubscribe header (RFC 2369).
pub(crate) fn web_address(header: &str) -> Option<Url> {
    header
        .split('<')
        .skip(1)
        .filter_map(|part| part.split_once('>').map(|(address, _)| address.trim()))
        .filter_map(|address| Url::parse(address).ok())
        .find(|url| matches!(url.scheme(), "http" | "https"))
}

/// Refuses addresses beyond this machine: a mail that was pasted into the local stack may carry the
/// links of a real one, and nobody may be unsubscribed there by a test.
pub(super) fn refuse_remote(url: &Url) -> anyhow::Result<()> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let local = match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => is_local_name(host),
    };
    if !local {
        bail!("{host} is not on this machine, so nothing was requested");
    }
    Ok(())
}

/// Whether a name is one of this machine (RFC 6761, section 6.3).
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Names under `localhost` are this machine, whether or not the system's resolver knows that; the
/// Host header keeps the name.
#[derive(Debug)]
pub(super) struct LocalNames;

impl Resolve for LocalNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            if is_local_name(name.as_str()) {
                // The port is a place holder: the URL's own port counts.
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                Ok(Box::new(std::iter::once(address)) as Addrs)
            } else {
                Err(format!("{} is not on this machine", name.as_str()).into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postbox::testing::{FakeEmulator, kept_mail_with};

    #[test]
    fn the_web_address_is_found_among_others() {
        let found = web_address("<mailto:u@example.com?subject=u>, <http://api.localhost:8/u/t>").unwrap();
        assert_eq!(found.as_str(), "http://api.localhost:8/u/t");
        assert!(web_address("<mailto:u@example.com>").is_none());
        assert!(web_address("http://api.localhost/u/t").is_none());
    }

    #[tokio::test]
    async fn the_post_is_as_rfc_8058_says_and_keeps_the_host() {
        let emulator = FakeEmulator::start().await;
        let url = format!("http://abc.execute-api.localhost:{}/u/t0k3n", emulator.port());
        let mail = kept_mail_with(&url);
        let answer = Unsubscriber::new().unwrap().unsubscribe(&mail).await.unwrap();
        assert_eq!(answer, "answered 200 OK");
        let seen = emulator.take_unsubscribes();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].host, format!("abc.execute-api.localhost:{}", emulator.port()));
        assert_eq!(seen[0].content_type, "application/x-www-form-urlencoded");
        assert_eq!(seen[0].body, "List-Unsubscribe=One-Click");
    }

    #[tokio::test]
    async fn nothing_beyond_this_machine_is_asked() {
        let unsubscriber = Unsubscriber::new().unwrap();
        for url in ["http://example.com/u/t", "http://192.0.2.1/u/t", "http://localhost.example.com/u"] {
            let error = unsubscriber.unsubscribe(&kept_mail_with(url)).await.unwrap_err();
            assert!(error.to_string().contains("not on this machine"), "{url}: {error}");
        }
    }
}
