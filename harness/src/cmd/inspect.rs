//! `assay inspect`: what an engine makes of a kernel, where the engine can say.

use crate::{
    acceptance::Acceptance,
    exit::{self, Exit},
    output::Output,
    registry,
};
use anyhow::{Context, Result, anyhow};
use assay_worker::{RunError, Worker};
use clap::ValueEnum;
use kernel_pack::{Feature, PackKernel};
use runtime_api::{BudgetKind, Error, Info, Limits, Options};
use serde::Serialize;
use std::path::PathBuf;

/// Show what an engine makes of a kernel: its intermediate representation or instructions, where the engine can say.
#[derive(clap::Args)]
#[command(
    after_help = "Calls carry the budget of --budget, which changes the code: compare `none` with `epoch` to see the checks.\n\nExamples: assay inspect fixtures/packs/core rmsnorm_f32 --trust fixtures/packs/trusted_keys --runtime wasmtime.cranelift --form asm\n          assay inspect fixtures/packs/core rmsnorm_f32 --trust fixtures/packs/trusted_keys --runtime wasmer.llvm --form llvm-ir-unoptimized"
)]
pub struct Arguments {
    /// Pack folder or .tar; it is verified first.
    pack: PathBuf,
    /// Kernel id.
    kernel: String,
    /// Engine id.
    #[arg(long, value_name = "ID", required_unless_present = "adapter")]
    runtime: Option<String>,
    /// What to show.
    #[arg(long, value_enum)]
    form: Form,
    /// The kind of budget that the code is compiled for.
    #[arg(long, value_enum, default_value = "epoch")]
    budget: Metering,
    /// The base module, also where the engine would run a variant.
    #[arg(long)]
    base: bool,
    #[command(flatten)]
    acceptance: Acceptance,
    /// An engine from outside: an executable that speaks docs/worker-protocol.md.
    #[arg(long, value_name = "NAME=COMMAND")]
    adapter: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Cranelift's intermediate representation.
    Clif,
    /// LLVM's intermediate representation before optimisation.
    LlvmIrUnoptimized,
    /// LLVM's intermediate representation after optimisation.
    LlvmIr,
    /// Instructions of the machine, or of the engine's bytecode.
    Asm,
    /// The module itself as text; no engine has a part in it.
    Wat,
}

#[derive(Clone, Copy, ValueEnum)]
enum Metering {
    None,
    Epoch,
    Fuel,
}

#[derive(Serialize)]
struct Document {
    runtime: String,
    version: String,
    kernel: String,
    /// Features of the variant, or `base`.
    variant: String,
    form: String,
    budget: BudgetKind,
    text: String,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes; a form that the engine does not have is an engine that is asked for something absent.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let adapters = Vec::from_iter(arguments.adapter.clone());
    let wanted = arguments.runtime.clone().or_else(|| {
        let (name, _) = arguments.adapter.as_deref()?.split_once('=')?;
        Some(name.to_owned())
    });
    let engines = registry::with_adapters(registry::engines(), &adapters)?;
    let engines = registry::select(engines, &Vec::from_iter(wanted))?;
    let pack = arguments.acceptance.load(&arguments.pack)?;
    let kernel = pack.kernel(&arguments.kernel).ok_or_else(|| {
        let ids: Vec<_> = pack.kernels().iter().map(PackKernel::id).collect();
        exit::usage(format!(
            "no kernel is called `{}` in {}; there are: {}",
            arguments.kernel,
            pack.name(),
            ids.join(", ")
        ))
    })?;
    let [engine] = engines.as_slice() else {
        let ids: Vec<_> = engines.iter().map(|engine| engine.id.as_str()).collect();
        return Err(exit::usage(format!(
            "one engine at a time is inspected, not {}",
            ids.join(", ")
        )));
    };
    let Some(launch) = engine.launch() else {
        return Err(anyhow!("engine `{}` was selected but is absent", engine.id));
    };
    let mut worker =
        Worker::start(launch).map_err(|error| exit::engine_absent(format!("failed to {error}")))?;
    let info = worker.info().clone();
    let (wasm, variant) = module(kernel, &info, arguments.base);
    let metering = match arguments.budget {
        Metering::None => BudgetKind::None,
        Metering::Epoch => BudgetKind::Epoch,
        Metering::Fuel => BudgetKind::Fuel,
    };
    let limits = kernel.limits();
    let options = Options {
        limits: Limits {
            max_memory_pages: limits.max_memory_pages,
            max_table_elements: limits.max_table_elements,
            ..Limits::default()
        },
        metering,
    };
    let text = text(&mut worker, wasm, &options, arguments.form)?;
    output.text(text.trim_end())?;
    output.document(&Document {
        runtime: engine.id.clone(),
        version: info.version,
        kernel: kernel.id().to_owned(),
        variant,
        form: arguments
            .form
            .to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default(),
        budget: metering,
        text,
    })?;
    Ok(Exit::Passed)
}

/// The module that the engine would run, and its name.
fn module<'a>(kernel: &'a PackKernel, info: &Info, base: bool) -> (&'a [u8], String) {
    let features = info
        .capabilities
        .features
        .iter()
        .filter_map(|name| Feature::parse(name))
        .collect();
    let variant = kernel.variant_for(&features).filter(|_| !base);
    match variant {
        None => (kernel.wasm(), "base".to_owned()),
        Some(variant) => {
            let names: Vec<_> = variant.features().iter().map(ToString::to_string).collect();
            (variant.wasm(), names.join("+"))
        }
    }
}

fn text(worker: &mut Worker, wasm: &[u8], options: &Options, form: Form) -> Result<String> {
    let form = match form {
        Form::Wat => return wasmprinter::print_bytes(wasm).context("failed to print the module"),
        Form::Clif => runtime_api::Form::Clif,
        Form::LlvmIrUnoptimized => runtime_api::Form::LlvmIrUnoptimized,
        Form::LlvmIr => runtime_api::Form::LlvmIr,
        Form::Asm => runtime_api::Form::Asm,
    };
    let id = worker.info().id.clone();
    if !worker.has_operation("inspect") {
        return Err(exit::engine_absent(format!(
            "engine `{id}` does not know the optional operation `inspect` of the protocol"
        )));
    }
    worker
        .inspect(wasm, options, form)
        .map_err(|error| match error {
            RunError::Engine(Error::Unsupported { reason }) => {
                exit::engine_absent(format!("engine `{id}` cannot be inspected so: {reason}"))
            }
            error => anyhow!("engine `{id}` failed to {error}"),
        })
}
