//! The engines of this build.

use anyhow::{Result, bail};
use runtime_api::{Budget, Runtime};

/// What calls may cost.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// Whatever they do.
    None,
    /// 10 s each, as the design has it for servers: the end of a loop, no limit that work comes near to.
    Epoch,
    /// A number of instructions each.
    Fuel,
}

impl Limit {
    /// All of them.
    pub const ALL: [Limit; 3] = [Limit::None, Limit::Epoch, Limit::Fuel];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::None => "none",
            Limit::Epoch => "epoch",
            Limit::Fuel => "fuel",
        }
    }

    /// The budget of a call.
    pub const fn budget(self) -> Budget {
        match self {
            Limit::None => Budget::None,
            Limit::Epoch => Budget::Epoch(1000),
            // A kernel of the longest cache unpacks 8192 rows: about 10^7 instructions.
            Limit::Fuel => Budget::Fuel(1_000_000_000),
        }
    }
}

/// Engines of this build, by id.
pub const ENGINES: &[&str] = &[
    "wasmtime.cranelift",
    "wasmtime.pulley",
    "wasmtime.winch",
    "wasmi.fast",
    #[cfg(feature = "wamr")]
    "wamr.fast",
    #[cfg(feature = "wamr")]
    "wamr.aot",
    #[cfg(feature = "wasmer")]
    "wasmer.llvm",
];

/// Opens an engine.
///
/// # Errors
/// An id that this build does not have, with those that it has; an engine that does not start.
pub fn open(id: &str) -> Result<Box<dyn Runtime>> {
    Ok(match id {
        "wasmtime.cranelift" => runtime_wasmtime::cranelift()?,
        "wasmtime.pulley" => runtime_wasmtime::pulley()?,
        "wasmtime.winch" => runtime_wasmtime::winch()?,
        "wasmi.fast" => runtime_wasmi::runtime()?,
        #[cfg(feature = "wamr")]
        "wamr.fast" => runtime_wamr::fast()?,
        #[cfg(feature = "wamr")]
        "wamr.aot" => runtime_wamr::aot(&wamr_compiler())?,
        #[cfg(feature = "wasmer")]
        "wasmer.llvm" => runtime_wasmer::llvm()?,
        _ => bail!(
            "this build has no engine `{id}`; it has {}",
            ENGINES.join(", ")
        ),
    })
}

/// WAMR's compiler: what the variable `ASSAY_WAMRC` names, or the executable of the repository's own build.
#[cfg(feature = "wamr")]
fn wamr_compiler() -> std::path::PathBuf {
    std::env::var_os("ASSAY_WAMRC").map_or_else(|| "target/release/assay-wamrc".into(), Into::into)
}
