//! Names of classes and methods, lines.

use super::stream::Stream;
use super::vm::Vm;
use dumpscope_core::Va;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bit of `Method::_access_flags`: `native`.
const NATIVE: u32 = 0x100;
/// Bit of `ConstMethod::_flags`: a table of lines follows the bytecodes.
const HAS_LINES: u32 = 1;
/// Most entries of the caches; what is beyond is read again.
const MAX_KEPT: usize = 1 << 16;

/// A method.
#[derive(Debug)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Method {
    /// `java.lang.Thread`.
    pub(super) class: Arc<str>,
    /// The record of its class.
    pub(super) klass: Va,
    /// `run`.
    pub(super) name: String,
    /// `(long, java.lang.String)`.
    pub(super) arguments: String,
    pub(super) native: bool,
    pub(super) file: Option<String>,
    /// Its bytecodes.
    pub(super) code: Va,
    pub(super) code_size: u64,
    pub(super) has_lines: bool,
}

impl Method {
    /// `java.lang.Thread.run`.
    pub(super) fn function(&self) -> String {
        format!("{}.{}", self.class, self.name)
    }

    /// Index of a bytecode at an address.
    pub(super) fn index_of(&self, code: Va) -> Option<u32> {
        let at = code.distance_from(self.code).filter(|d| *d < self.code_size)?;
        u32::try_from(at).ok()
    }
}

/// Names that were read.
#[derive(Debug, Default)]
pub(super) struct Names {
    methods: Mutex<BTreeMap<Va, Option<Arc<Method>>>>,
    classes: Mutex<BTreeMap<Va, Option<Arc<str>>>>,
}

fn kept<V: Clone>(map: &Mutex<BTreeMap<Va, V>>, key: Va, read: impl FnOnce() -> V) -> V {
    let found = map.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    found.unwrap_or_else(|| {
        let value = read();
        let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() < MAX_KEPT {
            map.insert(key, value.clone());
        }
        value
    })
}

impl Names {
    /// The method at an address.
    pub(super) fn method(&self, vm: &Vm, method: Va) -> Option<Arc<Method>> {
        kept(&self.methods, method, || self.read_method(vm, method).map(Arc::new))
    }

    /// The class at an address, as the language writes it.
    pub(super) fn class(&self, vm: &Vm, klass: Va) -> Option<Arc<str>> {
        kept(&self.classes, klass, || class_name(vm, klass).map(Arc::from))
    }

    /// The class of an object.
    pub(super) fn class_of(&self, vm: &Vm, object: Va) -> Option<Arc<str>> {
        self.class(vm, vm.klass_of(object)?)
    }

    fn read_method(&self, vm: &Vm, method: Va) -> Option<Method> {
        let meta = vm.ptr(method, "Method::_constMethod")?;
        let pool = vm.ptr(meta, "ConstMethod::_constants")?;
        let klass = vm.ptr(pool, "ConstantPool::_pool_holder")?;
        let name = pool_symbol(vm, pool, vm.u16(meta, "ConstMethod::_name_index")?)?;
        let signature = vm
            .u16(meta, "ConstMethod::_signature_index")
            .and_then(|i| pool_symbol(vm, pool, i))
            .map(|s| arguments(&s))
            .unwrap_or_default();
        let file = match vm.u16(pool, "ConstantPool::_source_file_name_index") {
            Some(i) => Some(i),
            None => vm.u16(klass, "InstanceKlass::_source_file_name_index"),
        };
        let flags = match vm.u32(meta, "ConstMethod::_flags._flags") {
            Some(flags) => flags,
            None => vm.u16(meta, "ConstMethod::_flags")?.into(),
        };
        Some(Method {
            class: self.class(vm, klass)?,
            klass,
            name,
            arguments: signature,
            native: vm.u32(method, "Method::_access_flags")? & NATIVE != 0,
            file: file.filter(|i| *i != 0).and_then(|i| pool_symbol(vm, pool, i)),
            code: meta.offset(vm.size("ConstMethod")?),
            code_size: vm.u16(meta, "ConstMethod::_code_size")?.into(),
            has_lines: flags & HAS_LINES != 0,
        })
    }
}

/// The line of a bytecode. The table follows the bytecodes: steps of index (5 bits) and line (3 bits), after a byte of
/// 255 as two signed numbers; 0 ends it.
pub(super) fn line(vm: &Vm, method: &Method, index: u32) -> Option<u32> {
    if !method.has_lines || method.native {
        return None;
    }
    let mut stream = Stream::new(vm.memory.as_ref(), method.code.offset(method.code_size), vm.major);
    let (mut at, mut line, mut best) = (0i32, 0i32, None);
    loop {
        match stream.byte()? {
            0 => break,
            255 => {
                at = at.wrapping_add(stream.signed()?);
                line = line.wrapping_add(stream.signed()?);
            }
            step => {
                at = at.wrapping_add(i32::from(step >> 3));
                line = line.wrapping_add(i32::from(step & 7));
            }
        }
        match u32::try_from(at).ok()?.cmp(&index) {
            std::cmp::Ordering::Less => best = Some(line),
            std::cmp::Ordering::Equal => {
                best = Some(line);
                break;
            }
            std::cmp::Ordering::Greater => break,
        }
    }
    best.and_then(|l| u32::try_from(l).ok()).filter(|l| *l != 0)
}

/// The text of a symbol: its length has 16 bits.
pub(super) fn symbol(vm: &Vm, at: Va) -> Option<String> {
    let len = usize::from(vm.u16(at, "Symbol::_length")?);
    let body = vm.first(&["Symbol::_body[0]", "Symbol::_body"])?;
    let mut bytes = vec![0; len];
    let read = vm.memory.read_at(at.offset(vm.offset(body)?), &mut bytes);
    (read.got == len).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The symbol in a slot of a constant pool; slots follow the pool's own fields.
pub(super) fn pool_symbol(vm: &Vm, pool: Va, index: u16) -> Option<String> {
    let slot = pool.offset(vm.size("ConstantPool")?).offset(u64::from(index) * 8);
    symbol(vm, Va(vm.memory.u64(slot)?))
}

/// Hidden classes have a `+` and a number, which the VM prints behind a slash.
fn class_name(vm: &Vm, klass: Va) -> Option<String> {
    let name = symbol(vm, vm.ptr(klass, "Klass::_name")?)?.replace('/', ".").replace('+', "/");
    // Before hidden classes (JDK 15) the VM adds the address to its anonymous ones.
    let lambda = name.rsplit_once("$$Lambda$").is_some_and(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
    Some(if vm.major < 15 && lambda { format!("{name}/{:#018x}", klass.0) } else { name })
}

/// Arguments out of a descriptor: `(JLjava/lang/String;)V` is `(long, java.lang.String)`.
fn arguments(descriptor: &str) -> String {
    let Some((list, _)) = descriptor.strip_prefix('(').and_then(|d| d.rsplit_once(')')) else {
        return String::new();
    };
    let mut names = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let inner = rest.trim_start_matches('[');
        let depth = rest.len() - inner.len();
        let Some(first) = inner.chars().next() else { break };
        let (name, used) = match first {
            'L' => match inner.split_once(';') {
                Some((class, _)) => (class.get(1..).unwrap_or_default().replace('/', "."), class.len() + 1),
                None => break,
            },
            'B' => ("byte".to_owned(), 1),
            'C' => ("char".to_owned(), 1),
            'D' => ("double".to_owned(), 1),
            'F' => ("float".to_owned(), 1),
            'I' => ("int".to_owned(), 1),
            'J' => ("long".to_owned(), 1),
            'S' => ("short".to_owned(), 1),
            'Z' => ("boolean".to_owned(), 1),
            _ => break,
        };
        names.push(name + &"[]".repeat(depth.min(255)));
        rest = inner.get(used..).unwrap_or_default();
    }
    format!("({})", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::arguments;

    #[test]
    fn descriptors() {
        assert_eq!(arguments("(JLjava/lang/String;[[I)V"), "(long, java.lang.String, int[][])");
        assert_eq!(arguments("()V"), "()");
        for broken in ["", "(", "(L", "(Lx)V", "([", "([)V", "(é;)V"] {
            let _ = arguments(broken);
        }
    }
}
