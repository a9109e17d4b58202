//! Packs that bring compiled forms, as a user meets them: what is loaded, what is judged, and what the verdict says.

use crate::support::{
    self, adapter, adapter_launch,
    bringing::{Bringing, KERNEL, PULLEY, module, text},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn notes(document: &Value) -> String {
    document["notes"].to_string()
}

/// The sums of a module: outcomes of its layers.
fn outcomes<'a>(document: &'a Value, variant: &str) -> Vec<&'a str> {
    let results = document["results"].as_array().unwrap().iter();
    results
        .filter(|entry| entry["case"].is_null())
        .filter(|entry| entry["variant"].as_str().unwrap().starts_with(variant))
        .map(|entry| entry["outcome"].as_str().unwrap())
        .collect()
}

fn native_code(engine: &Value) -> &Value {
    &engine["native_code_not_compared"]
}

fn the_form_of_a_module_is_loaded_whatever_its_key_may_do_and_judged_beside_it(
    engine: &str,
    target: &str,
    runtime: &str,
) {
    let bringing = Bringing::compiled(engine, target, KERNEL, &module(KERNEL));
    for allow_native in [false, true] {
        bringing.sign(None, allow_native);
        let (exit, document) = bringing.conform(runtime);
        assert_eq!(exit, 0, "{runtime}: {document}");
        let said = format!("{runtime} ran forms that the pack brings compiled: {KERNEL}");
        assert!(notes(&document).contains(&said), "{document}");
        assert!(!outcomes(&document, "base").is_empty());
        assert!(outcomes(&document, "form:").contains(&"pass"), "{document}");
        assert!(native_code(&document["engines"][0]).is_null(), "{document}");
    }
}

#[test]
fn the_form_for_pulley_is_loaded_and_judged_beside_its_module() {
    the_form_of_a_module_is_loaded_whatever_its_key_may_do_and_judged_beside_it(
        "wasmtime",
        PULLEY,
        "wasmtime.pulley",
    );
}

#[test]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    ignore = "needs wasmtime.cranelift, which this target has not"
)]
fn the_form_for_this_machine_is_loaded_and_judged_beside_its_module() {
    the_form_of_a_module_is_loaded_whatever_its_key_may_do_and_judged_beside_it(
        "wasmtime",
        std::env::consts::ARCH,
        "wasmtime.cranelift",
    );
}

/// A form that is wrong wherever it is run: of another kernel.
fn wrong() -> Bringing {
    Bringing::compiled("wasmtime", PULLEY, KERNEL, &module("swiglu_f32"))
}

#[test]
fn a_form_of_another_module_is_not_loaded_and_the_module_is_judged_without_it() {
    let bringing = wrong();
    bringing.sign(None, false);
    let (exit, document) = bringing.run("qualify", "wasmtime.pulley", &["--interruptions", "0"]);
    assert_eq!(exit, 0, "{document}");
    assert_eq!(document["verdict"], "qualified");
    let conform = &document["conform"];
    let notes = notes(conform);
    for said in [
        "did not load forms",
        KERNEL,
        "does not carry allow-native",
        "makes of the module",
    ] {
        assert!(notes.contains(said), "{notes}");
    }
    assert!(outcomes(conform, "base").contains(&"pass"));
    assert!(outcomes(conform, "form:").is_empty());
    assert!(native_code(&document["engines"][0]).is_null());
}

#[test]
fn a_form_of_another_module_that_is_believed_forbids_the_verdict() {
    let bringing = wrong();
    bringing.sign(None, true);
    let (exit, document) = bringing.run("qualify", "wasmtime.pulley", &["--interruptions", "0"]);
    assert_eq!(exit, 1, "{document}");
    assert_eq!(document["verdict"], "not-qualified");
    let reasons = document["engines"][0]["reasons"].to_string();
    assert!(
        reasons.contains(&format!("{KERNEL} (form:wasmtime-")),
        "{reasons}"
    );
    let conform = &document["conform"];
    let base = outcomes(conform, "base");
    assert!(
        base.contains(&"pass") && !base.contains(&"fail"),
        "the module itself holds: {base:?}"
    );
    assert!(outcomes(conform, "form:").contains(&"fail"));
    let code = &native_code(&document["engines"][0])[0];
    assert_eq!(
        (&code["kernel"], &code["differs"]),
        (&json!(KERNEL), &json!(true))
    );
    assert_eq!(code["judged"], "beside");

    // The command of a failure runs the form again.
    let results = conform["results"].as_array().unwrap();
    let repeat = results
        .iter()
        .filter(|entry| entry["case"] != "edge:module")
        .find_map(|entry| entry["repeat"].as_str())
        .unwrap();
    assert!(repeat.contains("--module form:wasmtime-"), "{repeat}");
    let words = shlex::split(repeat).unwrap();
    let out = tempfile::tempdir().unwrap();
    let status = support::assay()
        .args(&words[1..])
        .args(["--quiet", "--out", text(out.path())])
        .output()
        .unwrap();
    assert_eq!(status.status.code(), Some(1), "{repeat}");
}

/// Code of another wasmtime is taken by none: it is left, whoever signed it. The planted form is wrong, so that it shows if it is loaded.
#[test]
fn a_form_for_anything_else_is_not_loaded() {
    let bringing = wrong();
    for (key, value, said) in [
        ("engine_version", json!("48.0.7"), "48.0.7"),
        ("target", json!("x86_65"), "x86_65"),
        ("target", json!("pulley128"), "pulley128"),
        ("engine", json!("wamr"), ""),
        ("engine", json!("wasmtime.cranelift"), ""),
    ] {
        bringing.sign(Some((key, value.clone())), true);
        let (exit, document) = bringing.conform("wasmtime.pulley");
        assert_eq!(exit, 0, "{value}: {document}");
        let notes = notes(&document);
        assert!(
            !notes.contains("ran forms") && notes.contains(said),
            "{notes}"
        );
        assert!(native_code(&document["engines"][0]).is_null());
    }
    bringing.sign(None, true);
    let (exit, document) = bringing.conform("wasmi");
    assert_eq!(exit, 0, "{document}");
    let (exit, document) = bringing.conform("wasmtime.pulley");
    assert_eq!(exit, 1, "the planted form was not run: {document}");
}

#[test]
fn a_form_with_another_hash_rejects_the_pack() {
    for allow_native in [false, true] {
        let bringing = wrong();
        bringing.sign(None, allow_native);
        bringing.spoil();
        let (exit, document) = bringing.conform("wasmtime.pulley");
        assert_eq!(exit, 3, "{document}");
        assert_eq!(document["code"], "hash-mismatch", "{document}");
    }
}

/// Code for another engine that says it is for this one, or of another version that says it is of this one.
#[test]
fn a_form_that_an_engine_refuses_fails_the_kernel_and_only_where_it_is_believed() {
    let other = if PULLEY == "pulley64" {
        "pulley32"
    } else {
        "pulley64"
    };
    let bringing = Bringing::compiled("wasmtime", other, KERNEL, &module(KERNEL));
    for (allow_native, due) in [(false, 0), (true, 1)] {
        bringing.sign(Some(("target", json!(PULLEY))), allow_native);
        let (exit, document) = bringing.conform("wasmtime.pulley");
        assert_eq!(exit, due, "{document}");
    }
}

/// What `lying_adapter native` takes for compiled code of a module.
fn compiled(module: &[u8]) -> Vec<u8> {
    [b"compiled ".as_slice(), module].concat()
}

/// The same, after code that tries what it must not, in a folder.
fn escaping(folder: &Path, module: &[u8]) -> Vec<u8> {
    fs::write(folder.join("there"), "x").unwrap();
    let first = format!("escape to {}\n", text(folder));
    [first.as_bytes(), &compiled(module)].concat()
}

/// A pack whose form is for the adapters, in the version that they state.
fn stand_in(code: &[u8]) -> Bringing {
    let worker = assay_worker::Worker::start(&adapter_launch("native")).unwrap();
    let version = &worker.info().version;
    Bringing::code(KERNEL, ("liar", version, "anything"), code)
}

fn made_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn code_of_a_download_does_not_run_and_code_that_is_believed_reaches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bringing = stand_in(&escaping(folder.path(), &module(KERNEL)));
    let adapter = adapter("native");
    let more = ["--adapter", adapter.as_str()];
    bringing.sign(None, false);
    let (exit, document) = bringing.run("conform", "liar.native", &more);
    assert_eq!(exit, 0, "{document}");
    assert!(
        notes(&document).contains("did not load forms"),
        "{document}"
    );
    assert_eq!(made_in(folder.path()), ["there"]);

    bringing.sign(None, true);
    let (exit, document) = bringing.run("conform", "liar.native", &more);
    assert_eq!(exit, 0, "the code is right besides: {document}");
    let code = &native_code(&document["engines"][0])[0];
    assert_eq!(code["differs"], json!(true));
    let confinement = code["confinement"].as_str().unwrap();
    if confinement.starts_with("not confined") {
        println!("this system confines no worker: {confinement}");
        assert_eq!(made_in(folder.path()), ["made", "written"]);
    } else {
        assert_eq!(made_in(folder.path()), ["there"], "{confinement}");
    }
}

/// The engine compiles nothing on this machine: then the form is judged in the module's place, and the verdict says so.
#[test]
fn where_nothing_can_be_compiled_nothing_is_compared() {
    let bringing = stand_in(&compiled(&module("swiglu_f32")));
    let adapter = adapter("native-elsewhere");
    let more = ["--adapter", adapter.as_str()];
    bringing.sign(None, false);
    let (exit, document) = bringing.run("conform", "liar.native-elsewhere", &more);
    assert_eq!(exit, 0, "{document}");
    let of_engine = native_code(&document["engines"][0]).as_array().unwrap();
    assert_eq!(
        of_engine.len(),
        1,
        "only what the engine has from elsewhere: {of_engine:?}"
    );
    assert_eq!(of_engine[0]["kernel"], "*");

    bringing.sign(None, true);
    let (exit, document) = bringing.run("conform", "liar.native-elsewhere", &more);
    assert_eq!(exit, 1, "the wrong form was not run: {document}");
    let code = &native_code(&document["engines"][0])[0];
    assert_eq!(
        (&code["differs"], &code["judged"]),
        (&json!(false), &json!("instead"))
    );
    assert!(
        code["reason"].as_str().unwrap().contains("no compiler"),
        "{code}"
    );
    assert!(outcomes(&document, "form:").is_empty());
    assert!(outcomes(&document, "base").contains(&"fail"));
}

/// The form is right, and not what the engine makes: the verdict holds, and all that is read of it says on what it rests.
#[test]
fn the_verdict_says_everywhere_that_it_rests_on_native_code() {
    let folder = tempfile::tempdir().unwrap();
    for (behaviour, said) in [
        ("native", "native code that differs"),
        ("native-elsewhere", "native code that was not compared"),
    ] {
        let code = escaping(folder.path(), &module(KERNEL));
        let bringing = stand_in(&code);
        bringing.sign(None, true);
        let out = folder.path().join(behaviour);
        let runtime = format!("liar.{behaviour}");
        let output = support::assay()
            .args(bringing.arguments("qualify", &runtime, &out))
            .args(["--adapter", &adapter(behaviour), "--interruptions", "0"])
            .output()
            .unwrap();
        let terminal = String::from_utf8(output.stdout).unwrap();
        let last = terminal.trim_end().lines().next_back().unwrap();
        assert!(last.contains("qualified"), "{terminal}");
        for words in [said, &runtime, KERNEL, "confined"] {
            assert!(last.contains(words), "{words}: {last}");
        }
        for file in ["index.html", "summary.md", "junit.xml"] {
            let report = fs::read_to_string(out.join("report").join(file)).unwrap();
            assert!(report.contains(said), "{file}: {report}");
        }
        for (file, engines) in [("qualify.json", "/engines"), ("conform.json", "/engines")] {
            let document: Value =
                serde_json::from_slice(&fs::read(out.join(file)).unwrap()).unwrap();
            let code = &native_code(&document.pointer(engines).unwrap()[0])[0];
            assert_eq!(code["kernel"], KERNEL, "{file}: {code}");
            assert_eq!(code["engine"], "liar");
            assert_eq!(code["target"], "anything");
            assert!(!code["reason"].as_str().unwrap().is_empty());
        }
    }
}

/// What a worker can do before it was asked to give it up, and after.
#[test]
fn a_confined_worker_can_do_nothing_but_run_code() {
    use assay_worker::Worker;
    use runtime_api::{BudgetKind, Limits, Options};
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::None,
    };
    let folder = tempfile::tempdir().unwrap();
    let attempts = |worker: &mut Worker| -> Vec<(String, bool)> {
        for left in ["made", "written"] {
            let left = folder.path().join(left);
            if left.is_dir() {
                fs::remove_dir(left).unwrap();
            } else if left.exists() {
                fs::remove_file(left).unwrap();
            }
        }
        let error = worker
            .load_code(b"", &escaping(folder.path(), b""), &options)
            .unwrap_err()
            .to_string();
        let lines = error.lines().filter_map(|line| line.rsplit_once(": "));
        lines
            .map(|(what, came)| {
                // The engine's words stand before those of the first.
                let what = what.rsplit(": ").next().unwrap_or(what);
                (what.to_owned(), came == "done")
            })
            .collect()
    };
    let mut worker = Worker::start(&adapter_launch("native")).unwrap();
    let before = attempts(&mut worker);
    assert_eq!(before.len(), 10, "{before:?}");
    // Root alone may look at others.
    let undone = before
        .iter()
        .filter(|(what, done)| !done && !what.contains("others"));
    assert_eq!(
        undone.count(),
        0,
        "without confinement all of it works: {before:?}"
    );

    let confinement = worker.confine().unwrap();
    let after = attempts(&mut worker);
    let holds = confinement.holds.join(" ");
    println!("{}", confinement.words());
    for (what, done) in &after {
        let allowed = what.contains("itself") || what.contains("thread");
        let due = allowed
            || !match what.as_str() {
                what if what.contains("read") || what.contains("others") => {
                    holds.contains("Landlock")
                }
                what if what.contains("send") => holds.contains("seccomp"),
                _ => !holds.is_empty(),
            };
        assert_eq!(*done, due, "{what}: {}", confinement.words());
    }
}

/// Machine code that makes the folder `escaped` where it runs, in the place of `kernel_cleanup` in a form of WAMR for x86_64: it begins behind the
/// relocation of the first instruction that reads memory, with the same stack, and returns 0 as the function does.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn with_native_escape(mut form: Vec<u8>) -> Vec<u8> {
    // lea rax, [rsp+4]; sub rax, rcx; jb; cmp rax, [rdi+32]; jb; xor eax, eax; pop rcx; ret
    const RETURNS_0: &[u8] =
        b"\x48\x8d\x44\x24\x04\x48\x29\xc8\x72\x0a\x48\x3b\x47\x20\x72\x04\x31\xc0\x59\xc3";
    // mov rdi, "escaped\0"; push rdi; push rsp; pop rdi; xor esi, esi; push 83 (mkdir); pop rax; syscall; pop rax; pop rcx; xor eax, eax; ret
    const ESCAPES: &[u8] =
        b"\x48\xbfescaped\0\x57\x54\x5f\x31\xf6\x6a\x53\x58\x0f\x05\x58\x59\x31\xc0\xc3";
    let found: Vec<usize> = form
        .windows(RETURNS_0.len())
        .enumerate()
        .filter_map(|(at, code)| (code == RETURNS_0).then_some(at))
        .collect();
    let [at] = found.as_slice() else {
        panic!("the compiler makes something else of `kernel_cleanup`: {found:?}");
    };
    form[*at..at + ESCAPES.len()].copy_from_slice(ESCAPES);
    form
}

/// The form is of the kernel's variant with SIMD: right, and not what the engine makes of the base module. All that an engine does with
/// loaded code it can do in a worker that gave up its rights.
fn a_right_form_that_differs_passes_all_layers_in_a_confined_worker(target: &str, runtime: &str) {
    const SIMD: &str = "swiglu_f32";
    let variant = module(&format!("{SIMD}.simd"));
    let bringing = Bringing::compiled("wasmtime", target, SIMD, &variant);
    bringing.sign(None, true);
    let (exit, document) = bringing.conform(runtime);
    assert_eq!(exit, 0, "{runtime}: {document}");
    assert!(outcomes(&document, "form:").contains(&"pass"), "{document}");
    let code = &native_code(&document["engines"][0])[0];
    assert_eq!(code["differs"], json!(true));
    println!("{runtime}: {}", code["confinement"]);
}

#[test]
fn a_right_form_for_pulley_that_differs_passes_in_a_confined_worker() {
    a_right_form_that_differs_passes_all_layers_in_a_confined_worker(PULLEY, "wasmtime.pulley");
}

#[test]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    ignore = "needs wasmtime.cranelift, which this target has not"
)]
fn a_right_form_for_this_machine_that_differs_passes_in_a_confined_worker() {
    a_right_form_that_differs_passes_all_layers_in_a_confined_worker(
        std::env::consts::ARCH,
        "wasmtime.cranelift",
    );
}

mod needs_wamrc {
    use super::*;

    #[test]
    #[ignore = "needs assay-wamrc beside assay"]
    fn the_form_for_this_machine_is_loaded_and_judged_beside_its_module() {
        super::the_form_of_a_module_is_loaded_whatever_its_key_may_do_and_judged_beside_it(
            "wamr",
            std::env::consts::ARCH,
            "wamr.aot",
        );
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    #[ignore = "needs assay-wamrc beside assay"]
    fn machine_code_that_calls_the_system_runs_nowhere_by_default_and_reaches_nothing_where_it_is_believed()
     {
        use assay_worker::{InstanceChoice, Launch, Worker};
        use runtime_api::{Budget, BudgetKind, Limits, Options};
        use runtime_call::{Call, Invocation};
        // Its `kernel_cleanup` is laid out as `with_native_escape` looks for it.
        const KERNEL: &str = "swiglu_f32";
        let honest = Bringing::compiled("wamr", "x86_64", KERNEL, &module(KERNEL));
        let form = with_native_escape(honest.form());
        let version = honest.engine_version();
        let bringing = Bringing::code(KERNEL, ("wamr", &version, "x86_64"), &form);
        for allow_native in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let here = folder.path().join("here");
            fs::create_dir(&here).unwrap();
            bringing.sign(None, allow_native);
            let out = folder.path().join("out");
            let output = support::assay()
                .current_dir(&here)
                .args(bringing.arguments("conform", "wamr.aot", &out))
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(0), "{said}");
            assert_eq!(said.contains("native code that differs"), allow_native);
            if !said.contains("not confined") {
                assert_eq!(made_in(&here), [""; 0], "{said}");
            }
        }

        // The code does what it is said to where nothing holds it.
        let beside = |name| Path::new(env!("CARGO_BIN_EXE_assay")).with_file_name(name);
        for confined in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let script = format!(
                "cd {} && exec {} wamr.aot {}",
                text(folder.path()),
                text(&beside("assay-wamr")),
                text(&beside("assay-wamrc")),
            );
            let mut worker = Worker::start(&Launch {
                id: "wamr.aot".to_owned(),
                program: "sh".into(),
                folder: None,
                arguments: vec!["-c".into(), script.into()],
                states_id: true,
                time_limit: None,
                stated: Default::default(),
            })
            .unwrap();
            if confined && worker.confine().unwrap().holds.is_empty() {
                println!("this system confines no worker");
                continue;
            }
            let options = Options {
                limits: Limits::default(),
                metering: BudgetKind::None,
            };
            let loaded = worker.load_code(&module(KERNEL), &form, &options).unwrap();
            let call = Call {
                export: "kernel_cleanup".to_owned(),
                arguments: Vec::new(),
                budget: Budget::None,
            };
            let invocation = Invocation {
                pages: 0,
                writes: Vec::new(),
                calls: vec![call],
                reads: Vec::new(),
            };
            let time = std::time::Duration::from_secs(10);
            worker
                .run(
                    loaded,
                    InstanceChoice::Fresh,
                    Budget::None,
                    invocation,
                    time,
                )
                .unwrap();
            assert_eq!(folder.path().join("escaped").exists(), !confined);
        }
    }
}
