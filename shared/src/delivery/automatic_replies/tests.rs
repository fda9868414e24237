use std::collections::BTreeMap;
use std::path::PathBuf;

use mail_parser::MessageParser;
use proptest::prelude::*;

use super::*;

/// The class of a mail with these header fields and a short text.
fn class(header: &str) -> Received {
    let raw = format!("{}\r\n\r\nHello.\r\n", header.replace('\n', "\r\n"));
    classify(&MessageParser::default().parse(raw.as_bytes()).unwrap())
}

/// The snippet of a plain text mail.
fn snip(text: &str) -> String {
    let raw = format!("From: a@example.com\nContent-Type: text/plain; charset=utf-8\n\n{text}");
    snippet(&MessageParser::default().parse(raw.as_bytes()).unwrap())
}

const PERSON: &str = "From: Ada <ada@example.com>\nReturn-Path: <ada@example.com>\nSubject: Re: The engine";

#[test]
fn people() {
    for header in [
        PERSON.to_owned(),
        "From: ada@example.com".to_owned(),
        format!("{PERSON}\nAuto-Submitted: no"),
        format!("{PERSON}\nAuto-Submitted: No; owner=\"a\""),
        format!("{PERSON}\nPrecedence: normal"),
        format!("{PERSON}\nX-Autoreply: no"),
        format!("{PERSON}\nX-Auto-Response-Suppress: DR, RN, NRN"),
        "From: ada@example.com\nSubject: Re: Automatic reply: The engine\nX-Auto-Response-Suppress: All".to_owned(),
        "From: ada@example.com\nSubject: Re: Out of office hours, can we talk?".to_owned(),
        "From: postmaster@example.com\nSubject: Your mail of Monday".to_owned(),
        "From: ada@example.com\nSubject: Undeliverable: what shall I do with it?".to_owned(),
        "From: ada@example.com\nSubject: Vacation photos".to_owned(),
        "From: ada@example.com\nSubject: Complaint about message from you".to_owned(),
    ] {
        assert_eq!(class(&header), Received::Human, "{header}");
    }
}

#[test]
fn machines() {
    for (field, reason) in [
        ("Auto-Submitted: auto-replied", "auto_submitted"),
        ("Auto-Submitted: auto-generated (by a program)", "auto_submitted"),
        ("auto-submitted:  AUTO-NOTIFIED; owner-email=\"a@b\"", "auto_submitted"),
        ("X-Autoreply: yes", "autoreply_field"),
        ("X-Autorespond: The engine", "autoreply_field"),
        ("Precedence: bulk", "precedence"),
        ("Precedence: Auto_Reply", "precedence"),
        ("Precedence: junk", "precedence"),
        ("List-Id: <engines.example.com>", "mailing_list"),
    ] {
        assert_eq!(class(&format!("{PERSON}\n{field}")), Received::Automatic(reason), "{field}");
    }
    for (header, reason) in [
        ("From: ada@example.com\nReturn-Path: <>\nSubject: Thanks", "null_return_path"),
        ("From: No-Reply@example.com\nSubject: Ticket 1", "no_reply_sender"),
        (
            "From: a@example.com\nX-Auto-Response-Suppress: All\nSubject: Ada is out of the office",
            "response_suppressed",
        ),
        (
            "From: a@example.com\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b",
            "read_receipt",
        ),
    ] {
        assert_eq!(class(header), Received::Automatic(reason), "{header}");
    }
}

#[test]
fn subjects_in_many_languages() {
    for subject in [
        "Out of Office: The engine",
        "Automatic reply: The engine",
        "Automatische Antwort: The engine",
        "Abwesenheitsnotiz",
        "=?utf-8?Q?R=C3=A9ponse_automatique_:_The_engine?=",
        "=?utf-8?B?UmVzcHVlc3RhIGF1dG9tw6F0aWNh?=",
        "Risposta automatica: The engine",
        "Automatisch antwoord: The engine",
        "Autosvar: The engine",
        "=?utf-8?B?6Ieq5YuV6L+U5L+h?=",
    ] {
        assert_eq!(
            class(&format!("From: a@example.com\nSubject: {subject}")),
            Received::Automatic("subject"),
            "{subject}"
        );
    }
}

#[test]
fn reports() {
    for header in [
        "From: a@example.com\nContent-Type: multipart/report; report-type=delivery-status; boundary=b",
        "From: a@example.com\nContent-Type: Multipart/Report; report-type=feedback-report; boundary=b",
        "From: MAILER-DAEMON@example.com\nSubject: anything\nAuto-Submitted: auto-replied",
        "From: Postmaster <postmaster@example.com>\nSubject: Undeliverable: The engine",
        "From: System <system@example.com>\nReturn-Path: <>\nSubject: Delivery status notification: error",
        "From: a@example.com\nX-Failed-Recipients: b@example.com\nSubject: x",
    ] {
        assert_eq!(class(header), Received::DeliveryReport, "{header}");
    }
    let attached = "From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nHello\n--b\n\
        Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; b@example.com\n--b--\n";
    assert_eq!(classify(&MessageParser::default().parse(attached.as_bytes()).unwrap()), Received::DeliveryReport);
    // A person who forwards a report as an attached mail is a person.
    let forwarded = format!(
        "{PERSON}\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nWhat is this?\n--c\nContent-Type: message/rfc822\n\n{attached}\n--c--\n"
    );
    assert_eq!(classify(&MessageParser::default().parse(forwarded.as_bytes()).unwrap()), Received::Human);
}

#[test]
fn snippets() {
    for (text, expected) in [
        ("", ""),
        ("Yes.", "Yes."),
        ("Yes,\r\n\r\n  please \t do.\r\n", "Yes, please do."),
        ("Yes.\n\nOn Wed, 4 Mar 2026 at 09:00, Ada <ada@example.com> wrote:\n\n> Dear Charles\n> …", "Yes."),
        ("Yes.\n\nOn Wed, 4 Mar 2026 at 09:00, Ada Lovelace\n<ada@example.com>\nwrote:\n> Dear Charles", "Yes."),
        ("Yes.\nOn 4 March 2026 Ada wrote:\nDear Charles, unmarked", "Yes."),
        ("> Shall we?\nYes.\n> When?\nMonday.", "Yes. Monday."),
        ("On 4 March Ada wrote:\n> Shall we?\n\nYes, let us.", "Yes, let us."),
        ("On Monday I wrote a letter:\nit is long.", "On Monday I wrote a letter: it is long."),
        ("Ja.\n\nAm 04.03.2026 um 09:00 schrieb Ada Lovelace:\n> Lieber", "Ja."),
        ("Ja.\n\nAm Mi., 4. März 2026 um 09:00 Uhr schrieb Ada <\na@example.com>:\n> Lieber", "Ja."),
        ("Oui.\n\nLe mer. 4 mars 2026 à 09:00, Ada a écrit :\n> Cher", "Oui."),
        ("Oui.\n\nLe 4 mars 2026, Ada a écrit\u{a0}:\n> Cher", "Oui."),
        ("Sí.\n\nEl mié, 4 mar 2026 a las 9:00, Ada escribió:\n> Estimado", "Sí."),
        ("Yes.\n-- \nCharles", "Yes."),
        ("Yes -- surely.\n--\nCharles", "Yes -- surely."),
        ("Yes.\n\nSent from my iPhone", "Yes."),
        ("Ja.\n\nVon meinem iPhone gesendet", "Ja."),
        ("Sent from my desk, which is large.", "Sent from my desk, which is large."),
        ("Yes.\n\n-----Original Message-----\nFrom: Ada", "Yes."),
        ("Yes.\n\n________________________________\nFrom: Ada", "Yes."),
        ("Yes.\n\nFrom: Ada <ada@example.com>\nSent: Monday\nTo: Charles\n\nDear", "Yes."),
        ("Yes.\n\n*Von:* Ada\n*Gesendet:* Montag\n\nLieber", "Yes."),
        ("From: the whole team.\nThank you!", "From: the whole team. Thank you!"),
    ] {
        assert_eq!(snip(text), expected, "{text:?}");
    }
    assert_eq!(snip(&"ä ".repeat(300)).chars().count(), SNIPPET - 1, "cut at a space, which is then dropped");
    for (html, expected) in [
        (
            "<p>Yes,<br>please.</p><div>On 4 Mar 2026, Ada wrote:<blockquote>Dear Charles</blockquote></div>",
            "Yes, please.",
        ),
        ("<div>Yes.</div><BLOCKQUOTE>A?<blockquote>B?</blockquote>C?</BLOCKQUOTE>Monday.<hr>Bye", "Yes. Monday. Bye"),
        ("<html><head><style>a{}</style></head><body>a &amp; b<div>-- </div><div>Ada</div></body></html>", "a & b"),
        ("Yes.<div><b>From:</b> Ada<br><b>Sent:</b> Monday</div><p>Dear", "Yes."),
        ("</blockquote>a &lt; b <blockquote>unclosed", "a < b"),
    ] {
        let raw = format!("From: a@example.com\nContent-Type: text/html\n\n{html}");
        assert_eq!(snippet(&MessageParser::default().parse(raw.as_bytes()).unwrap()), expected, "{html}");
    }
    let no_text = "From: a@example.com\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n";
    assert_eq!(snippet(&MessageParser::default().parse(no_text).unwrap()), "");
}

/// The files of a folder of data that is not part of the project, or none with a line that says so.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(folder);
    let Ok(entries) = std::fs::read_dir(&path) else {
        println!("skipped: there is no folder {}", path.display());
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    println!("reads the {} files of {}", files.len(), path.display());
    files
}

#[test]
fn real_reports_and_vacation_answers() {
    // No report of the set looks like a person's mail: there are no exceptions to count.
    for (name, raw) in files("bounces") {
        let class = MessageParser::default().parse(&raw).map_or(Received::Human, |message| classify(&message));
        if name.starts_with("rfc3834-") {
            assert!(matches!(class, Received::Automatic(_)), "{name}: {class:?}");
        } else {
            assert_ne!(class, Received::Human, "{name}");
        }
    }
}

#[test]
fn real_replies() {
    let expected = BTreeMap::from([
        ("correct_sig", "this is an email with a correct -- signature."),
        (
            "email_1_2",
            "Hi, You can list the keys for the bucket and call delete for each. Or if you put the keys (and kept track \
             of them in your test) you can delete them one at a time (without incurring the cost of calling",
        ),
        ("email_1_4", "Awesome! I haven't had another problem with it."),
        ("email_1_6", "I get proper rendering as well. Sent from a magnificent torch of pixels"),
        ("email_1_8", "I will reply under this one and under this."),
        ("email_2_2", "Outlook with a reply directly above line"),
        ("email_BlackBerry", "Here is another email"),
        ("email_iPhone", "Here is another email"),
        ("email_multi_word_sent_from_my_mobile_device", "Here is another email"),
        (
            "email_sent_from_my_not_signature",
            "Here is another email Sent from my desk, is much easier then my mobile phone.",
        ),
        (
            "greedy_on",
            "On your remote host you can run: telnet 127.0.0.1 52698 This should connect to TextMate (on your Mac, via \
             the tunnel). If that fails, the tunnel is not working.",
        ),
    ]);
    for (name, text) in files("replies") {
        let shown = snip(std::str::from_utf8(&text).unwrap());
        assert!(!shown.contains('>') && !shown.contains("wrote:"), "{name}: {shown}");
        if let Some(expected) = expected.get(name.as_str()) {
            assert_eq!(shown, *expected, "{name}");
        }
    }
}

proptest! {
    #[test]
    fn never_panics(raw in "((From|Subject|Return-Path|Auto-Submitted|Precedence|List-Id|Content-Type|X-Autoreply): ?\\PC{0,30}\r?\n){0,6}\r?\n(On |> ?|--|wrote:|From:|\\PC|\n){0,30}") {
        if let Some(message) = MessageParser::default().parse(raw.as_bytes()) {
            let _ = classify(&message);
            let snippet = snippet(&message);
            prop_assert!(snippet.chars().count() <= SNIPPET);
            prop_assert!(!snippet.contains('\n'));
        }
    }
}
