//! The limit on the elements of all tables in sum.

use crate::globals;
use std::sync::OnceLock;
use wasmer::{
    GlobalInit, LocalFunctionIndex, ModuleInfo, Type,
    sys::{FunctionMiddleware, MiddlewareError, MiddlewareReaderState, ModuleMiddleware},
    wasmparser::Operator,
};

/// Rewrites `table.grow` in modules with several tables, because wasmer limits each table for itself: where the sum would
/// exceed the limit, the table is asked to grow by 2^32 - 1 elements, which none can.
#[derive(Debug)]
pub(crate) struct TableSum {
    max_elements: u32,
    guard: OnceLock<Option<Guard>>,
}

/// What the inserted code needs.
#[derive(Clone, Copy, Debug)]
struct Guard {
    max_elements: u32,
    tables: u32,
    /// Index of an i32 global that holds the number of elements asked for.
    scratch: u32,
}

impl TableSum {
    /// For one module.
    pub(crate) fn new(max_elements: u32) -> Self {
        Self {
            max_elements,
            guard: OnceLock::new(),
        }
    }
}

impl ModuleMiddleware for TableSum {
    fn generate_function_middleware<'a>(
        &self,
        _: LocalFunctionIndex,
    ) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        Box::new(GuardedGrowth(self.guard.get().copied().flatten()))
    }

    fn transform_module_info(&self, module: &mut ModuleInfo) -> Result<(), MiddlewareError> {
        let tables = module.tables.len() as u32;
        self.guard.get_or_init(|| {
            (tables > 1).then(|| Guard {
                max_elements: self.max_elements,
                tables,
                scratch: globals::add(module, Type::I32, GlobalInit::I32Const(0)),
            })
        });
        Ok(())
    }
}

#[derive(Debug)]
struct GuardedGrowth(Option<Guard>);

impl<'a> FunctionMiddleware<'a> for GuardedGrowth {
    fn feed(
        &mut self,
        operator: Operator<'a>,
        state: &mut MiddlewareReaderState<'a>,
    ) -> Result<(), MiddlewareError> {
        if let (Operator::TableGrow { .. }, Some(guard)) = (&operator, self.0) {
            let requested = Operator::GlobalGet {
                global_index: guard.scratch,
            };
            state.extend(&[
                Operator::GlobalSet {
                    global_index: guard.scratch,
                },
                requested.clone(),
                Operator::I32Const { value: -1 },
                requested,
                Operator::I64ExtendI32U,
            ]);
            for table in 0..guard.tables {
                state.extend(&[
                    Operator::TableSize { table },
                    Operator::I64ExtendI32U,
                    Operator::I64Add,
                ]);
            }
            state.extend(&[
                Operator::I64Const {
                    value: guard.max_elements.into(),
                },
                Operator::I64LeU,
                Operator::Select,
            ]);
        }
        state.push_operator(operator);
        Ok(())
    }
}
