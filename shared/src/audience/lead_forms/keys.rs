//! The key of a form: `lead_`, the id of its organization, and chance.
//!
//! It stands in a page, so it is told to everybody and is stored as it is. It carries the organization, so that looking the form up is
//! tenant work like any other; the chance in it keeps keys of one organization apart, and from being found by trying.

use data_encoding::HEXLOWER;
use uuid::Uuid;

use crate::{Error, OrganizationId, Result};

/// How every key begins.
const PREFIX: &str = "lead_";
/// Bytes of an organization's id.
const ID: usize = 16;
/// Bytes of chance: nobody meets a form by trying, however many there are.
const CHANCE: usize = 12;

/// A key as a page sends it. Whether there is such a form only the database knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadKey {
    organization: OrganizationId,
    text: String,
}

impl LeadKey {
    /// Makes a key of an organization.
    pub(super) fn mint(organization: OrganizationId) -> Result<Self> {
        let mut chance = [0; CHANCE];
        getrandom::fill(&mut chance).map_err(|error| Error::internal(error.to_string()))?;
        let bytes = [organization.0.as_bytes().as_slice(), &chance].concat();
        Ok(Self { organization, text: format!("{PREFIX}{}", HEXLOWER.encode(&bytes)) })
    }

    /// Reads a key.
    ///
    /// Errors: [`Error::NotFound`] for anything that has not the form of one.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = text.strip_prefix(PREFIX).and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
        let bytes = bytes.filter(|bytes| bytes.len() == ID + CHANCE);
        let organization = bytes.and_then(|bytes| Uuid::from_slice(&bytes[..ID]).ok());
        let organization = OrganizationId(organization.ok_or(Error::not_found("lead form"))?);
        Ok(Self { organization, text: text.to_owned() })
    }

    /// The organization that it belongs to.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The key as a page has it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_organization_and_is_no_other_ones() {
        let organization = OrganizationId::fresh();
        let key = LeadKey::mint(organization).unwrap();
        assert_eq!(LeadKey::parse(key.text()).unwrap(), key);
        assert_eq!((key.organization(), key.text().len()), (organization, 61));
        assert_ne!(LeadKey::mint(organization).unwrap(), key);
    }

    #[test]
    fn what_is_no_key_is_not_found() {
        let hex = "0123456789abcdef0123456789abcdef0123456789abcdef01234567";
        assert!(LeadKey::parse(&format!("lead_{hex}")).is_ok());
        for other in [
            String::new(),
            "lead_".to_owned(),
            hex.to_owned(),
            format!("lead_{hex}00"),
            format!("lead_{}", &hex[2..]),
            format!("lead_{}", hex.to_uppercase()),
            format!("LEAD_{hex}"),
            format!("mk_live_{hex}"),
            format!("lead_{}ß", &hex[2..]),
        ] {
            assert!(matches!(LeadKey::parse(&other), Err(Error::NotFound(_))), "{other}");
        }
    }
}
