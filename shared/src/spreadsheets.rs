//! Text that a spreadsheet shows and does not compute.

/// What a spreadsheet takes for the beginning of a formula, and the quote that guards against it.
const GUARDED: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '\n', GUARD];

/// In front of a text it makes a spreadsheet show the text. It guards itself too, so that taking it off again is certain.
const GUARD: char = '\'';

/// The text, with the guard in front where it needs one.
#[must_use]
pub fn guarded(text: &str) -> String {
    if text.starts_with(GUARDED) { format!("{GUARD}{text}") } else { text.to_owned() }
}

/// The text without the guard that an export has put in front of it.
pub(crate) fn unguarded(text: &str) -> &str {
    text.strip_prefix(GUARD).filter(|rest| rest.starts_with(GUARDED)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_a_formula_is_text() {
        for formula in ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "\n=1", "'=1", "'"] {
            assert_eq!(guarded(formula), format!("'{formula}"));
            assert_eq!(unguarded(&guarded(formula)), formula);
        }
        for text in ["", "a=1", "1-1", " =1"] {
            assert_eq!(guarded(text), text);
        }
        for text in ["'t Hooft", "'", "it's"] {
            assert_eq!(unguarded(text), text, "what nobody has guarded");
        }
    }
}
