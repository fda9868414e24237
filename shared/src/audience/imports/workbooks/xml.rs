//! The XML of a workbook's parts, one token after the other. Neither a token nor the depth has more than a bound, whatever
//! the part says.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesEnd, BytesStart, Event};

use super::super::FileError;
use super::archive::{Part, damaged, too_large};

/// Bytes of a tag or of the text between two. A cell has 32,767 characters at most.
const TOKEN_MAXIMUM: usize = 4 << 20;
/// Bytes of an element's name, which is kept until the element ends, and of the value of an attribute: a format of numbers has the
/// longest, 255 characters.
const NAME_MAXIMUM: usize = 1 << 10;
const VALUE_MAXIMUM: usize = 2 << 10;
/// Elements within each other; a workbook has a dozen.
const DEPTH_MAXIMUM: usize = 128;

/// What is read.
pub(super) enum Token<'a> {
    Start(BytesStart<'a>),
    End(BytesEnd<'a>),
    Text(Cow<'a, str>),
    /// Comments and the like.
    Other,
    Over,
}

/// A part that is read as XML.
pub(super) struct Xml<'a> {
    reader: Reader<Metered<Part<'a>>>,
    buffer: Vec<u8>,
    depth: usize,
}

impl<'a> Xml<'a> {
    pub(super) fn new(part: Part<'a>) -> Self {
        let mut reader = Reader::from_reader(Metered { part, left: TOKEN_MAXIMUM });
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), depth: 0 }
    }

    /// The next token. Entities but those that XML itself has are none of ours.
    pub(super) fn next(&mut self) -> Result<Token<'_>, FileError> {
        self.buffer.clear();
        self.reader.get_mut().left = TOKEN_MAXIMUM;
        match self.reader.read_event_into(&mut self.buffer).map_err(told)? {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > DEPTH_MAXIMUM || start.name().into_inner().len() > NAME_MAXIMUM {
                    return Err(damaged());
                }
                Ok(Token::Start(start))
            }
            Event::End(end) => {
                self.depth -= 1;
                Ok(Token::End(end))
            }
            Event::Text(text) => Ok(Token::Text(text.xml10_content())),
            Event::CData(text) => Ok(Token::Text(text.xml10_content())),
            Event::GeneralRef(name) => {
                let character = match name.resolve_char_ref().map_err(told)? {
                    Some(character) => character,
                    None => predefined(&name).ok_or_else(damaged)?,
                };
                Ok(Token::Text(Cow::Owned(character.to_string())))
            }
            Event::Eof => Ok(Token::Over),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Ok(Token::Other),
        }
    }
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// An attribute by its local name; none where it is longer than any of a workbook.
pub(super) fn attribute<'a>(start: &'a BytesStart<'_>, name: &str) -> Option<Cow<'a, str>> {
    let mut attributes = start.attributes();
    // Whether one is there twice takes long to tell of many.
    let attributes = attributes.with_checks(false).flatten();
    let mut found = attributes.filter(|attribute| attribute.key.local_name().into_inner() == name);
    let value = found.next()?.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?;
    (value.len() <= VALUE_MAXIMUM).then_some(value)
}

/// What is wrong with the file where its XML can't be read.
fn told(error: quick_xml::Error) -> FileError {
    match &error {
        quick_xml::Error::Io(error) => file_error(error),
        _ => damaged(),
    }
}

fn file_error(error: &io::Error) -> FileError {
    error.get_ref().and_then(|inner| inner.downcast_ref::<FileError>()).cloned().unwrap_or_else(damaged)
}

/// Gives no more than so many bytes for one token.
struct Metered<R> {
    part: R,
    left: usize,
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(too_large("a cell of the workbook has more than 4 MiB")));
        }
        self.part.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.part.consume(count);
    }
}
