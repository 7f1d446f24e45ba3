//! Rows that wait for the end of a small batch: what the dumps say together then changes what to do about each.

use super::{RowWriter, Tail};
use crate::document::{DumpRow, settle};
use std::io;

/// Rows that wait at most; of a larger batch all go on at once.
const MAX_HELD: usize = 16;

pub(super) struct Held<'a> {
    inner: Box<dyn RowWriter + 'a>,
    /// `None` once there were too many.
    rows: Option<Vec<DumpRow>>,
}

impl<'a> Held<'a> {
    pub(super) fn new(inner: Box<dyn RowWriter + 'a>) -> Held<'a> {
        Held { inner, rows: Some(Vec::new()) }
    }

    fn release(&mut self) -> io::Result<()> {
        self.rows.take().into_iter().flatten().try_for_each(|row| self.inner.row(&row))
    }
}

impl RowWriter for Held<'_> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        match &mut self.rows {
            Some(rows) if rows.len() < MAX_HELD => {
                rows.push(row.clone());
                Ok(())
            }
            _ => {
                self.release()?;
                self.inner.row(row)
            }
        }
    }

    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        settle(self.rows.as_deref_mut().unwrap_or_default(), tail.incidents.as_deref().unwrap_or_default());
        self.release()?;
        self.inner.end(tail)
    }
}
