//! Version gates: which release of this project, and which engine, may run what.

use std::collections::BTreeSet;

use semver::Version;

use crate::error::{Code, Rejection};
use crate::feature::Feature;
use crate::pack::PackKernel;
use crate::schema::Manifest;

/// The version that `min_runtime_version` and `max_runtime_version` gate: this project's own.
pub const RUNTIME_VERSION: &str = env!("CARGO_PKG_VERSION");

/// An engine, as far as the gates look at it.
#[derive(Clone, Debug)]
pub struct Engine<'a> {
    /// Identity such as `wasmtime.cranelift`; the part before the first dot is the family.
    pub id: &'a str,
    /// Version of the engine.
    pub version: &'a Version,
    /// What it can do.
    pub features: &'a BTreeSet<Feature>,
}

/// Refuses a pack that this release is too old or too new for.
pub(crate) fn check_runtime(manifest: &Manifest, runtime: &Version) -> Result<(), Rejection> {
    if runtime
        .cmp_precedence(&manifest.min_runtime_version)
        .is_lt()
    {
        let message = format!(
            "the pack needs release {} or newer, this is {runtime}; update",
            manifest.min_runtime_version
        );
        return Err(Rejection::new(Code::RuntimeTooOld, message).file(crate::MANIFEST_FILE));
    }
    if runtime
        .cmp_precedence(&manifest.max_runtime_version)
        .is_gt()
    {
        let message = format!(
            "the pack is for releases up to {}, this is {runtime}; get a newer pack",
            manifest.max_runtime_version
        );
        return Err(Rejection::new(Code::RuntimeTooNew, message).file(crate::MANIFEST_FILE));
    }
    Ok(())
}

/// Refuses a kernel's base module on an engine that is too old for it or lacks a feature it needs: one the manifest
/// names for the engine, or one the module was found to use. The manifest's entry for the engine's id goes before the
/// entry for its family; without either, only the module speaks.
///
/// # Errors
/// [`Code::RuntimeTooOld`], [`Code::FeatureMissing`].
pub fn check_engine(kernel: &PackKernel, engine: &Engine<'_>) -> Result<(), Rejection> {
    let family = engine.id.split('.').next().unwrap_or(engine.id);
    let platforms = kernel.platforms();
    let platform = platforms.get(engine.id).or_else(|| platforms.get(family));
    if let Some(platform) = platform
        && engine.version.cmp_precedence(&platform.min_version).is_lt()
    {
        let message = format!(
            "kernel {} needs {family} {} or newer, this is {}",
            kernel.id(),
            platform.min_version,
            engine.version
        );
        return Err(Rejection::new(Code::RuntimeTooOld, message).kernel(kernel.id()));
    }
    let declared = platform.into_iter().flat_map(|platform| &platform.features);
    let missing = declared
        .chain(&kernel.facts().features_used)
        .find(|feature| !engine.features.contains(feature));
    match missing {
        Some(feature) => {
            let message = format!(
                "kernel {} needs {feature}, which {} lacks",
                kernel.id(),
                engine.id
            );
            Err(Rejection::new(Code::FeatureMissing, message).kernel(kernel.id()))
        }
        None => Ok(()),
    }
}
