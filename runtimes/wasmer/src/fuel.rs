//! Fuel by wasmer's metering: a point for each operator.

use wasmer::{
    AsStoreMut, ExportIndex, Instance, LocalFunctionIndex, ModuleInfo, RuntimeError,
    sys::{FunctionMiddleware, MiddlewareError, ModuleMiddleware},
    wasmparser::Operator,
};
use wasmer_middlewares::{
    Metering,
    metering::{MeteringPoints, get_remaining_points, set_remaining_points},
};

/// Under this name [`Fuel`] exports a start function.
const DEFERRED_START: &str = "assay deferred start";

type Cost = fn(&Operator) -> u64;

/// Meters a module, and keeps the engine from running its start function: the points that one may use can be set only in
/// an instance, so [`run_start`] runs it afterwards.
#[derive(Debug)]
pub(crate) struct Fuel(Metering<Cost>);

impl Fuel {
    /// For one module.
    pub(crate) fn new() -> Self {
        Self(Metering::new(0, |_| 1))
    }
}

impl ModuleMiddleware for Fuel {
    fn generate_function_middleware<'a>(
        &self,
        function: LocalFunctionIndex,
    ) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        self.0.generate_function_middleware(function)
    }

    fn transform_module_info(&self, module: &mut ModuleInfo) -> Result<(), MiddlewareError> {
        self.0.transform_module_info(module)?;
        module.exports.shift_remove(DEFERRED_START);
        if let Some(start) = module.start_function.take() {
            let start = ExportIndex::Function(start);
            module.exports.insert(DEFERRED_START.to_owned(), start);
        }
        Ok(())
    }
}

/// Sets what a metered instance may use from now on.
pub(crate) fn set(store: &mut impl AsStoreMut, instance: &Instance, points: u64) {
    set_remaining_points(store, instance, points);
}

/// What a metered instance may still use.
pub(crate) fn left(store: &mut impl AsStoreMut, instance: &Instance) -> u64 {
    match get_remaining_points(store, instance) {
        MeteringPoints::Remaining(points) => points,
        MeteringPoints::Exhausted => 0,
    }
}

/// Whether a metered instance was stopped because its points were used up.
pub(crate) fn exhausted(store: &mut impl AsStoreMut, instance: &Instance) -> bool {
    get_remaining_points(store, instance) == MeteringPoints::Exhausted
}

/// Runs the start function of a metered instance, if it has one.
pub(crate) fn run_start(
    store: &mut impl AsStoreMut,
    instance: &Instance,
) -> Result<(), RuntimeError> {
    match instance
        .exports
        .get_typed_function::<(), ()>(store, DEFERRED_START)
    {
        Ok(start) => start.call(store),
        Err(_) => Ok(()),
    }
}
