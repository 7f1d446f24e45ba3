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

/// PDBs by id.
pub(super) type Portable = Mutex<(u64, BTreeMap<[u8; 20], Option<Arc<PortablePdb>>>)>;

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
        if kept.0 != now || kept.1.len() > MAX_KEPT {
            *kept = (now, BTreeMap::new());
        }
        let embedded = || PortablePdb::unpack(&inside()?).filter(|pdb| pdb.id() == id);
        let find = || self.find_portable(name.as_str(), id).or_else(embedded).map(Arc::new);
        kept.1.entry(*id).or_insert_with(find).clone()
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
