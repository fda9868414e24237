//! Segments: who is meant, said by conditions instead of names.

pub mod compiling;
pub mod fields;
pub mod json;
pub mod selecting;
pub mod text;
pub mod tree;

#[cfg(test)]
mod tests;
