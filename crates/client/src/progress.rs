//! How far the work is, for a person who watches.

/// Told while files move.
pub trait Progress {
    /// A file begins: its name, its length in bytes, and how many of them are there already.
    fn begin(&self, name: &str, length: u64, present: u64);
    /// More bytes have moved.
    fn advance(&self, bytes: u64);
    /// The file is done or given up.
    fn end(&self);
    /// Something worth a line, such as an entry that is left out.
    fn note(&self, line: &str);
}

/// Tells nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _name: &str, _length: u64, _present: u64) {}
    fn advance(&self, _bytes: u64) {}
    fn end(&self) {}
    fn note(&self, _line: &str) {}
}
