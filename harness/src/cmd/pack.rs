//! `assay pack`: make keys, manifests and signatures.

use std::path::{Path, PathBuf};

use anyhow::Result;
use kernel_pack::build::build_folder;
use kernel_pack::sign::{PackSigningKey, sign_folder};
use kernel_pack::{Error, PublicKey, Successor};
use serde_json::json;

use super::pack_new::{self, Language};
use crate::acceptance::{key_document, stop};
use crate::exit::{Exit, usage};
use crate::output::Output;

/// Makes a pack: a signing key, a manifest with hashes, signatures; and passes from one key to the next.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example: assay pack new my-kernels --language c
         assay pack keygen --out author.key
         assay pack build my-pack --template my-pack.template.json --key author.key
         assay pack sign my-pack --key author.key")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Makes a folder to begin with: one kernel, its contract, a key, and a script that builds and signs the pack.
    #[command(after_help = "Example: assay pack new my-kernels --language c")]
    New {
        /// The new folder; its name becomes that of the pack.
        folder: PathBuf,
        /// What the kernel is written in.
        #[arg(long, value_enum)]
        language: Language,
    },
    /// Makes a signing key that only its owner may read, and prints the line for trust lists.
    #[command(after_help = "Example: assay pack keygen --out author.key > author.pub")]
    Keygen {
        /// The new file; an existing one is not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Writes kernels.json from a template and the files of a folder, and checks the result.
    #[command(after_help = "\
The template is a manifest without hashes: every object with a `path` gets the hash of that
file. Signatures that were there are removed, because they no longer hold.

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
    /// Signs kernels.json, also with keys that hosts trust from before.
    #[command(after_help = "\
Who trusts any of the keys accepts the pack, unless the author's own is revoked there. Without
--also, further signatures that were there are removed.

Example: assay pack sign fixtures/packs/core --key fixtures/keys/test.ed25519")]
    Sign {
        /// The folder of the pack.
        folder: PathBuf,
        /// The signing key; the manifest's author.signing_key must be its public half.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// A key that signs too, such as the one before (repeatable).
        #[arg(long, value_name = "FILE")]
        also: Vec<PathBuf>,
    },
    /// States which key follows a key, for those who trust the old one: they take it with `assay trust add FILE`.
    #[command(after_help = "\
Example: assay pack successor --key old.key --new ed25519:6dWsD41P6FxJ0PlIyEyA9IVSYaD8OOwZQOc7+/UbzrI= --out author.successor")]
    Successor {
        /// The old signing key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The new public key, `ed25519:<base64>`.
        #[arg(long, value_name = "KEY")]
        new: String,
        /// The file to write; an existing one is replaced.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// With [`Exit::Rejected`] for a pack that no host would take, [`Exit::Usage`] for files that are not there or not
/// understood, otherwise the harness's own failures.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    match &arguments.command {
        Command::New { folder, language } => pack_new::run(folder, *language, output),
        Command::Keygen { out } => keygen(out, output),
        Command::Build {
            folder,
            template,
            key,
        } => build(folder, template.as_deref(), key.as_deref(), output),
        Command::Sign { folder, key, also } => sign(folder, key, also, output),
        Command::Successor { key, new, out } => successor(key, new, out, output),
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
    output.document(&json!({
        "public_key": key.public(), "fingerprint": key.public_key().fingerprint(), "file": out,
    }))?;
    // The line alone, so that it can be published, and trusted with `assay trust add`.
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
        "warnings": manifest.warnings,
    }))?;
    let mut text = format!(
        "built {} {}: {} kernels, {} vector files; not signed yet",
        manifest.name,
        manifest.version,
        manifest.kernels.len(),
        manifest.vectors.len()
    );
    for warning in &manifest.warnings {
        text += &format!("\nwarning: {warning}");
    }
    output.text(&text)?;
    Ok(Exit::Passed)
}

fn sign(folder: &Path, key: &Path, also: &[PathBuf], output: &Output) -> Result<Exit> {
    let key = PackSigningKey::read(key).map_err(stop)?;
    let also: Vec<PackSigningKey> = also
        .iter()
        .map(|path| PackSigningKey::read(path))
        .collect::<Result<_, _>>()
        .map_err(stop)?;
    let manifest = sign_folder(folder, &key, &also).map_err(stop)?;
    let further: Vec<String> = also.iter().map(PackSigningKey::public).collect();
    output.document(&json!({
        "name": manifest.name, "version": manifest.version.to_string(), "key": key.public(), "also": further,
    }))?;
    let mut text = format!(
        "signed {} {} with {}",
        manifest.name,
        manifest.version,
        key.public()
    );
    for key in further {
        text += &format!("\nand with {key}");
    }
    output.text(&text)?;
    Ok(Exit::Passed)
}

fn successor(key: &Path, new: &str, out: &Path, output: &Output) -> Result<Exit> {
    let old = PackSigningKey::read(key).map_err(stop)?;
    let new = PublicKey::parse(new).map_err(stop)?;
    Successor::write(&old, &new, out).map_err(stop)?;
    output.document(&json!({
        "old": key_document(&old.public_key()), "new": key_document(&new), "file": out,
    }))?;
    output.text(&format!(
        "{} names {new} as its successor; whoever trusts the old key takes it with: assay trust add {}",
        old.public(),
        out.display()
    ))?;
    Ok(Exit::Passed)
}
