//! What a cell shows: numbers as people write them, and dates, which a workbook keeps as numbers of days.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{Days, NaiveDate, NaiveTime};

use super::super::FileError;
use super::archive::{Part, damaged};
use super::xml::{Token, Xml, attribute};

/// Formats of a workbook at most; Excel itself has 65,490.
const FORMATS_MAXIMUM: usize = 1 << 16;
/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// The number of 9999-12-31, the last day that there is in a workbook.
const LAST_DAY: f64 = 2_958_465.0;
/// The number that Excel gives a 29th of February in 1900, which there was none of.
const NO_DAY: u64 = 60;

/// What a number is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Number,
    Date,
    DateTime,
    Time,
}

/// How the cells of a workbook are shown.
#[derive(Debug)]
pub(super) struct Styles {
    /// By the number of the style that a cell has.
    shown: Vec<Shown>,
    /// Whether days are counted from 1904 on.
    from_1904: bool,
}

impl Styles {
    /// Those of a workbook that has none: every number is a number.
    pub(super) fn none(from_1904: bool) -> Self {
        Self { shown: Vec::new(), from_1904 }
    }

    /// Reads the part of the styles.
    pub(super) fn read(part: Part<'_>, from_1904: bool) -> Result<Self, FileError> {
        let (mut xml, mut own, mut shown, mut within) = (Xml::new(part), HashMap::new(), Vec::new(), false);
        loop {
            match xml.next()? {
                Token::Start(start) => match start.local_name().into_inner() {
                    "numFmt" => {
                        let id = attribute(&start, "numFmtId").and_then(|id| id.parse::<u32>().ok());
                        if let (Some(id), Some(code)) = (id, attribute(&start, "formatCode")) {
                            own.insert(id, of_code(&code));
                        }
                    }
                    "cellXfs" => within = true,
                    "xf" if within => {
                        let id =
                            attribute(&start, "numFmtId").and_then(|id| id.parse::<u32>().ok()).unwrap_or_default();
                        shown.push(own.get(&id).copied().unwrap_or_else(|| of_builtin(id)));
                    }
                    _ => {}
                },
                Token::End(end) if end.local_name().into_inner() == "cellXfs" => break,
                Token::Over => break,
                Token::End(_) | Token::Text(_) | Token::Other => {}
            }
            if own.len() > FORMATS_MAXIMUM || shown.len() > FORMATS_MAXIMUM {
                return Err(damaged());
            }
        }
        Ok(Self { shown, from_1904 })
    }

    /// A number of the sheet as its style shows it.
    pub(super) fn number<'a>(&self, style: Option<usize>, text: &'a str) -> Cow<'a, str> {
        let shown = style.and_then(|style| self.shown.get(style)).copied().unwrap_or(Shown::Number);
        let Ok(number) = text.trim().parse::<f64>() else { return Cow::Borrowed(text) };
        match (shown, self.date(number, shown)) {
            (Shown::Number, _) | (_, None) => Cow::Owned(plain(number)),
            (_, Some(date)) => Cow::Owned(date),
        }
    }

    /// Date and time in the form of ISO 8601, to the second; `None` for a number that is neither.
    fn date(&self, number: f64, shown: Shown) -> Option<String> {
        if shown == Shown::Number || !(0.0..LAST_DAY + 1.0).contains(&number) {
            return None;
        }
        let (mut day, mut second) = (number.floor(), ((number - number.floor()) * DAY).round());
        if second >= DAY {
            (day, second) = (day + 1.0, 0.0);
        }
        if day > LAST_DAY {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are within the bounds above")]
        let (day, second) = (day as u64, second as u32);
        let time = NaiveTime::from_num_seconds_from_midnight_opt(second, 0)?;
        if shown != Shown::Date && day == 0 {
            return Some(time.format("%H:%M:%S").to_string());
        }
        let date = self.day(day)?;
        let has_time = shown != Shown::Date && second != 0;
        Some(if has_time { format!("{date}T{}", time.format("%H:%M:%S")) } else { date.to_string() })
    }

    fn day(&self, day: u64) -> Option<NaiveDate> {
        let (first, days) = match (self.from_1904, day) {
            (true, _) => (NaiveDate::from_ymd_opt(1904, 1, 1)?, day),
            (false, ..NO_DAY) => (NaiveDate::from_ymd_opt(1899, 12, 31)?, day),
            (false, NO_DAY) => return None,
            (false, _) => (NaiveDate::from_ymd_opt(1899, 12, 30)?, day),
        };
        first.checked_add_days(Days::new(days))
    }
}

/// Without an exponent, and without the digits that only the machine sees: 17 digits are kept, 15 are meant.
fn plain(number: f64) -> String {
    let meant = format!("{number:.14e}").parse::<f64>().unwrap_or(number);
    format!("{meant}")
}

/// The formats that every workbook has (ECMA-376, 18.8.30), those of East Asia included.
fn of_builtin(id: u32) -> Shown {
    match id {
        14..=17 | 27..=31 | 34..=36 | 50..=54 | 57..=58 => Shown::Date,
        22 => Shown::DateTime,
        18..=21 | 32..=33 | 45..=47 | 55..=56 => Shown::Time,
        _ => Shown::Number,
    }
}

/// What a format shows: only its first section counts, without quoted text, escapes, and what stands in brackets, unless
/// that counts hours.
fn of_code(code: &str) -> Shown {
    let (mut day, mut time) = (false, false);
    let mut characters = code.chars();
    while let Some(c) = characters.next() {
        match c.to_ascii_lowercase() {
            ';' => break,
            '"' => while characters.next().is_some_and(|c| c != '"') {},
            '\\' | '_' | '*' => {
                characters.next();
            }
            '[' => {
                let inside: String = characters.by_ref().take_while(|c| *c != ']').collect();
                time |= !inside.is_empty() && inside.chars().all(|c| matches!(c, 'h' | 'H' | 'm' | 'M' | 's' | 'S'));
            }
            'y' | 'd' => day = true,
            'h' | 's' => time = true,
            // Month or minute: of the day where nothing is said of the time.
            'm' => day |= !time,
            _ => {}
        }
    }
    match (day, time) {
        (true, true) => Shown::DateTime,
        (true, false) => Shown::Date,
        (false, true) => Shown::Time,
        (false, false) => Shown::Number,
    }
}

/// A text with its characters in place of `_x000D_` and the like, which stand for what XML can't hold (22.9.2.19).
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("_x") {
        return Cow::Borrowed(text);
    }
    let (mut units, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = rest.find("_x") {
        let escape = rest.get(at + 2..at + 7).and_then(|escape| escape.strip_suffix('_'));
        let unit = escape.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let (before, after) = match unit {
            Some(_) => (&rest[..at], &rest[at + 7..]),
            None => rest.split_at(at + 2),
        };
        units.extend(before.encode_utf16());
        units.extend(unit);
        rest = after;
    }
    units.extend(rest.encode_utf16());
    Cow::Owned(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let number = |text| Styles::none(false).number(None, text).into_owned();
        assert_eq!(number("42"), "42");
        assert_eq!(number("4.91701234567E+11"), "491701234567");
        assert_eq!(number("0.10000000000000001"), "0.1");
        assert_eq!(number("-1.1000000000000001"), "-1.1");
        assert_eq!(number("1E-3"), "0.001");
        assert_eq!(number("n/a"), "n/a");
    }

    #[test]
    fn days_are_dates_of_iso_8601() {
        let shown = vec![Shown::Number, Shown::Date, Shown::DateTime, Shown::Time];
        let styles = Styles { shown: shown.clone(), from_1904: false };
        let number = |style, text| styles.number(Some(style), text).into_owned();
        assert_eq!(number(1, "45352"), "2024-03-01");
        assert_eq!(number(1, "1"), "1900-01-01");
        assert_eq!(number(1, "59"), "1900-02-28");
        assert_eq!(number(1, "61"), "1900-03-01");
        assert_eq!(number(1, "60"), "60", "there was no such day");
        assert_eq!(number(2, "45352.5"), "2024-03-01T12:00:00");
        assert_eq!(number(2, "45352.999999999"), "2024-03-02");
        assert_eq!(number(2, "45352"), "2024-03-01");
        assert_eq!(number(1, "45352.75"), "2024-03-01");
        assert_eq!(number(3, "0.75"), "18:00:00");
        assert_eq!(number(1, "-1"), "-1");
        assert_eq!(number(1, "2958465"), "9999-12-31");
        assert_eq!(number(2, "2958465.999999999"), "2958465.999999999".parse::<f64>().map(plain).unwrap());
        assert_eq!(number(0, "45352"), "45352");
        assert_eq!(number(9, "45352"), "45352", "a style that is not there");
        let from_1904 = Styles { shown, from_1904: true };
        assert_eq!(from_1904.number(Some(1), "43890"), "2024-03-01");
    }

    #[test]
    fn formats_tell_dates_from_numbers() {
        for (code, shown) in [
            ("yyyy\\-mm\\-dd", Shown::Date),
            ("[$-407]d. mmmm yyyy;@", Shown::Date),
            ("dd/mm/yy hh:mm", Shown::DateTime),
            ("[h]:mm:ss", Shown::Time),
            ("mm:ss", Shown::DateTime),
            ("#,##0.00 \"days\"", Shown::Number),
            ("0.00_);[Red](0.00)", Shown::Number),
            ("General", Shown::Number),
            ("0;d", Shown::Number),
        ] {
            assert_eq!(of_code(code), shown, "{code}");
        }
    }

    #[test]
    fn escapes_stand_for_what_xml_cannot_hold() {
        assert_eq!(unescaped("a_x000D_b"), "a\rb");
        assert_eq!(unescaped("_x005F_x000D_"), "_x000D_");
        assert_eq!(unescaped("_xyz_ _x0_ é_x00"), "_xyz_ _x0_ é_x00");
        assert_eq!(unescaped("_xD83D__xDE00_"), "\u{1f600}");
    }
}
