//! Makes a module self-contained: imports become definitions, and each action of the script becomes an exported function
//! without parameters that passes the constants, calls, compares the results bit by bit, and returns 1 if they are as expected.

use super::{
    module::{Definitions, Survey},
    scope::OutOfScope,
    value::{Constant, Expected, all_of},
};
use crate::rewrite::{Added, Change, items, number, section};
use std::collections::BTreeMap;
use wasm_encoder::{
    ConstExpr, DataSection, ElementSection, Encode, Function, GlobalSection, GlobalType,
    Instruction, ValType as EncodedValType,
    reencode::{self, Reencode},
};
use wasmparser::{BinaryReader, DataSectionReader, ElementSectionReader, GlobalSectionReader};
use wasmparser::{Operator, ValType};

/// What an action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Calls the function of this index.
    Function(u32),
    /// Reads the global of this index.
    Global(u32),
}

/// An action of a script as an export.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wrapper {
    pub(super) export: String,
    pub(super) target: Target,
    pub(super) arguments: Vec<Constant>,
    /// `None` if whatever comes back is right.
    pub(super) expected: Option<Vec<Expected>>,
}

/// Why a module cannot be rewritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum RewriteError {
    #[error("decode the module: {0}")]
    Decode(#[from] wasmparser::BinaryReaderError),
    #[error("encode the module again: {0}")]
    Encode(#[from] reencode::Error),
    #[error("link the module: {0}")]
    Link(OutOfScope),
    #[error("find what `{0}` acts on")]
    Target(String),
}

/// A module that tells what an action gave.
pub(super) struct Diagnosis {
    pub(super) wasm: Vec<u8>,
    /// The exports that give the words of the results of the last action, lowest first.
    pub(super) words: Vec<String>,
    /// Types of the results.
    pub(super) results: Vec<ValType>,
}

/// The module with its actions. One that needs nothing stays as it is, byte for byte.
pub(super) fn rewrite(survey: &Survey, wrappers: &[Wrapper]) -> Result<Vec<u8>, RewriteError> {
    if wrappers.is_empty() && survey.module.imports.is_empty() {
        return Ok(survey.module.wasm.clone());
    }
    let mut added = Added::default();
    for wrapper in wrappers {
        let results = results(survey, wrapper)?;
        let mut body = begin(wrapper, &results);
        body.instruction(&Instruction::I32Const(1));
        for (local, expected) in wrapper.expected.iter().flatten().enumerate() {
            compare(&mut body, local as u32, *expected);
        }
        body.instruction(&Instruction::End);
        add(&mut added, survey, &wrapper.export, &body);
    }
    assemble(survey, added)
}

/// The module with its actions, where the last one keeps what it was given, and exports tell it.
pub(super) fn diagnose(survey: &Survey, wrappers: &[Wrapper]) -> Result<Diagnosis, RewriteError> {
    let mut added = Added::default();
    let mut words = Vec::new();
    let mut kinds = Vec::new();
    for (index, wrapper) in wrappers.iter().enumerate() {
        let results = results(survey, wrapper)?;
        let mut body = begin(wrapper, &results);
        if index + 1 == wrappers.len() {
            for (local, kind) in results.iter().enumerate() {
                for word in word_instructions(*kind) {
                    body.instruction(&Instruction::LocalGet(local as u32));
                    for instruction in &word {
                        body.instruction(instruction);
                    }
                    let global = survey.module.globals.len() as u32 + added.globals.count;
                    body.instruction(&Instruction::GlobalSet(global));
                    added.globals.push(|bytes| {
                        GlobalType {
                            val_type: EncodedValType::I32,
                            mutable: true,
                            shared: false,
                        }
                        .encode(bytes);
                        ConstExpr::i32_const(0).encode(bytes);
                    });
                    words.push((format!("{} word {}", wrapper.export, words.len()), global));
                }
            }
            kinds = results;
        }
        body.instruction(&Instruction::I32Const(1));
        body.instruction(&Instruction::End);
        add(&mut added, survey, &wrapper.export, &body);
    }
    for (export, global) in &words {
        let mut body = Function::new([]);
        body.instruction(&Instruction::GlobalGet(*global));
        body.instruction(&Instruction::End);
        add(&mut added, survey, export, &body);
    }
    Ok(Diagnosis {
        wasm: assemble(survey, added)?,
        words: words.into_iter().map(|(export, _)| export).collect(),
        results: kinds,
    })
}

/// Puts the words of a diagnosis together: the bits of each result; of a reference, 1 if it is null.
pub(super) fn bits_of(results: &[ValType], words: &[u32]) -> Vec<u128> {
    let mut words = words.iter();
    results
        .iter()
        .map(|kind| {
            let width = word_instructions(*kind).len();
            let lowest_first: Vec<u32> = words.by_ref().take(width).copied().collect();
            lowest_first
                .iter()
                .rev()
                .fold(0, |bits, word| bits << 32 | u128::from(*word))
        })
        .collect()
}

/// Adds an exported function of no parameters and one i32.
fn add(added: &mut Added, survey: &Survey, export: &str, body: &Function) {
    added.function(&survey.module, export, (&[], &[ValType::I32]), body);
}

fn results(survey: &Survey, wrapper: &Wrapper) -> Result<Vec<ValType>, RewriteError> {
    let results = match wrapper.target {
        Target::Function(index) => survey
            .module
            .function(index)
            .map(|kind| kind.results().to_vec()),
        Target::Global(index) => survey.module.global(index).map(|kind| vec![kind]),
    };
    results.ok_or_else(|| RewriteError::Target(wrapper.export.clone()))
}

/// A function with a local for each result, which makes the call and fills them.
fn begin(wrapper: &Wrapper, results: &[ValType]) -> Function {
    let mut body = Function::new(results.iter().map(|kind| (1, number(*kind))));
    for argument in &wrapper.arguments {
        body.instruction(&argument.instruction());
    }
    body.instruction(&match wrapper.target {
        Target::Function(index) => Instruction::Call(index),
        Target::Global(index) => Instruction::GlobalGet(index),
    });
    for local in (0..results.len() as u32).rev() {
        body.instruction(&Instruction::LocalSet(local));
    }
    body
}

/// Takes the i32 on the stack, and leaves it there if the local is as expected, and 0 otherwise. Numbers are compared as
/// integers, vectors by their halves: no comparison of floats or vectors of the engine under test has to be right.
fn compare(body: &mut Function, local: u32, expected: Expected) {
    let get = Instruction::LocalGet(local);
    let (kind, mask, value) = match expected {
        Expected::Null => {
            body.instruction(&get);
            body.instruction(&Instruction::RefIsNull);
            body.instruction(&Instruction::I32And);
            return;
        }
        Expected::NotNull => {
            body.instruction(&get);
            body.instruction(&Instruction::RefIsNull);
            body.instruction(&Instruction::I32Eqz);
            body.instruction(&Instruction::I32And);
            return;
        }
        Expected::Bits { kind, mask, value } => (kind, mask, value),
    };
    if all_of(kind) == u128::from(u32::MAX) {
        body.instruction(&get);
        if kind == ValType::F32 {
            body.instruction(&Instruction::I32ReinterpretF32);
        }
        if mask != all_of(kind) {
            body.instruction(&Instruction::I32Const(mask as i32));
            body.instruction(&Instruction::I32And);
        }
        body.instruction(&Instruction::I32Const(value as i32));
        body.instruction(&Instruction::I32Eq);
        body.instruction(&Instruction::I32And);
        return;
    }
    let halves: &[Option<Instruction<'_>>] = match kind {
        ValType::F64 => &[Some(Instruction::I64ReinterpretF64)],
        ValType::V128 => &[
            Some(Instruction::I64x2ExtractLane(0)),
            Some(Instruction::I64x2ExtractLane(1)),
        ],
        _ => &[None],
    };
    for (half, as_integer) in halves.iter().enumerate() {
        let part = |bits: u128| (bits >> (64 * half)) as u64 as i64;
        body.instruction(&get);
        if let Some(instruction) = as_integer {
            body.instruction(instruction);
        }
        if part(mask) != -1 {
            body.instruction(&Instruction::I64Const(part(mask)));
            body.instruction(&Instruction::I64And);
        }
        body.instruction(&Instruction::I64Const(part(value)));
        body.instruction(&Instruction::I64Eq);
        body.instruction(&Instruction::I32And);
    }
}

/// How each 32-bit word of a value is made from it, lowest first.
fn word_instructions(kind: ValType) -> Vec<Vec<Instruction<'static>>> {
    let halves = |first: Vec<Instruction<'static>>| {
        let low = [first.clone(), vec![Instruction::I32WrapI64]].concat();
        let high = [
            first,
            vec![
                Instruction::I64Const(32),
                Instruction::I64ShrU,
                Instruction::I32WrapI64,
            ],
        ]
        .concat();
        vec![low, high]
    };
    match kind {
        ValType::I32 => vec![vec![]],
        ValType::F32 => vec![vec![Instruction::I32ReinterpretF32]],
        ValType::I64 => halves(vec![]),
        ValType::F64 => halves(vec![Instruction::I64ReinterpretF64]),
        ValType::V128 => (0..4)
            .map(|lane| vec![Instruction::I32x4ExtractLane(lane)])
            .collect(),
        ValType::Ref(_) => vec![vec![Instruction::RefIsNull]],
    }
}

fn assemble(survey: &Survey, added: Added) -> Result<Vec<u8>, RewriteError> {
    let definitions = survey.definitions().map_err(RewriteError::Link)?;
    let mut changes = BTreeMap::new();
    added.into_changes(&mut changes);
    for (id, before) in [
        (section::FUNCTION, &definitions.functions),
        (section::TABLE, &definitions.tables),
        (section::MEMORY, &definitions.memories),
        (section::GLOBAL, &definitions.globals),
        (section::CODE, &definitions.bodies),
    ] {
        let change: &mut Change = changes.entry(id).or_default();
        change.before = before.clone();
    }
    if !definitions.values.is_empty() {
        for id in [section::GLOBAL, section::ELEMENT, section::DATA] {
            if let Some(contents) = survey.module.contents(id) {
                let contents = without_imported_globals(definitions, id, contents)?;
                changes.entry(id).or_default().contents = Some(contents);
            }
        }
    }
    Ok(survey.module.assemble(&changes)?)
}

/// A section whose constant expressions have the values of the imported globals in their places.
fn without_imported_globals(
    definitions: &Definitions,
    id: u8,
    contents: &[u8],
) -> Result<Vec<u8>, RewriteError> {
    struct Values<'a>(&'a [ConstExpr]);

    impl Reencode for Values<'_> {
        type Error = std::convert::Infallible;

        fn const_expr(
            &mut self,
            expression: wasmparser::ConstExpr<'_>,
        ) -> Result<ConstExpr, reencode::Error> {
            let mut operators = expression.get_operators_reader();
            if let Operator::GlobalGet { global_index } = operators.read()?
                && let Some(value) = self.0.get(global_index as usize)
            {
                return Ok(value.clone());
            }
            reencode::utils::const_expr(self, expression)
        }
    }

    let mut values = Values(&definitions.values);
    let reader = BinaryReader::new(contents, 0);
    let encoded = match id {
        section::GLOBAL => {
            let mut globals = GlobalSection::new();
            values.parse_global_section(&mut globals, GlobalSectionReader::new(reader)?)?;
            encoded(&globals)
        }
        section::ELEMENT => {
            let mut elements = ElementSection::new();
            values.parse_element_section(&mut elements, ElementSectionReader::new(reader)?)?;
            encoded(&elements)
        }
        section::DATA => {
            let mut data = DataSection::new();
            values.parse_data_section(&mut data, DataSectionReader::new(reader)?)?;
            encoded(&data)
        }
        _ => return Ok(contents.to_vec()),
    };
    // The encoder writes the size first.
    let (_, bytes) = items(&encoded)?;
    Ok(bytes.to_vec())
}

fn encoded(section: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::scope::is_valid;

    fn survey(text: &str) -> Survey {
        Survey::of(wat::parse_str(text).unwrap()).unwrap()
    }

    fn wrapper(target: Target, arguments: &[Constant], expected: &[Expected]) -> Wrapper {
        Wrapper {
            export: "assay 0".to_owned(),
            target,
            arguments: arguments.to_vec(),
            expected: Some(expected.to_vec()),
        }
    }

    const IMPORTING: &str = r#"(module
      (import "spectest" "print_i32" (func (param i32)))
      (import "spectest" "global_i32" (global i32))
      (import "spectest" "table" (table 10 funcref))
      (import "spectest" "memory" (memory 1))
      (global i32 (global.get 0))
      (elem (i32.const 1) 1)
      (data (i32.const 2) "x")
      (func (export "f") (param i64) (result i64 f32)
        (call 0 (i32.const 1)) (local.get 0) (f32.const -0.0)))"#;

    #[test]
    fn imports_become_definitions_and_the_module_stays_valid() {
        let survey = survey(IMPORTING);
        assert!(survey.has_state);
        let bits = |kind, value| Expected::Bits {
            kind,
            mask: all_of(kind),
            value,
        };
        let wasm = rewrite(
            &survey,
            &[wrapper(
                Target::Function(1),
                &[Constant::I64(7)],
                &[bits(ValType::I64, 7), bits(ValType::F32, 0x8000_0000)],
            )],
        )
        .unwrap();
        assert!(is_valid(&wasm));
        let after = Survey::of(wasm).unwrap();
        assert!(after.module.imports.is_empty());
        assert_eq!(after.module.functions(), survey.module.functions() + 1);
    }

    #[test]
    fn imports_that_spectest_does_not_have_are_out_of_scope() {
        for import in [
            r#"(import "spectest" "unknown" (func))"#,
            r#"(import "spectest" "print_i32" (func (param i64)))"#,
            r#"(import "spectest" "print_i32" (func (param i32) (result i32)))"#,
            r#"(import "spectest" "memory" (memory 2))"#,
            r#"(import "spectest" "memory" (memory 1 1))"#,
            r#"(import "spectest" "table" (table 11 funcref))"#,
            r#"(import "spectest" "global_i32" (global (mut i32)))"#,
            r#"(import "spectest" "global_i32" (global i64))"#,
            r#"(import "other" "print" (func))"#,
        ] {
            let survey = survey(&format!("(module {import})"));
            assert!(
                matches!(survey.definitions(), Err(OutOfScope::Imports)),
                "{import}"
            );
        }
    }

    #[test]
    fn a_module_that_needs_nothing_stays_as_it_is() {
        let survey = survey("(module (func))");
        assert_eq!(rewrite(&survey, &[]).unwrap(), survey.module.wasm);
    }

    #[test]
    fn words_are_put_together_lowest_first() {
        let kinds = [ValType::I32, ValType::I64, ValType::V128];
        assert_eq!(
            bits_of(&kinds, &[1, 2, 3, 4, 5, 6, 7]),
            [
                1,
                0x0000_0003_0000_0002,
                0x0000_0007_0000_0006_0000_0005_0000_0004
            ]
        );
        let survey = survey(IMPORTING);
        let call = wrapper(Target::Function(1), &[Constant::I64(7)], &[]);
        let diagnosis = diagnose(&survey, &[call]).unwrap();
        assert!(is_valid(&diagnosis.wasm));
        assert_eq!(diagnosis.words.len(), 3);
        assert_eq!(diagnosis.results, [ValType::I64, ValType::F32]);
    }
}
