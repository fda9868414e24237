//! The origins of pages, as browsers write them (RFC 6454), and the URLs of pages.

/// Characters of a URL.
pub(in crate::audience) const URL_MAXIMUM: usize = 2_000;
/// Characters of a host's name.
const HOST_MAXIMUM: usize = 253;

/// An origin as a browser sends it: in small letters, without the port that the scheme has anyway. None for anything else, `null` and
/// patterns among them: what a page of no origin or of any could use is no list of pages.
pub(super) fn normalized(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://")?;
    let own_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match authority.rsplit_once(':').filter(|(_, rest)| !rest.contains(']')) {
        Some((host, port)) => (host, Some(read_port(port)?)),
        None => (authority, None),
    };
    if !is_host(host) {
        return None;
    }
    Some(match port.filter(|port| *port != own_port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

fn read_port(text: &str) -> Option<u16> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// Whether it is a name in ASCII or an address. Browsers write names of other letters in ASCII as well.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok_and(|its| its.to_string() == address);
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= HOST_MAXIMUM && host.split('.').all(is_label)
}

/// Whether the text is an http or https URL that can stand in a header and in a page as it is. Nobody here fetches it.
pub(in crate::audience) fn is_page_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`');
    url.len() <= URL_MAXIMUM && url.bytes().all(is_plain) && normalized(&format!("{scheme}://{authority}")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_writes() {
        for (given, normal) in [
            ("https://www.example.com", "https://www.example.com"),
            ("HTTPS://WWW.Example.com", "https://www.example.com"),
            ("https://example.com:443", "https://example.com"),
            ("http://example.com:80", "http://example.com"),
            ("http://example.com:443", "http://example.com:443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(normalized(given).as_deref(), Some(normal), "{given}");
        }
        for other in [
            "",
            "null",
            "*",
            "https://*",
            "https://*.example.com",
            "example.com",
            "https://",
            "https://example.com/",
            "https://example.com/page",
            "https://example.com?a",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:080",
            "https://example.com:65536",
            "https://example.com:+80",
            "https://exa mple.com",
            "https://example..com",
            "https://bücher.example",
            "ftp://example.com",
            "javascript://example.com",
            "http://[::1",
            "http://[0::1]",
            "https://example.com\r\n",
        ] {
            assert_eq!(normalized(other), None, "{other}");
        }
    }

    #[test]
    fn a_page_is_reached_by_http_or_https_without_credentials() {
        for good in ["https://example.com", "https://example.com/thanks?a=b#c", "http://localhost:3000/a%20b"] {
            assert!(is_page_url(good), "{good}");
        }
        let long = format!("https://example.com/{}", "a".repeat(URL_MAXIMUM));
        for bad in [
            "",
            "/thanks",
            "//example.com/thanks",
            "javascript:alert(1)",
            "https://user:secret@example.com/",
            "https://example.com/a b",
            "https://example.com/\r\nset-cookie: a=b",
            "https://example.com\\@other.example",
            "https://example.com/\"",
            "https://bücher.example/",
            long.as_str(),
        ] {
            assert!(!is_page_url(bad), "{bad}");
        }
    }
}
