//! Dumps of the same cause.

use super::{BucketRow, DumpRow};
use std::collections::BTreeMap;

/// Collects signatures.
#[derive(Clone, Debug, Default)]
pub struct Buckets(BTreeMap<String, Vec<String>>);

impl Buckets {
    /// Counts a row; rows without a signature are left out.
    pub fn add(&mut self, row: &DumpRow) {
        if let Some(signature) = &row.signature {
            self.0.entry(signature.clone()).or_default().push(row.path.clone());
        }
    }

    /// The buckets, most dumps first, then by signature.
    #[must_use]
    pub fn rows(&self) -> Vec<BucketRow> {
        let row = |(signature, paths): (&String, &Vec<String>)| BucketRow {
            signature: signature.clone(),
            count: paths.len() as u64,
            paths: paths.clone(),
        };
        let mut rows: Vec<BucketRow> = self.0.iter().map(row).collect();
        // Stable: equal counts stay in the order of their signatures.
        rows.sort_by_key(|r| std::cmp::Reverse(r.count));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_first_then_by_name() {
        let mut buckets = Buckets::default();
        for (path, signature) in
            [("1", Some("b")), ("2", Some("a")), ("3", None), ("4", Some("c")), ("5", Some("c"))]
        {
            let mut row = DumpRow::empty(path);
            row.signature = signature.map(str::to_owned);
            buckets.add(&row);
        }
        let rows = buckets.rows();
        let names: Vec<(&str, u64)> = rows.iter().map(|r| (r.signature.as_str(), r.count)).collect();
        assert_eq!(names, [("c", 2), ("a", 1), ("b", 1)]);
        assert_eq!(rows[0].paths, ["4", "5"]);
    }
}
