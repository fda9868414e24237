use proptest::prelude::*;

use super::*;
use crate::audience::suppressions::{Suppression, Within, to_csv};
use crate::{OrganizationId, SuppressionId};

fn keys() -> KeyRing {
    KeyRing::from_json(r#"{"current": 1, "key_1": "for tests only: 0123456789 0123456789"}"#).unwrap()
}

fn nothing_known() -> Known {
    Known { campaigns: BTreeSet::new(), lists: BTreeSet::new() }
}

/// The lines of a list, each as what it comes to.
fn read(csv: &str) -> Vec<String> {
    let lines = Lines::from_csv(csv.as_bytes()).unwrap().0;
    lines
        .into_iter()
        .map(|(line, given)| match check(given, &keys(), &nothing_known()) {
            Ok(Entry { whom: Whom::Address(email), reason, note, .. }) => {
                format!("{line} {email} {} {}", reason.name(), note.unwrap_or_default()).trim().to_owned()
            }
            Ok(entry) => format!("{line} {entry:?}"),
            Err((code, _)) => format!("{line} {code}"),
        })
        .collect()
}

#[test]
fn a_list_is_an_address_on_each_line() {
    assert_eq!(read(""), [""; 0]);
    assert_eq!(read("\n\n \r\n"), [""; 0]);
    assert_eq!(
        read("Ada@People.test\r\n\r\n  bob@people.test \nnobody\n\"quoted@people.test\"\n"),
        ["1 ada@people.test manual", "3 bob@people.test manual", "4 no_at", "5 quoted@people.test manual"]
    );
    assert_eq!(read("\u{feff}ada@people.test,spam,whatever"), ["1 ada@people.test manual"]);
}

#[test]
fn a_header_names_the_columns_in_the_words_of_other_systems() {
    assert_eq!(
        read(
            "Type;E-Mail Address;Created;Comment\nBOUNCE;ada@people.test;2026;old\nSpam report;bob@people.test;;\nodd;x@people.test;;\n;;2026;\nopt-out;y@people.test"
        ),
        [
            "2 ada@people.test hard_bounce old",
            "3 bob@people.test complaint",
            "4 unknown_reason",
            "5 empty",
            "6 y@people.test unsubscribe"
        ]
    );
    let no_address = Lines::from_csv(b"reason,note\nmanual,x\n").unwrap_err();
    assert!(matches!(&no_address, Error::Invalid(errors) if errors[0].code == "no_address_column"));
}

#[test]
fn a_list_is_read_in_the_encoding_that_spreadsheets_write_it_in() {
    let list = "email;note\nada@people.test;Zoë\n";
    let utf_16 = |list: &str| list.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for bytes in
        [list.as_bytes().to_vec(), utf_16(&format!("\u{feff}{list}")), b"email;note\nada@people.test;Zo\xeb\n".to_vec()]
    {
        let lines = Lines::from_csv(&bytes).unwrap().0;
        let read: Vec<_> =
            lines.iter().map(|(line, given)| (*line, given.email.as_deref(), given.note.as_deref())).collect();
        assert_eq!(read, [(2, Some("ada@people.test"), Some("Zoë"))]);
    }
    // Half a character, one byte that is none among others that are, and what a gateway makes of bytes that are no text to it.
    for (bytes, code) in [
        (&b"\xff\xfea\0@"[..], "wrong_encoding"),
        (
            "Zoë,Zoë,Zoë,Zo\u{eb}@people.test\n"
                .as_bytes()
                .iter()
                .copied()
                .chain(*b"\xeb\n")
                .collect::<Vec<_>>()
                .as_slice(),
            "not_utf8",
        ),
        ("ada@people.test,Zo\u{fffd}".as_bytes(), "wrong_encoding"),
    ] {
        let refused = Lines::from_csv(bytes).unwrap_err();
        assert!(matches!(&refused, Error::Invalid(errors) if errors[0].code == code), "{refused:?}");
    }
}

#[test]
fn a_line_may_mean_a_domain() {
    let domains = read("@People.test\n*@people.example\n people.test \n@nowhere\n@a@b.test\n");
    assert_eq!(domains[2..], ["3 no_at", "4 invalid_domain", "5 invalid_domain"]);
    for (line, domain) in domains.iter().zip(["people.test", "people.example"]) {
        assert!(line.contains(&format!("Domain({domain:?})")), "{line}");
    }
    let named = read("domain;list_id\nPeople.test;\n*@people.test;\nnot a domain;\npeople.test;nonsense\n");
    assert!(named[..2].iter().all(|line| line.contains("Domain(\"people.test\")")), "{named:?}");
    assert_eq!(named[2..], ["4 invalid_domain", "5 unknown_list"]);
}

#[test]
fn what_no_suppression_can_have_is_refused_with_its_reason() {
    let hash = keys().address_hash(uuid::Uuid::nil(), "ada@people.test").unwrap().to_string();
    let other = hash.replacen("1.", "2.", 1);
    let csv = format!(
        "email,email_hash,campaign_id,note\n,{hash},,\n,{other},,\n,1.x,,\nada@people.test,{hash},,\nada@people.test,,{},\n\
         ada@people.test,,nonsense,\nada@people.test,,,{}\n",
        CampaignId::fresh(),
        "x".repeat(201)
    );
    let read = read(&csv);
    assert!(read[0].starts_with("2 Entry { whom: Forgotten"), "{read:?}");
    assert_eq!(
        read[1..],
        [
            "3 unknown_key",
            "4 invalid_hash",
            "5 two_addresses",
            "6 unknown_campaign",
            "7 unknown_campaign",
            "8 too_long"
        ]
    );
}

proptest! {
    /// Whatever it is given, reading ends, and a line that is read has an address.
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        if let Ok(lines) = Lines::from_csv(text.as_bytes()) {
            for (line, given) in lines.0 {
                prop_assert!(line >= 1);
                let _ = check(given, &keys(), &nothing_known());
            }
        }
    }

    /// An export is safe in a spreadsheet, and importing it gives what was exported.
    #[test]
    fn an_export_comes_back_as_it_was(
        local in "[a-z'=+-][a-z'=+-]{0,8}",
        note in proptest::option::of("['=+@,;\"a-z-]['=+@,;\"a-z -]{0,20}[a-z]"),
        reason in prop::sample::select(Reason::ALL.to_vec()),
        within in prop::sample::select(vec![
            Within::Organization,
            Within::Campaign(CampaignId(uuid::Uuid::from_u128(7))),
            Within::List(ListId(uuid::Uuid::from_u128(8))),
        ]),
        form in 0..3,
    ) {
        let email = format!("{local}@people.test");
        let hash = keys().address_hash(OrganizationId::fresh().0, &email).unwrap();
        let whom = match form {
            0 => Whom::Address(email),
            1 => Whom::Forgotten(hash),
            _ => Whom::Domain("people.test".to_owned()),
        };
        let (exported, _) = to_csv(&[Suppression {
            id: SuppressionId::fresh(),
            email: whom.address().map(str::to_owned),
            email_hash: whom.hash().map(ToString::to_string),
            domain: whom.domain().map(str::to_owned),
            campaign_id: within.campaign(),
            list_id: within.list(),
            reason,
            note: note.clone(),
            message_id: None,
            created_at: chrono::DateTime::UNIX_EPOCH,
        }])
        .unwrap();
        let mut reader = csv::Reader::from_reader(exported.as_bytes());
        for cell in reader.records().next().unwrap().unwrap().iter() {
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
        let lines = Lines::from_csv(exported.as_bytes()).unwrap().0;
        prop_assert_eq!(lines.len(), 1);
        let known = Known {
            campaigns: within.campaign().into_iter().collect(),
            lists: within.list().into_iter().collect(),
        };
        let entry = check(lines[0].1.clone(), &keys(), &known);
        prop_assert_eq!(entry, Ok(Entry { whom, within, reason, note }));
    }
}
