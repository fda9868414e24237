//! Samples from `events/`.

use serde::de::DeserializeOwned;

/// Reads `events/<name>.json` with its placeholders filled in.
pub(crate) fn sample<E: DeserializeOwned>(name: &str, fill: &[(&str, &str)]) -> E {
    let path = format!("{}/../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    for (placeholder, value) in fill {
        text = text.replace(&format!("${{{placeholder}}}"), value);
    }
    assert!(!text.contains("${"), "{name} has a placeholder that nobody filled: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}
