//! Comparisons of floats, so that LLVM does not choose by them with an instruction that chooses otherwise.

use crate::globals;
use std::sync::OnceLock;
use wasmer::{
    GlobalInit, LocalFunctionIndex, ModuleInfo, Type,
    sys::{FunctionMiddleware, MiddlewareError, MiddlewareReaderState, ModuleMiddleware},
    wasmparser::Operator,
};
use wasmer_types::V128;

/// Hides from LLVM what it would match on aarch64: `x > C ? x : C`, with a C that it knows to be no NaN, becomes FMAXNM there, and
/// with the other comparisons FMAXNM or FMINNM. They give C where x is a quiet NaN, as the comparison does, but a NaN where x is a
/// signalling one, and -0 where x is -0 and C is 0. So the result of a scalar comparison is combined with a global that is always 0,
/// which LLVM does not know; and so is the first operand of pmin and pmax, which compare inside.
#[derive(Debug, Default)]
pub(crate) struct Comparisons(OnceLock<Globals>);

/// Indices of globals of the module.
#[derive(Clone, Copy, Debug)]
struct Globals {
    /// An i32 and a v128 that stay 0.
    zero: u32,
    zeros: u32,
    /// A v128 that holds an operand for a moment.
    scratch: u32,
}

impl ModuleMiddleware for Comparisons {
    fn generate_function_middleware<'a>(
        &self,
        _: LocalFunctionIndex,
    ) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        Box::new(Hidden(self.0.get().copied()))
    }

    fn transform_module_info(&self, module: &mut ModuleInfo) -> Result<(), MiddlewareError> {
        self.0.get_or_init(|| {
            let zeros = || GlobalInit::V128Const(V128::from([0; 16]));
            Globals {
                zero: globals::add(module, Type::I32, GlobalInit::I32Const(0)),
                zeros: globals::add(module, Type::V128, zeros()),
                scratch: globals::add(module, Type::V128, zeros()),
            }
        });
        Ok(())
    }
}

#[derive(Debug)]
struct Hidden(Option<Globals>);

impl<'a> FunctionMiddleware<'a> for Hidden {
    fn feed(
        &mut self,
        operator: Operator<'a>,
        state: &mut MiddlewareReaderState<'a>,
    ) -> Result<(), MiddlewareError> {
        let globals = self
            .0
            .ok_or_else(|| MiddlewareError::new("comparisons", "no globals were added"))?;
        let get = |global_index| Operator::GlobalGet { global_index };
        match operator {
            Operator::F32Lt
            | Operator::F32Gt
            | Operator::F32Le
            | Operator::F32Ge
            | Operator::F64Lt
            | Operator::F64Gt
            | Operator::F64Le
            | Operator::F64Ge => {
                state.push_operator(operator);
                state.extend(&[get(globals.zero), Operator::I32Xor]);
            }
            Operator::F32x4PMin
            | Operator::F32x4PMax
            | Operator::F64x2PMin
            | Operator::F64x2PMax => {
                let global_index = globals.scratch;
                state.extend(&[
                    Operator::GlobalSet { global_index },
                    get(globals.zeros),
                    Operator::V128Xor,
                    get(globals.scratch),
                ]);
                state.push_operator(operator);
            }
            _ => state.push_operator(operator),
        }
        Ok(())
    }
}
