//! The address of an endpoint, as far as it can be judged before its name is looked up.
//!
//! It is narrower than what a URL may be (RFC 3986), so that nobody after us reads it otherwise: letters, digits, dots and hyphens
//! name a host, or four numbers, or an address of IPv6 in brackets; what other programs would take for a number is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::addresses;

/// Characters of an address.
const MAXIMUM: usize = 2_000;
/// The port of HTTPS.
const HTTPS: u16 = 443;
/// Below this the ports belong to other services (RFC 6335), some of which can be spoken to by HTTP.
const FIRST_FREE_PORT: u16 = 1_024;

/// How far requests may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To what everybody can reach, by HTTPS.
    Public,
    /// To this machine as well, by HTTP too: on the local stack and in tests.
    Loopback,
}

impl Reach {
    /// Whether a request may go to this address.
    #[must_use]
    pub fn admits(self, address: IpAddr) -> bool {
        addresses::is_public(address) || (self == Self::Loopback && address.to_canonical().is_loopback())
    }
}

/// Why an address can't be an endpoint's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// It is no URL of the form that is taken.
    #[error("it is a URL such as https://example.com/hooks: a name in ASCII, a port or none, a path")]
    Form,
    /// It is not HTTPS.
    #[error("it begins with https://")]
    Scheme,
    /// It has a user or a password.
    #[error("it has no user and no password")]
    UserInfo,
    /// Its port is another service's.
    #[error("its port is 443, or 1024 and above")]
    Port,
    /// It leads where not everybody can go.
    #[error("it leads to an address that everybody can reach")]
    Private,
}

impl BadTarget {
    /// Stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "not_a_url",
            Self::Scheme => "not_https",
            Self::UserInfo => "has_credentials",
            Self::Port => "port_not_allowed",
            Self::Private => "address_not_public",
        }
    }
}

/// An address that may be an endpoint's, unless its name turns out to lead elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: String,
    host: Host,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`BadTarget`] says why it is none.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, BadTarget> {
        let is_printable = |byte: u8| {
            byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
        };
        if text.len() > MAXIMUM || !text.bytes().all(is_printable) || text.contains('#') {
            return Err(BadTarget::Form);
        }
        let (scheme, rest) = text.split_once("://").ok_or(BadTarget::Form)?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" if reach == Reach::Loopback => false,
            _ => return Err(BadTarget::Scheme),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(BadTarget::UserInfo);
        }
        let (host, port) = split_port(authority).ok_or(BadTarget::Form)?;
        if !port.is_none_or(|port| port == HTTPS || port >= FIRST_FREE_PORT) {
            return Err(BadTarget::Port);
        }
        let host = Host::parse(host).ok_or(BadTarget::Form)?;
        match &host {
            Host::Address(address) if !reach.admits(*address) => return Err(BadTarget::Private),
            // Whatever else it may lead to, it is not the public's.
            Host::Name(name) if reach == Reach::Public && is_local_name(name) => return Err(BadTarget::Private),
            _ => {}
        }
        let leads_here = match &host {
            Host::Address(address) => address.to_canonical().is_loopback(),
            Host::Name(name) => name == "localhost",
        };
        if !is_https && !leads_here {
            return Err(BadTarget::Scheme);
        }
        let scheme = if is_https { "https" } else { "http" };
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { url: format!("{scheme}://{}{slash}{path}", authority.to_ascii_lowercase()), host })
    }

    /// The address as it is asked for.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address that it names itself, without any name to be looked up.
    #[must_use]
    pub fn literal_address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Address(address) => Some(address),
            Host::Name(_) => None,
        }
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Some(bracketed) = text.strip_prefix('[') {
            // A zone (RFC 6874) says which link of this machine is meant, and does not parse.
            return Some(Self::Address(bracketed.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into()));
        }
        let name = text.to_ascii_lowercase();
        let labels: Vec<&str> = name.strip_suffix('.').unwrap_or(&name).split('.').collect();
        let is_label = |label: &&str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() > 253 || !labels.iter().all(is_label) {
            return None;
        }
        // What ends in a number is an address or nothing (WHATWG URL, ends-in-a-number): 127.1 and 0x7f000001 lead home.
        let last = labels.last()?;
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
            || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if is_number {
            return name.parse::<Ipv4Addr>().ok().map(|address| Self::Address(address.into()));
        }
        Some(Self::Name(name))
    }
}

/// Names that lead into a network of one's own (RFC 6761, RFC 6762, RFC 8375, ICANN's .internal); those of one label do as well.
pub fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    !name.contains('.')
        || [".localhost", ".local", ".internal", ".home.arpa", ".onion"].iter().any(|suffix| name.ends_with(suffix))
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(after_brackets..)?.rsplit_once(':') {
        None => Some((authority, None)),
        Some((_, port)) => {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            let number = port.parse().ok().filter(|_| is_number)?;
            Some((authority.get(..authority.len() - port.len() - 1)?, Some(number)))
        }
    }
}

#[cfg(test)]
mod tests;
