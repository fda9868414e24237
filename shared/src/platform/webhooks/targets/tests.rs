use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<String, BadTarget> {
    Target::parse(text, Reach::Public).map(|target| target.url)
}

#[test]
fn an_address_is_taken_as_it_will_be_asked_for() {
    for (given, taken) in [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM/Hooks?a=B", "https://example.com/Hooks?a=B"),
        ("https://example.com?a=b", "https://example.com/?a=b"),
        ("https://n8n.example.com:5678/webhook/x-1", "https://n8n.example.com:5678/webhook/x-1"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443/x"),
    ] {
        assert_eq!(read(given).as_deref(), Ok(taken), "{given}");
    }
}

#[test]
fn what_is_not_the_public_s_is_refused() {
    use BadTarget::{Form, Port, Private, Scheme, UserInfo};
    for (given, why) in [
        ("http://example.com/", Scheme),
        ("ftp://example.com/", Scheme),
        ("file:///etc/passwd", Scheme),
        ("javascript:alert(1)", Form),
        ("example.com/hooks", Form),
        ("", Form),
        ("https://", Form),
        ("https:///path", Form),
        ("https://user@example.com/", UserInfo),
        ("https://user:secret@example.com/", UserInfo),
        ("https://example.com@127.0.0.1/", UserInfo),
        ("https://example.com/#part", Form),
        ("https://exa mple.com/", Form),
        ("https://example.com\\@127.0.0.1/", Form),
        ("https://bücher.example/", Form),
        ("https://example.com%2f/", Form),
        ("https://-example.com/", Form),
        ("https://example..com/", Form),
        ("https://example.com:/", Form),
        ("https://example.com:+443/", Form),
        ("https://example.com:99999/", Form),
        ("https://example.com:22/", Port),
        ("https://example.com:80/", Port),
        ("https://example.com:0/", Port),
        ("https://127.0.0.1/", Private),
        ("https://169.254.169.254/latest/meta-data/", Private),
        ("https://[::1]/", Private),
        ("https://[::ffff:10.0.0.1]/", Private),
        ("https://[fe80::1%25eth0]/", Form),
        ("https://127.1/", Form),
        ("https://2130706433/", Form),
        ("https://0x7f000001/", Form),
        ("https://0x7f.0.0.1/", Form),
        ("https://0177.0.0.1/", Form),
        ("https://1.2.3.4.5/", Form),
        ("https://127.0.0.1./", Form),
        ("https://localhost/", Private),
        ("https://localhost./", Private),
        ("https://a.localhost/", Private),
        ("https://database/", Private),
        ("https://database.internal/", Private),
        ("https://metadata.google.internal./", Private),
        ("https://printer.local/", Private),
    ] {
        assert_eq!(read(given), Err(why), "{given}");
    }
    assert_eq!(read(&format!("https://example.com/{}", "x".repeat(2_000))), Err(Form));
}

#[test]
fn this_machine_is_open_to_the_local_stack_alone_and_nothing_else_by_http() {
    for here in ["http://127.0.0.1:8080/x", "http://localhost:8080/", "http://[::1]:8080/", "https://127.0.0.1:8443/"] {
        assert!(Target::parse(here, Reach::Loopback).is_ok(), "{here}");
        assert!(Target::parse(here, Reach::Public).is_err(), "{here}");
    }
    for elsewhere in ["http://example.com/", "http://8.8.8.8/", "http://10.0.0.1:8080/", "https://10.0.0.1/"] {
        assert!(Target::parse(elsewhere, Reach::Loopback).is_err(), "{elsewhere}");
    }
}

proptest! {
    #[test]
    fn whatever_is_taken_is_taken_again_as_it_is(text in "[hH]ttps://[a-zA-Z0-9.:\\[\\]@%_-]{0,30}[/?#a-z]{0,9}") {
        if let Ok(target) = Target::parse(&text, Reach::Public) {
            prop_assert_eq!(Target::parse(target.url(), Reach::Public), Ok(target.clone()));
            prop_assert!(target.literal_address().is_none_or(addresses::is_public));
        }
    }

    #[test]
    fn nothing_makes_it_panic(text: String) {
        let _ = Target::parse(&text, Reach::Public);
        let _ = Target::parse(&format!("https://{text}"), Reach::Loopback);
    }

    #[test]
    fn an_address_in_numbers_is_judged(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        prop_assert_eq!(Target::parse(&format!("https://{address}/"), Reach::Public).is_ok(), addresses::is_public(address.into()));
    }
}
