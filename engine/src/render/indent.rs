//! JSON inside of a document that is written part by part.

use serde::Serialize;
use std::io::{self, BufWriter, Write};

/// Writes pretty JSON, with `indent` behind each line break, as it comes: no part is in memory as a text.
pub(crate) fn write_indented(out: &mut dyn Write, value: &impl Serialize, indent: &str) -> io::Result<()> {
    let mut out = BufWriter::new(Indented { out, indent: indent.as_bytes() });
    serde_json::to_writer_pretty(&mut out, value)?;
    out.flush()
}

struct Indented<'a> {
    out: &'a mut dyn Write,
    indent: &'a [u8],
}

impl Write for Indented<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Strings in JSON hold no line breaks, so every break is one of the layout.
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            self.out.write_all(line)?;
            if line.ends_with(b"\n") {
                self.out.write_all(self.indent)?;
            }
        }
        Ok(bytes.len())
    }

    /// The part's end is not the document's.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_laid_out_as_in_one_document() {
        let long = "x".repeat(20_000);
        let part = serde_json::json!({ "a": ["1\n2", {}, []], "b": long, "c": { "d": null } });
        let mut out = b"[\n  ".to_vec();
        write_indented(&mut out, &part, "  ").unwrap();
        out.extend(b"\n]");
        assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string_pretty(&[part]).unwrap());
    }
}
