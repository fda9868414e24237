use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// The code that the text is refused with, or `ok`.
fn check(text: &str) -> &'static str {
    EmailAddress::parse(text).map_or_else(InvalidEmailAddress::code, |_| "ok")
}

#[test]
fn accepts_mailboxes() {
    let longest_local = format!("{}@example.com", "a".repeat(64));
    let longest_label = format!("a@{}.com", "a".repeat(63));
    for text in [
        "ada@example.com",
        "ada@io",
        "ada@IO",
        "Ada.Lovelace+news@Mail.Example.co.uk",
        "o'neil@example.com",
        "a@b.cd",
        "1@2.three",
        "a@xn--bcher-kva.example",
        "\"\"@example.com",
        "\"a b\"@example.com",
        "\"a@b\"@example.com",
        "\"a\\\"b\\\\\"@example.com",
        "a@1.2.3.4d",
        "a@XN--BCHER-kva.example",
        "a@r2---sn-abc.example.com",
        "a@bücher.example",
        "a@Bücher.Example",
        "a@bücher。example",
        "a@例え.テスト",
        "a@παράδειγμα.δοκιμή",
        "a@straße.example",
        "a@i❤.ws",
        longest_local.as_str(),
        longest_label.as_str(),
    ] {
        assert_eq!(check(text), "ok", "{text:?}");
    }
}

#[test]
fn says_what_is_wrong() {
    let cases: [(&str, &[&str]); 7] = [
        ("empty", &["", " \t\r\n", "\u{a0}"]),
        (
            "white_space",
            &[
                " ada@example.com",
                "ada@example.com ",
                "ada@example.com\t",
                "ada@example.com\r\n",
                "\r\n ada@example.com",
                "\u{a0}ada@example.com",
                "ada@bücher.example\u{3000}",
            ],
        ),
        (
            "too_long",
            &[
                &format!("a@{}com", "abcdefgh.".repeat(28)),
                &format!("{}@{}com", "a".repeat(64), "abcdefgh.".repeat(21)),
                // In A-labels it is longer than it looks.
                &format!("{}@{}com", "a".repeat(64), "bücher.".repeat(14)),
                &"a".repeat(5_000),
            ],
        ),
        ("no_at", &["ada", "ada.example.com"]),
        (
            "local_part",
            &[
                "@example.com",
                ".a@example.com",
                "a.@example.com",
                "a..b@example.com",
                "a b@example.com",
                "a@b@example.com",
                "a(comment)@example.com",
                "<a@example.com",
                "a\0b@example.com",
                "a\nb@example.com",
                "\"a@example.com",
                "\"a\\\"@example.com",
                "\"a\"b\"@example.com",
                "\"a\"b@example.com",
                "\"a\".b@example.com",
                "\"a\tb\"@example.com",
                "\"a\u{7f}\"@example.com",
                &format!("{}@example.com", "a".repeat(65)),
            ],
        ),
        (
            "domain",
            &[
                "a@",
                "a@localhost",
                "a@gmail",
                "a@i1",
                "a@example.com.",
                "a@bücher.example.",
                "a@bücher.example。",
                "a@bücher..example",
                "a@-bücher.example",
                "a@bü_cher.example",
                "a@bü cher.example",
                "a@bücher.123",
                "a@１９２.０.２.１",
                "a@xn--.example",
                "a@xn--example-.com",
                "a@xn--99999999.example",
                "a@exa\u{202e}mple.com",
                "a@a\u{300}\u{200d}.example",
                "a@\u{300}a.example",
                &format!("a@{}.example", "ü".repeat(60)),
                "a@.example.com",
                "a@example..com",
                "a@-example.com",
                "a@example-.com",
                "a@exa_mple.com",
                "a@example.com>",
                "a@example.123",
                "a@192.0.2.1",
                "a@[192.0.2.1]",
                "a@example.com (comment)",
                "a@ example.com",
                "a@example.com\0",
                &format!("a@{}.com", "a".repeat(64)),
            ],
        ),
        (
            "not_ascii",
            &["ä@example.com", "müller@bücher.example", "\"ä\"@example.com", "用户@例子.广告", "\u{feff}a@example.com"],
        ),
    ];
    for (code, texts) in cases {
        for text in texts {
            assert_eq!(check(text), code, "{text:?}");
        }
    }
}

#[test]
fn parts_and_spellings() {
    let address = EmailAddress::parse("Ada@Example.COM").unwrap();
    assert_eq!(address.as_str(), "Ada@Example.COM");
    assert_eq!(address.to_string(), "Ada@Example.COM");
    assert_eq!(address.lower(), "ada@example.com");
    assert_eq!(address.domain(), "example.com");
    assert_eq!("Ada@Example.COM".parse::<EmailAddress>().unwrap(), address);
}

#[test]
fn every_spelling_of_a_domain_is_the_same_address() {
    for (spellings, kept) in [
        (
            &["Ada@bücher.example", "Ada@BÜCHER.Example", "Ada@bu\u{308}cher.example", "Ada@bü\u{ad}cher。example"][..],
            "Ada@xn--bcher-kva.example",
        ),
        // Without transition: it is not strasse.
        (&["a@straße.example"], "a@xn--strae-oqa.example"),
        (&["a@ＥＸＡＭＰＬＥ.com"], "a@example.com"),
        (&["a@παράδειγμα.δοκιμή"], "a@xn--hxajbheg2az3al.xn--jxalpdlp"),
    ] {
        for spelling in spellings {
            let address = EmailAddress::parse(spelling).unwrap();
            assert_eq!(address.as_str(), kept, "{spelling}");
            assert_eq!(address.lower(), kept.to_ascii_lowercase());
            assert_eq!(EmailAddress::parse(address.as_str()), Ok(address.clone()));
        }
    }
}

#[test]
fn debug_hides_the_address() {
    let shown = format!("{:?}", Some(EmailAddress::parse("ada@example.com").unwrap()));
    assert_eq!(shown, "Some(EmailAddress(hidden))");
}

#[test]
fn serde_validates_and_repeats_nothing() {
    let address: EmailAddress = serde_json::from_str("\"Ada@example.com\"").unwrap();
    assert_eq!(serde_json::to_string(&address).unwrap(), "\"Ada@example.com\"");
    let error = serde_json::from_str::<EmailAddress>("\"secret at example.com\"").unwrap_err().to_string();
    assert!(error.contains("no @") && !error.contains("secret"), "{error}");
}

/// Accepted categories, and the cases in them that we refuse on purpose.
const ACCEPTED: [&str; 3] = ["ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"];
const REFUSED: [&str; 4] = ["ISEMAIL_ERR", "ISEMAIL_RFC5322", "ISEMAIL_CFWS", "ISEMAIL_DEPREC"];

/// Why a case of an accepted category is refused, if it is.
fn refused_on_purpose(diagnosis: &str) -> Option<&'static str> {
    match diagnosis {
        "ISEMAIL_RFC5321_ADDRESSLITERAL" => Some("address literals name a machine, not a person's mailbox"),
        "ISEMAIL_RFC5321_TLDNUMERIC" => Some("no top-level domain is a number"),
        "ISEMAIL_RFC5321_TLD" => Some("mail to a top-level domain itself is not deliverable in practice"),
        _ => None,
    }
}

#[test]
fn the_is_email_set() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/addresses/isemail.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: the is_email set is not at {}", path.display());
        return;
    };
    let cases: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_str(&text).unwrap();
    println!("reads the {} addresses of the is_email set at {}", cases.len(), path.display());
    for case in cases {
        // The set writes control characters as their pictures.
        let address: String = case["address"]
            .as_str()
            .unwrap()
            .chars()
            .map(|c| match u32::from(c) {
                picture @ 0x2400..=0x241f => char::from_u32(picture - 0x2400).unwrap(),
                0x2421 => '\u{7f}',
                _ => c,
            })
            .collect();
        let category = case["category"].as_str().unwrap();
        let diagnosis = case["diagnosis"].as_str().unwrap();
        let expected = if ACCEPTED.contains(&category) {
            refused_on_purpose(diagnosis).is_none()
        } else {
            assert!(REFUSED.contains(&category), "{category} is in neither list");
            false
        };
        assert_eq!(check(&address) == "ok", expected, "{address:?} {category} {diagnosis}: {}", check(&address));
    }
}

proptest! {
    #[test]
    fn never_panics_and_never_lets_a_header_break(text in "\\PC{0,80}|[ -~\\x00-\\x1f@.\"\\\\]{0,80}") {
        if let Ok(address) = EmailAddress::parse(&text) {
            prop_assert!(address.as_str().bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address.clone()));
            prop_assert_eq!(EmailAddress::parse(&address.lower()).unwrap().lower(), address.lower());
            prop_assert!(address.lower().ends_with(address.domain()));
        }
    }

    #[test]
    fn a_domain_is_read_as_dns_has_it(text in "[a-z0-9üçéд中☕.。-]{1,30}") {
        if let Ok(address) = EmailAddress::parse(&format!("a@{text}")) {
            prop_assert!(address.domain().split('.').all(|label| (1..=63).contains(&label.len())));
            prop_assert_eq!(EmailAddress::parse(&format!("a@{}", text.to_uppercase())).map(|a| a.lower()).unwrap_or(address.lower()), address.lower());
            prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address));
        }
    }

    #[test]
    fn accepts_every_ordinary_address(
        local in "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z0-9]{1,20}){0,2}",
        domain in "([a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?\\.){1,4}[a-z]{2,10}",
    ) {
        prop_assert_eq!(check(&format!("{local}@{domain}")), "ok");
    }
}

#[test]
fn what_is_looked_for_is_folded_as_it_is_kept() {
    for spelling in ["Ada@Example.com", "ada@exam\u{ad}ple.com", "ada@\u{ff45}xample.com", "ada@example.com\u{a0}"] {
        assert_eq!(folded(spelling), "ada@example.com", "{spelling:?}");
    }
    assert_eq!(folded("ada@b\u{fc}cher.de"), "ada@xn--bcher-kva.de");
    assert_eq!(folded("No Address"), "no address");
    assert_eq!(folded_domain("B\u{fc}cher.DE"), "xn--bcher-kva.de");
    assert_eq!(folded_domain("No domain"), "no domain");
}
