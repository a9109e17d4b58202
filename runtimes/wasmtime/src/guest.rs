//! Guests: modules whose imports are functions of the embedder.

use crate::{config::Strategy, instance, limiter::Limiter};
use runtime_api::{
    Budget, Error, Functions, Guest, Imports, Instance, Options, Result, Stage, Trap,
};
use std::{collections::BTreeSet, fmt};
use wasmtime::{
    Caller, Extern, ExternType, FuncType, InstancePre, Linker, Memory, Module, Val, ValType,
};

/// A trap that a function of the embedder ends the guest's call with.
#[derive(Clone, Debug)]
pub(crate) struct Ended(pub(crate) Trap);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Ended {}

/// What the store of a guest's instance has besides its limits.
pub(crate) struct Embedder {
    functions: Box<dyn Functions>,
    /// Found at the first call, when the exports are there.
    memory: Option<Memory>,
}

pub(crate) struct CompiledGuest {
    module: InstancePre<Limiter>,
    options: Options,
    strategy: Strategy,
}

impl CompiledGuest {
    /// Refuses a module that imports anything else than these functions.
    pub(crate) fn new(
        module: &Module,
        options: Options,
        strategy: Strategy,
        imports: &Imports,
    ) -> Result<Self> {
        let module = linker(module, imports)?.instantiate_pre(module);
        Ok(Self {
            module: module.map_err(|error| Error::Rejected {
                stage: Stage::Compile,
                message: format!("{error:#}"),
            })?,
            options,
            strategy,
        })
    }
}

fn linker(module: &Module, imports: &Imports) -> Result<Linker<Limiter>> {
    let engine = module.engine();
    let mut linker = Linker::new(engine);
    // A module may import a function twice.
    let mut defined = BTreeSet::new();
    for import in module.imports() {
        let (space, name) = (import.module(), import.name());
        let index = imports.index(space, name)?;
        let parameters = imports.functions[index].parameters;
        let due = FuncType::new(engine, vec![ValType::I32; parameters], [ValType::I32]);
        if !matches!(import.ty(), ExternType::Func(found) if FuncType::eq(&found, &due)) {
            return Err(imports.of_another_type(index));
        }
        let define = move |caller: Caller<'_, Limiter>, arguments: &[Val], results: &mut [Val]| {
            let returned = call(caller, index, arguments).map_err(wasmtime::Error::new)?;
            // There is one result, by the type above.
            if let Some(result) = results.first_mut() {
                *result = Val::I32(returned);
            }
            Ok(())
        };
        if defined.insert(index) {
            let linked = linker.func_new(space, name, due, define);
            linked.map_err(|error| Imports::refused(space, name, &format!("{error:#}")))?;
        }
    }
    Ok(linker)
}

fn call(
    mut caller: Caller<'_, Limiter>,
    function: usize,
    arguments: &[Val],
) -> std::result::Result<i32, Ended> {
    let arguments: Vec<u32> = arguments
        .iter()
        // All parameters are i32, by the type above.
        .map(|value| value.i32().unwrap_or_default() as u32)
        .collect();
    let known = caller.data().embedder.as_ref().and_then(|its| its.memory);
    let memory = known.or_else(|| match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Some(memory),
        _ => None,
    });
    let (bytes, limiter) = match memory {
        Some(memory) => {
            let (bytes, limiter) = memory.data_and_store_mut(&mut caller);
            (Some(bytes), limiter)
        }
        None => (None, caller.data_mut()),
    };
    let Some(embedder) = limiter.embedder.as_mut() else {
        return Err(Ended(Trap::EngineOther {
            engine: "wasmtime".to_owned(),
            text: "an instance without an embedder calls one".to_owned(),
        }));
    };
    embedder.memory = memory;
    let returned = embedder.functions.call(function, &arguments, bytes);
    returned.map_err(Ended)
}

impl Guest for CompiledGuest {
    fn instantiate(
        &self,
        budget: Budget,
        functions: &dyn Fn() -> Box<dyn Functions>,
    ) -> Result<Box<dyn Instance + Send>> {
        let embedder = Embedder {
            functions: functions(),
            memory: None,
        };
        let (options, strategy) = (&self.options, self.strategy);
        instance::live(&self.module, options, strategy, Some(embedder), budget)
    }
}
