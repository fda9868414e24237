//! How the bytes of a file are text.
//!
//! The parser reads bytes in which ASCII is ASCII: UTF-8 and Windows-1252 as they come, UTF-16 as the UTF-8 that it is
//! brought into piece by piece. Places stay those of the original file: every character of UTF-16 has a length there that
//! its UTF-8 tells.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16LE_MARK: &[u8] = b"\xff\xfe";
const UTF16BE_MARK: &[u8] = b"\xfe\xff";
/// What stands in UTF-8 for a half of a surrogate pair without the other: three bytes that are no UTF-8, so that the row is
/// refused where it is read.
const UNPAIRED: &[u8] = b"\xed\xa0\x80";
/// UTF-16 without a mark is recognized by so many characters of the Latin alphabet, or by a whole file that is shorter.
const UTF16_EVIDENCE: usize = 32;
/// Fewer prove nothing: `a` and a NUL byte may be anything.
const UTF16_LEAST: usize = 4;
/// Bytes that Windows-1252 gives no character.
const UNASSIGNED: [u8; 5] = [0x81, 0x8d, 0x8f, 0x90, 0x9d];

/// An encoding that files are read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audience) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Windows1252,
}

impl Encoding {
    const ALL: [Self; 4] = [Self::Utf8, Self::Utf16Le, Self::Utf16Be, Self::Windows1252];

    /// Its name in the registry of IANA, in lower case.
    pub(in crate::audience) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
            Self::Windows1252 => "windows-1252",
        }
    }

    pub(in crate::audience) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// The encoding of a file that began with ASCII alone, by the first row that has more.
    pub(in crate::audience) fn of_first_row(row: &[u8]) -> Option<Self> {
        if row.is_ascii() {
            return None;
        }
        Some(if std::str::from_utf8(row).is_ok() { Self::Utf8 } else { Self::Windows1252 })
    }

    /// The text of a field, or why it is none.
    pub(in crate::audience) fn text(self, field: &[u8]) -> Result<Cow<'_, str>, NotText> {
        match self {
            Self::Windows1252 if field.is_ascii() => {}
            Self::Windows1252 if field.iter().any(|byte| UNASSIGNED.contains(byte)) => {
                return Err(NotText { code: "wrong_encoding", what: "is not Windows-1252 text" });
            }
            Self::Windows1252 if std::str::from_utf8(field).is_ok() => {
                let what = "is UTF-8 text in a file that else is Windows-1252";
                return Err(NotText { code: "wrong_encoding", what });
            }
            Self::Windows1252 => return Ok(WINDOWS_1252.decode_without_bom_handling(field).0),
            Self::Utf8 | Self::Utf16Le | Self::Utf16Be => {}
        }
        std::str::from_utf8(field).map(Cow::Borrowed).map_err(|_| match self {
            Self::Utf8 | Self::Windows1252 => NotText { code: "not_utf8", what: "is not UTF-8 text" },
            Self::Utf16Le | Self::Utf16Be => NotText { code: "wrong_encoding", what: "is not UTF-16 text" },
        })
    }

    /// The text of a row to show, with a replacement for whatever is none.
    pub(in crate::audience) fn shown(self, row: &[u8]) -> Cow<'_, str> {
        match self.text(row) {
            Ok(text) => text,
            Err(_) => String::from_utf8_lossy(row),
        }
    }

    /// How many bytes of the file these bytes of the parser were.
    pub(in crate::audience) fn length(self, bytes: &[u8]) -> u64 {
        match self {
            Self::Utf8 | Self::Windows1252 => bytes.len() as u64,
            Self::Utf16Le | Self::Utf16Be => bytes
                .iter()
                .map(|byte| match byte {
                    // Continues the character before.
                    0x80..=0xbf => 0,
                    // Four bytes of UTF-8 are a surrogate pair.
                    0xf0.. => 4,
                    _ => 2,
                })
                .sum(),
        }
    }
}

/// Why bytes are not text of the file's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audience) struct NotText {
    pub(in crate::audience) code: &'static str,
    /// The predicate of a sentence about the field.
    pub(in crate::audience) what: &'static str,
}

/// The encoding of a file that begins with `sample`, and the length of its byte order mark. `None` while there is ASCII
/// alone.
///
/// Bytes that are not UTF-8 make a file Windows-1252, unless most of its characters beyond ASCII are UTF-8: then the others
/// are what is wrong with it.
pub(in crate::audience) fn detect(sample: &[u8]) -> (Option<Encoding>, usize) {
    for (mark, encoding) in
        [(UTF8_MARK, Encoding::Utf8), (UTF16LE_MARK, Encoding::Utf16Le), (UTF16BE_MARK, Encoding::Utf16Be)]
    {
        if sample.starts_with(mark) {
            return (Some(encoding), mark.len());
        }
    }
    let latin = |units: fn([u8; 2]) -> u16| {
        let evidence = &sample[..sample.len().min(2 * UTF16_EVIDENCE)];
        evidence.len() >= 2 * UTF16_LEAST
            && units_of(evidence).map(units).all(|unit| matches!(unit, 0x09 | 0x0a | 0x0d | 0x20..=0x7e | 0xa0..=0x17f))
    };
    if latin(u16::from_le_bytes) {
        return (Some(Encoding::Utf16Le), 0);
    }
    if latin(u16::from_be_bytes) {
        return (Some(Encoding::Utf16Be), 0);
    }
    let (mut characters, mut others) = (0_usize, 0_usize);
    for chunk in sample.utf8_chunks() {
        characters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        // Where the sample ends within a character, its beginning is what is left over.
        let cut = std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        let is_cut_short = cut && ends_with(sample, chunk.invalid());
        others += usize::from(!chunk.invalid().is_empty() && !is_cut_short);
    }
    let encoding = match (characters, others) {
        (0, 0) => None,
        _ if characters > others || others == 0 => Some(Encoding::Utf8),
        _ => Some(Encoding::Windows1252),
    };
    (encoding, 0)
}

/// Whether `part`, which is a part of `whole`, is its end.
fn ends_with(whole: &[u8], part: &[u8]) -> bool {
    whole.as_ptr_range().end == part.as_ptr_range().end
}

fn units_of(bytes: &[u8]) -> impl Iterator<Item = [u8; 2]> {
    bytes.as_chunks::<2>().0.iter().copied()
}

/// Brings the pieces of a file into what the parser reads.
pub(in crate::audience) struct Transcoder {
    encoding: Encoding,
    /// The beginning of a character whose rest is in the next piece.
    carry: Vec<u8>,
}

impl Transcoder {
    /// Begins where a character begins.
    pub(in crate::audience) fn new(encoding: Encoding) -> Self {
        Self { encoding, carry: Vec::new() }
    }

    /// The next piece. `last` says that none follows.
    pub(in crate::audience) fn read<'a>(&mut self, piece: &'a [u8], last: bool) -> Cow<'a, [u8]> {
        let unit = match self.encoding {
            Encoding::Utf8 | Encoding::Windows1252 => return Cow::Borrowed(piece),
            Encoding::Utf16Le => u16::from_le_bytes,
            Encoding::Utf16Be => u16::from_be_bytes,
        };
        let mut bytes = std::mem::take(&mut self.carry);
        bytes.extend_from_slice(piece);
        let mut whole = bytes.len() - bytes.len() % 2;
        let high = |pair: [u8; 2]| (0xd800..0xdc00).contains(&unit(pair));
        if !last && bytes[..whole].last_chunk().is_some_and(|pair| high(*pair)) {
            whole -= 2;
        }
        let mut text = Vec::with_capacity(whole + whole / 2);
        for character in char::decode_utf16(units_of(&bytes[..whole]).map(unit)) {
            match character {
                Ok(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(_) => text.extend_from_slice(UNPAIRED),
            }
        }
        if last && whole < bytes.len() {
            text.extend_from_slice(UNPAIRED);
        } else {
            bytes.drain(..whole);
            self.carry = bytes;
        }
        Cow::Owned(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn encodings_are_recognized() {
        let expect = |sample: &[u8], encoding: Option<Encoding>, mark: usize| {
            assert_eq!(detect(sample), (encoding, mark), "{}", sample.escape_ascii());
        };
        expect(b"", None, 0);
        expect(b"email\n", None, 0);
        expect(b"\xef\xbb\xbfemail\n", Some(Encoding::Utf8), 3);
        expect("é".as_bytes(), Some(Encoding::Utf8), 0);
        expect(b"caf\xe9,", Some(Encoding::Windows1252), 0);
        expect(b"caf\xe9", None, 0);
        // Three characters of UTF-8 and one byte that is none: the byte is wrong.
        expect(b"\xc3\xa9\xc3\xa9\xc3\xa9\xe9,", Some(Encoding::Utf8), 0);
        expect(b"\xc3\xa9\xe9\xe9,", Some(Encoding::Windows1252), 0);
        expect("email,na\u{ef}ve".as_bytes().split_last().unwrap().1, Some(Encoding::Utf8), 0);
        // A character that the end of the sample cuts is no evidence against UTF-8.
        expect(b"\xc3\xa9 \xe2\x82", Some(Encoding::Utf8), 0);
        expect(b"\xff\xfee\0", Some(Encoding::Utf16Le), 2);
        expect(b"\xfe\xff\0e", Some(Encoding::Utf16Be), 2);
        expect(&utf16("email", u16::to_le_bytes), Some(Encoding::Utf16Le), 0);
        expect(&utf16("Größe,email", u16::to_be_bytes), Some(Encoding::Utf16Be), 0);
        expect(b"e\0m\0", None, 0);
        expect(b"email,nul\0byte\0", None, 0);
        expect(&[0; 100], None, 0);
    }

    #[test]
    fn what_is_not_text_is_refused_and_never_garbled() {
        fn code(encoding: Encoding, field: &[u8]) -> Result<Cow<'_, str>, &'static str> {
            encoding.text(field).map_err(|error| error.code)
        }
        assert_eq!(code(Encoding::Windows1252, b"caf\xe9 \x80").unwrap(), "café €");
        assert_eq!(code(Encoding::Windows1252, b"caf\xc3\xa9"), Err("wrong_encoding"));
        assert_eq!(code(Encoding::Windows1252, b"a\x81"), Err("wrong_encoding"));
        assert_eq!(code(Encoding::Utf8, b"caf\xe9"), Err("not_utf8"));
        assert_eq!(code(Encoding::Utf16Le, UNPAIRED), Err("wrong_encoding"));
    }

    proptest! {
        /// However the pieces are cut, UTF-16 comes to the same text, and each part of it to the place it had.
        #[test]
        fn utf16_is_read_whatever_the_pieces(
            units in prop::collection::vec(prop_oneof![8 => 0x20_u16..0x180, 1 => 0xd800_u16..0xe000, 1 => any::<u16>()], 0..40),
            piece in 1_usize..9,
            odd in any::<bool>(),
        ) {
            for (encoding, bytes) in [(Encoding::Utf16Le, u16::to_le_bytes as fn(u16) -> [u8; 2]), (Encoding::Utf16Be, u16::to_be_bytes)] {
                let mut file: Vec<u8> = units.iter().copied().flat_map(bytes).collect();
                if odd {
                    file.push(b'x');
                }
                let mut transcoder = Transcoder::new(encoding);
                let (mut text, mut rest) = (Vec::new(), file.as_slice());
                while !rest.is_empty() {
                    let (next, after) = rest.split_at(piece.min(rest.len()));
                    text.extend_from_slice(&transcoder.read(next, after.is_empty()));
                    rest = after;
                }
                prop_assert_eq!(encoding.length(&text), (file.len() + file.len() % 2) as u64);
                if let (Ok(expected), false) = (String::from_utf16(&units), odd) {
                    prop_assert_eq!(encoding.text(&text).unwrap(), expected);
                } else {
                    prop_assert!(encoding.text(&text).is_err());
                }
            }
        }
    }
}
