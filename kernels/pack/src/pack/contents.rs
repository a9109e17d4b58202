//! The files of a pack: read, hashed, and the modules among them inspected.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{PackArtifact, PackKernel, PackReference, PackVariant, PackVector};
use crate::contract::{self, Contract, ContractEntry, Property, TruthSource};
use crate::error::{Code, Error, Findings, Rejection, quoted};
use crate::module::{ModuleFacts, ModuleRules, inspect_module};
use crate::schema::{FileEntry, KernelEntry, Manifest};
use crate::source::{Source, hex, refuse};
use crate::{LARGEST_FILE, LARGEST_PACK, MANIFEST_FILE, SIGNATURE_FILE, SIGNATURES_FILE};

/// The files of a pack whose manifest is trusted.
pub(crate) struct Contents {
    pub(super) kernels: Vec<PackKernel>,
    pub(super) vectors: Vec<PackVector>,
    pub(super) artifacts: Vec<PackArtifact>,
}

/// Reads and checks all files of a manifest: nothing is handed out before everything has passed. What is wrong with files is found
/// before what is wrong with modules, each for all at once.
pub(crate) fn read_contents(source: &mut Source, manifest: &Manifest) -> Result<Contents, Error> {
    let mut reader = HashedReader { source, total: 0 };
    let mut findings = Findings::default();
    let mut modules = Vec::new();
    for entry in &manifest.kernels {
        modules.extend(findings.keep_read(Module::read(&mut reader, entry))?);
    }
    let mut vectors = Vec::new();
    for entry in &manifest.vectors {
        let bytes = findings.keep_read(reader.read(&entry.file, &entry.kernel))?;
        vectors.extend(bytes.map(|bytes| PackVector {
            kernel: entry.kernel.clone(),
            path: entry.file.path.clone(),
            bytes,
        }));
    }
    let mut artifacts = Vec::new();
    for entry in &manifest.artifacts {
        let bytes = findings.keep_read(reader.read(&entry.file, &entry.kernel))?;
        artifacts.extend(bytes.map(|bytes| PackArtifact {
            entry: entry.clone(),
            bytes,
        }));
    }
    for module in &modules {
        findings.keep(module.check_others(manifest));
    }
    std::mem::take(&mut findings).end(|| ())?;
    let contracts = modules
        .iter()
        .filter_map(|module| module.contract.contract.as_ref().ok());
    let needed: Vec<&FileEntry> = contracts.flat_map(Contract::files).collect();
    check_unlisted(source, manifest, &needed)?;
    let kernels: Vec<PackKernel> = modules
        .into_iter()
        .filter_map(|module| findings.keep(module.inspected(manifest)))
        .collect();
    Ok(findings.end(|| Contents {
        kernels,
        vectors,
        artifacts,
    })?)
}

/// A kernel's files.
struct Module<'a> {
    entry: &'a KernelEntry,
    base: Arc<[u8]>,
    variants: Vec<Arc<[u8]>>,
    contract: ReadContract,
}

impl<'a> Module<'a> {
    fn read(reader: &mut HashedReader<'_>, entry: &'a KernelEntry) -> Result<Self, Error> {
        let base = reader.read(&entry.file, &entry.id)?;
        let mut variants = Vec::new();
        for variant in &entry.variants {
            variants.push(reader.read(&variant.file, &entry.id)?);
        }
        Ok(Self {
            entry,
            base,
            variants,
            contract: read_contract(reader, entry)?,
        })
    }

    /// What its contract says of other kernels is about kernels of the pack.
    fn check_others(&self, manifest: &Manifest) -> Result<(), Rejection> {
        let contract = self.contract.contract.iter();
        for property in contract.flat_map(|contract| &contract.properties) {
            if let Property::InverseOf(of) = property
                && manifest.kernels.iter().all(|kernel| kernel.id != *of)
            {
                let id = &self.entry.id;
                let message = format!(
                    "the contract of {id} has the property `inverse_of` of {}, which is no kernel of the pack",
                    quoted(of)
                );
                return Err(Rejection::new(Code::ManifestInvalid, message).kernel(id));
            }
        }
        Ok(())
    }

    /// The kernel, after the pre-pass of its modules.
    fn inspected(self, manifest: &Manifest) -> Result<PackKernel, Rejection> {
        let Self {
            entry,
            base,
            variants: variant_bytes,
            contract,
        } = self;
        let facts = inspect(entry, &entry.file, &base, &entry.entry_point)?;
        let mut variants = Vec::new();
        for (variant, wasm) in entry.variants.iter().zip(variant_bytes) {
            variants.push(PackVariant {
                features: variant.features.clone(),
                sha256: variant.file.sha256,
                facts: inspect(entry, &variant.file, &wasm, &entry.entry_point)?,
                wasm,
            });
        }
        let mut reference = None;
        if let Some((file, wasm, entry_point)) = contract.reference {
            reference = Some(PackReference {
                facts: inspect(entry, &file, &wasm, &entry_point)?,
                wasm,
                entry_point,
            });
        }
        Ok(PackKernel {
            contract: contract.contract,
            reference,
            fallback: manifest.fallbacks.get(&entry.id).cloned(),
            entry: entry.clone(),
            wasm: base,
            facts,
            variants,
        })
    }
}

/// A kernel's contract, and the module that it names as a reference.
struct ReadContract {
    contract: Result<Contract, String>,
    reference: Option<(FileEntry, Arc<[u8]>, String)>,
}

fn read_contract(
    reader: &mut HashedReader<'_>,
    entry: &KernelEntry,
) -> Result<ReadContract, Error> {
    let contract = match &entry.contract {
        Some(ContractEntry::File(file)) => {
            let bytes = reader.read(file, &entry.id)?;
            let written = contract::read_file(&bytes, &file.path)
                .map_err(|rejection| rejection.kernel(&entry.id))?;
            contract::resolve(entry, Some(&written), &file.path)?
        }
        other => {
            let written = other.as_ref().and_then(ContractEntry::inline);
            contract::resolve(entry, written, MANIFEST_FILE)?
        }
    };
    let mut reference = None;
    for truth in contract.iter().flat_map(|contract| &contract.truth) {
        if let TruthSource::Reference(named) = truth {
            let bytes = reader.read(&named.file, &entry.id)?;
            reference = Some((named.file.clone(), bytes, named.entry_point.clone()));
        }
    }
    Ok(ReadContract {
        contract,
        reference,
    })
}

fn inspect(
    entry: &KernelEntry,
    file: &FileEntry,
    wasm: &[u8],
    entry_point: &str,
) -> Result<ModuleFacts, Rejection> {
    let rules = ModuleRules {
        entry_point,
        max_memory_pages: entry.limits.max_memory_pages,
        max_table_elements: entry.limits.max_table_elements,
    };
    let facts = inspect_module(wasm, &rules);
    let declared = facts.and_then(|facts| facts.check_state(&entry.state).map(|()| facts));
    declared.map_err(|rejection| {
        Rejection {
            message: format!("{}: {}", file.path, rejection.message),
            ..rejection
        }
        .kernel(&entry.id)
        .file(&file.path)
    })
}

fn check_unlisted(
    source: &Source,
    manifest: &Manifest,
    needed: &[&FileEntry],
) -> Result<(), Error> {
    let mut listed = BTreeSet::from([MANIFEST_FILE, SIGNATURE_FILE, SIGNATURES_FILE]);
    listed.extend(needed.iter().map(|file| file.path.as_str()));
    for kernel in &manifest.kernels {
        listed.insert(&kernel.file.path);
        if let Some(ContractEntry::File(file)) = &kernel.contract {
            listed.insert(&file.path);
        }
        listed.extend(
            kernel
                .variants
                .iter()
                .map(|variant| variant.file.path.as_str()),
        );
    }
    listed.extend(
        manifest
            .vectors
            .iter()
            .map(|entry| entry.file.path.as_str()),
    );
    listed.extend(
        manifest
            .artifacts
            .iter()
            .map(|entry| entry.file.path.as_str()),
    );
    match source.unlisted(&listed)? {
        Some(path) => {
            let shown = quoted(&path);
            let message =
                format!("the pack holds {shown}, which the manifest does not list; remove it");
            Err(Rejection::new(Code::UnlistedFile, message)
                .file(shown.trim_matches('"'))
                .into())
        }
        None => Ok(()),
    }
}

/// Reads listed files and compares their hashes.
struct HashedReader<'a> {
    source: &'a mut Source,
    total: u64,
}

impl HashedReader<'_> {
    fn read(&mut self, file: &FileEntry, kernel: &str) -> Result<Arc<[u8]>, Error> {
        let limit = LARGEST_FILE.min(LARGEST_PACK - self.total);
        let bytes = self.source.read(&file.path, limit).map_err(|error| {
            match refuse(error, &file.path, Code::KernelMissing, Code::FileTooLarge) {
                Error::Rejected(rejection) => rejection.kernel(kernel).into(),
                other => other,
            }
        })?;
        self.total += bytes.len() as u64;
        let found: [u8; 32] = Sha256::digest(&bytes).into();
        if found != file.sha256 {
            let message = format!(
                "{} has the hash sha256:{}, the manifest says sha256:{}",
                file.path,
                hex(&found),
                hex(&file.sha256)
            );
            return Err(Rejection::new(Code::HashMismatch, message)
                .kernel(kernel)
                .file(&file.path)
                .into());
        }
        Ok(bytes.into())
    }
}
