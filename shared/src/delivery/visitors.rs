//! Visitors: who fetches a pixel or follows a link, and whether it is a machine, as far as one can tell.
//!
//! Much of what fetches mail's images and links is no person: image proxies, scanners that look behind links before the
//! mail is shown, previews of chat programs. What is known of them:
//!
//! - Gmail's image proxy says `(via ggpht.com GoogleImageProxy)`, and its prefetcher ends in `Edge/12.246 Mozilla/5.0`;
//!   Yahoo's says `YahooMailProxy`. Images that come through a proxy are fetched by it, whoever looks or nobody.
//! - Apple's Mail Privacy Protection fetches every image when a mail arrives, and says `Mozilla/5.0` and no more
//!   (help.socketlabs.com, "Identifying Apple MPP opens"). A real browser always says more.
//! - Crawlers and previews name themselves, by the custom of robots.txt (RFC 9309 section 2.2.1) with a word that ends in
//!   `bot`, or with `crawler`, `spider` or `preview`. HTTP libraries name themselves as well.
//! - Prefetching browsers send `Sec-Purpose: prefetch` (Fetch standard, section 3.8), older ones `Purpose` or `X-Moz`.
//! - Mail programs fetch by GET; whoever only asks whether there is something (HEAD, RFC 9110 section 9.3.2) checks links.
//! - Scanners behind common browser names are quick: nobody reads a mail and clicks within [`TOO_QUICK`] of its arrival.
//!
//! It errs both ways: a person behind an image proxy counts as a machine, and a scanner that takes its time and a
//! browser's name counts as a person. Nothing but statistics depends on it.

use std::fmt;
use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};
use sha2::{Digest, Sha256};

/// A click this soon after the mail has arrived is a scanner's.
pub const TOO_QUICK: Duration = Duration::seconds(2);

/// Longest user agent that is kept, in bytes: browsers have about 150.
const MAX_USER_AGENT: usize = 512;

/// How something was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As a person's program does.
    Get,
    /// Without its content.
    Head,
    /// Ahead of anybody's wish for it.
    Prefetch,
}

/// Whoever fetched something.
#[derive(Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The address, as the API's front door saw it.
    pub ip: Option<IpAddr>,
    /// What the program says it is; cut, and empty for nothing.
    pub user_agent: String,
    /// How it fetched.
    pub manner: Manner,
}

/// Why a visitor is taken for a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// It fetches images for people, or before them.
    ImageProxy,
    /// It looks behind links for a mail server.
    Scanner,
    /// It calls itself a robot, a preview or an HTTP library.
    Robot,
    /// It asked without wanting the content.
    Head,
    /// It fetched ahead.
    Prefetch,
    /// It says nothing of itself, which no browser does.
    Unnamed,
    /// It was quicker than a person.
    TooQuick,
}

impl Machine {
    /// Stable name, in the details of an event.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageProxy => "image_proxy",
            Self::Scanner => "scanner",
            Self::Robot => "robot",
            Self::Head => "head",
            Self::Prefetch => "prefetch",
            Self::Unnamed => "unnamed",
            Self::TooQuick => "too_quick",
        }
    }
}

/// It shows no address.
impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("manner", &self.manner).finish_non_exhaustive()
    }
}

impl Visitor {
    /// A visitor by what its request says.
    #[must_use]
    pub fn new(ip: Option<IpAddr>, user_agent: &str, manner: Manner) -> Self {
        let printable: String = user_agent.chars().filter(|c| !c.is_control()).collect();
        let cut = printable.trim();
        let end = cut.floor_char_boundary(MAX_USER_AGENT);
        Self { ip, user_agent: cut.get(..end).unwrap_or_default().to_owned(), manner }
    }

    /// Whether it is a machine by what it says and how it asks.
    #[must_use]
    pub fn machine(&self) -> Option<Machine> {
        match self.manner {
            Manner::Head => return Some(Machine::Head),
            Manner::Prefetch => return Some(Machine::Prefetch),
            Manner::Get => {}
        }
        let name = self.user_agent.to_ascii_lowercase();
        let says = |names: &[&str]| names.iter().any(|known| name.contains(known));
        if name.is_empty() {
            Some(Machine::Unnamed)
        } else if name == "mozilla/5.0" || says(IMAGE_PROXIES) || name.ends_with("edge/12.246 mozilla/5.0") {
            Some(Machine::ImageProxy)
        } else if says(SCANNERS) {
            Some(Machine::Scanner)
        } else if says(ROBOTS) || has_bot(&name) {
            Some(Machine::Robot)
        } else {
            None
        }
    }
}

/// An open of a mail, or a click in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Whoever did it.
    pub visitor: Visitor,
    /// What tells the link that was followed from the others of the mail; none for an open.
    pub link: Option<String>,
}

impl Visit {
    /// Whether it is a machine's, so long after the mail has arrived, where that is known.
    #[must_use]
    pub(super) fn machine(&self, since_arrival: Option<Duration>) -> Option<Machine> {
        let too_quick = self.link.is_some() && since_arrival.is_some_and(|passed| passed <= TOO_QUICK);
        self.visitor.machine().or(too_quick.then_some(Machine::TooQuick))
    }

    /// The same visitor does the same thing once a minute: what comes more often is a reload, or somebody who fills the table.
    #[must_use]
    pub(super) fn dedupe_key(&self, kind: &str, is_machine: bool, at: DateTime<Utc>) -> String {
        let who = if is_machine { "machine" } else { "person" };
        let minute = at.timestamp().div_euclid(Duration::minutes(1).num_seconds());
        format!("{kind}/{who}/{}/{minute}", self.fingerprint())
    }

    /// A short name for the same visitor and link, from which neither address nor program can be read.
    fn fingerprint(&self) -> String {
        let Visitor { ip, user_agent, .. } = &self.visitor;
        let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
        let link = self.link.as_deref().unwrap_or_default();
        let digest = Sha256::new()
            .chain_update(ip)
            .chain_update(b"\0")
            .chain_update(user_agent)
            .chain_update(b"\0")
            .chain_update(link)
            .finalize();
        data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default())
    }
}

/// Fetch images for people or before them.
const IMAGE_PROXIES: &[&str] = &["googleimageproxy", "ggpht.com", "yahoomailproxy", "yahoocachesystem"];

/// Look behind links for a mail server; they rarely say so.
const SCANNERS: &[&str] = &[
    "barracuda",
    "bitdefender",
    "cisco ironport",
    "fireeye",
    "forcepoint",
    "fortimail",
    "kaspersky",
    "mcafee",
    "mimecast",
    "proofpoint",
    "safelinks",
    "sophos",
    "symantec",
    "trend micro",
    "trendmicro",
    "urldefense",
    "zscaler",
];

/// Crawlers, previews, browsers without a screen, and HTTP libraries.
const ROBOTS: &[&str] = &[
    "crawler",
    "spider",
    "preview",
    "scanner",
    "externalhit",
    "whatsapp/",
    "headless",
    "phantomjs",
    "slurp",
    "curl/",
    "wget/",
    "libwww",
    "python-",
    "python/",
    "aiohttp",
    "go-http-client",
    "java/",
    "okhttp",
    "apache-httpclient",
    "node-fetch",
    "axios/",
    "undici",
    "reqwest/",
    "guzzlehttp",
    "postmanruntime",
];

/// Is there a word that ends in `bot` or `bots`? Cubot is a maker of telephones.
fn has_bot(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphabetic())
        .any(|word| (word.ends_with("bot") || word.ends_with("bots")) && word != "cubot")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(user_agent: &str) -> Option<Machine> {
        Visitor::new(None, user_agent, Manner::Get).machine()
    }

    #[test]
    fn people_are_people() {
        for user_agent in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0",
            "Mozilla/5.0 (Linux; Android 13; CUBOT KINGKONG 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
        ] {
            assert_eq!(by(user_agent), None, "{user_agent}");
        }
    }

    #[test]
    fn machines_that_say_so_are_machines() {
        for (user_agent, machine) in [
            ("", Machine::Unnamed),
            (" \t", Machine::Unnamed),
            ("Mozilla/5.0", Machine::ImageProxy),
            (
                "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
                Machine::ImageProxy,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
                Machine::ImageProxy,
            ),
            ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", Machine::ImageProxy),
            ("BarracudaCentral", Machine::Scanner),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Machine::Robot),
            ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", Machine::Robot),
            ("facebookexternalhit/1.1", Machine::Robot),
            ("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", Machine::Robot),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/130.0 Safari/537.36",
                Machine::Robot,
            ),
            ("curl/8.5.0", Machine::Robot),
            ("python-requests/2.32", Machine::Robot),
            ("Go-http-client/2.0", Machine::Robot),
        ] {
            assert_eq!(by(user_agent), Some(machine), "{user_agent}");
        }
    }

    #[test]
    fn the_manner_tells_before_the_name() {
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(Visitor::new(None, browser, Manner::Head).machine(), Some(Machine::Head));
        assert_eq!(Visitor::new(None, browser, Manner::Prefetch).machine(), Some(Machine::Prefetch));
    }

    #[test]
    fn a_click_is_too_quick_only_right_after_the_arrival() {
        let visitor = Visitor::new(None, "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0", Manner::Get);
        let click = Visit { visitor, link: Some("one".to_owned()) };
        let after = |milliseconds| click.machine(Some(Duration::milliseconds(milliseconds)));
        assert_eq!(after(0), Some(Machine::TooQuick));
        assert_eq!(after(2_000), Some(Machine::TooQuick));
        assert_eq!(after(2_001), None);
        assert_eq!(after(-60_000), Some(Machine::TooQuick), "before it was delivered");
        assert_eq!(click.machine(None), None);
        let open = Visit { link: None, ..click };
        assert_eq!(open.machine(Some(Duration::zero())), None, "a mail may be read as it arrives");
    }

    #[test]
    fn a_user_agent_is_cut_and_cleaned() {
        let visitor = Visitor::new(None, &format!("  a\0\r\nb{}", "é".repeat(1_000)), Manner::Get);
        assert!(visitor.user_agent.len() <= MAX_USER_AGENT && visitor.user_agent.starts_with("abé"));
    }

    #[test]
    fn the_same_visit_has_one_key_a_minute_that_shows_no_address() {
        let visit = |last, link: Option<&str>| Visit {
            visitor: Visitor::new(Some(IpAddr::from([192, 0, 2, last])), "x", Manner::Get),
            link: link.map(str::to_owned),
        };
        let key =
            |visit: Visit, seconds| visit.dedupe_key("clicked", false, DateTime::from_timestamp(seconds, 0).unwrap());
        let known = key(visit(1, Some("a")), 60);
        assert_eq!(known, key(visit(1, Some("a")), 119));
        for other in [key(visit(1, Some("a")), 120), key(visit(2, Some("a")), 60), key(visit(1, Some("b")), 60)] {
            assert_ne!(known, other);
        }
        assert_ne!(known, visit(1, Some("a")).dedupe_key("clicked", true, DateTime::from_timestamp(60, 0).unwrap()));
        assert!(!format!("{:?} {known}", visit(1, None)).contains("192"));
    }
}
