//! A file of contacts as a CRM exports it, with what such files bring along: odd headers, a byte order mark, quoted commas
//! and line breaks, the same person twice, addresses that are none, rows of the wrong length, blank lines.
//!
//! Everything follows from the seed, and the generator knows what an import must make of it.

use std::collections::BTreeMap;

use crate::postbox::draws;

/// People that every file has at least: with three mails each and some stops on the way, they get well over 4,000.
const PEOPLE: u64 = 2_200;
/// Rows at least that repeat a person of the file.
const REPEATS: u64 = 150;
/// Rows at least without an address that mail can be sent to.
const MALFORMED: u64 = 60;
/// Rows with more fields than the header.
const TOO_LONG: u64 = 20;
/// Lines with nothing on them.
const BLANK: u64 = 20;

/// The header that is found by no name and has to be mapped by hand.
pub(super) const COMPANY_HEADER: &str = "Company / Account";
const HEADERS: [&str; 11] = [
    "Record ID",
    "First Name",
    "LAST NAME",
    "E-mail Address",
    COMPANY_HEADER,
    "Job Title",
    "City",
    "Country/Region",
    "Notes",
    "Last Contacted",
    "Owner (internal)",
];

/// Names with their ASCII form, since a mailbox's name is mostly without accents.
const FIRST_NAMES: [(&str, &str); 16] = [
    ("Anna", "anna"),
    ("Jörg", "joerg"),
    ("Zoë", "zoe"),
    ("Lukas", "lukas"),
    ("Małgorzata", "malgorzata"),
    ("François", "francois"),
    ("Sinéad", "sinead"),
    ("Ingrid", "ingrid"),
    ("Mateo", "mateo"),
    ("Yuki", "yuki"),
    ("Olga", "olga"),
    ("Ümit", "uemit"),
    ("Jean-Luc", "jean-luc"),
    ("Priya", "priya"),
    ("Tomáš", "tomas"),
    ("Eva Maria", "eva.maria"),
];
const LAST_NAMES: [(&str, &str); 14] = [
    ("Schmidt", "schmidt"),
    ("O'Neill", "oneill"),
    ("Müller-Lüdenscheidt", "mueller-luedenscheidt"),
    ("García", "garcia"),
    ("Nowak", "nowak"),
    ("de Vries", "devries"),
    ("Johansson", "johansson"),
    ("Rossi", "rossi"),
    ("Łukasik", "lukasik"),
    ("Tanaka", "tanaka"),
    ("Novák", "novak"),
    ("Dubois", "dubois"),
    ("Yılmaz", "yilmaz"),
    ("Kumar", "kumar"),
];
/// Companies with the domain of their mail.
const COMPANIES: [(&str, &str); 10] = [
    ("Nordlicht GmbH", "nordlicht"),
    ("Müller, Schmidt & Partner", "msp"),
    ("\"Blue\" Harbour Ltd.", "blue-harbour"),
    ("Søren & Sons A/S", "soren-sons"),
    ("Acme, Inc.", "acme"),
    ("Café des Arts", "cafe-des-arts"),
    ("3rd Floor Studio", "3rd-floor"),
    ("Kowalski Sp. z o.o.", "kowalski"),
    ("東京システム", "tokyo-systems"),
    ("Grün; Weiß OHG", "gruen-weiss"),
];
const TITLES: [&str; 6] =
    ["Head of Purchasing", "CEO", "VP, Operations", "Leiterin Einkauf", "Owner / Founder", "IT-Admin"];
const CITIES: [&str; 7] = ["Köln", "Wrocław", "Dublin", "Lyon", "Kyoto", "São Paulo", "Washington, D.C."];
const NOTES: [&str; 6] = [
    "",
    "Met at the fair, hall 3",
    "Said: \"call me in spring\"",
    "First line\r\nsecond line, after a break\r\n\r\nfourth",
    "prefers mail; not phone",
    "=SUM(A1:A2)",
];

/// A generated file and the truth about it.
#[derive(Debug, Clone)]
pub(super) struct Export {
    /// The file.
    pub(super) bytes: Vec<u8>,
    /// What is in it.
    pub(super) truth: Truth,
    /// Every person by address in lower case.
    pub(super) people: BTreeMap<String, Person>,
}

/// What an import must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truth {
    /// Rows that are not blank.
    pub(super) rows: u64,
    /// Different people.
    pub(super) contacts: u64,
    /// Rows that repeat one of them.
    pub(super) repeats: u64,
    /// Rows that can't be imported.
    pub(super) failed: u64,
}

/// Somebody in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// Empty for some.
    pub(super) first_name: String,
    /// Where they work.
    pub(super) company: String,
}

/// Generates the file of a seed.
pub(super) fn generate(seed: u64) -> Export {
    let draw = Draw { seed };
    let contacts = PEOPLE + draw.below(100, "people", 0);
    let repeats = REPEATS + draw.below(50, "repeats", 0);
    let malformed = MALFORMED + draw.below(20, "malformed", 0);
    let mut people = BTreeMap::new();
    let mut lines = Vec::new();
    for number in 0..contacts {
        let row = draw.person(number);
        people.insert(
            row.email.to_ascii_lowercase(),
            Person { first_name: row.first_name.to_owned(), company: row.company.to_owned() },
        );
        let email = draw.spelling(&row.email, "first", number);
        let mut fields = row.fields(draw, number, &email);
        if draw.below(60, "short", number) == 0 {
            // Some programs leave out empty fields at the end.
            fields.truncate(6);
        }
        lines.push(line(&fields));
    }
    for number in 0..repeats {
        let original = draw.below(contacts, "original", number);
        let row = draw.person(original);
        let email = draw.spelling(&row.email, "again", number);
        lines.push(line(&row.fields(draw, contacts + number, &email)));
    }
    for number in 0..malformed {
        let row = draw.person(contacts + number);
        lines.push(line(&row.fields(draw, contacts + repeats + number, &broken(&row.email, number))));
    }
    for number in 0..TOO_LONG {
        let row = draw.person(contacts + malformed + number);
        let mut fields = row.fields(draw, contacts + repeats + malformed + number, &row.email);
        fields.extend(["a stray".into(), "comma".into()]);
        lines.push(line(&fields));
    }
    for number in 0..BLANK {
        lines.push(if number % 2 == 0 { String::new() } else { ",".repeat(HEADERS.len() - 1) });
    }
    let mut places: Vec<_> = (0_u64..).zip(lines).map(|(place, line)| (draw.number("place", place), line)).collect();
    places.sort();
    let mut text = format!("\u{feff}{}\r\n", line(&HEADERS.map(String::from)));
    for (_, line) in places {
        text.push_str(&line);
        text.push_str("\r\n");
    }
    let failed = malformed + TOO_LONG;
    let truth = Truth { rows: contacts + repeats + failed, contacts, repeats, failed };
    Export { bytes: text.into_bytes(), truth, people }
}

/// What is drawn from the seed.
#[derive(Debug, Clone, Copy)]
struct Draw {
    seed: u64,
}

impl Draw {
    fn number(self, label: &str, index: u64) -> u64 {
        draws::number(self.seed, label, &[&index.to_string()])
    }

    fn below(self, bound: u64, label: &str, index: u64) -> u64 {
        draws::below(bound, self.seed, label, &[&index.to_string()])
    }

    fn pick<T: Copy>(self, choices: &[T], label: &str, index: u64) -> T {
        let drawn = self.below(choices.len() as u64, label, index);
        choices[usize::try_from(drawn).unwrap_or(0)]
    }

    fn person(self, number: u64) -> Row {
        let (first_name, first_ascii) = self.pick(&FIRST_NAMES, "first name", number);
        let (last_name, last_ascii) = self.pick(&LAST_NAMES, "last name", number);
        let (company, domain) = self.pick(&COMPANIES, "company", number);
        // The number makes every address another one; example is a top-level domain that nobody can own.
        let email = format!("{first_ascii}.{last_ascii}{number}@{domain}.example");
        let first_name = if self.below(25, "nameless", number) == 0 { "" } else { first_name };
        Row { first_name, last_name, company, email }
    }

    /// The same address as another person would type it.
    fn spelling(self, email: &str, label: &str, number: u64) -> String {
        match self.below(5, label, number) {
            0 => email.to_ascii_uppercase(),
            1 => email[..1].to_ascii_uppercase() + &email[1..],
            2 => format!(" {email} "),
            _ => email.to_owned(),
        }
    }
}

/// One person's row before it is spelled.
#[derive(Debug, Clone)]
struct Row {
    first_name: &'static str,
    last_name: &'static str,
    company: &'static str,
    email: String,
}

impl Row {
    fn fields(&self, draw: Draw, record: u64, email: &str) -> Vec<String> {
        let month = 1 + draw.below(12, "month", record);
        vec![
            format!("{:06}", 100_000 + record),
            self.first_name.into(),
            self.last_name.into(),
            email.into(),
            self.company.into(),
            draw.pick(&TITLES, "title", record).into(),
            draw.pick(&CITIES, "city", record).into(),
            "".into(),
            draw.pick(&NOTES, "note", record).into(),
            format!("{:02}/{month:02}/2025", 1 + draw.below(28, "day", record)),
            "Sales Team".into(),
        ]
    }
}

/// An address that is none, in the ways in which people get it wrong.
fn broken(email: &str, number: u64) -> String {
    match number % 7 {
        0 => email.replace('@', " at "),
        1 => email.replace('@', "@@"),
        2 => email.replace(".example", "."),
        3 => email.replacen('.', "..", 1),
        4 => email.replace('@', " @ "),
        5 => String::new(),
        _ => "n/a".into(),
    }
}

fn line(fields: &[String]) -> String {
    let quoted = |field: &String| {
        if field.contains(['"', ',', '\r', '\n']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.clone()
        }
    };
    fields.iter().map(quoted).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the rows of a file: enough of CSV to read what is written here.
    fn rows(bytes: &[u8]) -> Vec<Vec<String>> {
        let text = std::str::from_utf8(bytes).unwrap().strip_prefix('\u{feff}').expect("a byte order mark");
        let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut field)),
                '\r' if !quoted => {}
                '\n' if !quoted => {
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                other => field.push(other),
            }
        }
        assert!(!quoted && row.is_empty() && field.is_empty(), "the file ends in the middle of a row");
        rows
    }

    #[test]
    fn a_seed_gives_the_same_bytes_and_another_one_others() {
        assert_eq!(generate(7).bytes, generate(7).bytes);
        assert_ne!(generate(7).bytes, generate(8).bytes);
    }

    #[test]
    fn the_truth_adds_up_with_every_seed() {
        for seed in [0, 1, 2, 42, u64::MAX] {
            let Export { bytes, truth, people } = generate(seed);
            let rows = rows(&bytes);
            assert_eq!(rows[0], HEADERS);
            let written: Vec<_> = rows[1..].iter().filter(|row| row.iter().any(|field| !field.is_empty())).collect();
            assert_eq!(rows.len() as u64 - 1, truth.rows + BLANK);
            assert_eq!(written.len() as u64, truth.rows);
            assert!(truth.rows >= 2_400 && truth.contacts >= 2_000, "{truth:?}");
            assert_eq!(truth.rows, truth.contacts + truth.repeats + truth.failed);
            assert_eq!(people.len() as u64, truth.contacts);
            let mut seen = BTreeMap::new();
            let mut refused = 0;
            for row in written {
                let email = row[3].trim().to_ascii_lowercase();
                match people.get(&email) {
                    Some(person) if row.len() <= HEADERS.len() => {
                        assert_eq!((&row[1], &row[4]), (&person.first_name, &person.company));
                        *seen.entry(email).or_insert(0) += 1;
                    }
                    _ => refused += 1,
                }
            }
            assert_eq!(seen.len() as u64, truth.contacts);
            assert_eq!(seen.values().sum::<u64>(), truth.contacts + truth.repeats);
            assert_eq!(refused, truth.failed);
        }
    }

    #[test]
    fn everything_that_exports_bring_along_is_there() {
        let text = String::from_utf8(generate(1).bytes).unwrap();
        for oddity in
            ["\u{feff}Record ID", "\"Acme, Inc.\"", "\"\"Blue\"\"", "\r\nsecond line", "\r\n\r\n", "@@", "\r\n,,"]
        {
            assert!(text.contains(oddity), "{oddity:?}");
        }
        let upper = text.lines().filter(|line| line.contains(".EXAMPLE")).count();
        assert!(upper > 300, "{upper} addresses in capitals");
    }
}
