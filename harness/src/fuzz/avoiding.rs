//! Ways to write a module so that it avoids a difference between engines that is known: a defect of one, or what the specification
//! leaves open. Which engine has which, `fixtures/expectations.toml` says. A disagreement counts as explained exactly if it is gone, on
//! all engines, in the module written that way: nothing else that is wrong with an engine can hide behind it.

use crate::expectations::Avoid;
use std::convert::Infallible;
use wasm_encoder::{
    CodeSection, Function, Instruction,
    reencode::{Error, Reencode},
};
use wasmparser::{FunctionBody, Operator};

/// The module, written so that it avoids a difference; `None` if it is no module that can be read.
pub(super) fn written(avoid: Avoid, wasm: &[u8]) -> Option<Vec<u8>> {
    match avoid {
        Avoid::RefuseGrowth => refuse_growth(wasm),
        Avoid::RefuseTableGrowth => refuse_table_growth(wasm),
        Avoid::InvertTwiceAfterFloatLanes => invert_twice_after_float_lanes(wasm),
        Avoid::InvertTwiceBeforeStores => invert_twice_before_stores(wasm),
        Avoid::BranchOutOnCondition => branch_out_on_condition(wasm),
    }
}

/// `v128.not` twice changes nothing, and wants the bits as they are: nothing can be put off beyond it.
fn invert_twice_after_float_lanes(wasm: &[u8]) -> Option<Vec<u8>> {
    rewrite(wasm, |operator| {
        // The decoder's names of operators are those of its enumeration.
        let name = format!("{operator:?}");
        let of_floats = name.starts_with("F32x4") || name.starts_with("F64x2");
        if of_floats && !name.contains("ExtractLane") {
            Write {
                after: &[Instruction::V128Not, Instruction::V128Not],
                ..Write::default()
            }
        } else {
            Write::default()
        }
    })
}

/// Inverting the bits twice changes no value, and puts it elsewhere than the address.
fn invert_twice_before_stores(wasm: &[u8]) -> Option<Vec<u8>> {
    const I32_TWICE: &[Instruction<'_>] = &[
        Instruction::I32Const(-1),
        Instruction::I32Xor,
        Instruction::I32Const(-1),
        Instruction::I32Xor,
    ];
    const I64_TWICE: &[Instruction<'_>] = &[
        Instruction::I64Const(-1),
        Instruction::I64Xor,
        Instruction::I64Const(-1),
        Instruction::I64Xor,
    ];
    rewrite(wasm, |operator| Write {
        before: match operator {
            Operator::I32Store { .. }
            | Operator::I32Store8 { .. }
            | Operator::I32Store16 { .. } => I32_TWICE,
            Operator::I64Store { .. }
            | Operator::I64Store8 { .. }
            | Operator::I64Store16 { .. }
            | Operator::I64Store32 { .. } => I64_TWICE,
            _ => &[],
        },
        ..Write::default()
    })
}

/// `br_if` on a condition that holds, and `unreachable`, do what `br` does; at a `br_if` WAMR leaves its count of what lies on the
/// stack alone.
fn branch_out_on_condition(wasm: &[u8]) -> Option<Vec<u8>> {
    rewrite(wasm, |operator| Write {
        instead: match operator {
            Operator::Br { relative_depth } if *relative_depth > 0 => Some(vec![
                Instruction::I32Const(1),
                Instruction::BrIf(*relative_depth),
                Instruction::Unreachable,
            ]),
            _ => None,
        },
        ..Write::default()
    })
}

const REFUSED: Instruction<'_> = Instruction::I32Const(-1);

/// Growth of tables is refused before an engine is asked.
fn refuse_table_growth(wasm: &[u8]) -> Option<Vec<u8>> {
    rewrite(wasm, |operator| Write {
        instead: match operator {
            Operator::TableGrow { .. } => Some(vec![Instruction::Drop, Instruction::Drop, REFUSED]),
            _ => None,
        },
        ..Write::default()
    })
}

/// All growth is refused before an engine is asked.
fn refuse_growth(wasm: &[u8]) -> Option<Vec<u8>> {
    rewrite(wasm, |operator| match operator {
        Operator::MemoryGrow { .. } => Write {
            instead: Some(vec![Instruction::Drop, REFUSED]),
            ..Write::default()
        },
        Operator::TableGrow { .. } => Write {
            instead: Some(vec![Instruction::Drop, Instruction::Drop, REFUSED]),
            ..Write::default()
        },
        _ => Write::default(),
    })
}

/// What is written for an operator.
#[derive(Default)]
struct Write {
    before: &'static [Instruction<'static>],
    /// In its place, if anything.
    instead: Option<Vec<Instruction<'static>>>,
    after: &'static [Instruction<'static>],
}

/// The module with some operators written otherwise; `None` if it cannot be read.
fn rewrite(wasm: &[u8], write: fn(&Operator<'_>) -> Write) -> Option<Vec<u8>> {
    struct Rewriting(fn(&Operator<'_>) -> Write);

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
                let write = (self.0)(&operator);
                for instruction in write.before {
                    function.instruction(instruction);
                }
                match write.instead {
                    Some(instead) => {
                        for instruction in &instead {
                            function.instruction(instruction);
                        }
                    }
                    None => {
                        function.instruction(&self.instruction(operator)?);
                    }
                }
                for instruction in write.after {
                    function.instruction(instruction);
                }
            }
            code.function(&function);
            Ok(())
        }
    }

    let mut module = wasm_encoder::Module::new();
    Rewriting(write)
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
            for avoid in [
                invert_twice_after_float_lanes,
                invert_twice_before_stores,
                branch_out_on_condition,
                refuse_table_growth,
                refuse_growth,
            ] {
                let avoiding = avoid(&wasm).unwrap();
                wasmparser::Validator::new()
                    .validate_all(&avoiding)
                    .unwrap_or_else(|error| panic!("module {number}: {error}"));
                let plan = |wasm: &[u8]| crate::fuzz::Subject::new(wasm.to_vec()).plan;
                assert_eq!(plan(&wasm).calls, plan(&avoiding).calls);
            }
        }
        assert_eq!(refuse_growth(b"nonsense"), None);
    }

    #[test]
    fn only_branches_out_of_the_own_block_are_written_otherwise() {
        let avoid = |depth: u32| {
            let text = format!("(module (func block block br {depth} end end))");
            let wasm = wat::parse_str(text).unwrap();
            let avoiding = branch_out_on_condition(&wasm).unwrap();
            avoiding.len() - wasm.len()
        };
        // The condition and `unreachable`.
        assert_eq!((avoid(0), avoid(1), avoid(2)), (0, 3, 3));
    }
}
