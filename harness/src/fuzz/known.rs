//! Defects of engines, and differences that the specification allows, that random modules meet again and again, each with a way to write a module so that it avoids the defect. A
//! disagreement counts as explained by a defect exactly if it is gone, on all engines, in the module written that way: nothing else
//! that is wrong with an engine can hide behind one.

use std::convert::Infallible;
use wasm_encoder::{
    CodeSection, Function, Instruction,
    reencode::{Error, Reencode},
};
use wasmparser::{FunctionBody, Operator};

/// A known defect of a version of an engine, or a way to differ that is allowed.
pub(super) struct Defect {
    /// Engine id, as the worker says it.
    runtime: &'static str,
    /// The version it was seen in.
    version: &'static str,
    /// What is wrong.
    pub(super) reason: &'static str,
    /// The module, written so that it avoids the defect; `None` if it is no module that can be read.
    pub(super) avoid: fn(&[u8]) -> Option<Vec<u8>>,
}

const WASMI_STORE: &str = "wasmi panics at a store of a value at the address that it is itself, with an offset of more than 16 bits (fixtures/fuzz/wasmi-store-itself.wat)";
const WASMI_TABLE: &str = "no defect: with a budget in time wasmi gives tables no more elements, because it cannot resume such a growth, and growth may always fail (runtimes/wasmi/src/limiter.rs)";
const WAMR_TABLE: &str = "no defect: WAMR gives a table at most 1024 elements or twice those it starts with, and growth may always fail (fixtures/fuzz/wamr-table-growth.wat)";

const DEFECTS: &[Defect] = &[
    Defect {
        runtime: "wasmi.fast",
        version: "2.0.0",
        reason: "wasmi's fast dispatch keeps a native frame for every refused growth, until the process has no stack left (fixtures/hostile/growth-refused-often.wat)",
        avoid: refuse_growth,
    },
    Defect {
        runtime: "wasmer.llvm",
        version: "7.4.2",
        reason: "wasmer's LLVM compiler refuses f64x2 operators on a result of f32x4 operators, and the reverse: it puts off making their NaNs canonical, and cannot put off both (fixtures/fuzz/wasmer-pending-nan.wat)",
        avoid: invert_twice_after_float_lanes,
    },
    Defect {
        runtime: "wasmi",
        version: "2.0.0",
        reason: WASMI_STORE,
        avoid: invert_twice_before_stores,
    },
    Defect {
        runtime: "wasmi.fast",
        version: "2.0.0",
        reason: WASMI_STORE,
        avoid: invert_twice_before_stores,
    },
    Defect {
        runtime: "wasmi",
        version: "2.0.0",
        reason: WASMI_TABLE,
        avoid: refuse_table_growth,
    },
    Defect {
        runtime: "wasmi.fast",
        version: "2.0.0",
        reason: WASMI_TABLE,
        avoid: refuse_table_growth,
    },
    Defect {
        runtime: "wamr.fast",
        version: "2.4.3",
        reason: "WAMR's fast interpreter overwrites values that lie on the stack below a block without results, if a `br` in it leaves an outer block (fixtures/fuzz/wamr-outer-branch.wat)",
        avoid: branch_out_on_condition,
    },
    Defect {
        runtime: "wamr.fast",
        version: "2.4.3",
        reason: WAMR_TABLE,
        avoid: refuse_table_growth,
    },
    Defect {
        runtime: "wamr.aot",
        version: "2.4.3",
        reason: WAMR_TABLE,
        avoid: refuse_table_growth,
    },
];

/// Known defects of a version of an engine.
pub(super) fn defects(runtime: &str, version: &str) -> impl Iterator<Item = &'static Defect> {
    let (runtime, version) = (runtime.to_owned(), version.to_owned());
    DEFECTS
        .iter()
        .filter(move |defect| defect.runtime == runtime && defect.version == version)
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
