//! Answers to questions about objects, types, methods and assemblies.

use super::Clr;
use crate::Walked;
use crate::clr::{
    ClrArray, ClrDetails, ClrField, ClrMethodInfo, ClrModule, ClrObject, ClrTypeInfo, ClrValue,
    FrameVariables, MethodRow, Named,
};
use dumpscope_core::Va;

impl ClrDetails for Clr {
    fn object(&self, address: Va) -> Option<ClrObject> {
        self.clr_object(address)
    }

    fn value(&self, type_record: Va, address: Va) -> Option<ClrObject> {
        self.clr_value(type_record, address)
    }

    fn array_elements(&self, array: &ClrArray, from: u64, most: u64) -> Vec<ClrValue> {
        self.elements_of(array, from, most)
    }

    fn type_info(&self, type_record: Va) -> Option<ClrTypeInfo> {
        self.clr_type(type_record)
    }

    fn type_methods(&self, type_record: Va) -> Vec<MethodRow> {
        self.clr_methods(type_record)
    }

    fn type_fields(&self, type_record: Va) -> Vec<ClrField> {
        self.clr_type_fields(type_record)
    }

    fn method_info(&self, record: Va) -> Option<ClrMethodInfo> {
        self.clr_method(record)
    }

    fn method_at(&self, address: Va) -> Option<(Va, Va)> {
        if let Some(code) = self.code_at(address).filter(|c| !c.method.is_null()) {
            return Some((code.method, code.start));
        }
        // A stub at which calls enter.
        Some((self.method_of_entry(address)?, address))
    }

    fn code_end(&self, start: Va) -> Option<Va> {
        let code = self.code_at(start)?.unwind?;
        Some(code.end.va(code.base))
    }

    fn clr_modules(&self) -> Vec<ClrModule> {
        self.loaded_modules()
    }

    fn find_name(&self, module: Va, name: &str) -> Vec<Named> {
        self.named_in(module, name)
    }

    fn variables(&self, stack: Walked<'_>, frame: usize) -> FrameVariables {
        self.frame_variables(stack.frames, frame).unwrap_or_default()
    }
}
