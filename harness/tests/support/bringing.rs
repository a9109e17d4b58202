//! Packs that bring compiled forms.

use super::{core_pack, json, pack_of, root};
use kernel_pack::{build::build_folder, sign::PackSigningKey, sign::sign_folder};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The kernel that such a pack has.
pub(crate) const KERNEL: &str = "rmsnorm_f32";
/// The target of `wasmtime.pulley` here.
pub(crate) const PULLEY: &str = if cfg!(target_pointer_width = "32") {
    "pulley32"
} else {
    "pulley64"
};

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs `assay aot`.
pub(crate) fn aot(
    pack: &Path,
    engine: &str,
    target: &str,
    out: &Path,
    more: &[&str],
) -> (i32, Value) {
    let mut arguments = vec!["aot", text(pack), "--engine", engine];
    arguments.extend(["--target", target, "--out", text(out)]);
    arguments.extend(more);
    json(&arguments)
}

/// The list of trusted keys that lies beside a pack.
fn trusted_keys(pack: &Path) -> PathBuf {
    pack.parent().unwrap().join("trusted_keys")
}

/// The base module of a kernel of the core pack.
pub(crate) fn module(kernel: &str) -> Vec<u8> {
    fs::read(core_pack().join(format!("kernels/{kernel}.wasm"))).unwrap()
}

/// A signed pack of one kernel that brings a file as a compiled form of it.
pub(crate) struct Bringing {
    folder: TempDir,
    pack: PathBuf,
    artifact: Value,
}

impl Bringing {
    /// A pack of `kernel` and `code`, which it says is for an engine, its version and a target.
    pub(crate) fn code(
        kernel: &str,
        (engine, version, target): (&str, &str, &str),
        code: &[u8],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pack = pack_of(folder.path(), kernel, &module(kernel), None);
        fs::create_dir(pack.join("aot")).unwrap();
        fs::write(pack.join("aot/code"), code).unwrap();
        let artifact = json!({
            "kernel": kernel,
            "engine": engine,
            "engine_version": version,
            "target": target,
            "path": "aot/code",
            "hash": "",
        });
        Self {
            folder,
            pack,
            artifact,
        }
    }

    /// A pack of `kernel` with what `assay aot` makes of `module` as a module of `kernel`: of its own, or of another one.
    pub(crate) fn compiled(engine: &str, target: &str, kernel: &str, module: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pack = pack_of(folder.path(), kernel, module, None);
        let out = folder.path().join("out");
        let (exit, document) = aot(&pack, engine, target, &out, &[]);
        assert_eq!(exit, 0, "{document}");
        let artifact = &document["artifacts"][0];
        let code = fs::read(out.join(artifact["path"].as_str().unwrap())).unwrap();
        let version = document["engine_version"].as_str().unwrap();
        Self::code(kernel, (engine, version, target), &code)
    }

    /// Builds and signs the pack with the artifact, this key of it changed, under a key that may or may not bring native code.
    pub(crate) fn sign(&self, change: Option<(&str, Value)>, allow_native: bool) {
        let template_file = self.folder.path().join("template.json");
        let mut template: Value =
            serde_json::from_slice(&fs::read(&template_file).unwrap()).unwrap();
        let mut artifact = self.artifact.clone();
        if let Some((key, value)) = change {
            artifact[key] = value;
        }
        template["artifacts"] = json!([artifact]);
        fs::write(&template_file, template.to_string()).unwrap();
        let key = PackSigningKey::read(&root().join("fixtures/keys/test.ed25519")).unwrap();
        build_folder(&self.pack, &template_file, Some(&key.public())).unwrap();
        sign_folder(&self.pack, &key, &[]).unwrap();
        let word = if allow_native { " allow-native" } else { "" };
        let line = format!("{}{word}\n", key.public());
        fs::write(trusted_keys(&self.pack), line).unwrap();
    }

    /// The form.
    pub(crate) fn form(&self) -> Vec<u8> {
        fs::read(self.pack.join("aot/code")).unwrap()
    }

    /// The version of the engine that the form says it is for.
    pub(crate) fn engine_version(&self) -> String {
        self.artifact["engine_version"].as_str().unwrap().to_owned()
    }

    /// Changes a byte of the form, after it was signed.
    pub(crate) fn spoil(&self) {
        let mut code = self.form();
        *code.last_mut().unwrap() ^= 1;
        fs::write(self.pack.join("aot/code"), code).unwrap();
    }

    /// The arguments of `conform` or `qualify` for two cases of each kind on an engine; results go to `out`.
    pub(crate) fn arguments(&self, command: &str, runtime: &str, out: &Path) -> Vec<String> {
        let trust = trusted_keys(&self.pack);
        let words = [
            command,
            text(&self.pack),
            "--trust",
            text(&trust),
            "--runtime",
            runtime,
            "--cases",
            "2",
            "--out",
            text(out),
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Runs `assay conform` on an engine.
    pub(crate) fn conform(&self, runtime: &str) -> (i32, Value) {
        self.run("conform", runtime, &[])
    }

    /// Runs a command on an engine, with more arguments.
    pub(crate) fn run(&self, command: &str, runtime: &str, more: &[&str]) -> (i32, Value) {
        let out = tempfile::tempdir().unwrap();
        let arguments = self.arguments(command, runtime, out.path());
        let words = arguments.iter().map(String::as_str);
        json(&words.chain(more.iter().copied()).collect::<Vec<_>>())
    }
}
