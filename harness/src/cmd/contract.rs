//! `assay contract`: what a kernel promises, complete; whether a contract is one; contracts out of definitions of others.

use crate::{
    acceptance::{self, Acceptance},
    exit::{self, Exit},
    output::Output,
};
use anyhow::Result;
use kernel_pack::contract::{self, Contract};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Show what a kernel promises, check a contract while it is written, or make one of a FlashInfer-Trace definition (docs/contract.md).
#[derive(clap::Args)]
#[command(
    after_help = "Example: assay contract show fixtures/packs/foreign softmax --trust fixtures/packs/trusted_keys"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print a kernel's contract complete, with what followed from the manifest.
    #[command(
        after_help = "Example: assay contract show fixtures/packs/core rope_f32 --trust fixtures/packs/trusted_keys"
    )]
    Show {
        /// Pack folder or .tar.
        pack: PathBuf,
        /// Kernel id.
        kernel: String,
        /// Whose packs are accepted.
        #[command(flatten)]
        acceptance: Acceptance,
    },
    /// Read a contract file and say what is wrong with it.
    #[command(
        after_help = "Example: assay contract check fixtures/packs/foreign/contracts/softmax.json"
    )]
    Check {
        /// The contract.
        file: PathBuf,
    },
    /// Print the contract that a definition in the form of FlashInfer-Trace makes.
    #[command(
        after_help = "Example: assay contract import fixtures/definitions/rope.json > rope.contract.json"
    )]
    Import {
        /// The definition.
        file: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// See the exit codes: usage for files that are not there and for a kernel that the pack does not have, rejected for what is no contract.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    match &arguments.command {
        Command::Show {
            pack,
            kernel,
            acceptance,
        } => show(pack, kernel, acceptance, output),
        Command::Check { file } => check(file, output),
        Command::Import { file } => import(file, output),
    }
}

fn show(path: &Path, kernel: &str, acceptance: &Acceptance, output: &Output) -> Result<Exit> {
    let pack = acceptance.load(path)?;
    let Some(found) = pack.kernel(kernel) else {
        let ids: Vec<_> = pack.kernels().iter().map(|kernel| kernel.id()).collect();
        return Err(exit::usage(format!(
            "the pack has no kernel `{kernel}`; it has: {}",
            ids.join(", ")
        )));
    };
    match found.contract() {
        Ok(contract) => {
            print(contract.to_json(), output)?;
            Ok(Exit::Passed)
        }
        Err(reason) => {
            output.document(&json!({ "kernel": kernel, "contract": null, "unjudged": reason }))?;
            output.text(&format!(
                "{kernel} has no contract that it could be judged by: {reason}"
            ))?;
            Ok(Exit::Failed)
        }
    }
}

fn check(file: &Path, output: &Output) -> Result<Exit> {
    let bytes = read(file)?;
    let name = file.display().to_string();
    let contract = Contract::check_file(&bytes, &name)
        .map_err(|rejection| acceptance::stop(rejection.into()))?;
    let said = match &contract {
        Some(contract) => format!(
            "{name}: the contract of {}, complete: {} inputs, {} outputs, {} parameters",
            contract.kernel,
            contract.inputs.len(),
            contract.outputs.len(),
            contract.params.len()
        ),
        None => format!(
            "{name}: well formed; it states no inputs and outputs of its own, so the rest shows with its manifest (assay pack build)"
        ),
    };
    output.document(&json!({
        "verdict": "accepted",
        "kernel": contract.as_ref().map(|contract| contract.kernel.as_str()),
        "complete": contract.is_some(),
    }))?;
    output.text(&said)?;
    Ok(Exit::Passed)
}

fn import(file: &Path, output: &Output) -> Result<Exit> {
    let bytes = read(file)?;
    let imported = contract::import(&bytes, &file.display().to_string())
        .map_err(|rejection| acceptance::stop(rejection.into()))?;
    for note in &imported.notes {
        exit::complain(&format!("assay: note: {note}"));
    }
    print(imported.json, output)?;
    Ok(Exit::Passed)
}

/// A document that is JSON already. Its order means something: that of the parameters is that of their struct.
fn print(document: String, output: &Output) -> Result<()> {
    output.raw(document.trim_end())
}

/// The bytes of a file of the user's.
///
/// # Errors
/// Usage if it cannot be read.
pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    let limit = contract::LARGEST_CONTRACT + 1;
    let read = || -> std::io::Result<Vec<u8>> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        // To open a pipe is to wait for whoever writes it.
        if !std::fs::metadata(file)?.is_file() {
            return Err(std::io::Error::other("it is no plain file"));
        }
        std::fs::File::open(file)?
            .take(limit)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error| exit::usage(format!("failed to read `{}`: {error}", file.display())))
}
