use runtime_api::{BudgetKind, CODE_TARGET, Error, Result};
use std::{collections::BTreeMap, path::Path};
use wasmtime::{Config, Engine, OptLevel, WasmBacktraceDetails};

/// Stack that any thread of the host is taken to have; wasm code of the compilers runs on the caller's stack.
const LARGEST_STACK: u32 = 1024 * 1024;

/// How wasmtime executes code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    Cranelift,
    /// The code of Cranelift in instances of a pool, whose memory is there before they are made.
    Pooling,
    Pulley,
    Winch,
}

impl Strategy {
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Strategy::Cranelift => "wasmtime.cranelift",
            Strategy::Pooling => "wasmtime.pooling",
            Strategy::Pulley => "wasmtime.pulley",
            Strategy::Winch => "wasmtime.winch",
        }
    }

    const fn compiler(self) -> wasmtime::Strategy {
        match self {
            Strategy::Cranelift | Strategy::Pooling | Strategy::Pulley => {
                wasmtime::Strategy::Cranelift
            }
            Strategy::Winch => wasmtime::Strategy::Winch,
        }
    }

    /// Pulley's target has this machine's word size and byte order, the others compile for the machine itself.
    const fn target(self) -> Option<&'static str> {
        match self {
            Strategy::Cranelift | Strategy::Pooling | Strategy::Winch => None,
            Strategy::Pulley => Some(
                match (
                    cfg!(target_pointer_width = "32"),
                    cfg!(target_endian = "big"),
                ) {
                    (false, false) => "pulley64",
                    (true, false) => "pulley32",
                    (false, true) => "pulley64be",
                    (true, true) => "pulley32be",
                },
            ),
        }
    }
}

/// Makes an engine that instruments code for this kind of budget, and writes the CLIF of what it compiles into a folder.
pub(crate) fn engine(
    strategy: Strategy,
    metering: BudgetKind,
    max_stack_bytes: u32,
    clif: Option<&Path>,
) -> Result<Engine> {
    let config = config(strategy, strategy.target(), metering, max_stack_bytes, clif)?;
    let engine = Engine::new(&config).map_err(|error| failed(strategy, &error))?;
    if engine.is_pulley() != (strategy == Strategy::Pulley) {
        return Err(Error::unsupported(format!(
            "{} has no backend for this machine: wasmtime falls back to Pulley",
            strategy.id()
        )));
    }
    Ok(engine)
}

fn failed(strategy: Strategy, error: &wasmtime::Error) -> Error {
    Error::Adapter {
        message: format!("{} cannot be configured: {error:#}", strategy.id()),
    }
}

/// The configuration, for a target that may be another than this machine.
pub(crate) fn config(
    strategy: Strategy,
    target: Option<&str>,
    metering: BudgetKind,
    max_stack_bytes: u32,
    clif: Option<&Path>,
) -> Result<Config> {
    if max_stack_bytes > LARGEST_STACK {
        return Err(Error::unsupported(format!(
            "{max_stack_bytes} bytes of stack: compiled code runs on the caller's stack, of which at most {LARGEST_STACK} bytes are taken"
        )));
    }
    let compiles_for_this_machine = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    if strategy != Strategy::Pulley && !compiles_for_this_machine {
        return Err(Error::unsupported(format!(
            "{} compiles for x86_64 and aarch64 only",
            strategy.id()
        )));
    }
    let mut config = Config::new();
    config.strategy(strategy.compiler());
    if let Some(target) = target {
        config
            .target(target)
            .map_err(|error| failed(strategy, &error))?;
    }
    allow_pack_features(&mut config);
    config
        .epoch_interruption(metering == BudgetKind::Epoch)
        .consume_fuel(metering == BudgetKind::Fuel)
        .max_wasm_stack(max_stack_bytes as usize)
        .wasm_backtrace_max_frames(None)
        // Not from an environment variable.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    if strategy != Strategy::Winch {
        config.cranelift_opt_level(OptLevel::Speed);
    }
    if let Some(folder) = clif {
        config.emit_clif(folder);
    }
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if strategy == Strategy::Pooling {
        config.allocation_strategy(crate::pool::strategy());
    }
    Ok(config)
}

/// Exactly the features that packs may ask for; all others off, also those that are off by default today.
fn allow_pack_features(config: &mut Config) {
    // Mutable globals, sign extension and saturating conversions cannot be turned off in wasmtime.
    config
        .wasm_multi_value(true)
        .wasm_bulk_memory(true)
        .wasm_simd(true)
        // Winch knows funcref only; externref is what its probe of this feature finds missing.
        .wasm_reference_types(true)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_extended_const(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .wasm_exceptions(false)
        .wasm_function_references(false)
        .wasm_gc(false)
        .wasm_stack_switching(false)
        .shared_memory(false);
}

/// What may change results or speed.
pub(crate) fn description(strategy: Strategy) -> BTreeMap<String, String> {
    let target = strategy.target().unwrap_or(std::env::consts::ARCH);
    [
        (
            "compiler",
            match strategy {
                Strategy::Cranelift | Strategy::Pooling | Strategy::Pulley => {
                    "cranelift, optimised for speed"
                }
                Strategy::Winch => "winch",
            },
        ),
        ("target", target),
        (
            "cpu-features",
            match strategy {
                Strategy::Pulley => "none",
                Strategy::Cranelift | Strategy::Pooling | Strategy::Winch => {
                    "as detected on this machine"
                }
            },
        ),
        ("nan-canonicalization", "off"),
        ("parallel-compilation", "off"),
        (
            "allocation",
            match strategy {
                Strategy::Pooling => "pool of 128 instances, copy-on-write images",
                _ => "on demand, copy-on-write images",
            },
        ),
    ]
    .into_iter()
    // What a pack may bring is code of the optimising compiler, in a form of its own for each target.
    .chain(match strategy {
        Strategy::Cranelift | Strategy::Pulley => Some((CODE_TARGET, target)),
        Strategy::Pooling | Strategy::Winch => None,
    })
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}
