//! Segments against PostgreSQL: what the compiled statements answer, and how they are found.

#![expect(clippy::unwrap_used, reason = "a test that can't be prepared has failed")]

mod asking;
mod engagements;
mod interpreter;
mod keeping;
mod people;
mod plans;
