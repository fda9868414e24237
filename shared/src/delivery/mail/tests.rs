use mail_parser::{HeaderName, HeaderValue, MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::*;

/// No link leads anywhere else.
static NO_LINKS: BTreeMap<String, String> = BTreeMap::new();

fn outgoing() -> Outgoing<'static> {
    Outgoing {
        from_name: Some("Ada Lovelace"),
        from: "ada@example.com",
        to: "charles@example.org",
        reply_to: Some("token@reply.example.com"),
        subject: "The engine",
        body_text: "Dear Charles,\n\nSee https://example.com/a?b=1&c=2.\nYours",
        postal_address: Some("12 St James's Square\nLondon"),
        signature: Some("Ada <Countess>"),
        unsubscribe_url: Some("https://example.com/u/abc"),
        link_urls: &NO_LINKS,
        pixel_url: None,
        in_reply_to: Some("one@mail.example.com"),
        references: &["zero@mail.example.com", "one@mail.example.com"],
        date: DateTime::from_timestamp(1_772_614_800, 0).unwrap(),
        message_ref: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
    }
}

fn text(mail: &Outgoing<'_>) -> String {
    String::from_utf8(compose(mail).unwrap()).unwrap()
}

/// The fields of the header, unfolded.
fn fields(bytes: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(bytes).unwrap();
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    let unfolded = header.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded.split("\r\n").map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.into(), v.into())).collect()
}

#[test]
fn whole_mail() {
    let expected = "From: \"Ada Lovelace\" <ada@example.com>\r\n\
        To: <charles@example.org>\r\n\
        Reply-To: <token@reply.example.com>\r\n\
        Subject: The engine\r\n\
        Date: Wed, 4 Mar 2026 09:00:00 +0000\r\n\
        Message-ID: <01900000-0000-7000-8000-000000000001@example.com>\r\n\
        In-Reply-To: <one@mail.example.com>\r\n\
        References: <zero@mail.example.com>\r\n <one@mail.example.com>\r\n\
        List-Unsubscribe: <https://example.com/u/abc>\r\n\
        List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: multipart/alternative; \r\n\tboundary=\"=_01900000000070008000000000000001\"\r\n\
        \r\n\
        \r\n--=_01900000000070008000000000000001\r\n\
        Content-Type: text/plain; charset=\"utf-8\"\r\n\
        Content-Transfer-Encoding: 7bit\r\n\
        \r\n\
        Dear Charles,\r\n\r\nSee https://example.com/a?b=1&c=2.\r\nYours\r\n\r\n";
    let mail = Outgoing { signature: None, ..outgoing() };
    let whole = text(&mail);
    assert_eq!(whole, text(&mail), "the same input gives the same bytes");
    assert!(whole.starts_with(expected), "{whole}");
    assert!(whole.ends_with("\r\n--=_01900000000070008000000000000001--\r\n"), "{whole}");
}

#[test]
fn a_parser_reads_it_back() {
    let mail = Outgoing {
        from_name: Some("Žofie \"Q\" Nováková, ředitelka výzkumného ústavu matematických strojů"),
        subject: "Über die Analytical Engine – ein ziemlich langer Betreff, der mehr als eine Zeile füllt 🚂🚂🚂",
        body_text: "Grüße,\r\nund eine Zeile: ",
        ..outgoing()
    };
    let bytes = compose(&mail).unwrap();
    let message = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(message.subject(), Some(mail.subject));
    let from = message.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (mail.from_name, Some(mail.from)));
    assert_eq!(message.to().unwrap().first().unwrap().address(), Some(mail.to));
    assert_eq!(message.reply_to().unwrap().first().unwrap().address(), mail.reply_to);
    assert_eq!(message.message_id(), Some("01900000-0000-7000-8000-000000000001@example.com"));
    assert_eq!(message.in_reply_to().as_text(), Some("one@mail.example.com"));
    assert_eq!(message.references().as_text_list().unwrap(), mail.references);
    assert_eq!(message.date().unwrap().to_rfc3339(), "2026-03-04T09:00:00Z");
    assert_eq!(message.header_raw("List-Unsubscribe").unwrap().trim(), "<https://example.com/u/abc>");
    assert_eq!(message.header_raw("List-Unsubscribe-Post").unwrap().trim(), "List-Unsubscribe=One-Click");
    assert!(message.content_type().unwrap().subtype() == Some("alternative"));
    assert_eq!((message.text_body_count(), message.html_body_count(), message.attachment_count()), (1, 1, 0));
    let plain = message.body_text(0).unwrap();
    assert_eq!(
        plain.replace("\r\n", "\n"),
        "Grüße,\nund eine Zeile:\n\n-- \nAda <Countess>\n\n12 St James's Square\nLondon\n\n\
         Unsubscribe: https://example.com/u/abc\n"
    );
    assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 78), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn html_is_derived_from_the_text() {
    let body = |body_text: &'static str| {
        let mut html = String::new();
        paragraphs(&mut html, &clean(body_text), "<p>", &NO_LINKS);
        html
    };
    for (source, expected) in [
        ("", ""),
        ("a\nb\n\n\n \nc", "<p>a<br>\nb</p>\n<p>c</p>\n"),
        ("\r\n\r\na\rb\r\n", "<p>a<br>\nb</p>\n"),
        ("<b> & \"q\" 'r'", "<p>&lt;b&gt; &amp; &quot;q&quot; &#39;r&#39;</p>\n"),
        ("a\u{0}\u{7}\u{1b}\tb", "<p>a\tb</p>\n"),
        (
            "see https://example.com/a?b=1&c=2.",
            "<p>see <a href=\"https://example.com/a?b=1&amp;c=2\">https://example.com/a?b=1&amp;c=2</a>.</p>\n",
        ),
        (
            "(http://a.example/x_(y)), http://b.example!",
            "<p>(<a href=\"http://a.example/x_(y)\">http://a.example/x_(y)</a>), \
             <a href=\"http://b.example\">http://b.example</a>!</p>\n",
        ),
        ("http:// https://. xhttp://a javascript:alert(1)", "<p>http:// https://. xhttp://a javascript:alert(1)</p>\n"),
        (
            "http://a.example/\"onclick=\"x",
            "<p><a href=\"http://a.example/\">http://a.example/</a>&quot;onclick=&quot;x</p>\n",
        ),
        ("httpä http://ä.example", "<p>httpä <a href=\"http://ä.example\">http://ä.example</a></p>\n"),
    ] {
        assert_eq!(body(source), expected, "{source:?}");
    }
    let whole = html(&outgoing());
    assert!(whole.contains("12 St James&#39;s Square<br>\r\nLondon</p>"), "{whole}");
    assert!(whole.contains("<a href=\"https://example.com/u/abc\">Unsubscribe</a>"), "{whole}");
    assert!(whole.contains("<p>Ada &lt;Countess&gt;</p>"), "{whole}");
}

#[test]
fn links_of_the_html_part_lead_where_they_are_told_and_others_where_they_say() {
    let link_urls = BTreeMap::from([(
        "https://example.com/a?b=1&c=2".to_owned(),
        "https://mail.example.test/t/c/token".to_owned(),
    )]);
    let mail = Outgoing {
        body_text: "See https://example.com/a?b=1&c=2, or https://example.com/other.",
        link_urls: &link_urls,
        pixel_url: Some("https://mail.example.test/t/o/token"),
        ..outgoing()
    };
    let bytes = compose(&mail).unwrap();
    let parsed = MessageParser::default().parse(&bytes).unwrap();
    let html = parsed.body_html(0).unwrap();
    assert!(
        html.contains("<a href=\"https://mail.example.test/t/c/token\">https://example.com/a?b=1&amp;c=2</a>"),
        "{html}"
    );
    assert!(html.contains("<a href=\"https://example.com/other\">"), "{html}");
    let pixel = "<img src=\"https://mail.example.test/t/o/token\" width=\"1\" height=\"1\" alt=\"\">";
    assert!(html.contains(pixel), "{html}");
    assert!(!parsed.body_text(0).unwrap().contains("mail.example.test"));
    let broken = Outgoing { pixel_url: Some("https://a\"b"), ..outgoing() };
    assert_eq!(compose(&broken).unwrap_err().field(), Some("pixel_url"));
}

#[test]
fn links_are_found_where_the_html_part_has_them() {
    let found = links([
        "One https://example.com/a, two\nhttp://example.com/(b).",
        "https://example.com/a mailto:a@b",
        "xhttp://c",
    ]);
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["http://example.com/(b)", "https://example.com/a"]);
}

#[test]
fn optional_parts_are_left_out() {
    let mail = Outgoing {
        from_name: Some("  "),
        postal_address: None,
        signature: Some(" \n"),
        in_reply_to: None,
        references: &[],
        ..outgoing()
    };
    let whole = text(&mail);
    assert!(whole.starts_with("From: <ada@example.com>\r\n"), "{whole}");
    for absent in ["In-Reply-To", "References", "-- \r\n", "St James"] {
        assert!(!whole.contains(absent), "{absent} in {whole}");
    }
}

#[test]
fn the_parent_ends_the_references() {
    let mail = Outgoing { references: &["zero@mail.example.com"], ..outgoing() };
    let bytes = compose(&mail).unwrap();
    let references = fields(&bytes).into_iter().find(|(name, _)| name == "References").unwrap().1;
    assert_eq!(references, "<zero@mail.example.com> <one@mail.example.com>");
}

#[test]
fn cr_lf_nul_in_header_fields_are_refused() {
    for bad in ["a\rb", "a\nb", "a\r\nBcc: eve@example.com", "a\0b"] {
        let mails = [
            ("from_name", Outgoing { from_name: Some(bad), ..outgoing() }),
            ("from", Outgoing { from: bad, ..outgoing() }),
            ("to", Outgoing { to: bad, ..outgoing() }),
            ("reply_to", Outgoing { reply_to: Some(bad), ..outgoing() }),
            ("subject", Outgoing { subject: bad, ..outgoing() }),
            ("unsubscribe_url", Outgoing { unsubscribe_url: Some(bad), ..outgoing() }),
            ("in_reply_to", Outgoing { in_reply_to: Some(bad), ..outgoing() }),
        ];
        for (field, mail) in mails {
            let error = compose(&mail).unwrap_err();
            assert_eq!((error.code(), error.field()), ("line_break", Some(field)), "{bad:?}");
        }
        let error = compose(&Outgoing { references: &["a@b", bad], ..outgoing() }).unwrap_err();
        assert_eq!((error.code(), error.field()), ("line_break", Some("references")), "{bad:?}");
    }
}

#[test]
fn malformed_fields_are_refused_by_name() {
    for bad in
        ["", "a", "a@", "@b", "a@b>, <c@d", "a@b,c@d", "a b@c", "a@b c", "ä@b", "a@b\u{7f}", "\"a\"b\"@c", "\"a\\\"@c"]
    {
        let error = compose(&Outgoing { to: bad, ..outgoing() }).unwrap_err();
        assert_eq!((error.code(), error.field()), ("invalid", Some("to")), "{bad:?}");
    }
    for bad in ["", "ftp://a", "https://", "https:// a", "https://a>", "https://a\tb", "javascript:alert(1)"] {
        let error = compose(&Outgoing { unsubscribe_url: Some(bad), ..outgoing() }).unwrap_err();
        assert_eq!((error.code(), error.field()), ("invalid", Some("unsubscribe_url")), "{bad:?}");
    }
    for bad in ["", "a", "<a@b>", "a@b c@d", "a@b> <c@d", "@b", "a@"] {
        let error = compose(&Outgoing { in_reply_to: Some(bad), ..outgoing() }).unwrap_err();
        assert_eq!((error.code(), error.field()), ("invalid", Some("in_reply_to")), "{bad:?}");
    }
    for good in ["a@b", "\"a b\\\"c@d\"@example.com", "a+b@xn--a.example"] {
        assert!(compose(&Outgoing { to: good, ..outgoing() }).is_ok(), "{good:?}");
    }
}

#[test]
fn boundaries_are_not_in_the_text() {
    let mail = Outgoing { body_text: "--=_01900000000070008000000000000001--\nX-Injected: yes", ..outgoing() };
    let bytes = compose(&mail).unwrap();
    let message = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(message.parts.len(), 3);
    assert!(message.body_text(0).unwrap().contains("X-Injected: yes"));
    assert!(message.body_html(0).unwrap().contains("X-Injected: yes"));
}

#[test]
fn dates() {
    for (seconds, expected) in [
        (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
        (-1, "Wed, 31 Dec 1969 23:59:59 +0000"),
        (1_772_323_199, "Sat, 28 Feb 2026 23:59:59 +0000"),
    ] {
        let date = DateTime::from_timestamp(seconds, 999_999_999).unwrap();
        assert!(text(&Outgoing { date, ..outgoing() }).contains(&format!("\r\nDate: {expected}\r\n")), "{expected}");
    }
    assert!(compose(&Outgoing { date: DateTime::<Utc>::MAX_UTC, ..outgoing() }).is_ok());
}

#[test]
fn debug_hides_everything_but_the_id() {
    let shown = format!("{:?}", outgoing());
    assert_eq!(shown, "Outgoing { message_ref: 01900000-0000-7000-8000-000000000001, .. }");
}

const FIELDS: [&str; 12] = [
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
];

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,120}",
        "[a-zA-Z \r\n\t\0:<>@\",;\\\\=?_ä🚂-]{0,60}",
        "[a-z]{1,10}(\r\n|\n|\r|\0|\u{85}|\u{2028}|, |> <)Bcc: eve@example.com",
        "[a-z]{1,100}@[a-z.]{1,20}",
        "https?://[a-z]{1,10}/\\PC{0,20}",
        "( ?=\\?utf-8\\?[QB]\\?[a-zA-Z=]{0,20}\\?= ?){1,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the fields hold, a mail that is composed has our header fields, each once, and nothing else.
    #[test]
    fn no_header_injection(
        texts in prop::array::uniform10(hostile()),
        which in 0usize..10,
        all in any::<bool>(),
    ) {
        let base = outgoing();
        let pick = |index: usize, usual: &'static str| if all || which == index { texts[index].as_str() } else { usual };
        let references = [pick(9, "zero@mail.example.com")];
        let mail = Outgoing {
            from_name: Some(pick(0, "Ada")),
            from: pick(1, base.from),
            to: pick(2, base.to),
            reply_to: Some(pick(3, "token@reply.example.com")),
            subject: pick(4, base.subject),
            body_text: pick(5, base.body_text),
            postal_address: Some(pick(6, "London")),
            signature: Some(pick(6, "Ada")),
            unsubscribe_url: Some(pick(7, "https://example.com/u/abc")),
            in_reply_to: Some(pick(8, "one@mail.example.com")),
            references: &references,
            ..base
        };
        let Ok(bytes) = compose(&mail) else { return Ok(()) };
        let names: Vec<_> = fields(&bytes).into_iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names, FIELDS);
        prop_assert!(bytes.is_ascii());
        let text = std::str::from_utf8(&bytes).unwrap();
        prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
        prop_assert!(text.split("\r\n").all(|line| line.len() <= 998));
        let message = MessageParser::default().parse(&bytes).unwrap();
        prop_assert_eq!(message.parts.len(), 3);
        prop_assert_eq!(message.to().unwrap().iter().count(), 1);
        prop_assert_eq!(message.from().unwrap().iter().count(), 1);
        prop_assert!(message.header(HeaderName::Bcc).is_none());
        prop_assert!(!matches!(message.header(HeaderName::Subject), Some(HeaderValue::Address(_))));
        prop_assert_eq!(&bytes, &compose(&mail).unwrap());
    }

    /// A subject of one line and a name come back from a parser as they went in.
    #[test]
    fn subject_and_name_come_back(subject in "\\PC{1,200}", name in "[^\\pC]{1,80}") {
        prop_assume!(!name.trim().is_empty());
        let mail = Outgoing { subject: &subject, from_name: Some(&name), ..outgoing() };
        let bytes = compose(&mail).unwrap();
        prop_assert!(bytes.split(|byte| *byte == b'\n').take_while(|line| line.len() > 1).all(|line| line.len() <= 78));
        let message = MessageParser::default().parse(&bytes).unwrap();
        prop_assert_eq!(message.subject(), Some(subject.as_str()));
        prop_assert_eq!(message.from().unwrap().first().unwrap().name(), Some(name.trim()));
    }
}

#[test]
fn a_mail_about_an_account_has_no_unsubscribe_link_and_says_that_a_machine_wrote_it() {
    let mail = Outgoing { unsubscribe_url: None, reply_to: None, postal_address: None, ..outgoing() };
    let bytes = compose(&mail).unwrap();
    let fields = fields(&bytes);
    let value = |name: &str| fields.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str());
    assert_eq!(value("Auto-Submitted"), Some("auto-generated"));
    for absent in ["List-Unsubscribe", "List-Unsubscribe-Post", "Reply-To"] {
        assert_eq!(value(absent), None);
    }
    assert!(!text(&mail).contains("Unsubscribe"));
}
