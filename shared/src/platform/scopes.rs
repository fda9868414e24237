//! Scopes: what an API key was made for, as `contacts:read` and `contacts:write`.
//!
//! Reading and writing stand beside each other, neither includes the other; `*` is all of them. What only a person may do
//! (`functions` has the table) has no scope.

use crate::fields::Fields;

/// Every scope there is, in the order in which the API names them.
pub const SCOPES: &[&str] = &[
    "analytics:read",
    "api_keys:read",
    "api_keys:write",
    "audit:read",
    "campaigns:read",
    "campaigns:write",
    "contacts:read",
    "contacts:write",
    "domains:read",
    "domains:write",
    "enrichment:read",
    "enrichment:write",
    "imports:read",
    "imports:write",
    "jobs:read",
    "lead_forms:read",
    "lead_forms:write",
    "lists:read",
    "lists:write",
    "members:read",
    "messages:read",
    "messages:write",
    "organization:read",
    "organization:write",
    "segments:read",
    "segments:write",
    "senders:read",
    "senders:write",
    "suppressions:read",
    "suppressions:write",
    "verifications:read",
    "verifications:write",
    "webhooks:read",
    "webhooks:write",
    "workflows:read",
    "workflows:write",
];

/// All scopes, those of later releases too.
pub const ALL: &str = "*";

/// The scopes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Reads the column `scopes`. A scope of a later release stays and allows nothing here.
    #[must_use]
    pub fn stored(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Checks the scopes that a caller asks for: known ones, each once, at least one.
    pub fn check(fields: &mut Fields, names: &[String]) -> Self {
        if names.is_empty() {
            fields.refuse("scopes", "required", "a key has at least one scope, or `*` for all of them");
        }
        for name in names {
            if name != ALL && !SCOPES.contains(&name.as_str()) {
                fields.refuse("scopes", "unknown_scope", format!("there is no scope {name:?}"));
            }
        }
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// Whether they include a scope.
    #[must_use]
    pub fn allow(&self, scope: &str) -> bool {
        self.0.iter().any(|name| name == ALL || name == scope)
    }

    /// Whether they include all of others, so that whoever has these may give those away.
    #[must_use]
    pub fn include(&self, others: &Self) -> bool {
        others.0.iter().all(|name| self.allow(name))
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(names: &[&str]) -> Scopes {
        Scopes::stored(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_scope_allows_itself_alone_and_the_star_everything() {
        let reads = scopes(&["contacts:read"]);
        assert!(reads.allow("contacts:read"));
        for other in ["contacts:write", "contacts", "lists:read", "*", ""] {
            assert!(!reads.allow(other), "{other}");
        }
        assert!(SCOPES.iter().all(|scope| scopes(&[ALL]).allow(scope) && !scopes(&[]).allow(scope)));
    }

    #[test]
    fn nobody_gives_away_more_than_they_have() {
        let (all, both, one) = (scopes(&[ALL]), scopes(&["contacts:read", "lists:read"]), scopes(&["lists:read"]));
        assert!(all.include(&all) && all.include(&both) && both.include(&one) && one.include(&one));
        assert!(!both.include(&all) && !one.include(&both));
    }

    #[test]
    fn the_list_is_sorted_and_each_is_of_a_resource_and_an_act() {
        assert!(SCOPES.is_sorted());
        for scope in SCOPES {
            let (resource, act) = scope.split_once(':').unwrap();
            assert!(resource.chars().all(|c| c.is_ascii_lowercase() || c == '_') && ["read", "write"].contains(&act));
        }
    }
}
