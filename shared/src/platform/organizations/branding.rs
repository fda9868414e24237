//! How an organization looks to the people it writes to: a name, a colour and a logo.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::logos;
use crate::Result;
use crate::fields::{Fields, patched};

/// Characters of the name.
const NAME_MAXIMUM: usize = 200;
/// Characters of a logo's URL.
const URL_MAXIMUM: usize = 2_000;

/// The look of an organization; null stands for Martlet's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Branding {
    /// The name that stands with the logo.
    pub name: Option<String>,
    /// `#rrggbb`, in lower case.
    pub colour: Option<String>,
    /// Where the logo is, by https.
    pub logo_url: Option<String>,
    /// Where the logo is that was uploaded, as a path below the API's address. It is set and removed by itself.
    pub logo_path: Option<String>,
}

/// What changes of the look; absent fields stay as they are, null takes them away.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BrandingFields {
    /// The name that stands with the logo.
    #[serde(deserialize_with = "patched")]
    pub name: Option<Option<String>>,
    /// `#rrggbb`.
    #[serde(deserialize_with = "patched")]
    pub colour: Option<Option<String>>,
    /// Where the logo is, by https.
    #[serde(deserialize_with = "patched")]
    pub logo_url: Option<Option<String>>,
}

impl Branding {
    pub(super) fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            name: row.try_get("brand_name")?,
            colour: row.try_get("brand_colour")?,
            logo_url: row.try_get("brand_logo_url")?,
            logo_path: logos::path_from_row(row)?,
        })
    }

    /// With the changes: `None` changes nothing, `Some(None)` takes the whole look away.
    pub(super) fn with(self, changes: Option<Option<BrandingFields>>, fields: &mut Fields) -> Self {
        let Some(changes) = changes else { return self };
        let Some(changes) = changes else { return Self { logo_path: self.logo_path, ..Self::default() } };
        Self {
            logo_path: self.logo_path,
            name: match changes.name {
                Some(name) => fields.line("branding.name", name.as_deref(), NAME_MAXIMUM),
                None => self.name,
            },
            colour: match changes.colour {
                Some(colour) => colour.map(|colour| check_colour(fields, &colour)),
                None => self.colour,
            },
            logo_url: match changes.logo_url {
                Some(url) => url.inspect(|url| check_logo_url(fields, url)),
                None => self.logo_url,
            },
        }
    }
}

fn check_colour(fields: &mut Fields, colour: &str) -> String {
    let digits = colour.strip_prefix('#').unwrap_or_default();
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        fields.refuse("branding.colour", "invalid", "branding.colour is written #rrggbb");
    }
    colour.to_ascii_lowercase()
}

fn check_logo_url(fields: &mut Fields, url: &str) {
    if !is_https_url(url) {
        let message = "branding.logo_url is an absolute https URL without credentials, in ASCII";
        fields.refuse("branding.logo_url", "invalid_url", message);
    } else if url.len() > URL_MAXIMUM {
        let message = format!("branding.logo_url has {URL_MAXIMUM} characters at most");
        fields.refuse("branding.logo_url", "too_long", message);
    }
}

/// Whether the text is an https URL that can stand in an attribute of a page as it is. Nobody here fetches it.
fn is_https_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':');
    let is_plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`');
    host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.bytes().all(is_host) && url.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_reached_by_https_and_by_nothing_else() {
        for good in
            ["https://example.test/logo.png", "https://cdn.example.test:8443/a?b=c%20d#e", "https://example.test"]
        {
            assert!(is_https_url(good), "{good}");
        }
        for bad in [
            "",
            "http://example.test/logo.png",
            "HTTPS://example.test",
            "https://",
            "https:///logo.png",
            "https://.test",
            "https://user:secret@example.test/",
            "https://example.test/a b",
            "https://example.test/\"onload=\"",
            "https://example.test/\n",
            "https://exämple.test/",
            "javascript:alert(1)",
            "data:image/png;base64,AAAA",
            " https://example.test",
        ] {
            assert!(!is_https_url(bad), "{bad}");
        }
    }

    #[test]
    fn absent_fields_stay_and_null_takes_away() {
        let present = Branding {
            name: Some("Acme".into()),
            colour: Some("#112233".into()),
            logo_url: Some("https://example.test/logo.png".into()),
            logo_path: Some("/logos/1/a.png".into()),
        };
        let with = |json: &str| {
            let mut fields = Fields::default();
            let changes: Option<BrandingFields> = serde_json::from_str(json).unwrap();
            let changed = present.clone().with(Some(changes), &mut fields);
            fields.finish().map(|()| changed)
        };
        assert_eq!(with("{}").unwrap(), present);
        assert_eq!(with("null").unwrap(), Branding { logo_path: present.logo_path.clone(), ..Branding::default() });
        let changed = with(r##"{"colour": "#AABBCC", "logo_url": null}"##).unwrap();
        assert_eq!(changed, Branding { colour: Some("#aabbcc".into()), logo_url: None, ..present.clone() });
        for bad in
            [r##"{"colour": "aabbcc"}"##, r##"{"colour": "#abc"}"##, r##"{"colour": "#gggggg"}"##, r#"{"colour": ""}"#]
        {
            assert!(with(bad).is_err(), "{bad}");
        }
    }
}
