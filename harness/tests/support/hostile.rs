//! Modules that mean no good: those of `fixtures/hostile`, and those that are too big or too broken to be written as text.

use std::{fs, path::Path};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, DataSection, ElementSection, Elements,
    Encode, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    Instruction, MemorySection, MemoryType, Module, RawSection, RefType, TableSection, TableType,
    TypeSection, ValType,
};

/// What must come of a module on every engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The call returns this.
    Returned(i64),
    /// A trap of this class at this stage.
    Trap(String, String),
    /// The module is refused.
    Rejected,
    /// A limit is met, as a rejection by the pre-pass or as a trap.
    Limit,
    /// The specification leaves it to engines, or asks more than anybody offers: anything but a crash of the harness.
    EngineDependent,
}

impl Expect {
    fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("returned", value)) => Expect::Returned(value.parse().unwrap()),
            Some(("engine-dependent", reason)) if !reason.is_empty() => Expect::EngineDependent,
            Some((stage @ ("instantiate" | "call"), trap)) => {
                Expect::Trap(stage.to_owned(), trap.to_owned())
            }
            None if text == "rejected" => Expect::Rejected,
            None if text == "limit" => Expect::Limit,
            _ => panic!("`{text}` is no expectation"),
        }
    }
}

/// A module and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Hostile {
    pub(crate) name: String,
    /// With the pre-pass.
    pub(crate) expect: Expect,
    /// Without it.
    pub(crate) raw: Expect,
    /// Further arguments of `assay probe`.
    pub(crate) arguments: Vec<String>,
    pub(crate) wasm: Vec<u8>,
    /// The extension of its file; a text module is compiled by the harness.
    pub(crate) extension: &'static str,
}

/// The text modules of a folder, with what their first lines say: `;; expect: OUTCOME`, and optionally `;; raw: OUTCOME` where it is
/// another without the pre-pass, and `;; arguments: ...` for `assay probe`. The budget of a fixture of `traps` is an argument as well.
pub(crate) fn texts(folder: &Path) -> Vec<Hostile> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let directive = |key: &str| {
                text.lines()
                    .map_while(|line| line.strip_prefix(";; "))
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
            };
            let expect = directive("expect").unwrap_or_else(|| panic!("{name} expects nothing"));
            let expect = Expect::parse(expect);
            // Enough for everything that ends by itself, in a debug build on a busy machine.
            let budget = directive("budget").unwrap_or("epoch:800");
            let mut arguments = directive("arguments").unwrap_or_default().to_owned();
            if !arguments.contains("--budget") {
                arguments += &format!(" --budget {budget}");
            }
            Hostile {
                raw: directive("raw").map_or_else(|| expect.clone(), Expect::parse),
                expect,
                arguments: arguments
                    .split_whitespace()
                    .map(ToOwned::to_owned)
                    .collect(),
                wasm: text.into_bytes(),
                extension: "wat",
                name,
            }
        })
        .collect()
}

/// A limit that engines may have, and do.
const OWN_LIMIT: Expect = Expect::EngineDependent;

/// The modules that no text holds.
pub(crate) fn generated() -> Vec<Hostile> {
    let returns = |value| Expect::Returned(value);
    let rejected = || Expect::Rejected;
    let mut all = Vec::new();
    let mut add = |name: &str, expect: Expect, raw: Expect, wasm: Vec<u8>| {
        all.push(Hostile {
            name: name.to_owned(),
            expect,
            raw,
            arguments: Vec::new(),
            wasm,
            extension: "wasm",
        });
    };
    let plain = run_with(&[], |code| {
        code.instruction(&Instruction::I32Const(1));
    });

    // Not modules.
    for (name, bytes) in [
        ("file-empty", &b""[..]),
        ("file-magic-only", b"\0asm"),
        ("file-half-a-version", b"\0asm\x01\0"),
        ("file-wrong-magic", b"\0ASM\x01\0\0\0"),
        ("file-wrong-version", b"\0asm\x02\0\0\0"),
        ("file-component", b"\0asm\x0d\0\x01\0"),
        ("file-ahead-of-time", b"\0aot\x05\0\0\0"),
        (
            "file-elf",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0",
        ),
        (
            "file-text",
            b"(module (func (export \"run\") (result i32) (i32.const 1)))",
        ),
        ("file-text-with-mark", b"\xef\xbb\xbf(module)"),
        ("file-compressed", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
        ("file-zeros", &[0; 4096]),
    ] {
        add(name, rejected(), rejected(), bytes.to_vec());
    }
    add(
        "no-sections",
        rejected(),
        rejected(),
        b"\0asm\x01\0\0\0".to_vec(),
    );
    let marked = [&b"\xef\xbb\xbf"[..], &plain].concat();
    add("file-mark-before-magic", rejected(), rejected(), marked);
    for cut in [9, 12, 20, plain.len() - 1] {
        let cut_short = plain[..cut].to_vec();
        add(
            &format!("cut-short-after-{cut}"),
            rejected(),
            rejected(),
            cut_short,
        );
    }
    let trailing = [&plain[..], &[0xff]].concat();
    add("bytes-after-the-end", rejected(), rejected(), trailing);

    // Sections.
    for (name, id, data) in [
        ("section-unknown", 99, &b"\0"[..]),
        ("section-types-twice", 1, b"\0"),
        ("section-of-too-many-types", 1, b"\xff\xff\xff\xff\x0f\x60"),
        ("section-count-too-long", 4, b"\x80\x80\x80\x80\x80\x01"),
        ("section-count-of-unused-bits", 4, b"\x81\x80\x80\x80\x70"),
        ("section-imports-last", 2, b"\0"),
    ] {
        let wasm = [&plain[..], &section(id, data)].concat();
        add(name, rejected(), rejected(), wasm);
    }
    let beyond = [&plain[..], b"\0\xff\xff\xff\xff\x07"].concat();
    add(
        "section-size-beyond-the-file",
        rejected(),
        rejected(),
        beyond,
    );
    let bodiless = [
        &b"\0asm\x01\0\0\0"[..],
        &section(1, b"\x01\x60\0\0"),
        &section(3, b"\x01\0"),
    ];
    add(
        "function-without-body",
        rejected(),
        rejected(),
        bodiless.concat(),
    );
    let bodies = [&b"\0asm\x01\0\0\0"[..], &section(10, b"\x01\x02\0\x0b")].concat();
    add("body-without-function", rejected(), rejected(), bodies);
    let name_section =
        |data: &[u8]| [&plain[..], &section(0, &[b"\x04name", data].concat())].concat();
    add(
        "name-section-of-nonsense",
        returns(1),
        returns(1),
        name_section(b"\x01\xff\xff\xff\xff"),
    );
    let long_name = section(0, b"\xff\x7fshort");
    add(
        "custom-section-name-too-long",
        rejected(),
        rejected(),
        [&plain[..], &long_name].concat(),
    );
    let mut customs = Module::new();
    for _ in 0..100_000 {
        customs.section(&CustomSection {
            name: "".into(),
            data: (&[]).into(),
        });
    }
    let customs = [customs.finish(), plain[8..].to_vec()].concat();
    add("custom-sections-100000", returns(1), returns(1), customs);
    let bomb = CustomSection {
        name: "x".into(),
        data: vec![0x55; 8 << 20].into(),
    };
    let mut custom = Module::new();
    custom.section(&bomb);
    let custom = [custom.finish(), plain[8..].to_vec()].concat();
    add("custom-section-of-8-mib", returns(1), returns(1), custom);

    // Names.
    let exported = |exports: &[(&[u8], u32)]| {
        let mut data = leb(exports.len());
        for (name, index) in exports {
            data.extend(leb(name.len()));
            data.extend_from_slice(name);
            data.push(0);
            data.extend(leb(*index as usize));
        }
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        module.section(&types);
        let mut functions = FunctionSection::new();
        functions.function(0);
        module.section(&functions);
        module.section(&RawSection { id: 7, data: &data });
        let mut code = CodeSection::new();
        code.function(&constant(1));
        module.section(&code);
        module.finish()
    };
    add(
        "name-not-utf8",
        rejected(),
        rejected(),
        exported(&[(b"run", 0), (b"\xff\xfe", 0)]),
    );
    add(
        "name-twice",
        rejected(),
        rejected(),
        exported(&[(b"run", 0), (b"run", 0)]),
    );
    let long = vec![b'a'; 99_999];
    add(
        "name-of-99999-bytes",
        returns(1),
        returns(1),
        exported(&[(b"run", 0), (&long, 0)]),
    );
    let longer = vec![b'a'; 1 << 20];
    add(
        "name-of-a-mebibyte",
        rejected(),
        OWN_LIMIT,
        exported(&[(b"run", 0), (&longer, 0)]),
    );
    let names: Vec<String> = (0..100_000).map(|number| format!("e{number}")).collect();
    let mut many: Vec<(&[u8], u32)> = names.iter().map(|name| (name.as_bytes(), 0)).collect();
    many[0].0 = b"run";
    add("exports-100000", returns(1), OWN_LIMIT, exported(&many));

    // Sizes.
    for (name, block) in [
        ("nesting-10000-blocks", Instruction::Block(BlockType::Empty)),
        ("nesting-10000-loops", Instruction::Loop(BlockType::Empty)),
    ] {
        let wasm = run_with(&[], |code| {
            for _ in 0..10_000 {
                code.instruction(&block);
            }
            for _ in 0..10_000 {
                code.instruction(&Instruction::End);
            }
            code.instruction(&Instruction::I32Const(1));
        });
        add(name, OWN_LIMIT, OWN_LIMIT, wasm);
    }
    let wasm = run_with(&[], |code| {
        for _ in 0..10_000 {
            code.instruction(&Instruction::I32Const(1));
            code.instruction(&Instruction::If(BlockType::Empty));
        }
        for _ in 0..10_000 {
            code.instruction(&Instruction::End);
        }
        code.instruction(&Instruction::I32Const(1));
    });
    add("nesting-10000-ifs", OWN_LIMIT, OWN_LIMIT, wasm);
    let wasm = run_with(&[], |code| {
        for _ in 0..10_000 {
            code.instruction(&Instruction::I32Const(1));
        }
        for _ in 1..10_000 {
            code.instruction(&Instruction::I32Add);
        }
    });
    add("operands-10000", OWN_LIMIT, OWN_LIMIT, wasm);
    for (name, count, expect) in [
        ("locals-1000", 1_000, returns(1)),
        ("locals-50000", 50_000, OWN_LIMIT),
        ("locals-50001", 50_001, rejected()),
        ("locals-all", u32::MAX, rejected()),
    ] {
        let raw = if expect == returns(1) {
            returns(1)
        } else {
            OWN_LIMIT
        };
        let wasm = run_with(&[(count, ValType::I64)], |code| {
            code.instruction(&Instruction::I32Const(1));
        });
        add(name, expect, raw, wasm);
    }
    let groups = [
        (u32::MAX, ValType::I32),
        (u32::MAX, ValType::I32),
        (2, ValType::I32),
    ];
    let wasm = run_with(&groups, |code| {
        code.instruction(&Instruction::I32Const(1));
    });
    add("locals-more-than-countable", rejected(), rejected(), wasm);
    for (count, expect) in [
        (65_520, OWN_LIMIT),
        (65_521, rejected()),
        (1_000_000, rejected()),
    ] {
        let wasm = run_with(&[], |code| {
            code.instruction(&Instruction::Block(BlockType::Empty));
            code.instruction(&Instruction::I32Const(3));
            code.instruction(&Instruction::BrTable(vec![0; count].into(), 0));
            code.instruction(&Instruction::End);
            code.instruction(&Instruction::I32Const(1));
        });
        add(&format!("branch-table-{count}"), expect, OWN_LIMIT, wasm);
    }
    add("functions-20000", OWN_LIMIT, OWN_LIMIT, functions(20_000));
    add("functions-100", returns(1), returns(1), functions(100));
    let mut module = Module::new();
    let mut types = TypeSection::new();
    for _ in 0..100_000 {
        types.ty().function([ValType::I32], [ValType::I32]);
    }
    module.section(&types);
    // It has no entry; wasmer takes too long to find that out.
    add("types-100000", OWN_LIMIT, OWN_LIMIT, module.finish());
    for (count, expect) in [(1_000, OWN_LIMIT), (1_001, rejected())] {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function(vec![ValType::I64; count], []);
        types.ty().function([], [ValType::I32]);
        module.section(&types);
        finish_run(&mut module, 1, &constant(1));
        add(
            &format!("parameters-{count}"),
            expect,
            OWN_LIMIT,
            module.finish(),
        );
    }
    let wasm = run_with(&[], |code| {
        for _ in 0..7_000_000 {
            code.instruction(&Instruction::Nop);
        }
        code.instruction(&Instruction::I32Const(1));
    });
    add("body-of-7-mb", OWN_LIMIT, OWN_LIMIT, wasm);
    let wasm = run_with(&[], |code| {
        for _ in 0..2_000 {
            code.instruction(&Instruction::Block(BlockType::Empty));
            code.instruction(&Instruction::I32Const(0));
            code.instruction(&Instruction::BrIf(0));
            code.instruction(&Instruction::End);
        }
        code.instruction(&Instruction::I32Const(1));
    });
    add("branches-2000", returns(1), returns(1), wasm);
    add("data-of-8-mib", returns(1), returns(1), data(1, 8 << 20));
    add(
        "data-segments-1000",
        returns(1),
        returns(1),
        data(1_000, 10),
    );
    add(
        "data-segments-200000",
        OWN_LIMIT,
        OWN_LIMIT,
        data(200_000, 1),
    );
    add(
        "elements-100000",
        Expect::Limit,
        Expect::Limit,
        elements(100_000),
    );
    add("elements-60000", returns(1), returns(1), elements(60_000));
    add("globals-100000", returns(1), OWN_LIMIT, globals(100_000));
    all
}

fn leb(value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

fn section(id: u8, data: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(data.len()), data].concat()
}

fn constant(value: i32) -> Function {
    let mut function = Function::new([]);
    function.instruction(&Instruction::I32Const(value));
    function.instruction(&Instruction::End);
    function
}

/// The sections from the functions on of a module with one function, exported as `run`.
fn finish_run(module: &mut Module, type_index: u32, function: &Function) {
    let mut functions = FunctionSection::new();
    functions.function(type_index);
    module.section(&functions);
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    module.section(&exports);
    let mut code = CodeSection::new();
    code.function(function);
    module.section(&code);
}

/// A module whose `run` has these locals and this body, without its `end`.
fn run_with(locals: &[(u32, ValType)], body: impl FnOnce(&mut Function)) -> Vec<u8> {
    let mut function = Function::new(locals.iter().copied());
    body(&mut function);
    function.instruction(&Instruction::End);
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    module.section(&types);
    finish_run(&mut module, 0, &function);
    module.finish()
}

fn functions(count: u32) -> Vec<u8> {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    module.section(&types);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for _ in 0..count {
        functions.function(0);
        code.function(&constant(1));
    }
    module.section(&functions);
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    module.section(&exports);
    module.section(&code);
    module.finish()
}

/// What stands between the functions and the code differs: a module that returns 1.
fn with_sections(add: impl FnOnce(&mut Module), last: impl FnOnce(&mut Module)) -> Vec<u8> {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    module.section(&types);
    let mut functions = FunctionSection::new();
    functions.function(0);
    module.section(&functions);
    add(&mut module);
    let mut code = CodeSection::new();
    code.function(&constant(1));
    module.section(&code);
    last(&mut module);
    module.finish()
}

fn export_run(module: &mut Module) {
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    module.section(&exports);
}

fn data(segments: usize, length: usize) -> Vec<u8> {
    with_sections(
        |module| {
            let mut memories = MemorySection::new();
            memories.memory(MemoryType {
                minimum: 129,
                maximum: None,
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
            module.section(&memories);
            export_run(module);
        },
        |module| {
            let mut data = DataSection::new();
            for _ in 0..segments {
                data.active(0, &ConstExpr::i32_const(8), vec![7; length]);
            }
            module.section(&data);
        },
    )
}

fn elements(count: u32) -> Vec<u8> {
    with_sections(
        |module| {
            let mut tables = TableSection::new();
            tables.table(TableType {
                element_type: RefType::FUNCREF,
                table64: false,
                minimum: u64::from(count),
                maximum: None,
                shared: false,
            });
            module.section(&tables);
            export_run(module);
            let mut elements = ElementSection::new();
            let indices = vec![0; count as usize];
            elements.active(
                None,
                &ConstExpr::i32_const(0),
                Elements::Functions(indices.into()),
            );
            module.section(&elements);
        },
        |_| {},
    )
}

fn globals(count: usize) -> Vec<u8> {
    with_sections(
        |module| {
            let mut globals = GlobalSection::new();
            for _ in 0..count {
                let kind = GlobalType {
                    val_type: ValType::I64,
                    mutable: true,
                    shared: false,
                };
                globals.global(kind, &ConstExpr::i64_const(-1));
            }
            module.section(&globals);
            export_run(module);
        },
        |_| {},
    )
}
