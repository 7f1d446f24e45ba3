//! The part of the search that asks stores: packed files, `file.ptr`, servers.

use super::SymbolConfig;
use super::search::{Search, names_pdb};
use crate::image::ImageFile;
use crate::locate::{self, FileKey, FileKind, SymbolPath};
use crate::provider::{Breakpad, SymbolProvider, pdb};
use crate::store::{Job, Outcome};
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Search<'_> {
    /// A PDB, else a Breakpad file, through the store client.
    pub(super) fn fetched_symbols(
        &mut self,
        path: &SymbolPath,
        config: &SymbolConfig,
    ) -> Option<Arc<dyn SymbolProvider>> {
        let module = self.module;
        if let Some(record) = module.codeview.as_ref().filter(|r| names_pdb(r)) {
            let open = |p: &Path, _: &FileKey| pdb::open_for(p, record);
            let verify = |p: &Path, k: &FileKey| open(p, k).map(|_| ()).map_err(|e| e.to_string());
            if let Some((file, key)) = self.fetched(FileKind::Pdb, path, config, &verify)
                && let Ok(found) = open(&file, &key)
            {
                return Some(found);
            }
        }
        let code_id = format!("{:08X}{:x}", module.timestamp, module.size);
        let open = |p: &Path, k: &FileKey| Breakpad::open(p, &k.id, &code_id);
        let verify = |p: &Path, k: &FileKey| open(p, k).map(|_| ()).map_err(|e| e.to_string());
        let (file, key) = self.fetched(FileKind::Breakpad, path, config, &verify)?;
        open(&file, &key).ok().map(|f| Arc::new(f) as Arc<dyn SymbolProvider>)
    }

    /// The image file through the store client: on the image path, then on the symbol path.
    pub(super) fn fetched_image(&mut self, config: &SymbolConfig) -> Option<Arc<ImageFile>> {
        let module = self.module;
        for path in [&config.image_path, &config.symbol_path] {
            let verify =
                |p: &Path, _: &FileKey| ImageFile::open(p, module).map(|_| ()).map_err(|e| e.to_string());
            let path = SymbolPath::parse(path);
            if let Some((file, _)) = self.fetched(FileKind::Image, &path, config, &verify)
                && let Ok(image) = ImageFile::open(&file, module)
            {
                return Some(Arc::new(image));
            }
        }
        None
    }

    /// Fetches a file of one kind, and writes down what every place answered.
    fn fetched(
        &mut self,
        kind: FileKind,
        path: &SymbolPath,
        config: &SymbolConfig,
        verify: &(dyn Fn(&Path, &FileKey) -> Result<(), String> + Sync),
    ) -> Option<(PathBuf, FileKey)> {
        let client = config.store.as_ref()?;
        let cache = config.cache.as_ref()?;
        // Offline means that no client may reach a server, whatever transport it has.
        let local;
        let path = if config.offline {
            local = path.without_urls();
            &local
        } else {
            path
        };
        let (keys, _) = locate::keys(self.module);
        for key in keys.into_iter().filter(|k| k.kind == kind && !k.id.is_empty()) {
            let verify = |p: &Path| verify(p, &key);
            let job = Job { key: &key, image: &self.module.file_name, verify: &verify, fresh: config.fresh };
            let fetched = client.fetch(path, cache, &job);
            for attempt in &fetched.attempts {
                // What lies plainly on this machine was looked at before; only what is new is worth a line.
                if attempt.outcome == Outcome::Missing && !attempt.place.contains("://") {
                    continue;
                }
                self.note(&format!("{key} at {}", attempt.place), &attempt.outcome);
                let problem = matches!(
                    attempt.outcome,
                    Outcome::Wrong(_) | Outcome::Denied(_) | Outcome::Failure(_) | Outcome::Skipped(_)
                );
                self.failed |= matches!(attempt.outcome, Outcome::Failure(_) | Outcome::Denied(_));
                if problem {
                    self.problems.push(format!("{}: {}", attempt.place, attempt.outcome));
                }
            }
            if let Some(file) = fetched.file {
                return Some((file, key));
            }
        }
        None
    }
}
