//! The table of texts that the cells of a workbook share, as densely as it can be kept.

use std::collections::BTreeSet;

use super::super::FileError;
use super::archive::{Part, damaged, too_large};
use super::cells::unescaped;
use super::xml::{Token, Xml};

/// Memory for all texts together, with what finds them. A million people with five texts each take about 120 MB.
const TABLE_MAXIMUM: usize = 128 << 20;
/// What it takes to find a text.
const PLACE: usize = 2 * size_of::<u32>();
/// Texts lie in blocks, so that the table grows without being copied.
const BLOCK: usize = 1 << 20;

/// Texts by their number.
#[derive(Default)]
pub(super) struct Strings {
    blocks: Vec<Vec<u8>>,
    length: usize,
    /// Where each ends in the blocks, taken together.
    ends: Vec<u32>,
}

impl Strings {
    /// Reads the table, or those `wanted` of it alone; the others are empty then.
    pub(super) fn read(part: Part<'_>, wanted: Option<&BTreeSet<usize>>) -> Result<Self, FileError> {
        let (mut strings, mut xml) = (Self::default(), Xml::new(part));
        let last = wanted.map_or(usize::MAX, |wanted| wanted.last().map_or(0, |last| last + 1));
        let mut text = String::new();
        while strings.ends.len() < last {
            match xml.next()? {
                Token::Start(start) if start.local_name().into_inner() == "si" => {
                    text.clear();
                    rich_text(&mut xml, "si", &mut text)?;
                    let is_wanted = wanted.is_none_or(|wanted| wanted.contains(&strings.ends.len()));
                    strings.push(if is_wanted { &text } else { "" })?;
                }
                Token::Over => break,
                _ => {}
            }
        }
        Ok(strings)
    }

    fn push(&mut self, text: &str) -> Result<(), FileError> {
        let text = unescaped(text);
        let mut rest = text.as_bytes();
        self.length += rest.len();
        if self.length + (self.ends.len() + 1) * PLACE > TABLE_MAXIMUM {
            return Err(too_large("the workbook has more texts than can be read; export it as CSV"));
        }
        while !rest.is_empty() {
            if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
                self.blocks.push(Vec::with_capacity(BLOCK));
            }
            let Some(block) = self.blocks.last_mut() else { break };
            let (part, after) = rest.split_at(rest.len().min(BLOCK - block.len()));
            block.extend_from_slice(part);
            rest = after;
        }
        self.ends.push(u32::try_from(self.length).map_err(|_| damaged())?);
        Ok(())
    }

    /// Appends the text of this number to `text`; false where there is none.
    pub(super) fn write(&self, number: usize, text: &mut Vec<u8>) -> bool {
        let Some(end) = self.ends.get(number).map(|end| *end as usize) else { return false };
        let mut at = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        while at < end {
            let block = &self.blocks[at / BLOCK];
            let begin = at % BLOCK;
            let length = (end - at).min(block.len() - begin);
            text.extend_from_slice(&block[begin..begin + length]);
            at += length;
        }
        true
    }
}

/// Reads the text of an element that has begun, up to its end: that of its runs, without what says how they are read out.
pub(super) fn rich_text(xml: &mut Xml<'_>, element: &str, text: &mut String) -> Result<(), FileError> {
    let (mut in_text, mut in_phonetic) = (false, false);
    loop {
        match xml.next()? {
            Token::Start(start) => match start.local_name().into_inner() {
                "t" => in_text = true,
                "rPh" => in_phonetic = true,
                _ => {}
            },
            Token::End(end) => match end.local_name().into_inner() {
                "t" => in_text = false,
                "rPh" => in_phonetic = false,
                name if name == element => return Ok(()),
                _ => {}
            },
            Token::Text(part) if in_text && !in_phonetic => {
                text.push_str(&part);
                bound(text)?;
            }
            Token::Text(_) | Token::Other => {}
            Token::Over => return Err(damaged()),
        }
    }
}

/// No text of a cell is longer than a row may be.
pub(super) fn bound(text: &str) -> Result<(), FileError> {
    if text.len() > super::super::parsing::ROW_MAXIMUM {
        return Err(too_large("a cell of the workbook has more than 1 MiB"));
    }
    Ok(())
}
