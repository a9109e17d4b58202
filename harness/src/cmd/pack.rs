//! `assay pack`: make keys, manifests and signatures.

use std::path::{Path, PathBuf};

use anyhow::Result;
use kernel_pack::Error;
use kernel_pack::build::build_folder;
use kernel_pack::sign::{PackSigningKey, sign_folder};
use serde_json::json;

use super::verify::stop;
use crate::exit::{Exit, usage};
use crate::output::Output;

/// Makes a pack: a signing key, a manifest with hashes, a signature.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example: assay pack keygen --out author.key
         assay pack build my-pack --template my-pack.template.json --key author.key
         assay pack sign my-pack --key author.key")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Makes a signing key that only its owner may read, and prints the line for trust lists.
    #[command(after_help = "Example: assay pack keygen --out author.key >> trusted_keys")]
    Keygen {
        /// The new file; an existing one is not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Writes kernels.json from a template and the files of a folder, and checks the result.
    #[command(after_help = "\
The template is a manifest without hashes: every object with a `path` gets the hash of that
file. A signature that was there is removed, because it no longer holds.

Example: assay pack build fixtures/packs/core --key fixtures/keys/test.ed25519")]
    Build {
        /// The folder of the pack.
        folder: PathBuf,
        /// The template [default: FOLDER.template.json beside the folder].
        #[arg(long, value_name = "FILE")]
        template: Option<PathBuf>,
        /// The key that will sign; its public half becomes author.signing_key.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Signs kernels.json.
    #[command(
        after_help = "Example: assay pack sign fixtures/packs/core --key fixtures/keys/test.ed25519"
    )]
    Sign {
        /// The folder of the pack.
        folder: PathBuf,
        /// The signing key; the manifest's author.signing_key must be its public half.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// With [`Exit::Rejected`] for a pack that no host would take, [`Exit::Usage`] for files that are not there or not
/// understood, otherwise the harness's own failures.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    match &arguments.command {
        Command::Keygen { out } => keygen(out, output),
        Command::Build {
            folder,
            template,
            key,
        } => build(folder, template.as_deref(), key.as_deref(), output),
        Command::Sign { folder, key } => sign(folder, key, output),
    }
}

fn keygen(out: &Path, output: &Output) -> Result<Exit> {
    let key = PackSigningKey::generate().map_err(stop)?;
    key.write(out).map_err(|error| match error {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
            usage(format!(
                "{} exists; a key is not overwritten, name another file",
                out.display()
            ))
        }
        error => stop(error),
    })?;
    output.document(&json!({ "public_key": key.public(), "file": out }))?;
    // The line alone, so that it can be appended to a trust list.
    output.text(&key.public())?;
    Ok(Exit::Passed)
}

fn build(
    folder: &Path,
    template: Option<&Path>,
    key: Option<&Path>,
    output: &Output,
) -> Result<Exit> {
    let public = key
        .map(|key| PackSigningKey::read(key).map(|key| key.public()))
        .transpose()
        .map_err(stop)?;
    let template = match (template, folder.file_name()) {
        (Some(template), _) => template.to_owned(),
        (None, Some(name)) => {
            let mut name = name.to_owned();
            name.push(".template.json");
            folder.with_file_name(name)
        }
        (None, None) => return Err(usage("the folder has no name; give --template")),
    };
    let manifest = build_folder(folder, &template, public.as_deref()).map_err(stop)?;
    output.document(&json!({
        "name": manifest.name, "version": manifest.version.to_string(), "kernels": manifest.kernels.len(),
    }))?;
    output.text(&format!(
        "built {} {}: {} kernels, {} vector files; not signed yet",
        manifest.name,
        manifest.version,
        manifest.kernels.len(),
        manifest.vectors.len()
    ))?;
    Ok(Exit::Passed)
}

fn sign(folder: &Path, key: &Path, output: &Output) -> Result<Exit> {
    let key = PackSigningKey::read(key).map_err(stop)?;
    let manifest = sign_folder(folder, &key).map_err(stop)?;
    output.document(&json!({
        "name": manifest.name, "version": manifest.version.to_string(), "key": key.public(),
    }))?;
    output.text(&format!(
        "signed {} {} with {}",
        manifest.name,
        manifest.version,
        key.public()
    ))?;
    Ok(Exit::Passed)
}
