//! Rewrites a module so that WAMR does what the specification and the traits say.
//!
//! WAMR acts on what it finds in a module in ways an embedder cannot switch off:
//!
//! | WAMR | the rewriting |
//! |---|---|
//! | calls exports named `__post_instantiate` and `__wasm_call_ctors` by itself | every export is renamed to its position; names are looked up here |
//! | takes exports named `__heap_base`, `__data_end`, `malloc`, ... for its own purposes: splits the shadow stack among threads, shrinks memory to the heap base | the same |
//! | treats names as C strings: `"a\0b"` answers to `a` | the same |
//! | runs the start function before the caller holds a handle that could stop it | the start section becomes an exported function that calls it, which is called under the budget |
//! | refuses modules for the names of custom sections, which mean nothing | custom sections are left out |
//! | turns a memory without `memory.size` and `memory.grow` in the code into one page of another size that the host cannot grow | a function that is never called, with `memory.size` in it |
//! | has no cap on tables, ignores memory caps below the minimum | declared maxima are lowered to the limits; see also `tables.rs` |
//!
//! Function, type and global indices stay what they were: entries are appended, never inserted.

use crate::tables;
use runtime_api::Limits;
use std::collections::HashMap;
use wasm_encoder::{Encode, ExportKind, MemoryType, RawSection, SectionId};
use wasmparser::{ExternalKind, Parser, Payload, SectionLimited, WasmFeatures};

/// A module ready for WAMR, and what the rewriting took out of it.
pub(crate) struct Prepared {
    /// The rewritten module.
    pub(crate) wasm: Vec<u8>,
    /// The exports by their own names.
    pub(crate) exports: HashMap<String, Export>,
    /// The name under which the start function is exported.
    pub(crate) start: Option<String>,
    /// Whether the initial memory or tables exceed the limits.
    pub(crate) excess: bool,
}

/// One export.
pub(crate) struct Export {
    /// What is exported.
    pub(crate) kind: ExternalKind,
    /// Its name in the rewritten module.
    pub(crate) alias: String,
}

/// Entries to append, encoded, by section.
#[derive(Default)]
pub(crate) struct Additions {
    pub(crate) types: Vec<Vec<u8>>,
    /// Types of the functions, counted from the first appended one.
    pub(crate) functions: Vec<u32>,
    pub(crate) globals: Vec<Vec<u8>>,
    exports: Vec<Vec<u8>>,
    /// Bodies of the functions.
    pub(crate) bodies: Vec<Vec<u8>>,
}

impl Additions {
    /// A function that calls the start function, exported as `alias`. What is exported may be the operand of ref.func, so it is not the
    /// start function itself.
    fn add_caller(&mut self, start: u32, counts: &Counts, alias: &str) {
        let caller = counts
            .functions
            .saturating_add(u32::try_from(self.functions.len()).unwrap_or(u32::MAX));
        let mut body = wasm_encoder::Function::new([]);
        body.instructions().call(start).end();
        let kind = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
        self.functions.push(kind);
        self.types.push(START_FUNCTION_TYPE.to_vec());
        self.bodies.push(encoded(&body));
        self.exports
            .push(export_entry(alias, ExportKind::Func, caller));
    }

    fn entries(&self, id: SectionId, first_type: u32) -> Vec<Vec<u8>> {
        match id {
            SectionId::Type => self.types.clone(),
            SectionId::Function => self
                .functions
                .iter()
                .map(|index| encoded(&first_type.saturating_add(*index)))
                .collect(),
            SectionId::Global => self.globals.clone(),
            SectionId::Export => self.exports.clone(),
            SectionId::Code => self.bodies.clone(),
            _ => Vec::new(),
        }
    }
}

/// Rewrites `wasm`; an error is the reason why it is not a module for WAMR.
pub(crate) fn prepare(wasm: &[u8], limits: &Limits) -> Result<Prepared, String> {
    if wasm.get(..8) != Some(b"\0asm\x01\0\0\0") {
        return Err("not a binary module: magic or version differs".to_owned());
    }
    let mut parser = Parser::new(0);
    // Sizes are 32 bits wide: what is written again here must not be longer.
    parser.set_features(WasmFeatures::WASM2);
    let payloads = parser
        .parse_all(wasm)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    check_order(&payloads)?;

    let mut counts = Counts::default();
    let mut exports = HashMap::new();
    let mut start_function = None;
    let mut additions = Additions::default();
    for payload in &payloads {
        match payload {
            Payload::ImportSection(imports) if imports.count() > 0 => {
                return Err("imports are not provided".to_owned());
            }
            Payload::TypeSection(section) => counts.types = section.count(),
            Payload::FunctionSection(section) => counts.functions = section.count(),
            Payload::GlobalSection(section) => counts.globals = section.count(),
            Payload::StartSection { func, .. } => start_function = Some(*func),
            Payload::MemorySection(memories) if memories.count() > 0 => {
                additions.types.push(SIZE_FUNCTION_TYPE.to_vec());
                additions.functions.push(0);
                additions.bodies.push(SIZE_FUNCTION_BODY.to_vec());
            }
            Payload::ExportSection(section) => exports = name_exports(section.clone())?,
            _ => {}
        }
    }
    let start = match start_function {
        Some(function) => {
            check_start(&payloads, function)?;
            let alias = exports.len().to_string();
            additions.add_caller(function, &counts, &alias);
            Some(alias)
        }
        None => None,
    };
    let tables = tables::cap(wasm, &payloads, &counts, limits, &mut additions)?;

    let mut excess = tables.excess;
    let mut sections = Vec::new();
    for payload in &payloads {
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let body = slice(wasm, range)?;
        let body = match payload {
            Payload::StartSection { .. } | Payload::CustomSection(_) => continue,
            Payload::TableSection(_) => tables.section.clone(),
            Payload::CodeSectionStart { .. } => match &tables.code {
                Some(code) => code.clone(),
                None => body.to_vec(),
            },
            Payload::MemorySection(memories) => {
                let (body, too_many) = cap_memories(memories.clone(), limits.max_memory_pages)?;
                excess |= too_many;
                body
            }
            Payload::ExportSection(section) => rename_exports(section.clone())?,
            _ => body.to_vec(),
        };
        sections.push((id, body));
    }
    for id in [
        SectionId::Type,
        SectionId::Function,
        SectionId::Global,
        SectionId::Export,
        SectionId::Code,
    ] {
        append(&mut sections, id, &additions.entries(id, counts.types))?;
    }

    let mut module = wasm_encoder::Module::new();
    for (id, data) in &sections {
        module.section(&RawSection { id: *id, data });
    }
    Ok(Prepared {
        wasm: module.finish(),
        exports,
        start,
        excess,
    })
}

/// Pages of the largest memory that 32 bits can address.
const LARGEST_MEMORY: u64 = 65_536;

/// How many entries the module itself has. Nothing is imported.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) types: u32,
    pub(crate) functions: u32,
    pub(crate) globals: u32,
}

/// `(type (func))`
const START_FUNCTION_TYPE: &[u8] = &[0x60, 0x00, 0x00];
/// `(type (func (result i32)))`
const SIZE_FUNCTION_TYPE: &[u8] = &[0x60, 0x00, 0x01, 0x7f];
/// `(func (result i32) memory.size)`: 4 bytes, no locals, `memory.size 0`, `end`.
const SIZE_FUNCTION_BODY: &[u8] = &[0x04, 0x00, 0x3f, 0x00, 0x0b];

pub(crate) fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

pub(crate) fn slice(wasm: &[u8], range: std::ops::Range<u64>) -> Result<&[u8], String> {
    usize::try_from(range.start)
        .ok()
        .zip(usize::try_from(range.end).ok())
        .and_then(|(start, end)| wasm.get(start..end))
        .ok_or_else(|| "a section ends beyond the module".to_owned())
}

/// Appends entries to a section, which is made if there is none.
fn append(
    sections: &mut Vec<(u8, Vec<u8>)>,
    id: SectionId,
    entries: &[Vec<u8>],
) -> Result<(), String> {
    if entries.is_empty() {
        return Ok(());
    }
    let id = id as u8;
    let place = match sections.iter().position(|(other, _)| *other == id) {
        Some(place) => place,
        None => {
            let place = sections
                .iter()
                .position(|(other, _)| order(*other) > order(id))
                .unwrap_or(sections.len());
            sections.insert(place, (id, vec![0]));
            place
        }
    };
    let body = &mut sections[place].1;
    let mut reader = wasmparser::BinaryReader::new(body, 0);
    let count = reader.read_var_u32().map_err(|error| error.to_string())?;
    let rest = slice(body, reader.original_position()..body.len() as u64)?;
    // The count of a hostile section may be the largest there is.
    let count = count.saturating_add(u32::try_from(entries.len()).unwrap_or(u32::MAX));
    *body = [encoded(&count), rest.to_vec(), entries.concat()].concat();
    Ok(())
}

/// Sections once each and in order. WAMR checks that too, but no longer sees the start section.
fn check_order(payloads: &[Payload<'_>]) -> Result<(), String> {
    let mut last = 0;
    for (id, _) in payloads.iter().filter_map(Payload::as_section) {
        if id == SectionId::Custom as u8 {
            continue;
        }
        if order(id) <= last {
            return Err(format!("section {id} is out of order"));
        }
        last = order(id);
    }
    Ok(())
}

/// The start function takes and gives nothing. WAMR checks this of a start section only.
fn check_start(payloads: &[Payload<'_>], function: u32) -> Result<(), String> {
    let find = |index: u32| {
        let index = payloads.iter().find_map(|payload| match payload {
            Payload::FunctionSection(section) => section.clone().into_iter().nth(index as usize),
            _ => None,
        })?;
        let index = index.ok()?;
        payloads.iter().find_map(|payload| match payload {
            Payload::TypeSection(section) => section
                .clone()
                .into_iter_err_on_gc_types()
                .nth(index as usize)?
                .ok(),
            _ => None,
        })
    };
    match find(function) {
        Some(found) if found.params().is_empty() && found.results().is_empty() => Ok(()),
        _ => Err("the start function is not one without parameters and results".to_owned()),
    }
}

/// Sections in the order modules have them; custom sections may stand anywhere, the data count stands before the code.
fn order(id: u8) -> u8 {
    const CODE: u8 = SectionId::Code as u8;
    const DATA: u8 = SectionId::Data as u8;
    const DATA_COUNT: u8 = SectionId::DataCount as u8;
    match id {
        DATA_COUNT => CODE,
        CODE => CODE + 1,
        DATA => CODE + 2,
        // Tags stand between others; WAMR refuses the section itself.
        other => other,
    }
}

fn export_entry(name: &str, kind: ExportKind, index: u32) -> Vec<u8> {
    [encoded(&name), encoded(&kind), encoded(&index)].concat()
}

fn name_exports(
    section: SectionLimited<'_, wasmparser::Export<'_>>,
) -> Result<HashMap<String, Export>, String> {
    let mut exports = HashMap::new();
    for (position, export) in section.into_iter().enumerate() {
        let export = export.map_err(|error| error.to_string())?;
        let entry = Export {
            kind: export.kind,
            alias: position.to_string(),
        };
        if exports.insert(export.name.to_owned(), entry).is_some() {
            return Err(format!("duplicate export `{}`", export.name));
        }
    }
    Ok(exports)
}

fn rename_exports(section: SectionLimited<'_, wasmparser::Export<'_>>) -> Result<Vec<u8>, String> {
    let mut body = encoded(&section.count());
    for (position, export) in section.into_iter().enumerate() {
        let export = export.map_err(|error| error.to_string())?;
        let kind = match export.kind {
            ExternalKind::Func => ExportKind::Func,
            ExternalKind::Table => ExportKind::Table,
            ExternalKind::Memory => ExportKind::Memory,
            ExternalKind::Global => ExportKind::Global,
            ExternalKind::Tag | ExternalKind::FuncExact => {
                return Err(format!("export `{}` is of no kind WAMR has", export.name));
            }
        };
        body.append(&mut export_entry(&position.to_string(), kind, export.index));
    }
    Ok(body)
}

/// Lowers the maxima; the second value says whether the limit is exceeded from the start.
fn cap_memories(
    memories: SectionLimited<'_, wasmparser::MemoryType>,
    max_pages: u32,
) -> Result<(Vec<u8>, bool), String> {
    let mut body = encoded(&memories.count());
    let mut excess = false;
    for memory in memories {
        let memory = memory.map_err(|error| error.to_string())?;
        if memory.memory64 || memory.shared || memory.page_size_log2.is_some() {
            return Err("a 64-bit, shared or custom-page memory".to_owned());
        }
        // Lowering a maximum must not make a module valid.
        if memory.initial > LARGEST_MEMORY
            || memory.maximum.is_some_and(|most| most > LARGEST_MEMORY)
        {
            return Err("memory size must be at most 65536 pages (4 GiB)".to_owned());
        }
        excess |= memory.initial > u64::from(max_pages);
        let cap = memory.initial.max(u64::from(max_pages));
        MemoryType {
            minimum: memory.initial,
            // A maximum below the minimum is invalid and stays so, for WAMR to refuse.
            maximum: Some(memory.maximum.map_or(cap, |declared| declared.min(cap))),
            memory64: false,
            shared: false,
            page_size_log2: None,
        }
        .encode(&mut body);
    }
    Ok((body, excess))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(text: &str, limits: &Limits) -> Prepared {
        let prepared = prepare(&wat::parse_str(text).unwrap(), limits).unwrap();
        wasmparser::Validator::new()
            .validate_all(&prepared.wasm)
            .unwrap();
        prepared
    }

    fn maxima(wasm: &[u8]) -> (Vec<u64>, Vec<u64>) {
        let (mut memories, mut tables) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::MemorySection(section) => {
                    memories.extend(section.into_iter().map(|m| m.unwrap().maximum.unwrap()));
                }
                Payload::TableSection(section) => {
                    tables.extend(section.into_iter().map(|t| t.unwrap().ty.maximum.unwrap()));
                }
                _ => {}
            }
        }
        (memories, tables)
    }

    #[test]
    fn modules_stay_valid_whatever_sections_they_have() {
        for text in [
            "(module)",
            "(module (memory 1))",
            "(module (memory (export \"memory\") 1) (data (i32.const 0) \"a\"))",
            "(module (func $s) (start $s))",
            "(module (memory 1) (func $s) (start $s) (func (export \"f\") (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))) (data \"a\"))",
            "(module (table 1 funcref) (global (export \"g\") i32 (i32.const 1)) (elem (i32.const 0) func $f) (func $f (param i32) (result i32) local.get 0))",
        ] {
            prepared(text, &Limits::default());
        }
    }

    #[test]
    fn names_are_gone_but_known() {
        let module = prepared(
            r#"(module (memory (export "memory") 1) (func $s) (start $s)
                (func (export "__wasm_call_ctors")) (func (export "a\00b")))"#,
            &Limits::default(),
        );
        assert!(!module.wasm.windows(4).any(|w| w == b"ctor"));
        assert_eq!(module.exports["__wasm_call_ctors"].alias, "1");
        assert_eq!(module.exports["a\0b"].alias, "2");
        assert!(!module.exports.contains_key("a"));
        assert_eq!(module.start.as_deref(), Some("3"));
    }

    #[test]
    fn what_is_written_again_does_not_make_a_module_valid() {
        let refused = |wasm: &[u8]| prepare(wasm, &Limits::default()).is_err();
        for text in ["(module (memory 65537))", "(module (memory 0 65537))"] {
            assert!(refused(&wat::parse_str(text).unwrap()), "{text}");
        }
        // A maximum of 2, with unused bits that are set.
        assert!(refused(
            b"\0asm\x01\0\0\0\x05\x09\x01\x01\x82\0\x82\x80\x80\x80\x10"
        ));
        // That a function is the start function does not declare it for ref.func.
        let wasm = wat::parse_str("(module (start $f) (func $f (drop (ref.func $f))))").unwrap();
        let prepared = prepare(&wasm, &Limits::default()).unwrap();
        assert!(
            wasmparser::Validator::new()
                .validate_all(&prepared.wasm)
                .is_err()
        );
    }

    #[test]
    fn custom_sections_are_left_out_and_must_have_a_name() {
        let prepare = |section: &[u8]| {
            let wasm = [b"\0asm\x01\0\0\0", section].concat();
            prepare(&wasm, &Limits::default())
        };
        let strange_name = b"\0\x06\x04\0\0ab!";
        assert_eq!(prepare(strange_name).unwrap().wasm, b"\0asm\x01\0\0\0");
        assert!(prepare(b"\0\x03\x02\xff\xff").is_err());
        assert!(prepare(b"\0\x01\x02").is_err());
    }

    #[test]
    fn maxima_are_lowered_and_excess_is_named() {
        let limits = Limits {
            max_memory_pages: 10,
            max_table_elements: 100,
            ..Limits::default()
        };
        let within = prepared(
            "(module (memory 2) (table 10 funcref) (table 20 30 funcref) (table 5 5 funcref))",
            &limits,
        );
        assert_eq!(maxima(&within.wasm), (vec![10], vec![75, 30, 5]));
        assert!(!within.excess);
        assert!(prepared("(module (memory 11))", &limits).excess);
        assert!(prepared("(module (table 60 funcref) (table 41 funcref))", &limits).excess);
    }

    #[test]
    fn what_is_no_module_is_refused() {
        let module = wat::parse_str("(module (memory 1) (func (export \"f\")))").unwrap();
        for bytes in [
            &b""[..],
            b"(module)",
            b"\0asm",
            b"\0asm\x02\0\0\0",
            b"\0asm\x0d\0\x01\0",
            b"\0aot\x05\0\0\0",
            b"\x7fELF\x02\x01\x01\0",
        ] {
            assert!(prepare(bytes, &Limits::default()).is_err());
        }
        for end in 9..module.len() {
            let _either = prepare(&module[..end], &Limits::default());
        }
        let imports = wat::parse_str("(module (import \"env\" \"memory\" (memory 1)))").unwrap();
        assert!(prepare(&imports, &Limits::default()).is_err());
    }
}
