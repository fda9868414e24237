use proptest::prelude::*;

use super::*;

const ORGANIZATION: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
const MESSAGE: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002);
const LINK: Uuid = Uuid::from_u128(0x0190_0000_0000_8000_8000_0000_0000_0003);
const ONE: &str = "one-one-one-one-one-one-one-one-";
const TWO: &str = "two-two-two-two-two-two-two-two-";

fn ring(json: &str) -> KeyRing {
    KeyRing::from_json(&json.replace("ONE", ONE).replace("TWO", TWO)).unwrap()
}

fn one() -> KeyRing {
    ring(r#"{"current": 1, "key_1": "ONE"}"#)
}

#[test]
fn round_trip() {
    let unsubscribe = one().unsubscribe_token(ORGANIZATION, MESSAGE);
    assert_eq!(unsubscribe.len(), 67);
    assert!(unsubscribe.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    assert_eq!(one().open_unsubscribe_token(&unsubscribe), Ok((ORGANIZATION, MESSAGE)));

    let reply = one().reply_token(ORGANIZATION, MESSAGE);
    assert_eq!(reply.len(), 64);
    assert!(reply.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')));
    assert_eq!(one().open_reply_token(&reply), Ok((ORGANIZATION, MESSAGE)));
}

/// A change of the format breaks every link in every mailbox. These were computed by another program.
#[test]
fn format_is_stable() {
    assert_eq!(
        one().unsubscribe_token(ORGANIZATION, MESSAGE),
        "AQEBkAAAAABwAIAAAAAAAAABAZAAAAAAcACAAAAAAAAAAlTzw41YyPZTZxNzG6dMwiY"
    );
    assert_eq!(
        one().reply_token(ORGANIZATION, MESSAGE),
        "ceazaaaaaaahaaeaaaaaaaaaaaaqdeaaaaaaa4aaqaaaaaaaaaaafeuhvqeozwes"
    );
}

#[test]
fn tokens_of_pixels_and_clicks_come_back() {
    let pixel = one().pixel_token(ORGANIZATION, MESSAGE);
    assert_eq!((pixel.len(), one().open_pixel_token(&pixel)), (67, Ok((ORGANIZATION, MESSAGE))));
    let click = one().click_token(ORGANIZATION, MESSAGE, LINK);
    assert_eq!((click.len(), one().open_click_token(&click)), (88, Ok((ORGANIZATION, MESSAGE, LINK))));
    assert!(click.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
}

#[test]
fn a_token_of_a_link_is_refused_where_anything_is_wrong_with_it() {
    let click = one().click_token(ORGANIZATION, MESSAGE, LINK);
    let bytes = URL_SAFE_NO_PAD.decode(&click).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(one().open_click_token(&URL_SAFE_NO_PAD.encode(&flipped)).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(one().open_click_token(&URL_SAFE_NO_PAD.encode(&bytes[..length])).is_err(), "{length} bytes");
    }
    // A ring that has the key under another id, and one that has another key under this id.
    let moved = ring(r#"{"current": 2, "key_2": "ONE"}"#);
    assert_eq!(moved.open_click_token(&click), Err(BadToken::UnknownKey));
    let replaced = ring(r#"{"current": 1, "key_1": "TWO"}"#);
    assert_eq!(replaced.open_click_token(&click), Err(BadToken::WrongSignature));
    // Signed by us, but in a layout that is not ours yet.
    let mut later = bytes;
    later[0] = VERSION + 1;
    assert_eq!(one().open_click_token(&URL_SAFE_NO_PAD.encode(&later)), Err(BadToken::Malformed));
}

#[test]
fn a_token_for_one_purpose_is_none_for_another() {
    let (unsubscribe, pixel) =
        (one().unsubscribe_token(ORGANIZATION, MESSAGE), one().pixel_token(ORGANIZATION, MESSAGE));
    let click = one().click_token(ORGANIZATION, MESSAGE, LINK);
    assert_eq!(one().open_pixel_token(&unsubscribe), Err(BadToken::WrongSignature));
    assert_eq!(one().open_unsubscribe_token(&pixel), Err(BadToken::WrongSignature));
    assert_eq!(one().open_click_token(&pixel), Err(BadToken::Malformed));
    assert_eq!(one().open_pixel_token(&click), Err(BadToken::Malformed));
    assert_eq!(one().open_unsubscribe_token(&click), Err(BadToken::Malformed));
}

#[test]
fn every_flipped_bit_is_refused() {
    let token = URL_SAFE_NO_PAD.decode(one().unsubscribe_token(ORGANIZATION, MESSAGE)).unwrap();
    for bit in 0..token.len() * 8 {
        let mut flipped = token.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(one().open_unsubscribe_token(&URL_SAFE_NO_PAD.encode(&flipped)).is_err(), "bit {bit}");
    }
    let token = BASE32_NOPAD.decode(one().reply_token(ORGANIZATION, MESSAGE).to_uppercase().as_bytes()).unwrap();
    for bit in 0..token.len() * 8 {
        let mut flipped = token.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(one().open_reply_token(&BASE32_NOPAD.encode(&flipped)).is_err(), "bit {bit}");
    }
}

#[test]
fn reply_tokens_come_back_in_any_case() {
    let token = one().reply_token(ORGANIZATION, MESSAGE);
    let mixed: String =
        token.char_indices().map(|(i, c)| if i % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect();
    assert_eq!(one().open_reply_token(&token.to_uppercase()), Ok((ORGANIZATION, MESSAGE)));
    assert_eq!(one().open_reply_token(&mixed), Ok((ORGANIZATION, MESSAGE)));
}

#[test]
fn rotation() {
    let both = ring(r#"{"current": 2, "key_1": "ONE", "key_2": "TWO"}"#);
    let only_two = ring(r#"{"current": 2, "key_2": "TWO"}"#);
    for (open, old, new) in [
        (
            KeyRing::open_unsubscribe_token as fn(&KeyRing, &str) -> _,
            one().unsubscribe_token(ORGANIZATION, MESSAGE),
            both.unsubscribe_token(ORGANIZATION, MESSAGE),
        ),
        (KeyRing::open_reply_token, one().reply_token(ORGANIZATION, MESSAGE), both.reply_token(ORGANIZATION, MESSAGE)),
    ] {
        assert_eq!(open(&both, &old), Ok((ORGANIZATION, MESSAGE)));
        assert_eq!(open(&both, &new), Ok((ORGANIZATION, MESSAGE)));
        assert_eq!(open(&only_two, &old), Err(BadToken::UnknownKey));
        assert_eq!(open(&one(), &new), Err(BadToken::UnknownKey));
        // The same id with another key.
        assert_eq!(open(&ring(r#"{"current": 2, "key_2": "ONE"}"#), &new), Err(BadToken::WrongSignature));
    }
}

#[test]
fn purposes_do_not_mix() {
    let ring = one();
    assert_eq!(ring.open_reply_token(&ring.unsubscribe_token(ORGANIZATION, MESSAGE)), Err(BadToken::Malformed));
    assert_eq!(ring.open_unsubscribe_token(&ring.reply_token(ORGANIZATION, MESSAGE)), Err(BadToken::Malformed));
    // The same bytes under the other purpose's MAC, so that the length does not decide.
    let forged = ring.seal(Purpose::Reply, &[VERSION, 1], &[ORGANIZATION, MESSAGE], LINK_MAC);
    assert_eq!(ring.open_unsubscribe_token(&URL_SAFE_NO_PAD.encode(forged)), Err(BadToken::WrongSignature));
    let forged = ring.seal(Purpose::Unsubscribe, &[VERSION << 4 | 1], &[ORGANIZATION, MESSAGE], REPLY_MAC);
    assert_eq!(ring.open_reply_token(&BASE32_NOPAD.encode(&forged)), Err(BadToken::WrongSignature));
}

#[test]
fn text_around_a_token_is_refused() {
    let token = one().unsubscribe_token(ORGANIZATION, MESSAGE);
    let reply = one().reply_token(ORGANIZATION, MESSAGE);
    for (before, after) in [("", "="), ("", " "), (" ", ""), ("", "A"), ("A", ""), ("", "\0")] {
        assert_eq!(one().open_unsubscribe_token(&format!("{before}{token}{after}")), Err(BadToken::Malformed));
        assert_eq!(one().open_reply_token(&format!("{before}{reply}{after}")), Err(BadToken::Malformed));
    }
    assert_eq!(one().open_unsubscribe_token(""), Err(BadToken::Malformed));
    assert_eq!(one().open_reply_token("ä"), Err(BadToken::Malformed));
    // The last character has two bits to spare: another spelling of the same bytes is no token.
    let respelled = format!("{}B", &token[..66]);
    assert_eq!(one().open_unsubscribe_token(&respelled), Err(BadToken::Malformed));
}

#[test]
fn key_rings_that_are_refused() {
    for (json, error) in [
        ("", InvalidKeyRing::Shape),
        ("[]", InvalidKeyRing::Shape),
        ("{}", InvalidKeyRing::Shape),
        (r#"{"key_1": "ONE"}"#, InvalidKeyRing::Shape),
        (r#"{"current": "1", "key_1": "ONE"}"#, InvalidKeyRing::Shape),
        (r#"{"current": 1, "key_1": 1}"#, InvalidKeyRing::Shape),
        (r#"{"current": 1, "key_1": "ONE", "other": "ONE"}"#, InvalidKeyRing::Shape),
        (r#"{"current": 0, "key_0": "ONE"}"#, InvalidKeyRing::KeyId),
        (r#"{"current": 16, "key_16": "ONE"}"#, InvalidKeyRing::KeyId),
        (r#"{"current": 1, "key_01": "ONE"}"#, InvalidKeyRing::KeyId),
        (r#"{"current": 1, "key_+1": "ONE"}"#, InvalidKeyRing::KeyId),
        (r#"{"current": 1, "key_1": "short"}"#, InvalidKeyRing::TooShort(1)),
        (r#"{"current": 2, "key_1": "ONE"}"#, InvalidKeyRing::NoCurrent(2)),
    ] {
        assert_eq!(KeyRing::from_json(&json.replace("ONE", ONE)).unwrap_err(), error, "{json}");
    }
}

#[test]
fn debug_hides_the_keys() {
    assert_eq!(format!("{:?}", one()), "KeyRing { current: 1, key_ids: [1], .. }");
}

proptest! {
    #[test]
    fn every_pair_of_ids_comes_back(organization: u128, message: u128, key in 1u8..=15) {
        let (organization, message) = (Uuid::from_u128(organization), Uuid::from_u128(message));
        let ring = ring(&format!(r#"{{"current": {key}, "key_{key}": "ONE"}}"#));
        let token = ring.unsubscribe_token(organization, message);
        prop_assert_eq!(ring.open_unsubscribe_token(&token), Ok((organization, message)));
        let token = ring.reply_token(organization, message);
        prop_assert_eq!(ring.open_reply_token(&token), Ok((organization, message)));
    }

    #[test]
    fn no_text_opens(text in "\\PC{0,80}|[A-Za-z0-9_-]{67}|[a-z2-7]{64}") {
        prop_assert!(one().open_unsubscribe_token(&text).is_err());
        prop_assert!(one().open_reply_token(&text).is_err());
    }
}
