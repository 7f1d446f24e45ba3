//! ModuleListStream (4). The value is a list of [`crate::base::ModuleInfo`].
