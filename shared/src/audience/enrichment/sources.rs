//! Where persons are known from, beside a provider: a file in the bucket, or the examples that the program brings.
//!
//! Either is a CSV file with a column `email` and others named as the fields of a person.

use std::collections::HashMap;

use crate::audience::email_address::EmailAddress;
use crate::audience::imports::ObjectStore;
use crate::audience::persons::{Field, Learned};
use crate::audience::providers::PersonSource;
use crate::{Error, Result};

/// Bytes of a file at most.
const FILE_MAXIMUM: u64 = 8 << 20;
/// People who don't exist, so that enrichment can be tried out.
const EXAMPLES: &str = include_str!("examples.csv");

/// Persons by their addresses in lower case.
pub(super) type Persons = HashMap<String, Learned>;

/// Reads everybody whom a source knows; `None` where it is a provider, who is asked one by one.
///
/// Errors: [`Error::Unavailable`] when the store is, or the file is not there or too large.
pub(super) async fn read(source: &PersonSource, store: &dyn ObjectStore) -> Result<Option<Persons>> {
    match source {
        PersonSource::Provider(_) => Ok(None),
        PersonSource::Examples => Ok(Some(parse(EXAMPLES.as_bytes()))),
        PersonSource::File { file, .. } => {
            let key = format!("enrichment/{file}");
            let head = store.head(&key).await?.ok_or_else(|| gone("the file of persons is not in the bucket"))?;
            if head.size > FILE_MAXIMUM {
                return Err(gone("the file of persons has more than 8 MiB"));
            }
            let bytes = store.read_range(&key, &head.etag, 0..head.size).await?;
            Ok(Some(parse(&bytes.ok_or_else(|| gone("the file of persons has just been replaced"))?)))
        }
    }
}

fn gone(message: &'static str) -> Error {
    Error::Unavailable(message.into())
}

/// Reads a file; a row without an address tells nothing, and of several rows of one address the first counts.
fn parse(bytes: &[u8]) -> Persons {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let columns: Vec<Option<Column>> = match reader.byte_headers() {
        Ok(headers) => headers.iter().map(Column::named).collect(),
        Err(_) => return Persons::new(),
    };
    let mut persons = Persons::new();
    for record in reader.byte_records().map_while(Result::ok) {
        let cells = || columns.iter().zip(&record).filter_map(|(column, cell)| Some(((*column)?, text(cell)?)));
        let email = cells().find_map(|(column, cell)| (column == Column::Email).then_some(cell));
        let Some(Ok(email)) = email.map(EmailAddress::parse) else { continue };
        let fields = cells().filter_map(|(column, cell)| match column {
            Column::Email => None,
            Column::Of(field) => Some((field, cell)),
        });
        persons.entry(email.lower()).or_insert_with(|| Learned::of(fields));
    }
    persons
}

fn text(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell).ok().map(str::trim)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Email,
    Of(Field),
}

impl Column {
    fn named(header: &[u8]) -> Option<Self> {
        match text(header)? {
            "email" => Some(Self::Email),
            name => Field::ALL.into_iter().find(|field| field.name() == name).map(Self::Of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_read_and_nobody_real_is_among_them() {
        let persons = parse(EXAMPLES.as_bytes());
        assert!(persons.len() >= 5);
        for (email, learned) in persons {
            assert!(email.ends_with("@example.com") || email.ends_with(".example"), "{email}");
            assert!(learned.0.len() >= 4, "{email}");
        }
    }

    #[test]
    fn a_file_says_what_it_can() {
        let file = "\u{feff}email,city,shoe size,country\n\
                    Ada@People.test,London,38,gb\n\
                    nobody,Paris,40,fr\n\
                    ada@people.test,Rome,39,it\n\
                    bob@people.test,\n";
        let persons = parse(file.as_bytes());
        assert_eq!(persons.len(), 2);
        assert_eq!(persons["ada@people.test"], Learned::of([(Field::City, "London"), (Field::Country, "GB")]));
        assert!(persons["bob@people.test"].is_empty());
        for broken in [&b""[..], b"\xff\xfe\x00", b"city\nLondon\n", b"email\n\xff@people.test\n"] {
            assert!(parse(broken).is_empty(), "{broken:?}");
        }
    }
}
