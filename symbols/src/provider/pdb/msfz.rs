//! MSFZ files (compressed PDBs of Microsoft's symbol server) to plain PDBs, with Microsoft's crates.

use super::PdbError;
use super::bytes::Bytes;
use super::container::guard;
use ms_pdb_msf::{CreateOptions, Msf};
use ms_pdb_msfz::Msfz;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Bytes of an MSFZ header.
const HEADER: usize = 80;
/// First bytes of an MSFZ file.
pub(super) const MAGIC: &[u8] = b"Microsoft MSFZ Container";
/// Largest directory that is unpacked, bytes.
const MAX_DIRECTORY: u32 = 64 << 20;
/// Bytes of one entry of the table of compressed pieces.
const CHUNK_ENTRY: u64 = 20;

fn damaged(what: impl ToString) -> PdbError {
    PdbError::Damaged(what.to_string())
}

/// Writes the plain form of the MSFZ file `path` to `out`, which is created or replaced. `limit` is the most
/// bytes that the plain form may have: everything is unpacked in memory.
///
/// # Errors
///
/// [`PdbError::NotPdb`] when the file is no MSFZ file, [`PdbError::Damaged`] when it is damaged or larger than
/// `limit` when unpacked, [`PdbError::Io`] when a file cannot be read or written. `out` may be left incomplete.
pub fn convert_msfz(path: &Path, out: &Path, limit: u64) -> Result<(), PdbError> {
    check_header(path)?;
    let len = std::fs::metadata(path).map_err(PdbError::Io)?.len();
    guard(|| {
        let source = Msfz::open(path).map_err(damaged)?;
        let mut unpacked = 0u64;
        for chunk in source.chunks() {
            if u64::from(chunk.compressed_size.get()) > len {
                return Err(damaged("a compressed piece is larger than the file"));
            }
            unpacked = unpacked.saturating_add(chunk.uncompressed_size.get().into());
        }
        let mut total = 0u64;
        for stream in 0..source.num_streams() {
            total = total.saturating_add(source.stream_size(stream).map_err(damaged)?);
        }
        if unpacked > limit || total > limit {
            return Err(damaged(format!("unpacks to {} bytes, more than {limit}", unpacked.max(total))));
        }
        let mut plain = Msf::create(out, CreateOptions::default()).map_err(damaged)?;
        // Stream 0 is the container's own; streams 1 to 4 exist from the start, absent until they are written.
        for stream in 1..source.num_streams() {
            if source.is_stream_valid(stream) {
                let data = source.read_stream(stream).map_err(damaged)?;
                let mut to = plain.write_stream(stream).map_err(damaged)?;
                to.set_contents(data.as_slice()).map_err(PdbError::Io)?;
            } else if plain.num_streams() <= stream {
                plain.nil_stream().map_err(damaged)?;
            }
        }
        plain.commit().map_err(damaged)?;
        Ok(())
    })
}

/// Sizes in the header are checked first: the reader allocates what they ask for.
fn check_header(path: &Path) -> Result<(), PdbError> {
    let mut file = File::open(path).map_err(PdbError::Io)?;
    let len = file.metadata().map_err(PdbError::Io)?.len();
    let mut header = [0u8; HEADER];
    file.read_exact(&mut header).map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof => PdbError::NotPdb,
        _ => PdbError::Io(e),
    })?;
    if !header.starts_with(MAGIC) {
        return Err(PdbError::NotPdb);
    }
    let numbers = || {
        let mut b = Bytes::at(&header, 56)?;
        Some([b.u32()?, b.u32()?, b.u32()?, b.u32()?, b.u32()?, b.u32()?])
    };
    let Some([streams, _compression, packed, unpacked, chunks, chunk_bytes]) = numbers() else {
        return Err(PdbError::NotPdb);
    };
    let table = u64::from(chunks).saturating_mul(CHUNK_ENTRY);
    if streams >= 0xffff || unpacked > MAX_DIRECTORY || u64::from(packed) > len || table > len {
        return Err(damaged("its header's sizes are not possible"));
    }
    if u64::from(chunk_bytes) != table {
        return Err(damaged("its table of pieces has another size than its count says"));
    }
    Ok(())
}
