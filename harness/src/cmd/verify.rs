//! `assay verify`: signature, manifest, hashes, modules, compatibility; no kernel runs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use kernel_pack::{Error, Pack, Policy, Rejection, SeenVersions, TrustList};
use serde_json::json;

use crate::exit::{Exit, Stop};
use crate::output::Output;

/// Checks a pack: signature, manifest, hashes, modules, versions. No kernel runs.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without --trust, the file `trusted_keys` beside the pack is used, else the one in
$XDG_CONFIG_HOME/assay (or ~/.config/assay). One `ed25519:<base64>` line per key; a line
may carry `revoked` or `allow-native`; # starts a comment.

Example: assay verify fixtures/packs/core --trust fixtures/packs/trusted_keys")]
pub struct Arguments {
    /// The pack: a folder or an uncompressed tar archive.
    pub pack: PathBuf,
    /// A trust list; may be repeated, what any list revokes is revoked.
    #[arg(long, value_name = "FILE")]
    pub trust: Vec<PathBuf>,
    /// A record of versions seen: an older version of a pack is refused, an accepted one is recorded.
    #[arg(long, value_name = "FILE")]
    pub seen: Option<PathBuf>,
    /// Accept an older version than the record knows.
    #[arg(long, requires = "seen")]
    pub allow_rollback: bool,
}

/// Runs the command.
///
/// # Errors
/// With [`Exit::Usage`] for paths and trust lists that are not there or not understood, otherwise the harness's own
/// failures. A rejected pack is an outcome.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let mut policy = Policy::at(SystemTime::now());
    policy.allow_rollback = arguments.allow_rollback;
    if let Some(path) = &arguments.seen {
        policy.seen = SeenVersions::read(path).map_err(stop)?;
    }
    match verified(&arguments.pack, &arguments.trust, &policy) {
        Ok(pack) => {
            if let Some(path) = &arguments.seen {
                policy.seen.record(pack.name(), pack.version());
                policy.seen.write(path).map_err(stop)?;
            }
            output.document(&accepted_document(&pack))?;
            output.text(&accepted_text(&pack))?;
            Ok(Exit::Passed)
        }
        Err(Error::Rejected(rejection)) => {
            output.document(&rejected_document(&rejection))?;
            output.text(&rejected_text(&rejection))?;
            Ok(Exit::Rejected)
        }
        Err(error) => Err(stop(error)),
    }
}

/// Verifies a pack for a command that goes on to use it. `trust_files` empty means the default lists.
///
/// # Errors
/// With [`Exit::Rejected`] if the pack is refused, [`Exit::Usage`] for paths and trust lists that are not there or not
/// understood, otherwise the harness's own failures.
pub fn load_pack(path: &Path, trust_files: &[PathBuf]) -> Result<Pack> {
    verified(path, trust_files, &Policy::at(SystemTime::now())).map_err(stop)
}

/// An error of a pack with its exit code.
pub(crate) fn stop(error: Error) -> anyhow::Error {
    let exit = match &error {
        Error::Rejected(_) => Exit::Rejected,
        Error::NotFound(_)
        | Error::TrustList { .. }
        | Error::SigningKey(_)
        | Error::Template(_)
        | Error::SeenVersions { .. } => Exit::Usage,
        _ => Exit::Harness,
    };
    let document = match &error {
        Error::Rejected(rejection) => Some(rejected_document(rejection)),
        _ => None,
    };
    Stop {
        exit,
        message: format!("failed to {error}"),
        document,
    }
    .into()
}

fn verified(path: &Path, trust_files: &[PathBuf], policy: &Policy) -> Result<Pack, Error> {
    // A path that does not exist is the first thing to say, before any trust list.
    if let Err(error) = std::fs::metadata(path)
        && error.kind() == std::io::ErrorKind::NotFound
    {
        return Err(Error::NotFound(path.to_owned()));
    }
    let trust = if trust_files.is_empty() {
        default_trust(path)?
    } else {
        let mut trust = TrustList::empty();
        for file in trust_files {
            trust.merge(TrustList::read(file)?);
        }
        trust
    };
    kernel_pack::verify(path, &trust, policy)
}

/// `trusted_keys` beside the pack, else the user's, else nobody.
fn default_trust(pack: &Path) -> Result<TrustList, Error> {
    let candidates = beside(pack).into_iter().chain(user_trust_file());
    for file in candidates {
        match TrustList::read(&file) {
            Err(Error::NotFound(_)) => {}
            result => return result,
        }
    }
    Ok(TrustList::empty())
}

fn beside(pack: &Path) -> Option<PathBuf> {
    // `.` and `..` have no name; what they stand for has.
    let named = match pack.file_name() {
        Some(_) => pack.to_owned(),
        None => pack.canonicalize().ok()?,
    };
    Some(named.parent()?.join("trusted_keys"))
}

fn user_trust_file() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let configuration = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(configuration.join("assay/trusted_keys"))
}

fn accepted_document(pack: &Pack) -> serde_json::Value {
    json!({
        "verdict": "accepted",
        "code": null,
        "message": format!("{} {} is accepted", pack.name(), pack.version()),
        "kernel": null,
        "file": null,
        "pack": {
            "name": pack.name(),
            "version": pack.version().to_string(),
            "key": pack.key(),
            "kernels": pack.kernels().len(),
        },
    })
}

fn rejected_document(rejection: &Rejection) -> serde_json::Value {
    json!({
        "verdict": "rejected",
        "code": rejection.code.as_str(),
        "message": rejection.message,
        "kernel": rejection.kernel,
        "file": rejection.file,
        // Nothing that a rejected pack says of itself is repeated as a fact.
        "pack": null,
    })
}

fn accepted_text(pack: &Pack) -> String {
    let mut lines = vec![format!(
        "accepted: {} {}, {} kernels, {} vector files\nsigned with {}",
        pack.name(),
        pack.version(),
        pack.kernels().len(),
        pack.vectors().len(),
        pack.key()
    )];
    let width = pack.kernels().iter().map(|kernel| kernel.id().len()).max();
    for kernel in pack.kernels() {
        let features: Vec<_> = kernel
            .facts()
            .features_used
            .iter()
            .map(|feature| feature.as_str())
            .collect();
        lines.push(format!(
            "  {:width$}  {:>7} bytes  {:>4} to {:>4} pages  {:>6} ticks  {}",
            kernel.id(),
            kernel.wasm().len(),
            kernel.facts().memory_minimum_pages,
            kernel.limits().max_memory_pages,
            kernel.limits().max_epoch_ticks,
            features.join(" "),
            width = width.unwrap_or(0),
        ));
    }
    lines.join("\n")
}

fn rejected_text(rejection: &Rejection) -> String {
    let mut text = format!("rejected: {}\n  {}", rejection.code, rejection.message);
    if let Some(kernel) = &rejection.kernel {
        text.push_str(&format!("\n  kernel: {kernel}"));
    }
    if let Some(file) = &rejection.file {
        text.push_str(&format!("\n  file:   {file}"));
    }
    text
}
