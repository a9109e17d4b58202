//! `assay try`: conformance of an unsigned module in the edit loop; never a verdict.

use super::{contract, engines::EngineArguments, probe, time::TimeArguments};
use crate::{
    acceptance::{self, Acceptance},
    conform::{
        device::Profile,
        plan,
        request::{Request, SEED, drawn_seed},
        suite,
    },
    exit::{self, Exit},
    output::Output,
    report::screen,
    results::Folder,
};
use anyhow::{Context, Result};
use kernel_pack::{
    Pack, Policy, State, TrustList,
    build::build_folder,
    contract::{Contract, definitions},
    sign::{PackSigningKey, sign_folder},
    verify,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Generated cases, unless asked otherwise: few, so that an answer comes at once.
const CASES: u32 = 16;
/// The engine that is tried, unless asked otherwise.
const ENGINE: &str = "wasmtime.cranelift";

/// Try a module against a contract while it is written: its conformance on an engine, with no pack and no signature around it. It is never a
/// verdict: that is what `assay qualify` says of a signed pack.
#[derive(clap::Args)]
#[command(
    after_help = "Example: assay try fixtures/packs/foreign/kernels/softmax.wasm --contract softmax.contract.json\n         assay try my_rmsnorm.wasm --contract rmsnorm_f32 --id my_rmsnorm"
)]
pub struct Arguments {
    /// The module.
    module: PathBuf,
    /// A contract file with `id`, `inputs`, `outputs` and `params`, or a built-in definition as `rmsnorm_f32` or `rmsnorm@1`.
    #[arg(long, value_name = "FILE|DEFINITION")]
    contract: String,
    /// Id of the kernel, as `kernel_info` states it [default: the contract's].
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Export that runs the kernel.
    #[arg(long, value_name = "NAME", default_value = "kernel_forward")]
    entry_point: String,
    /// Pages of memory that it may have.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    max_pages: u32,
    #[command(flatten)]
    engines: EngineArguments,
    #[command(flatten)]
    time: TimeArguments,
    /// Folder of vector files.
    #[arg(long, value_name = "DIR")]
    vectors: Option<PathBuf>,
    /// Program that says what the answers are, as 'KERNEL=COMMAND ...'; docs/oracle-protocol.md.
    #[arg(long, value_name = "KERNEL=COMMAND")]
    oracle: Vec<String>,
    /// Generated cases.
    #[arg(long, value_name = "N", default_value_t = CASES, value_parser = super::conform::cases())]
    cases: u32,
    /// The run's own seed [default: drawn].
    #[arg(long, value_name = "N")]
    own_seed: Option<u64>,
    /// Run only the case of this name, as a failure names it.
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Results folder [default: none is kept].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let scratch = tempfile::tempdir().context("failed to make a folder for the module")?;
    let pack = pack(arguments, scratch.path())?;
    let mut engines = arguments.engines.clone();
    if engines.is_empty() {
        engines.runtime = vec![ENGINE.to_owned()];
    }
    let request = Request {
        pack: arguments.module.clone(),
        acceptance: Acceptance::default(),
        runtimes: engines.runtime.clone(),
        adapters: engines.adapters.adapter.clone(),
        kernels: Vec::new(),
        vectors: arguments.vectors.clone(),
        oracles: arguments.oracle.clone(),
        cases: arguments.cases,
        seed: SEED,
        own_seed: arguments.own_seed.unwrap_or_else(drawn_seed),
        deep: false,
        profile: Profile::Server,
        code_cache: None,
        limits: arguments.time.begin(false, 0),
    };
    let results = scratch.path().join("results");
    let folder = Folder::create(Some(arguments.out.as_deref().unwrap_or(&results)), "try")?;
    let plan = plan::plan(&pack, &request.choice(arguments.case.as_deref(), None))?;
    let mut conform = suite::run(&pack, plan, &request, &engines.engines()?, &folder, output)?;
    if arguments.out.is_none() {
        conform.evidence = "nothing (--out DIR keeps them)".to_owned();
    }
    for entry in &mut conform.results {
        // There is no pack that `conform` could be asked about.
        entry.repeat = entry.case.as_ref().map(|case| {
            format!(
                "assay try {} --contract {} --own-seed {} --case '{case}'",
                arguments.module.display(),
                arguments.contract,
                request.own_seed
            )
        });
        if arguments.out.is_none() {
            entry.bytes = None;
        }
    }
    output.document(&conform)?;
    output.parts(&screen::conformance(&conform))?;
    output.text(
        "a module that was tried is not qualified: that takes a signed pack and `assay qualify`",
    )?;
    Ok(if conform.verdict.passed() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

/// A pack around the module, signed with a key that is forgotten at once.
fn pack(arguments: &Arguments, scratch: &Path) -> Result<Pack> {
    let contract = contract_of(arguments)?;
    let module = probe::read_module(&arguments.module)?;
    let folder = scratch.join("pack");
    let context = "failed to write the module's pack";
    fs::create_dir_all(&folder).context(context)?;
    fs::write(folder.join("kernel.wasm"), module).context(context)?;
    for file in contract.files() {
        let from = beside(&arguments.contract, &file.path)?;
        let to = folder.join(&file.path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).context(context)?;
        }
        fs::copy(&from, &to).map_err(|error| {
            exit::usage(format!("failed to read `{}`: {error}", from.display()))
        })?;
    }
    let key = PackSigningKey::generate().map_err(acceptance::stop)?;
    let template = scratch.join("template.json");
    fs::write(&template, manifest(arguments, &contract)?).context(context)?;
    build_folder(&folder, &template, Some(&key.public())).map_err(acceptance::stop)?;
    sign_folder(&folder, &key, &[]).map_err(acceptance::stop)?;
    let trust = TrustList::parse(&key.public(), "the key of this run").map_err(acceptance::stop)?;
    verify(&folder, &trust, &Policy::at(SystemTime::now())).map_err(acceptance::stop)
}

/// Where a file of the pack is that a contract names: beside the contract, or in a folder above it, as in a pack's `contracts/`.
fn beside(contract: &str, path: &str) -> Result<PathBuf> {
    let mut folders = Path::new(contract).ancestors().skip(1);
    let found = folders.find_map(|folder| {
        let file = folder.join(path);
        file.is_file().then_some(file)
    });
    found.ok_or_else(|| {
        exit::usage(format!(
            "the contract `{contract}` names the reference `{path}`, which is neither beside it nor in a folder above it"
        ))
    })
}

fn contract_of(arguments: &Arguments) -> Result<Contract> {
    let named = definitions()
        .iter()
        .find(|one| one.kernel == arguments.contract || one.name == arguments.contract);
    if let Some(contract) = named.and_then(|definition| definition.contract()) {
        return Ok(contract);
    }
    let file = Path::new(&arguments.contract);
    let bytes = contract::read(file)?;
    Contract::parse(&bytes, &arguments.contract)
        .map_err(|rejection| acceptance::stop(rejection.into()))
}

/// A manifest of one kernel, as text: the order of the parameters is that of their struct.
fn manifest(arguments: &Arguments, contract: &Contract) -> Result<String> {
    let id = arguments.id.as_deref().unwrap_or(&contract.kernel);
    let quoted = |text: &str| serde_json::to_string(text).context("failed to write a manifest");
    let (inputs, outputs, params) = contract.interface_json();
    // There is no manifest that could declare less.
    let state = State::ALL.map(|state| format!("\"{}\"", state.as_str()));
    Ok(format!(
        r#"{{
  "name": "tried", "version": "0.0.0", "min_runtime_version": "0.0.0", "max_runtime_version": "9999.0.0",
  "created_at": "2026-01-01T00:00:00Z",
  "author": {{ "name": "nobody", "email": "nobody@localhost" }},
  "kernels": [{{
    "id": {id}, "name": {id}, "category": "tried", "path": "kernel.wasm", "entry_point": {entry_point},
    "inputs": {inputs}, "outputs": {outputs}, "params": {params},
    "resource_limits": {{ "max_memory_pages": {pages}, "max_epoch_ticks": 1000, "max_table_elements": 64 }},
    "platforms": {{}},
    "state": [{state}],
    "contract": {contract}
  }}]
}}
"#,
        id = quoted(id)?,
        entry_point = quoted(&arguments.entry_point)?,
        pages = arguments.max_pages,
        state = state.join(", "),
        contract = contract.promises_json(),
    ))
}
