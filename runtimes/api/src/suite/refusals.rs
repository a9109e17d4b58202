//! What is not a module for this host: other formats, broken modules, imports, other proposals.

use super::{Check, Stop, Subject, Verdict, binary, fail, options, require, require_error};
use crate::{Budget, BudgetKind, Error, Stage};

const SAMPLE: &str = r#"(module
  (memory (export "memory") 1 3)
  (table 2 funcref)
  (global $base (export "base") i32 (i32.const 1024))
  (type $takes (func (param i32) (result i32)))
  (func $run (export "run") (type $takes)
    (local i64)
    (block $out (br_if $out (local.get 0)) (drop (memory.grow (i32.const 1))))
    (i32.add (i32.load offset=4 (local.get 0)) (global.get $base)))
  (elem (i32.const 0) $run)
  (data (i32.const 16) "data of the sample"))"#;

/// Proposals that packs may not use, so that engines need not agree on them.
const PROPOSALS: &[(&str, &str)] = &[
    ("refusal.proposal.threads", "(module (memory 1 1 shared))"),
    (
        "refusal.proposal.atomics",
        "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
    ),
    ("refusal.proposal.memory64", "(module (memory i64 1))"),
    (
        "refusal.proposal.multi-memory",
        "(module (memory 1) (memory 1))",
    ),
    (
        "refusal.proposal.tail-call",
        "(module (func $f (return_call $f)))",
    ),
    (
        "refusal.proposal.exceptions",
        "(module (tag $t) (func (throw $t)))",
    ),
    (
        "refusal.proposal.gc",
        "(module (type (struct (field i32))))",
    ),
    (
        "refusal.proposal.function-references",
        "(module (type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0))))",
    ),
    (
        "refusal.proposal.relaxed-simd",
        "(module (func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))))",
    ),
    (
        "refusal.proposal.extended-const",
        "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
    ),
    (
        "refusal.proposal.wide-arithmetic",
        "(module (func (param i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 0))))",
    ),
    (
        "refusal.proposal.custom-page-sizes",
        "(module (memory 1 (pagesize 1)))",
    ),
];

pub(super) fn checks() -> Vec<Check> {
    let proposals = PROPOSALS
        .iter()
        .map(|(name, text)| Check::new(name, &[], move |subject| proposal(subject, text)));
    [
        Check::new("refusal.formats", &[], formats),
        Check::new("refusal.truncated", &[], truncated),
        Check::new("refusal.changed-bytes", &[], changed_bytes),
        Check::new("refusal.invalid", &[], invalid),
        Check::new("refusal.imports", &[], imports),
        Check::new("refusal.deep-nesting", &[], deep_nesting),
        Check::new("refusal.then-works", &[], then_works),
    ]
    .into_iter()
    .chain(proposals)
    .collect()
}

fn compile(subject: &Subject<'_>, wasm: &[u8]) -> crate::Result<Box<dyn crate::Module>> {
    subject.runtime.compile(wasm, &options(BudgetKind::None))
}

fn require_rejected(subject: &Subject<'_>, what: &str, wasm: &[u8]) -> Verdict {
    match require_error(what, compile(subject, wasm))? {
        Error::Rejected {
            stage: Stage::Compile,
            message,
        } => require(!message.is_empty(), || {
            format!("{what}: rejected without words")
        }),
        other => fail(format!("{what}: {other:?} instead of Error::Rejected")),
    }
}

fn formats(subject: &Subject<'_>) -> Verdict {
    let sample = binary(SAMPLE)?;
    let mut version_2 = sample.clone();
    version_2[4] = 2;
    let mut elf = b"\x7fELF\x02\x01\x01\0".to_vec();
    elf.resize(4096, 0);
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("text module", b"(module)".to_vec()),
        (
            "text module with space before",
            b"\n  (module (memory 1))".to_vec(),
        ),
        ("text component", b"(component)".to_vec()),
        ("component", b"\0asm\x0d\0\x01\0".to_vec()),
        ("module of version 2", version_2),
        ("magic alone", b"\0asm".to_vec()),
        ("magic and half a version", b"\0asm\x01\0".to_vec()),
        (
            "WAMR ahead-of-time file",
            b"\0aot\x05\0\0\0\0\0\0\0".to_vec(),
        ),
        ("ELF file", elf),
        ("zeros", vec![0; 4096]),
        ("ones", vec![0xff; 4096]),
        (
            "byte order mark before a module",
            [b"\xef\xbb\xbf", sample.as_slice()].concat(),
        ),
    ];
    let mut trailing = sample.clone();
    trailing.extend_from_slice(b"\xff\xff\xff");
    cases.push(("module with bytes behind", trailing));
    // A section that says it is 4 GiB long.
    cases.push((
        "huge section",
        b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f".to_vec(),
    ));
    // A vector of 2^32 - 1 types in a section of 5 bytes.
    cases.push((
        "huge vector",
        b"\0asm\x01\0\0\0\x01\x05\xff\xff\xff\xff\x0f".to_vec(),
    ));
    for (what, bytes) in cases {
        require_rejected(subject, what, &bytes)?;
    }
    Ok(())
}

/// Where sections end in a module, the whole module included.
fn section_ends(wasm: &[u8]) -> Result<Vec<usize>, Stop> {
    let mut ends = vec![8];
    let mut at = 8;
    while at < wasm.len() {
        let size = wasm[at + 1];
        // The sample's sections are shorter than 128 bytes, so that a size is one byte.
        require(size < 128, || "the sample has a long section".to_owned())?;
        at += 2 + usize::from(size);
        ends.push(at);
    }
    Ok(ends)
}

fn truncated(subject: &Subject<'_>) -> Verdict {
    let wasm = binary(SAMPLE)?;
    let ends = section_ends(&wasm)?;
    for length in 0..wasm.len() {
        // A cut between sections may leave a valid module; it must only not do harm.
        if ends.contains(&length) {
            require_answered(length, compile(subject, &wasm[..length]))?;
        } else {
            require_rejected(subject, &format!("{length} bytes"), &wasm[..length])?;
        }
    }
    Ok(())
}

/// Any answer will do, as long as it is one about the module.
fn require_answered<T>(case: impl std::fmt::Debug, result: crate::Result<T>) -> Verdict {
    match result {
        Ok(_) | Err(Error::Rejected { .. } | Error::Trap { .. }) => Ok(()),
        Err(other) => fail(format!("changed module {case:?}: {other:?}")),
    }
}

fn changed_bytes(subject: &Subject<'_>) -> Verdict {
    let wasm = binary(SAMPLE)?;
    let mut accepted = 0;
    for at in 0..wasm.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = wasm.clone();
            changed[at] ^= mask;
            let result = compile(subject, &changed);
            accepted += usize::from(result.is_ok());
            require_answered((at, mask), result)?;
        }
    }
    // Most bytes are structure: an engine that takes half of the changed modules does not look.
    require(accepted < 3 * wasm.len() / 2, || {
        format!("{accepted} of {} changed modules are taken", 3 * wasm.len())
    })
}

fn invalid(subject: &Subject<'_>) -> Verdict {
    for text in [
        "(module (func (result i32)))",
        "(module (func (result i32) (i64.const 1)))",
        "(module (func (result i32) (i32.add (i32.const 1))))",
        "(module (func (drop (i32.load (i32.const 0)))))",
        "(module (func (call 7)))",
        "(module (func (local.set 3 (i32.const 0))))",
        "(module (func (br 5)))",
        r#"(module (func (export "a")) (func (export "a")))"#,
        "(module (memory 2 1))",
        "(module (memory 65537))",
        "(module (func (param i32)) (start 0))",
        "(module (global i32 (i64.const 0)))",
        "(module (global i32 (i32.const 0)) (func (global.set 0 (i32.const 1))))",
        "(module (memory 1) (func (drop (i32.load align=8 (i32.const 0)))))",
    ] {
        require_rejected(subject, text, &binary(text)?)?;
    }
    Ok(())
}

fn imports(subject: &Subject<'_>) -> Verdict {
    for import in [
        r#"(import "env" "missing" (func))"#,
        r#"(import "env" "abort" (func (param i32 i32 i32 i32)))"#,
        r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#,
        r#"(import "env" "memory" (memory 1))"#,
        r#"(import "env" "table" (table 1 funcref))"#,
        r#"(import "env" "__indirect_function_table" (table 1 funcref))"#,
        r#"(import "env" "__stack_pointer" (global (mut i32)))"#,
        r#"(import "env" "memoryBase" (global i32))"#,
        r#"(import "spectest" "print_i32" (func (param i32)))"#,
        r#"(import "" "" (func))"#,
    ] {
        let text = format!("(module {import})");
        let result =
            compile(subject, &binary(&text)?).and_then(|module| module.instantiate(Budget::None));
        match require_error(import, result)? {
            Error::Rejected {
                stage: Stage::Compile | Stage::Instantiate,
                ..
            } => {}
            other => return fail(format!("{import}: {other:?} instead of Error::Rejected")),
        }
    }
    Ok(())
}

/// Recursion over blocks would use up the host's stack.
fn deep_nesting(subject: &Subject<'_>) -> Verdict {
    const DEPTH: usize = 10_000;
    let text = format!(
        r#"(module (func (export "run") (result i32) {}{} (i32.const 7)))"#,
        "block ".repeat(DEPTH),
        "end ".repeat(DEPTH)
    );
    match compile(subject, &binary(&text)?) {
        Ok(module) => {
            let mut instance = module.instantiate(Budget::None)?;
            super::require_equal("run", super::call(&mut *instance, "run", &[])?, 7)
        }
        Err(Error::Rejected { .. }) => Ok(()),
        Err(other) => fail(format!("{other:?} instead of Error::Rejected")),
    }
}

fn then_works(subject: &Subject<'_>) -> Verdict {
    require_rejected(subject, "text", b"(module)")?;
    require_rejected(subject, "nothing", b"")?;
    let mut instance = subject.instance(SAMPLE)?;
    instance.write(20, &[5, 0, 0, 0])?;
    let sum = super::call(&mut *instance, "run", &[16])?;
    super::require_equal("run", sum, 1029)?;
    // The smallest module there is.
    compile(subject, b"\0asm\x01\0\0\0")?.instantiate(Budget::None)?;
    Ok(())
}

/// An engine that takes a proposal relies on the pre-pass to keep it out: that is said, not hidden.
fn proposal(subject: &Subject<'_>, text: &str) -> Verdict {
    match compile(subject, &binary(text)?) {
        Err(Error::Rejected {
            stage: Stage::Compile,
            ..
        }) => Ok(()),
        Err(other) => fail(format!("{other:?} instead of Error::Rejected")),
        Ok(_) => Err(Stop::Unsupported(
            "this engine takes the proposal and cannot turn it off".to_owned(),
        )),
    }
}
