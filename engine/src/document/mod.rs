//! The triage document: versioned types at the edge, with their schema, and what can be said of them alone.
//!
//! Numbers that people read in hex are strings (`"0x7ff612340000"`): addresses, handles, codes, displacements and
//! argument values. Process and thread ids, counts and milliseconds are numbers. Unknown is null, never 0; an
//! empty list means "looked, found none".

mod buckets;
mod graph;
mod hex;
mod rows;
mod script;
mod settle;
mod several;
mod threads;

pub use buckets::Buckets;
pub use dumpscope_analyzers::model::{
    Access, Confidence, FindingClass, FindingKind, Kind, OwnerState, Reason, Severity,
};
pub use graph::{Edge, Node, NodeKind, WaitGraph};
pub use rows::*;
pub use script::*;
pub(crate) use settle::here;
pub use settle::settle;
pub use several::*;
pub use threads::*;

/// The JSON Schema (2020-12) of the triage document, with keys in a fixed order.
#[must_use]
pub fn triage_schema() -> serde_json::Value {
    schema_of::<Document>(SCHEMA_ID)
}

/// The JSON Schema (2020-12) of a document that is written.
pub(crate) fn schema_of<T: schemars::JsonSchema>(id: &str) -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".into(), id.into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_every_part_of_the_contract() {
        let schema = triage_schema();
        let part = |name: &str, field: &str| schema["$defs"][name]["properties"][field].is_object();
        for field in ["schema", "dumps", "buckets", "incidents"] {
            assert!(schema["properties"][field].is_object(), "{field}");
        }
        for field in ["path", "error", "process", "system", "dump", "capabilities", "exception", "threads"] {
            assert!(part("DumpRow", field), "{field}");
        }
        for field in
            ["index", "tid", "name", "user_ms", "kernel_ms", "elapsed_ms", "activity", "frames", "wait"]
        {
            assert!(part("ThreadRow", field), "{field}");
        }
        assert!(part("FindingRow", "kind") && part("FrameRow", "trust") && part("LockRow", "lock_count"));
    }

    #[test]
    fn all_fields_are_written_and_unknown_is_null() {
        let row = DumpRow::failed("a.dmp", ErrorRow { kind: "io".into(), message: "no".into() });
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["path"], "a.dmp");
        assert_eq!(json["error"]["kind"], "io");
        for field in ["process", "system", "threads", "handles", "verdict", "signature", "findings", "locks"]
        {
            assert!(json.as_object().unwrap().contains_key(field), "{field}");
            assert!(json[field].is_null(), "{field}");
        }
        assert_eq!(serde_json::from_value::<DumpRow>(json).unwrap(), row);
    }
}
