//! The packs of the scenarios: that of the user under other versions, with a kernel exchanged, or broken, all signed with a key of the run.

use super::CheckError;
use crate::conform::{cases, standard::Standard};
use kernel_cases::case::{Case, Entry};
use kernel_pack::{
    Code, MANIFEST_FILE, Pack, PackKernel, SIGNATURE_FILE,
    build::build_folder,
    sign::{PackSigningKey, sign_folder},
};
use runtime_host::Tensors;
use serde_json::Value;
use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// What the exchanged kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// It is the pack's own.
    Own,
    /// Says that all is well and writes nothing.
    Silent,
    /// Traps. The pack has no vectors for it, or it would not pass its health check.
    Traps,
    /// Never ends. As above.
    Loops,
}

/// A call whose answer is known to be given.
pub(super) struct Question {
    pub(super) kernel: String,
    case: Case,
}

impl Question {
    pub(super) fn tensors(&self) -> Tensors<'_> {
        self.case.tensors()
    }
}

/// Where the packs come from and go to.
pub(super) struct Packs {
    folder: TempDir,
    source: PathBuf,
    manifest: Value,
    signing_key: PackSigningKey,
    pub(super) question: Question,
    /// Whether the pack has vectors for the kernel that is called.
    pub(super) has_vectors: bool,
}

fn failed(error: impl Display) -> CheckError {
    CheckError::Packs(error.to_string())
}

impl Packs {
    /// Of a verified pack in a folder.
    pub(super) fn of(source: &Path, pack: &Pack) -> Result<Self, CheckError> {
        if !source.is_dir() {
            return Err(failed(format_args!(
                "{} is not a folder; unpack the archive first",
                source.display()
            )));
        }
        let bytes = fs::read(source.join(MANIFEST_FILE)).map_err(failed)?;
        let question = question(pack)?;
        let has_vectors = pack
            .vectors()
            .iter()
            .any(|vector| vector.kernel() == question.kernel);
        Ok(Self {
            folder: tempfile::tempdir().map_err(failed)?,
            source: source.to_owned(),
            manifest: serde_json::from_slice(&bytes).map_err(failed)?,
            signing_key: PackSigningKey::generate().map_err(failed)?,
            question,
            has_vectors,
        })
    }

    /// The key that signs them.
    pub(super) fn key(&self) -> String {
        self.signing_key.public()
    }

    /// A pack of version `number` of the run, with this kernel.
    pub(super) fn pack(&self, number: u32, habit: Habit) -> Result<PathBuf, CheckError> {
        let folder = self.folder.path().join(format!("{number}-{habit:?}"));
        if folder.exists() {
            return Ok(folder);
        }
        copy(&self.source, &folder).map_err(failed)?;
        let mut manifest = self.manifest.clone();
        manifest["version"] = format!("{number}.0.0").into();
        let text = match habit {
            Habit::Own => None,
            Habit::Silent => Some("(i32.const 0)"),
            Habit::Traps => Some("unreachable"),
            Habit::Loops => Some("(loop $again (br $again)) unreachable"),
        };
        if let Some(text) = text {
            self.exchange(&folder, &mut manifest, text, habit != Habit::Silent)?;
        }
        let template = self.folder.path().join("template.json");
        fs::write(&template, manifest.to_string()).map_err(failed)?;
        build_folder(&folder, &template, Some(&self.key())).map_err(failed)?;
        sign_folder(&folder, &self.signing_key, &[]).map_err(failed)?;
        Ok(folder)
    }

    /// Puts a module whose entry does `code` in the place of the kernel's.
    fn exchange(
        &self,
        folder: &Path,
        manifest: &mut Value,
        code: &str,
        without_vectors: bool,
    ) -> Result<(), CheckError> {
        let id = self.question.kernel.as_str();
        let entries = manifest
            .get_mut("kernels")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten();
        let Some(entry) = entries.into_iter().find(|entry| entry["id"] == id) else {
            return Err(failed(format_args!("the manifest has no kernel {id}")));
        };
        let word = |value: &Value| value.as_str().map(str::to_owned);
        let (Some(path), Some(export)) = (word(&entry["path"]), word(&entry["entry_point"])) else {
            return Err(failed(format_args!(
                "kernel {id} has no path or entry_point"
            )));
        };
        let wasm = wat::parse_str(stand_in(&export, code)).map_err(failed)?;
        fs::write(folder.join(path), wasm).map_err(failed)?;
        let mut gone = Vec::new();
        if let Some(variants) = entry.get_mut("variants").and_then(Value::as_array_mut) {
            gone.append(variants);
        }
        for list in ["artifacts", "vectors"] {
            let goes =
                |one: &Value| one["kernel"] == id && (list == "artifacts" || without_vectors);
            if let Some(all) = manifest.get_mut(list).and_then(Value::as_array_mut) {
                gone.extend(all.iter().filter(|one| goes(one)).cloned());
                all.retain(|one| !goes(one));
            }
        }
        // What no entry lists may not be there.
        let files = gone.iter().filter_map(|one| one["path"].as_str());
        files
            .map(|file| folder.join(file))
            .try_for_each(fs::remove_file)
            .map_err(failed)
    }

    /// Packs with one thing broken each, and the code with which they have to be refused.
    pub(super) fn broken(&self) -> Result<Vec<(&'static str, PathBuf, Code)>, CheckError> {
        type Break = fn(&Path, &str) -> std::io::Result<()>;
        let ways: [(&'static str, Code, Break); 5] = [
            ("no-signature", Code::SignatureMissing, |pack, _| {
                fs::remove_file(pack.join(SIGNATURE_FILE))
            }),
            ("changed-manifest", Code::NoTrustedKey, |pack, _| {
                let path = pack.join(MANIFEST_FILE);
                let mut bytes = fs::read(&path)?;
                bytes.push(b'\n');
                fs::write(path, bytes)
            }),
            ("changed-module", Code::HashMismatch, |pack, module| {
                let path = pack.join(module);
                let mut bytes = fs::read(&path)?;
                bytes.push(0);
                fs::write(path, bytes)
            }),
            ("missing-module", Code::KernelMissing, |pack, module| {
                fs::remove_file(pack.join(module))
            }),
            ("unlisted-file", Code::UnlistedFile, |pack, _| {
                fs::write(pack.join("unlisted"), "")
            }),
        ];
        let good = self.pack(2, Habit::Own)?;
        let entries = self.manifest["kernels"].as_array().into_iter().flatten();
        let module = entries
            .into_iter()
            .find(|entry| entry["id"] == self.question.kernel.as_str());
        let module = module
            .and_then(|entry| entry["path"].as_str())
            .unwrap_or_default();
        let made = ways.into_iter().map(|(name, code, way)| {
            let folder = self.folder.path().join(name);
            copy(&good, &folder)
                .and_then(|()| way(&folder, module))
                .map_err(failed)?;
            Ok((name, folder, code))
        });
        made.collect()
    }
}

/// A kernel with a call that it answers: of the pack's vectors, else of what its contract gives.
fn question(pack: &Pack) -> Result<Question, CheckError> {
    for kernel in pack.kernels() {
        if let Some(case) = calls(pack, kernel).into_iter().find(is_ordinary) {
            let kernel = kernel.id().to_owned();
            return Ok(Question { kernel, case });
        }
    }
    Err(CheckError::NoCall(
        "none has vectors, or a contract from which calls could be drawn".to_owned(),
    ))
}

fn calls(pack: &Pack, kernel: &PackKernel) -> Vec<Case> {
    let standard = Standard::of(kernel, &[]);
    let mut calls = cases::vectors_of(pack, kernel.id(), &standard).unwrap_or_default();
    if calls.is_empty() {
        calls = cases::fixed(&standard, 1, 20);
    }
    calls
}

fn is_ordinary(case: &Case) -> bool {
    case.entry == Entry::Forward && case.expects_output() && case.tweaks.is_empty()
}

/// A module with the exports of the ABI whose entry does `code`.
fn stand_in(entry: &str, code: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1)
  (global (export "__heap_base") i32 (i32.const 1024))
  (func (export "kernel_init") (param i32 i32) (result i32) (i32.const 0))
  (func (export "kernel_info") (param i32) (result i32) (i32.const 5))
  (func (export "kernel_cleanup") (result i32) (i32.const 0))
  (func (export "{entry}") (param i32) (result i32) {code}))"#
    )
}

/// Copies a folder of plain files.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type()?.is_dir() {
            true => copy(&source, &target)?,
            false => fs::copy(&source, &target).map(drop)?,
        }
    }
    Ok(())
}
