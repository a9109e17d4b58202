//! What wasmi 2.0.0 gets wrong, and modules written so that it does not.
//!
//! A `select` whose condition is a local compared with zero gives the wrong value: wasmi joins the two, drops the comparison, and asks
//! its accumulator, whatever that holds, in place of the local (`try_fuse_select` takes comparisons of a local for comparisons of the
//! accumulator). `assay fuzz` found it. The result of a comparison is 0 or 1, so `i32.popcnt` behind it changes nothing, and
//! keeps the two apart.

use std::{borrow::Cow, convert::Infallible};
use wasm_encoder::{
    CodeSection, Function, Instruction,
    reencode::{Error, Reencode},
};
use wasmparser::{FunctionBody, Operator, Parser};

/// A valid module, written so that wasmi executes it rightly; the very bytes, unless a `select` is in danger.
pub(crate) fn prepare(wasm: &[u8]) -> Cow<'_, [u8]> {
    let mut rewriting = Rewriting::default();
    let mut module = wasm_encoder::Module::new();
    match rewriting.parse_core_module(&mut module, Parser::new(0), wasm) {
        Ok(()) if rewriting.changed => Cow::Owned(module.finish()),
        // What cannot be read is not valid, and wasmi says why.
        _ => Cow::Borrowed(wasm),
    }
}

#[derive(Default)]
struct Rewriting {
    changed: bool,
}

impl Reencode for Rewriting {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let mut function: Function = self.new_function_with_parsed_locals(&body)?;
        // Whether the last operator that wasmi makes code for may be a comparison with zero.
        let mut compared = false;
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            compared = match &operator {
                Operator::I32Eqz | Operator::I32Eq | Operator::I32Ne => true,
                Operator::Select | Operator::TypedSelect { .. } => {
                    if compared {
                        function.instruction(&Instruction::I32Popcnt);
                        self.changed = true;
                    }
                    false
                }
                // wasmi makes no code for these, so that what was last stays last.
                Operator::Nop
                | Operator::Drop
                | Operator::Block { .. }
                | Operator::End
                | Operator::LocalGet { .. }
                | Operator::I32Const { .. }
                | Operator::I64Const { .. }
                | Operator::F32Const { .. }
                | Operator::F64Const { .. } => compared,
                _ => false,
            };
            function.instruction(&self.instruction(operator)?);
        }
        code.function(&function);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(code: &str) -> Vec<u8> {
        let text = format!(
            "(module (func (export \"run\") (param $x i32) (result i32) (local $y i32) {code}))"
        );
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn a_select_behind_a_comparison_is_set_apart_and_no_other_module_is_touched() {
        for (code, touched) in [
            (
                "(select (i32.const 1) (i32.const 2) (i32.eqz (local.get $x)))",
                true,
            ),
            (
                "(select (i32.const 1) (i32.const 2) (i32.ne (local.get $x) (i32.const 0)))",
                true,
            ),
            (
                "i32.const 1 i32.const 2 local.get $x i32.eqz nop select",
                true,
            ),
            (
                "(select (i32.const 1) (i32.const 2) (i32.lt_u (local.get $x) (i32.const 9)))",
                false,
            ),
            ("(i32.eqz (local.get $x))", false),
        ] {
            let wasm = body(code);
            let prepared = prepare(&wasm);
            assert_eq!(matches!(prepared, Cow::Owned(_)), touched, "{code}");
            if touched {
                // One instruction more, and nothing else.
                assert_eq!(prepared.len(), wasm.len() + 1, "{code}");
            }
        }
        assert_eq!(prepare(b"\0asm nonsense"), Cow::Borrowed(b"\0asm nonsense"));
    }

    /// Fails once wasmi is mended: then this module is to go.
    #[test]
    fn wasmi_alone_still_gives_the_wrong_value() {
        let wasm =
            wat::parse_str(include_str!("../../../fixtures/fuzz/wasmi-select-eqz.wat")).unwrap();
        let run = |wasm: &[u8]| {
            let engine = wasmi::Engine::default();
            let module = wasmi::Module::new(&engine, wasm).unwrap();
            let mut store = wasmi::Store::new(&engine, ());
            let instance = wasmi::Linker::new(&engine)
                .instantiate_and_start(&mut store, &module)
                .unwrap();
            let run = instance.get_typed_func::<(), i32>(&store, "run").unwrap();
            run.call(&mut store, ()).unwrap()
        };
        assert_eq!(run(&prepare(&wasm)), 1);
        assert_ne!(run(&wasm), 1);
    }
}
