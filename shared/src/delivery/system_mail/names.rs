//! Names in mails of the installation: whoever chooses one has others written to with it, in our name. So it is no text of theirs, and
//! nothing in it is made a link by the programs that show mail.

/// Characters of a name that are shown: a name fits, a message does not.
const SHOWN: usize = 60;
/// More digits than these are a telephone number to mail programs, which make a link of it.
const DIGITS: usize = 6;

/// A name as it is written in a mail: whole, where nothing in it could be taken for an address or a number to call.
pub(super) fn unlinked(name: &str) -> String {
    let mut shown: String = name.chars().take(SHOWN).collect();
    if name.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    let is_number = shown.chars().filter(|c| c.is_numeric()).count() > DIGITS;
    let mut written = String::with_capacity(shown.len());
    for c in shown.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            written.push(' ');
        } else if c.is_numeric() && is_number {
            written.push('#');
        } else {
            written.push(c);
            if is_joint(c) {
                // What stands in two words is no address: "Booking. com".
                written.push(' ');
            }
        }
    }
    written.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What holds the parts of an address together: dots, full stops of other scripts that are read as dots (UTS 46), colons, slashes, at.
fn is_joint(c: char) -> bool {
    matches!(
        c,
        '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{2024}' | ':' | '/' | '\\' | '@' | '\u{ff20}' | '\u{fe6b}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_stays_a_name_and_an_address_is_none() {
        for (name, expected) in [
            ("Ada Lovelace", "Ada Lovelace"),
            ("Müller & Söhne GmbH", "Müller & Söhne GmbH"),
            ("St. Mary's", "St. Mary's"),
            ("Studio 54", "Studio 54"),
            ("株式会社", "株式会社"),
            ("Booking.com", "Booking. com"),
            ("https://evil.example/x", "https: / / evil. example/ x"),
            ("me@evil.example", "me@ evil. example"),
            ("evil。example", "evil。 example"),
            ("call +1 (800) 555-0100", "call +# (###) ###-####"),
            ("one\r\ntwo", "one two"),
        ] {
            assert_eq!(unlinked(name), expected);
        }
        assert_eq!(unlinked(&"x".repeat(61)), format!("{}…", "x".repeat(60)));
    }

    proptest! {
        #[test]
        fn nothing_stands_behind_what_holds_an_address_together(name in "\\PC{0,80}|[a-z.:/@ 0-9]{0,80}") {
            let written = unlinked(&name);
            let characters: Vec<char> = written.chars().collect();
            prop_assert!(characters.windows(2).all(|pair| !is_joint(pair[0]) || pair[1] == ' '), "{}", written);
            prop_assert!(characters.iter().filter(|c| c.is_numeric()).count() <= DIGITS);
        }
    }
}
