//! Where fields lie in the runtime's structures: the one table of offsets.
//!
//! The contract descriptor of 9 and later wins; this table has what it lacks, by version. Measured on 8.0.33, 9.0.22
//! and 10.0.14 (win-x64) and compared with the runtime's own debugging library on 97 dumps (`shared/dotnet`); other
//! builds of a release have the same fields. All offsets in bytes.

use super::descriptor::{Descriptor, Global};

/// The release has no such field.
const NO: u32 = u32::MAX;

macro_rules! fields {
    ($($id:ident $ty:literal $field:literal [$v8:expr, $v9:expr, $v10:expr],)*) => {
        /// A field of one of the runtime's structures.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Field { $($id,)* }

        /// Structure and field as the descriptor names them, offsets in 8, 9 and 10.
        const FIELDS: &[(&str, &str, [u32; 3])] = &[$(($ty, $field, [$v8, $v9, $v10]),)*];
    };
}

fields! {
    StoreFirstThreadLink "ThreadStore" "FirstThreadLink" [64, 64, 64],
    StoreThreadCount "ThreadStore" "ThreadCount" [92, 88, 88],
    StoreUnstarted "ThreadStore" "UnstartedCount" [96, 92, 92],
    StoreBackground "ThreadStore" "BackgroundCount" [100, 96, 96],
    StorePending "ThreadStore" "PendingCount" [104, 100, 100],
    StoreDead "ThreadStore" "DeadCount" [108, 104, 104],
    ThreadState "Thread" "State" [8, 0, 0],
    ThreadCooperative "Thread" "PreemptiveGCDisabled" [12, 4, 4],
    ThreadFrame "Thread" "Frame" [16, 8, 8],
    ThreadId "Thread" "Id" [32, 16, 16],
    ThreadLocals "Thread" "RuntimeThreadLocals" [NO, 32, 32],
    ThreadLink "Thread" "LinkNext" [248, 120, 120],
    ThreadOsId "Thread" "OSId" [440, 304, 304],
    ThreadObject "Thread" "GCHandle" [448, 312, 312],
    ThreadLastThrown "Thread" "LastThrownObject" [480, 344, 344],
    ThreadTracker "Thread" "ExceptionTracker" [496, 360, 360],
    // The allocation context: in the thread (8), in the thread locals (9, 10: a sampling limit comes first in 10).
    AllocPointer "AllocContext" "Pointer" [0x58, 0, 8],
    AllocLimit "AllocContext" "Limit" [0x60, 8, 16],
    MapTop "RangeSectionMap" "TopLevelData" [0, 0, 0],
    FragmentNext "RangeSectionFragment" "Next" [0, 0, 0],
    FragmentBegin "RangeSectionFragment" "RangeBegin" [8, 8, 8],
    FragmentEnd "RangeSectionFragment" "RangeEndOpen" [16, 16, 16],
    FragmentSection "RangeSectionFragment" "RangeSection" [24, 24, 24],
    SectionBegin "RangeSection" "RangeBegin" [0, 0, 0],
    SectionFlags "RangeSection" "Flags" [16, 16, 16],
    SectionR2R "RangeSection" "R2RModule" [32, 32, 32],
    SectionHeap "RangeSection" "HeapList" [40, 40, 40],
    HeapStart "CodeHeapListNode" "StartAddress" [16, 16, 16],
    HeapEnd "CodeHeapListNode" "EndAddress" [24, 24, 24],
    HeapMapBase "CodeHeapListNode" "MapBase" [32, 32, 32],
    HeapMap "CodeHeapListNode" "HeaderMap" [40, 40, 40],
    CodeDebugInfo "RealCodeHeader" "DebugInfo" [0, 0, 0],
    CodeGcInfo "RealCodeHeader" "GCInfo" [16, 16, 16],
    CodeMethod "RealCodeHeader" "MethodDesc" [24, 24, 24],
    CodeUnwindCount "RealCodeHeader" "NumUnwindInfos" [32, 32, 32],
    CodeUnwind "RealCodeHeader" "UnwindInfos" [36, 36, 36],
    ModuleBase "Module" "Base" [NO, 192, 200],
    ModulePath "Module" "Path" [NO, 176, 176],
    ModulePeAssembly "Module" "PEAssembly" [176, 184, 192],
    ModuleR2R "Module" "ReadyToRunInfo" [672, 600, 608],
    ModuleDynamic "Module" "DynamicMetadata" [NO, 736, 744],
    // 8: found by looking where System.Object stands; see `maps`.
    ModuleTypeDefs "Module" "TypeDefToMethodTableMap" [NO, 336, 344],
    ModuleTypeRefs "Module" "TypeRefToMethodTableMap" [8, 8, 8],
    ModuleAssembly "Module" "Assembly" [NO, 216, 224],
    ModuleConstructed "Module" "AvailableTypeParams" [584, 520, 528],
    HashTableBuckets "EETypeHashTable" "Buckets" [16, 16, 16],
    HashEntryNext "EETypeHashTable" "VolatileEntryNextEntry" [8, 8, 8],
    PeAssemblyImage "PEAssembly" "PEImage" [8, 8, 8],
    PeAssemblyBinder "PEAssembly" "AssemblyBinder" [NO, NO, 64],
    BinderContext "AssemblyBinder" "AssemblyLoadContext" [NO, NO, 224],
    PeImageLoaded "PEImage" "LoadedImageLayout" [120, 120, 128],
    LayoutBase "PEImageLayout" "Base" [8, 8, 8],
    LayoutFlags "PEImageLayout" "Flags" [20, 20, 20],
    R2RHeader "ReadyToRunInfo" "ReadyToRunHeader" [16, 16, 16],
    R2RComposite "ReadyToRunInfo" "CompositeInfo" [40, 40, 40],
    R2RFunctions "ReadyToRunInfo" "RuntimeFunctions" [80, 80, 80],
    R2RFunctionCount "ReadyToRunInfo" "NumRuntimeFunctions" [88, 88, 88],
    R2RHotCold "ReadyToRunInfo" "HotColdMap" [96, 96, 96],
    R2RHotColdCount "ReadyToRunInfo" "NumHotColdMap" [104, 104, 104],
    R2RThunks "ReadyToRunInfo" "DelayLoadMethodCallThunks" [112, 112, 112],
    R2REntryMap "ReadyToRunInfo" "EntryPointToMethodDescMap" [336, 336, 336],
    HashBuckets "HashMap" "Buckets" [16, 16, 16],
    TypeFlags "MethodTable" "MTFlags" [0, 0, 0],
    TypeBaseSize "MethodTable" "BaseSize" [4, 4, 4],
    TypeFlags2 "MethodTable" "MTFlags2" [8, 8, 8],
    // 8 keeps the type's row here (16 bits); 9 and later in the upper 24 bits of the second flags.
    TypeToken8 "MethodTable" "Token" [10, NO, NO],
    TypeVirtuals "MethodTable" "NumVirtuals" [12, 12, 12],
    TypeParent "MethodTable" "ParentMethodTable" [16, 16, 16],
    TypeModule "MethodTable" "Module" [NO, 24, 24],
    TypeLoaderModule8 "MethodTable" "LoaderModule" [24, NO, NO],
    TypeClass "MethodTable" "EEClassOrCanonMT" [40, 40, 40],
    TypeInstance "MethodTable" "PerInstInfo" [48, 48, 48],
    TypeInterfaces "MethodTable" "NumInterfaces" [14, 14, 14],
    TypeAuxiliary "MethodTable" "AuxiliaryData" [32, 32, 32],
    AuxiliaryNonVirtual "MethodTableAuxiliaryData" "OffsetToNonVirtualSlots" [NO, 2, 2],
    ClassChunks "EEClass" "MethodDescChunk" [32, 32, 32],
    ClassNonVirtual "EEClass" "NumNonVirtualSlots" [NO, 78, 78],
    ChunkNext "MethodDescChunk" "Next" [8, 8, 8],
    ChunkCount "MethodDescChunk" "Count" [17, 17, 17],
    MethodCodeData "MethodDesc" "CodeData" [NO, 8, 8],
    CodeDataVersioning "MethodDescCodeData" "VersioningState" [NO, 0, 0],
    VersioningNode "MethodDescVersioningState" "NativeCodeVersionNode" [NO, 16, 16],
    VersionNext "NativeCodeVersionNode" "Next" [NO, NO, 24],
    VersionCode "NativeCodeVersionNode" "NativeCode" [NO, NO, 0],
    ClassType "EEClass" "MethodTable" [16, 16, 16],
    ClassFields "EEClass" "FieldDescList" [24, 24, 24],
    ArrayRank "ArrayClass" "Rank" [88, 88, 88],
    DictCount "GenericsDictInfo" "NumDicts" [4, 4, 4],
    DictArguments "GenericsDictInfo" "NumTypeArgs" [6, 6, 6],
    TypeDescKind "TypeDesc" "TypeAndFlags" [0, 0, 0],
    ParamTypeArgument "ParamTypeDesc" "TypeArg" [8, 16, 16],
    TypeVarModule "TypeVarTypeDesc" "Module" [8, 16, 16],
    TypeVarToken "TypeVarTypeDesc" "Token" [40, 40, 40],
    ChunkType "MethodDescChunk" "MethodTable" [0, 0, 0],
    ChunkTokenRange "MethodDescChunk" "FlagsAndTokenRange" [18, 18, 18],
    ChunkHeader "MethodDescChunk" "!" [24, 24, 24],
    MethodToken "MethodDesc" "Flags3AndTokenRemainder" [0, 0, 0],
    MethodChunkIndex "MethodDesc" "ChunkIndex" [2, 2, 2],
    MethodSlot "MethodDesc" "Slot" [4, 4, 4],
    MethodFlags "MethodDesc" "Flags" [6, 6, 6],
    StoredSig "StoredSigMethodDesc" "Sig" [8, 16, 16],
    StoredSigSize "StoredSigMethodDesc" "cSig" [16, 24, 24],
    DynamicName "DynamicMethodDesc" "MethodName" [24, 32, 32],
    InstanceArguments "InstantiatedMethodDesc" "PerInstInfo" [16, 24, 24],
    InstanceFlags "InstantiatedMethodDesc" "Flags2" [24, 32, 32],
    InstanceCount "InstantiatedMethodDesc" "NumGenericArgs" [26, 34, 34],
    FrameNext "Frame" "Next" [8, 8, 8],
    CallReturn "InlinedCallFrame" "CallerReturnAddress" [40, 32, 32],
    // A helper frame (8, 9): its function, and the protected reference of the forms with one.
    HelperFunction "HelperMethodFrame" "FCallEntry" [40, 40, NO],
    HelperReference "HelperMethodFrame_1OBJ" "Reference" [0xd8, 0xd8, NO],
    SyncLockState "SyncBlock" "LockState" [0, 0, 0],
    SyncRecursion "SyncBlock" "Recursion" [4, 4, 4],
    // 8, 9: the owner's thread record; 10: its managed id.
    SyncOwner "SyncBlock" "HoldingThreadId" [8, 8, 8],
    ExceptionPrevious "ExceptionInfo" "PreviousNestedInfo" [0x18, 0, 0],
    ExceptionThrown "ExceptionInfo" "ThrownObject" [0x48, 8, 8],
    LookupNext "ModuleLookupMap" "Next" [0, 0, 0],
    LookupTable "ModuleLookupMap" "TableData" [8, 8, 8],
    LookupCount "ModuleLookupMap" "Count" [16, 16, 16],
    LookupFlags "ModuleLookupMap" "SupportedFlagsMask" [24, 24, 24],
}

macro_rules! globals {
    ($($id:ident $name:literal [$v8:expr, $v9:expr, $v10:expr],)*) => {
        /// A variable of the runtime.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Variable { $($id,)* }

        /// Name in the descriptor, index in `g_dacTable` of 8, 9 and 10.
        const VARIABLES: &[(&str, [u32; 3])] = &[$(($name, [$v8, $v9, $v10]),)*];
    };
}

globals! {
    CodeMap "ExecutionManagerCodeRangeMapAddress" [0, 0, 0],
    ThreadStore "ThreadStore" [16, 16, 15],
    Finalizer "FinalizerThread" [17, 17, 16],
    SuspendingThread "GCThread" [18, 18, 17],
    GcData "GcDacVars" [20, 20, 19],
    AppDomain "AppDomain" [21, 21, 20],
    ObjectType "ObjectMethodTable" [41, NO, NO],
    FreeType "FreeObjectMethodTable" [55, NO, NO],
    SyncTable "SyncTableEntries" [82, 84, 80],
    // Functions of the runtime that managed code calls directly; gone in 10.
    DirectCalls "FCallMethods" [81, 83, NO],
}

/// A release that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Release {
    V8,
    V9,
    V10,
    /// Later than those measured: believed where the descriptor speaks.
    Later,
}

impl Release {
    fn column(self) -> usize {
        match self {
            Release::V8 => 0,
            Release::V9 => 1,
            Release::V10 | Release::Later => 2,
        }
    }
}

/// Offsets and indexes of one runtime.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) release: Release,
    fields: Vec<u32>,
}

impl Layout {
    /// The table's column for a release, with what the descriptor says over it.
    pub(super) fn new(release: Release, descriptor: Option<&Descriptor>) -> Layout {
        let own = |(name, field, by_release): &(&str, &str, [u32; 3])| {
            let told = descriptor.and_then(|d| d.field(name, field));
            told.or(by_release.get(release.column()).copied()).unwrap_or(NO)
        };
        Layout { release, fields: FIELDS.iter().map(own).collect() }
    }

    /// Offset of a field; `None` where the release has none.
    pub(super) fn offset(&self, field: Field) -> Option<u64> {
        self.fields.get(field as usize).copied().filter(|o| *o != NO).map(u64::from)
    }

    /// Index of a variable in `g_dacTable`.
    pub(super) fn table_index(&self, variable: Variable) -> Option<usize> {
        let (_, by_release) = VARIABLES.get(variable as usize)?;
        by_release
            .get(self.release.column())
            .copied()
            .filter(|i| *i != NO)
            .and_then(|i| usize::try_from(i).ok())
    }

    /// What the descriptor says of a variable.
    pub(super) fn described(variable: Variable, descriptor: &Descriptor) -> Option<&Global> {
        descriptor.global(VARIABLES.get(variable as usize)?.0)
    }

    /// Version of the encoding of GC info: in the descriptor of 10, by release else.
    pub(super) fn gc_info_version(&self, descriptor: Option<&Descriptor>) -> u64 {
        match descriptor.and_then(|d| d.global("GCInfoVersion")) {
            Some(Global::Value(v)) => *v,
            _ => match self.release {
                Release::V8 => 2,
                Release::V9 => 3,
                Release::V10 | Release::Later => 4,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enums_and_tables_are_in_the_same_order() {
        let named = |field: Field| FIELDS.get(field as usize).map(|f| (f.0, f.1));
        assert_eq!(named(Field::StoreFirstThreadLink), Some(("ThreadStore", "FirstThreadLink")));
        assert_eq!(named(Field::LookupFlags), Some(("ModuleLookupMap", "SupportedFlagsMask")));
        assert_eq!(FIELDS.len(), Field::LookupFlags as usize + 1);
        assert_eq!(VARIABLES.len(), Variable::DirectCalls as usize + 1);
        let eight = Layout::new(Release::V8, None);
        assert_eq!((eight.offset(Field::ThreadOsId), eight.offset(Field::TypeModule)), (Some(440), None));
    }
}
