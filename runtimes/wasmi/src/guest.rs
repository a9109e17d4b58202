//! Guests: modules whose imports are functions of the embedder.

use crate::{
    instance::{self, Code},
    limiter::Limiter,
};
use runtime_api::{Budget, Functions, Guest, Imports, Instance, Options, Result, Trap};
use std::{collections::BTreeSet, fmt, time::Instant};
use wasmi::{Caller, Engine, Extern, ExternType, FuncType, Linker, Memory, Val, ValType};

/// A trap that a function of the embedder ends the guest's call with.
#[derive(Clone, Debug)]
pub(crate) struct Ended(pub(crate) Trap);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl wasmi::errors::HostError for Ended {}

/// What the store of a guest's instance has besides its limits.
pub(crate) struct Embedder {
    functions: Box<dyn Functions>,
    /// Found at the first call, when the exports are there.
    memory: Option<Memory>,
    /// When the guest's budget of ticks is used up. Functions use no fuel, so that slices of it do not see the time that they take.
    pub(crate) deadline: Option<Instant>,
}

pub(crate) struct CompiledGuest {
    code: Code,
    linker: Linker<Limiter>,
}

impl CompiledGuest {
    /// Refuses a module that imports anything else than these functions.
    pub(crate) fn new(module: wasmi::Module, options: Options, imports: &Imports) -> Result<Self> {
        let linker = linker(module.engine(), &module, imports)?;
        Ok(Self {
            code: Code::new(module, options),
            linker,
        })
    }
}

fn linker(engine: &Engine, module: &wasmi::Module, imports: &Imports) -> Result<Linker<Limiter>> {
    let mut linker = Linker::new(engine);
    // A module may import a function twice.
    let mut defined = BTreeSet::new();
    for import in module.imports() {
        let (space, name) = (import.module(), import.name());
        let index = imports.index(space, name)?;
        let parameters = imports.functions[index].parameters;
        let due = FuncType::new(vec![ValType::I32; parameters], [ValType::I32]);
        if !matches!(import.ty(), ExternType::Func(found) if *found == due) {
            return Err(imports.of_another_type(index));
        }
        let define = move |caller: Caller<'_, Limiter>, arguments: &[Val], results: &mut [Val]| {
            let returned = call(caller, index, arguments).map_err(wasmi::Error::host)?;
            // There is one result, by the type above.
            if let Some(result) = results.first_mut() {
                *result = Val::I32(returned);
            }
            Ok(())
        };
        if defined.insert(index) {
            let linked = linker.func_new(space, name, due, define);
            linked.map_err(|error| Imports::refused(space, name, &error.to_string()))?;
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
            engine: crate::ID.to_owned(),
            text: "an instance without an embedder calls one".to_owned(),
        }));
    };
    embedder.memory = memory;
    let returned = embedder.functions.call(function, &arguments, bytes);
    match embedder.deadline {
        Some(deadline) if Instant::now() >= deadline => Err(Ended(Trap::EpochDeadline)),
        _ => returned.map_err(Ended),
    }
}

impl Guest for CompiledGuest {
    fn instantiate(
        &self,
        budget: Budget,
        functions: &dyn Fn() -> Box<dyn Functions>,
    ) -> Result<Box<dyn Instance + Send>> {
        let embedder = |deadline| Embedder {
            functions: functions(),
            memory: None,
            deadline,
        };
        instance::live(&self.code, &self.linker, Some(&embedder), budget)
    }
}
