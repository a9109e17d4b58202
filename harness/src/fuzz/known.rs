//! Defects of engines that random modules meet again and again, each with a way to write a module so that it avoids the defect and
//! means the same. A disagreement counts as explained by a defect exactly if it is gone in the module written that way: nothing
//! else that is wrong with an engine can hide behind one.

use std::convert::Infallible;
use wasm_encoder::{
    CodeSection, Function, Instruction,
    reencode::{Error, Reencode},
};
use wasmparser::{FunctionBody, Operator};

/// A known defect of a version of an engine.
pub(super) struct Defect {
    /// Engine id, as the worker says it.
    runtime: &'static str,
    /// The version it was seen in.
    version: &'static str,
    /// What is wrong.
    pub(super) reason: &'static str,
    /// The same module, written so that it avoids the defect; `None` if it is no module that can be read.
    pub(super) avoid: fn(&[u8]) -> Option<Vec<u8>>,
}

const WASMI_SELECT: &str = "wasmi joins i32.eqz of a local with the `select` after it, and then asks whatever its accumulator held in place of the local (fixtures/fuzz/wasmi-select-eqz.wat)";

const DEFECTS: &[Defect] = &[
    Defect {
        runtime: "wasmi",
        version: "2.0.0",
        reason: WASMI_SELECT,
        avoid: count_bits_before_select,
    },
    Defect {
        runtime: "wasmi.fast",
        version: "2.0.0",
        reason: WASMI_SELECT,
        avoid: count_bits_before_select,
    },
];

/// Known defects of a version of an engine.
pub(super) fn defects(runtime: &str, version: &str) -> impl Iterator<Item = &'static Defect> {
    let (runtime, version) = (runtime.to_owned(), version.to_owned());
    DEFECTS
        .iter()
        .filter(move |defect| defect.runtime == runtime && defect.version == version)
}

/// A number has bits exactly if it is not zero: `i32.popcnt` changes no condition, and stands between it and the `select`.
fn count_bits_before_select(wasm: &[u8]) -> Option<Vec<u8>> {
    struct Rewriting;

    impl Reencode for Rewriting {
        type Error = Infallible;

        fn parse_function_body(
            &mut self,
            code: &mut CodeSection,
            body: FunctionBody<'_>,
        ) -> Result<(), Error<Infallible>> {
            let mut function: Function = self.new_function_with_parsed_locals(&body)?;
            for operator in body.get_operators_reader()? {
                let operator = operator?;
                if let Operator::Select | Operator::TypedSelect { .. } = operator {
                    function.instruction(&Instruction::I32Popcnt);
                }
                function.instruction(&self.instruction(operator)?);
            }
            code.function(&function);
            Ok(())
        }
    }

    let mut module = wasm_encoder::Module::new();
    Rewriting
        .parse_core_module(&mut module, wasmparser::Parser::new(0), wasm)
        .ok()?;
    Some(module.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_written_otherwise_stays_valid_and_keeps_its_exports() {
        for number in 0..40 {
            let wasm = crate::fuzz::generate(11, number, None).unwrap().wasm;
            let avoiding = count_bits_before_select(&wasm).unwrap();
            wasmparser::Validator::new()
                .validate_all(&avoiding)
                .unwrap_or_else(|error| panic!("module {number}: {error}"));
            let plan = |wasm: &[u8]| crate::fuzz::Subject::new(wasm.to_vec()).plan;
            assert_eq!(plan(&wasm).calls, plan(&avoiding).calls);
        }
        assert_eq!(count_bits_before_select(b"nonsense"), None);
    }
}
