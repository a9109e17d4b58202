//! The table of engines. All feature `cfg`s stand here: one arm per engine beside its "absent, because ..." twin.

use runtime_api::{Error, Kind, Runtime};

/// Opens an engine in this process: what a worker does.
pub(super) type Open = fn() -> Result<Box<dyn Runtime>, Error>;

/// Where an engine's code is.
#[allow(
    dead_code,
    reason = "which of these are constructed depends on the features and the target"
)]
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// In this executable.
    Here(Open),
    /// In an executable beside this one.
    Beside {
        /// The executable.
        program: &'static str,
        /// Why it may not be there.
        needs: &'static str,
    },
    /// Around this module: a page's own WebAssembly.
    #[cfg(target_family = "wasm")]
    Page(assay_worker::Exchange),
    /// Nowhere in this build.
    Absent(&'static str),
    /// In no build for this target.
    Never(&'static str),
}

/// An engine of this project, wherever its code is.
pub(super) struct Known {
    /// Engine and strategy.
    pub(super) id: &'static str,
    /// How it executes code.
    pub(super) kind: Kind,
    /// Whether the default build has it.
    pub(super) default: bool,
    /// Where its code is.
    pub(super) place: Place,
    /// What adds it where it is absent.
    pub(super) command: &'static str,
}

/// The fastest engine of the default build: most goals are about it.
pub const CRANELIFT: &str = "wasmtime.cranelift";
/// The code of [`CRANELIFT`] in instances of a pool.
pub const POOLING: &str = "wasmtime.pooling";
/// wasmtime's interpreter.
pub const PULLEY: &str = "wasmtime.pulley";
/// WAMR's code compiled ahead of time.
pub const AHEAD: &str = "wamr.aot";
/// Wasmer's code by LLVM.
const WASMER_LLVM: &str = "wasmer.llvm";
/// Engines that take LLVM a third of a second to two seconds for a module, the slowest first.
pub const SLOW_COMPILERS: [&str; 2] = [WASMER_LLVM, AHEAD];

const ADD_DEFAULT: &str = "cargo build --release -p assay";
const ADD_WASMI_FAST: &str =
    "cargo build --release -p runtime-wasmi --features worker --bin assay-wasmi-fast";
const ADD_WAMR: &str =
    "apt-get install cmake libclang-dev libsimde-dev && cargo build --release -p runtime-wamr";
const ADD_WAMR_AOT: &str = if cfg!(target_pointer_width = "64") {
    "apt-get install cmake libclang-dev libsimde-dev llvm-22-dev && cargo build --release -p runtime-wamr -p wamr-compiler"
} else {
    "on an x86_64 machine: scripts/for-device DIR armv7; here: ASSAY_WAMRC=DIR/code/armv7"
};
const ADD_WASMER: &str = "apt-get install llvm-22-dev libpolly-22-dev libffi-dev zlib1g-dev libzstd-dev && cargo build --release -p runtime-wasmer";

#[cfg(all(
    feature = "wasmtime",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
const WASMTIME: [Place; 4] = [
    Place::Here(runtime_wasmtime::cranelift),
    Place::Here(runtime_wasmtime::pulley),
    Place::Here(runtime_wasmtime::winch),
    Place::Here(runtime_wasmtime::pooling),
];
#[cfg(all(
    feature = "wasmtime",
    not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_family = "wasm"
    ))
))]
const WASMTIME: [Place; 4] = [
    Place::Never(
        "Cranelift is built in for x86_64 and aarch64, and has no backend for 32-bit machines at all; `wasmtime.pulley` interprets what it makes",
    ),
    Place::Here(runtime_wasmtime::pulley),
    Place::Never("Winch compiles for x86_64 and aarch64 only; `wasmtime.pulley` runs here"),
    Place::Never("a pool of instances takes address space of 64 bits"),
];
#[cfg(target_family = "wasm")]
const WASMTIME: [Place; 4] = [const {
    Place::Never(
        "wasmtime is not built for WebAssembly: it maps memory and catches signals of an operating system",
    )
}; 4];
#[cfg(not(any(feature = "wasmtime", target_family = "wasm")))]
const WASMTIME: [Place; 4] =
    [const { Place::Absent("this build leaves the default feature `wasmtime` out") }; 4];

#[cfg(feature = "wasmi")]
const WASMI: Place = Place::Here(runtime_wasmi::runtime);
#[cfg(not(feature = "wasmi"))]
const WASMI: Place = Place::Absent("this build leaves the default feature `wasmi` out");

const WASMI_FAST: Place = if cfg!(target_family = "wasm") {
    Place::Never("it is an executable of its own, and WebAssembly starts no executables")
} else {
    Place::Beside {
        program: "assay-wasmi-fast",
        needs: "wasmi with another dispatch is a build of its own",
    }
};
const WAMR: Place = if cfg!(target_family = "wasm") {
    Place::Never("WAMR is C code over an operating system, and is not built for WebAssembly")
} else {
    Place::Beside {
        program: "assay-wamr",
        needs: "it needs cmake and libclang",
    }
};
const WASMER: Place = if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
    Place::Beside {
        program: "assay-wasmer",
        needs: "it needs LLVM 22.1 (and wasmer-compiler-llvm is under BUSL-1.1)",
    }
} else {
    Place::Never(
        "wasmer's LLVM compiler has backends for x86_64, aarch64, riscv64 and loongarch64, and none for a 32-bit machine",
    )
};

/// The engine of a browser can only be reached from inside a page: elsewhere it is not an engine that could be there.
#[cfg(all(feature = "browser", target_family = "wasm"))]
fn browser() -> Option<Known> {
    Some(Known {
        id: "browser",
        kind: Kind::Jit,
        default: false,
        place: Place::Page(assay_worker::page::exchange),
        command: ADD_DEFAULT,
    })
}
#[cfg(not(all(feature = "browser", target_family = "wasm")))]
fn browser() -> Option<Known> {
    None
}

/// All engines, in the order of reports: a line for each.
pub(super) fn known() -> Vec<Known> {
    let [cranelift, pulley, winch, _] = WASMTIME;
    let engine = |id, kind, default, place, command| Known {
        id,
        kind,
        default,
        place,
        command,
    };
    let mut known = vec![
        engine(CRANELIFT, Kind::Jit, true, cranelift, ADD_DEFAULT),
        engine(PULLEY, Kind::Interpreter, true, pulley, ADD_DEFAULT),
        engine("wasmtime.winch", Kind::Jit, true, winch, ADD_DEFAULT),
        engine("wasmi", Kind::Interpreter, true, WASMI, ADD_DEFAULT),
        engine(
            "wasmi.fast",
            Kind::Interpreter,
            false,
            WASMI_FAST,
            ADD_WASMI_FAST,
        ),
        engine("wamr.fast", Kind::Interpreter, false, WAMR, ADD_WAMR),
        engine(AHEAD, Kind::Aot, false, WAMR, ADD_WAMR_AOT),
        engine(WASMER_LLVM, Kind::Jit, false, WASMER, ADD_WASMER),
    ];
    known.extend(browser());
    known
}

/// The same code as an engine's in instances of another kind: what `bench` looks at besides the engines, for their way of an
/// invocation.
pub(super) fn pooled() -> Known {
    let [.., pooling] = WASMTIME;
    Known {
        id: POOLING,
        kind: Kind::Jit,
        default: false,
        place: pooling,
        command: ADD_DEFAULT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_is_named_once() {
        let mut ids: Vec<_> = known().iter().map(|engine| engine.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), known().len());
    }
}
