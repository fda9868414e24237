//! Text that a spreadsheet shows and does not compute.

use std::borrow::Cow;

/// What a spreadsheet takes for the beginning of a formula, in full width too, and the quote that guards against it.
const GUARDED: [char; 12] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n', GUARD];

/// What separates cells for a spreadsheet of another country or other settings, which knows nothing of our quotes around it.
const SEPARATORS: [char; 3] = [';', '\t', '|'];

/// In front of a text it makes a spreadsheet show the text. It guards itself too, so that taking it off again is certain.
const GUARD: char = '\'';

/// The text, with the guard in front of whatever would be a formula: the text itself, and what stands in it behind a separator.
#[must_use]
pub fn guarded(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len() + 1);
    for cell in text.split_inclusive(SEPARATORS) {
        if needs_guard(cell) {
            guarded.push(GUARD);
        }
        guarded.push_str(cell);
    }
    guarded
}

/// The text without the guards that an export has put into it.
pub(crate) fn unguarded(text: &str) -> Cow<'_, str> {
    if !text.contains(GUARD) {
        return Cow::Borrowed(text);
    }
    let without = |cell: &str| cell.strip_prefix(GUARD).filter(|rest| needs_guard(rest)).map(str::len);
    let cells = text.split_inclusive(SEPARATORS);
    Cow::Owned(cells.map(|cell| &cell[cell.len() - without(cell).unwrap_or(cell.len())..]).collect())
}

/// Whether what begins so is taken for a formula, also in quotes.
fn needs_guard(cell: &str) -> bool {
    cell.trim_start_matches('"').starts_with(GUARDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_a_formula_is_text() {
        for formula in ["=1+1", "+1", "-1", "@sum(a1)", "\t", "\r=1", "\n=1", "'=1", "'"] {
            assert_eq!(guarded(formula), format!("'{formula}"));
            assert_eq!(unguarded(&guarded(formula)), formula);
        }
        for text in ["", "a=1", "1-1", " =1", "a; b", "a|b", "\"a\""] {
            assert_eq!(guarded(text), text);
        }
        for (text, expected) in [
            ("Acme;=cmd|'/C calc'!A0", "Acme;'=cmd|''/C calc'!A0"),
            ("a;\"=1\"", "a;'\"=1\""),
            ("a\t+1", "a\t'+1"),
            ("\t=1", "'\t'=1"),
            ("＝1", "'＝1"),
            ("\"=1\"", "'\"=1\""),
        ] {
            assert_eq!(guarded(text), expected);
            assert_eq!(unguarded(expected), text);
        }
        for text in ["'t Hooft", "'", "it's"] {
            assert_eq!(unguarded(text), text, "what nobody has guarded");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_guard_is_taken_off_again_and_no_cell_begins_with_a_formula(text in "[a=+@'\";|\t\r\n ＝-]{0,12}") {
            let guarded = guarded(&text);
            proptest::prop_assert_eq!(unguarded(&guarded), text);
            for cell in guarded.split(SEPARATORS) {
                let begins = cell.trim_start_matches('"').chars().next();
                proptest::prop_assert!(begins.is_none_or(|c| c == GUARD || !GUARDED.contains(&c)), "{:?}", guarded);
            }
        }
    }
}
