//! What analyses keep with a target.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One value of each type, for one generation of the symbols. An analysis keeps a type of its own here: who holds the
/// memo need not know the analyses.
#[derive(Debug, Default)]
pub(crate) struct Memo(Mutex<(u64, Values)>);

type Values = BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>;

impl Memo {
    /// The value of this type; a fresh one at the first question, and when the symbols have changed since.
    pub(crate) fn of<T: Default + Send + Sync + 'static>(&self, generation: u64) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != generation {
            *kept = (generation, BTreeMap::new());
        }
        let any = kept.1.entry(TypeId::of::<T>()).or_insert_with(|| Arc::<T>::default()).clone();
        // The key is the type: it is always this one.
        any.downcast().unwrap_or_default()
    }
}
