//! What the tests on the real binary share.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping"
)]

pub(crate) mod bringing;
pub(crate) mod hostile;
#[path = "../../../kernels/pack/tests/support/mod.rs"]
mod packs;

use assay_worker::Launch;
use assert_cmd::Command;
use kernel_pack::{
    ModuleRules, build::build_folder, inspect_module, sign::PackSigningKey, sign::sign_folder,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tempfile::TempDir;

/// Whether all is asked of all, which takes many minutes: every night.
pub(crate) fn thorough() -> bool {
    std::env::var_os("ASSAY_THOROUGH").is_some()
}

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The signed core pack.
pub(crate) fn core_pack() -> PathBuf {
    root().join("fixtures/packs/core")
}

/// Makes the broken packs in `folder`, one folder for each defect, with their trust lists; gives the index.
pub(crate) fn broken_packs(folder: &Path) -> Value {
    packs::defects::write_all(folder)
}

/// A command that starts an executable of this build: where it is built for another machine, by what `ASSAY_RUNNER` says. It runs
/// for a user who trusts the test key: most tests are about something else than trust.
pub(crate) fn command(program: &str) -> std::process::Command {
    static HOME: LazyLock<Home> = LazyLock::new(|| {
        let home = Home::new();
        fs::create_dir_all(home.store().parent().unwrap()).unwrap();
        // A link, not a copy: then the list that lies beside the core pack is this user's own, and no note is due.
        std::os::unix::fs::symlink(test_keys(), home.store()).unwrap();
        home
    });
    HOME.command(program)
}

/// The list with the test key, which signs the core pack.
pub(crate) fn test_keys() -> PathBuf {
    root().join("fixtures/packs/trusted_keys")
}

/// Folders in the place of a user's configuration and state: no test reads or writes those of whoever runs it.
pub(crate) struct Home(TempDir);

impl Home {
    /// Of a user who trusts nobody and has seen nothing.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    /// Of a user with this trust store.
    pub(crate) fn trusting(list: &str) -> Self {
        let home = Self::new();
        fs::create_dir_all(home.store().parent().unwrap()).unwrap();
        fs::write(home.store(), list).unwrap();
        home
    }

    /// The trust store, which may not be there.
    pub(crate) fn store(&self) -> PathBuf {
        self.0.path().join("config/assay/trusted_keys")
    }

    /// The record of versions seen, which may not be there.
    pub(crate) fn seen(&self) -> PathBuf {
        self.0.path().join("state/assay/seen.json")
    }

    /// A command of this user that starts an executable of this build.
    pub(crate) fn command(&self, program: &str) -> std::process::Command {
        let launch = Launch::own("test", program.into(), &[]).unwrap();
        let mut command = std::process::Command::new(launch.program);
        command
            .args(launch.arguments)
            .env("XDG_CONFIG_HOME", self.0.path().join("config"))
            .env("XDG_STATE_HOME", self.0.path().join("state"));
        command
    }

    /// The binary under test, run by this user.
    pub(crate) fn assay(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_assay")).into()
    }
}

/// The binary under test.
pub(crate) fn assay() -> Command {
    command(env!("CARGO_BIN_EXE_assay")).into()
}

/// The same, run by a user who trusts nobody.
pub(crate) fn assay_without_trust() -> Command {
    static HOME: LazyLock<Home> = LazyLock::new(Home::new);
    HOME.assay()
}

/// The example that is an adapter with a behaviour of choice, as `--adapter` takes it.
pub(crate) fn adapter(behaviour: &str) -> String {
    adapter_with(&[behaviour])
}

/// The same with what the behaviour takes besides.
pub(crate) fn adapter_with(words: &[&str]) -> String {
    let (launch, behaviour) = (adapter_launch_with(words), words[0]);
    let words = std::iter::once(launch.program.to_str().unwrap())
        .chain(launch.arguments.iter().map(|word| word.to_str().unwrap()));
    format!("liar.{behaviour}={}", shlex::try_join(words).unwrap())
}

/// One as a worker to start.
pub(crate) fn adapter_launch(behaviour: &str) -> Launch {
    adapter_launch_with(&[behaviour])
}

/// The same with what the behaviour takes besides.
pub(crate) fn adapter_launch_with(words: &[&str]) -> Launch {
    let program = Path::new(env!("CARGO_BIN_EXE_assay"))
        .parent()
        .unwrap()
        .join("examples/lying_adapter");
    assert!(
        program.exists(),
        "{} is missing: `cargo test` builds examples, a narrower command may not",
        program.display()
    );
    Launch {
        states_id: false,
        ..Launch::own(words[0], program, words).unwrap()
    }
}

/// Runs `assay ARGUMENTS --json` and gives the exit code and the document.
pub(crate) fn json(arguments: &[&str]) -> (i32, Value) {
    let output = assay()
        .args(arguments)
        .args(["--json", "--quiet"])
        .output()
        .unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{arguments:?}: {error}\nstdout: {}\nstderr: {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (output.status.code().unwrap(), document)
}

/// Makes a signed pack of one kernel of the core pack, its vectors included, with `module` in place of its own, and
/// `variant`, if there is one, in place of its variant for `simd`.
/// The pack lies in `folder`, and is signed with the test key; gives its path.
pub(crate) fn pack_of(
    folder: &Path,
    kernel: &str,
    module: &[u8],
    variant: Option<&[u8]>,
) -> PathBuf {
    pack_with(folder, kernel, module, variant, |_| ())
}

/// The same, with a manifest entry of the kernel that `change` has changed.
pub(crate) fn pack_with(
    folder: &Path,
    kernel: &str,
    module: &[u8],
    variant: Option<&[u8]>,
    change: impl FnOnce(&mut Value),
) -> PathBuf {
    let template = fs::read(root().join("fixtures/packs/core.template.json")).unwrap();
    let mut template: Value = serde_json::from_slice(&template).unwrap();
    let keep = |list: &mut Value, key: &str| {
        list.as_array_mut()
            .unwrap()
            .retain(|entry| entry[key] == kernel);
    };
    keep(&mut template["kernels"], "id");
    keep(&mut template["vectors"], "kernel");
    template["fallbacks"]
        .as_object_mut()
        .unwrap()
        .retain(|id, _| id == kernel);

    let pack = folder.join("pack");
    fs::create_dir_all(pack.join("kernels")).unwrap();
    // What a module can change outside of its memory is declared, so that what it does is judged and not what it may do.
    let rules = ModuleRules {
        entry_point: "kernel_forward",
        max_memory_pages: 65_536,
        max_table_elements: 65_536,
    };
    if let Ok(facts) = inspect_module(module, &rules)
        && !facts.state.is_empty()
    {
        let declared = facts.state.iter().map(|state| state.as_str());
        template["kernels"][0]["state"] = declared.collect();
    }
    match variant {
        Some(variant) => {
            fs::write(pack.join(format!("kernels/{kernel}.simd.wasm")), variant).unwrap();
        }
        None => template["kernels"][0]["variants"] = Value::Array(Vec::new()),
    }
    change(&mut template["kernels"][0]);
    fs::create_dir_all(pack.join("vectors")).unwrap();
    fs::write(pack.join(format!("kernels/{kernel}.wasm")), module).unwrap();
    let vectors = format!("vectors/{kernel}.json");
    fs::copy(core_pack().join(&vectors), pack.join(&vectors)).unwrap();
    let template_file = folder.join("template.json");
    fs::write(&template_file, template.to_string()).unwrap();

    let key = PackSigningKey::read(&root().join("fixtures/keys/test.ed25519")).unwrap();
    build_folder(&pack, &template_file, Some(&key.public())).unwrap();
    sign_folder(&pack, &key, &[]).unwrap();
    pack
}

/// A kernel's module with instructions in front of those of `kernel_forward`, and fields behind all others.
pub(crate) fn with_prologue(module: &[u8], code: &str, fields: &str) -> Vec<u8> {
    let text = wasmprinter::print_bytes(module).unwrap();
    let function = text.find("(func $kernel_forward").unwrap_or_else(|| {
        let export = text.find(r#"(export "kernel_forward" (func "#).unwrap();
        let number: String = text[export..]
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        text.find(&format!("(func (;{number};)")).unwrap()
    });
    let line_end = |from: usize| from + text[from..].find('\n').unwrap();
    let header = line_end(function);
    // Locals, if there are any, stand before all instructions.
    let end = match text[header..].trim_start().starts_with("(local ") {
        true => line_end(header + 1),
        false => header,
    };
    let module_end = text.rfind(')').unwrap();
    let (before, after) = (&text[..end], &text[end..module_end]);
    wat::parse_str(format!("{before}\n{code}\n{after}\n{fields})")).unwrap()
}

/// How the function `kernel_forward` of a module is called in its text.
pub(crate) fn forward_of(module: &[u8]) -> String {
    let text = wasmprinter::print_bytes(module).unwrap();
    let export = r#"(export "kernel_forward" (func "#;
    let from = text.find(export).unwrap() + export.len();
    text[from..].split(')').next().unwrap().to_owned()
}

/// Layers that fail, of the sums of a conformance document, with one of their details.
pub(crate) fn failing_layers(document: &Value, runtime: &str) -> Vec<(String, String)> {
    document["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| {
            entry["case"].is_null() && entry["runtime"] == runtime && entry["outcome"] == "fail"
        })
        .map(|entry| {
            (
                entry["layer"].as_str().unwrap().to_owned(),
                entry["detail"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}
