//! What wasmi 2.0.0 gets wrong, and modules written so that it does not. `assay fuzz` found both defects.
//!
//! A `select` whose condition is a local compared with zero gives the wrong value: wasmi joins the two, drops the comparison, and asks
//! its accumulator, whatever that holds, in place of the local (`try_fuse_select` takes comparisons of a local for comparisons of the
//! accumulator). The result of a comparison is 0 or 1, so `i32.popcnt` behind it changes nothing, and
//! keeps the two apart.
//!
//! A `v128.store8_lane` or `v128.store16_lane` with an offset of more than 16 bits, or into another memory than the first, is unsafe if
//! wasmi is built without `memory64`, as here: offsets are then encoded in 4 bytes, and `StoreLaneOp` of wasmi_ir decodes this one from
//! 8. The operator takes the bytes behind it for its value, memory and lane: it reads outside of its stack, follows a pointer beyond the
//! instance, and execution can go on in the middle of an operator. Taking the lane out and storing it as an integer is the same, and
//! wasmi does that rightly; it does so itself for lanes of 32 and 64 bits.

use std::{borrow::Cow, convert::Infallible};
use wasm_encoder::{
    CodeSection, Function, Instruction,
    reencode::{Error, Reencode},
};
use wasmparser::{FunctionBody, MemArg, MemArgTarget, Operator, Parser};

/// A valid module, written so that wasmi executes it rightly; the very bytes, unless it holds what wasmi gets wrong.
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
            match operator {
                Operator::V128Store8Lane { memarg, lane } if !is_short(&memarg) => {
                    function.instruction(&Instruction::I8x16ExtractLaneU(lane));
                    function.instruction(&Instruction::I32Store8(self.mem_arg(memarg)?));
                    self.changed = true;
                }
                Operator::V128Store16Lane { memarg, lane } if !is_short(&memarg) => {
                    function.instruction(&Instruction::I16x8ExtractLaneU(lane));
                    function.instruction(&Instruction::I32Store16(self.mem_arg(memarg)?));
                    self.changed = true;
                }
                operator => {
                    function.instruction(&self.instruction(operator)?);
                }
            }
        }
        code.function(&function);
        Ok(())
    }
}

/// Whether wasmi has an operator for this address that is free of the defect.
fn is_short(memarg: &MemArg) -> bool {
    memarg.target == MemArgTarget::Memory(0) && memarg.offset <= u64::from(u16::MAX)
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

    /// What `run` of a module returns on wasmi as it is, or the trap.
    fn run(wasm: &[u8]) -> Result<i32, wasmi::Error> {
        let engine = wasmi::Engine::default();
        let module = wasmi::Module::new(&engine, wasm).unwrap();
        let mut store = wasmi::Store::new(&engine, ());
        let instance = wasmi::Linker::new(&engine)
            .instantiate_and_start(&mut store, &module)
            .unwrap();
        let run = instance.get_typed_func::<(), i32>(&store, "run").unwrap();
        run.call(&mut store, ())
    }

    /// Fails once wasmi is mended: then what is written for `select` is to go.
    #[test]
    fn wasmi_alone_still_gives_the_wrong_value() {
        let wasm =
            wat::parse_str(include_str!("../../../fixtures/fuzz/wasmi-select-eqz.wat")).unwrap();
        assert_eq!(run(&prepare(&wasm)).unwrap(), 1);
        assert_ne!(run(&wasm).unwrap(), 1);
    }

    #[test]
    fn a_lane_stored_far_away_is_stored_as_an_integer() {
        for (store, touched) in [
            ("v128.store8_lane offset=65536 9", true),
            ("v128.store16_lane offset=65536 align=1 7", true),
            ("v128.store16_lane offset=70001 4", true),
            ("v128.store8_lane $other 9", true),
            ("v128.store8_lane offset=65535 9", false),
            ("v128.store16_lane offset=65535 4", false),
            ("v128.store32_lane offset=65536 3", false),
            ("v128.store64_lane offset=65536 1", false),
        ] {
            let text = format!(
                "(module (memory 2) (memory $other 1) (func (param i32 v128) local.get 0 local.get 1 {store}))"
            );
            let wasm = wat::parse_str(text).unwrap();
            let prepared = prepare(&wasm);
            assert_eq!(matches!(prepared, Cow::Owned(_)), touched, "{store}");
            wasmi::Module::new(&wasmi::Engine::default(), &prepared).unwrap();
        }
        let fixture = include_str!("../../../fixtures/fuzz/wasmi-store-lane.wat");
        assert_eq!(
            run(&prepare(&wat::parse_str(fixture).unwrap())).unwrap(),
            202_047_498
        );
    }
}
