//! Portable PDBs on the symbol path and the image path.

use super::SymbolManager;
use crate::file::FileBytes;
use crate::locate::{Element, SafeName, Store, SymbolPath};
use crate::provider::portable::PortablePdb;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Most PDBs that are kept, found or not.
const MAX_KEPT: usize = 4096;

/// Most bytes of unpacked PDBs, of all together.
const MAX_UNPACKED: u64 = 256 << 20;

/// PDBs that were looked for.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The configuration with which they were looked for.
    generation: u64,
    by_id: BTreeMap<[u8; 20], Option<Arc<PortablePdb>>>,
    /// Bytes of those that were unpacked.
    unpacked: u64,
}

impl Kept {
    /// Unpacks one, while there is room.
    fn unpack(&mut self, packed: &[u8], id: &[u8; 20]) -> Option<PortablePdb> {
        let left = MAX_UNPACKED.saturating_sub(self.unpacked);
        let pdb = PortablePdb::unpack(packed, left).filter(|pdb| pdb.id() == id)?;
        self.unpacked = self.unpacked.saturating_add(pdb.size());
        Some(pdb)
    }
}

pub(super) type Portable = Mutex<Kept>;

impl SymbolManager {
    /// The portable PDB with an id: in a folder of the symbol path or the image path, in a store there (the key is the
    /// GUID and `FFFFFFFF`), or inside the image, packed, when `inside` gives it. `path`: as the image names it. Looked for
    /// once for each configuration.
    #[must_use]
    pub fn portable_pdb(
        &self,
        path: &str,
        id: &[u8; 20],
        inside: &dyn Fn() -> Option<Vec<u8>>,
    ) -> Option<Arc<PortablePdb>> {
        let name = SafeName::leaf(path).ok()?;
        let now = self.generation();
        let mut kept = self.portable.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.generation != now || kept.by_id.len() > MAX_KEPT {
            *kept = Kept { generation: now, ..Kept::default() };
        }
        if let Some(known) = kept.by_id.get(id) {
            return known.clone();
        }
        let found =
            self.find_portable(name.as_str(), id).or_else(|| kept.unpack(&inside()?, id)).map(Arc::new);
        kept.by_id.insert(*id, found.clone());
        found
    }

    fn find_portable(&self, name: &str, id: &[u8; 20]) -> Option<PortablePdb> {
        let config = self.config();
        let paths = [&config.symbol_path, &config.image_path];
        let elements = paths.into_iter().flat_map(|p| SymbolPath::parse(p).elements);
        let key = store_key(id);
        let places = elements.flat_map(|element| match element {
            Element::Folder(dir) => vec![dir.join(name), in_store(&dir, name, &key)],
            Element::Chain(stores) => {
                stores.iter().filter_map(|s| folder(s)).map(|d| in_store(d, name, &key)).collect()
            }
            Element::Cache(store) => folder(&store).map(|d| in_store(d, name, &key)).into_iter().collect(),
            _ => Vec::new(),
        });
        let open = |place: PathBuf| PortablePdb::parse(FileBytes::open(&place).ok()?);
        places.filter_map(open).find(|pdb| pdb.id() == id)
    }
}

fn folder(store: &Store) -> Option<&Path> {
    match store {
        Store::Dir(dir) => Some(dir),
        _ => None,
    }
}

fn in_store(dir: &Path, name: &str, key: &str) -> PathBuf {
    dir.join(name).join(key).join(name)
}

/// The GUID as stores write it, and the age of portable PDBs.
fn store_key(id: &[u8; 20]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let hex: String = order.iter().filter_map(|i| id.get(*i)).map(|b| format!("{b:02X}")).collect();
    hex + "FFFFFFFF"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_guid_in_its_written_order() {
        let mut id = [0u8; 20];
        id.iter_mut().zip(1..).for_each(|(b, n)| *b = n);
        assert_eq!(store_key(&id), "0403020106050807090A0B0C0D0E0F10FFFFFFFF");
    }
}
