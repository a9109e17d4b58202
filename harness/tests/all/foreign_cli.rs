//! Kernels that are not of this source, as `assay conform` judges them: by their contracts, each with the strength of its truth; and their planted
//! faults, by truth and, with the truth taken away, by properties alone.

use crate::support::{json, root, thorough, with_prologue};
use kernel_pack::{build::build_folder, sign::PackSigningKey, sign::sign_folder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Kernels whose truth needs no program beside `assay`, and its strength.
const ALONE: [(&str, &str); 7] = [
    ("rmsnorm_eight", "independent"),
    ("swiglu_other_exp", "independent"),
    ("fused_add_rmsnorm", "own"),
    ("gemma_rmsnorm", "own"),
    ("dot", "own"),
    ("silu_and_mul", "own"),
    ("quantize_rows_i8", "own"),
];
/// Generated cases, where edge cases find what there is; and where chance has to. With the seed of these tests 16 have the logits of softmax
/// that overflow an exponential.
const FEW: &str = "2";
const MANY: &str = "16";
/// Most faults of a kernel.
const FAULTS: u64 = 6;

fn packs() -> PathBuf {
    root().join("fixtures/packs")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The foreign pack with some kernels changed: each has a module, a contract and so many vectors of choice.
pub(crate) struct Variation<'a> {
    pub(crate) kernels: Vec<&'a str>,
    pub(crate) module: &'a dyn Fn(&str) -> PathBuf,
    /// Whether the contracts say what is right.
    pub(crate) truth: bool,
    pub(crate) vectors: usize,
}

impl Variation<'_> {
    /// Makes the pack in `folder`, signed with the test key.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let pack = folder.join("pack");
        copy(&packs().join("foreign"), &pack);
        // The template stays text: the order of parameters is that of their struct.
        let mut template = fs::read_to_string(packs().join("foreign.template.json")).unwrap();
        if self.vectors == 0 {
            fs::remove_dir_all(pack.join("vectors")).unwrap();
            let list = template.find(r#""vectors": ["#).unwrap();
            template.truncate(list);
            template += r#""vectors": [] }"#;
        }
        for kernel in &self.kernels {
            let file =
                |kind: &str, extension: &str| pack.join(format!("{kind}/{kernel}.{extension}"));
            fs::copy((self.module)(kernel), file("kernels", "wasm")).unwrap();
            if !self.truth {
                let mut contract = read(&file("contracts", "json"));
                let fields = contract.as_object_mut().unwrap();
                fields.remove("truth");
                if fields.remove("definition").is_some() {
                    // The definition is truth too; it had the tolerance.
                    contract["tolerance"] = json!({"rel": 1e-6, "abs": 1e-37});
                }
                fs::write(file("contracts", "json"), contract.to_string()).unwrap();
                // Nothing may lie in the pack that is not listed.
                let _ = fs::remove_file(file("reference", "wasm"));
            }
            let vectors = file("vectors", "json");
            if vectors.exists() {
                let mut all = read(&vectors);
                all["cases"].as_array_mut().unwrap().truncate(self.vectors);
                fs::write(&vectors, all.to_string()).unwrap();
            }
        }
        let file = folder.join("template.json");
        fs::write(&file, template).unwrap();
        let key = PackSigningKey::read(&root().join("fixtures/keys/test.ed25519")).unwrap();
        build_folder(&pack, &file, Some(&key.public())).unwrap();
        sign_folder(&pack, &key, &[]).unwrap();
        pack
    }

    /// Makes the pack, and has its changed kernels judged: exit code and document.
    fn conform(&self, cases: &str) -> (i32, Value) {
        let folder = tempfile::tempdir().unwrap();
        let pack = self.write(folder.path());
        let mut arguments = Vec::new();
        for kernel in &self.kernels {
            arguments.extend(["--kernel", kernel]);
        }
        conform(&pack, cases, &arguments)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The module as the pack has it.
pub(crate) fn right(kernel: &str) -> PathBuf {
    packs().join(format!("foreign/kernels/{kernel}.wasm"))
}

/// Exit code and document of `assay conform`.
fn conform(pack: &Path, cases: &str, further: &[&str]) -> (i32, Value) {
    let out = tempfile::tempdir().unwrap();
    let mut arguments = vec!["conform", pack.to_str().unwrap()];
    arguments.extend([
        "--runtime",
        "wasmtime.cranelift",
        "--cases",
        cases,
        "--seed",
        "2",
    ]);
    arguments.extend(["--out", out.path().to_str().unwrap()]);
    arguments.extend(further);
    json(&arguments)
}

/// Layers in which a kernel fails, as text: `L4 L7`.
fn failing(document: &Value, kernel: &str) -> String {
    let entries = document["results"].as_array().unwrap().iter();
    let mut layers: Vec<&str> = entries
        .filter(|entry| entry["kernel"] == kernel && entry["case"].is_null())
        .filter(|entry| entry["outcome"] == "fail")
        .map(|entry| entry["layer"].as_str().unwrap())
        .collect();
    layers.sort_unstable();
    layers.dedup();
    layers.join(" ")
}

fn truth<'a>(document: &'a Value, kernel: &str) -> &'a Value {
    let mut truths = document["truths"].as_array().unwrap().iter();
    truths.find(|truth| truth["kernel"] == kernel).unwrap()
}

/// That each kernel passes on a compiler and on an interpreter, by a truth of this strength alone.
fn judged_by(kernels: &[(&str, &str)]) -> Value {
    let mut further = vec!["--runtime", "wasmi"];
    for (kernel, _) in kernels {
        further.extend(["--kernel", kernel]);
    }
    let (exit, document) = conform(&packs().join("foreign"), MANY, &further);
    assert_eq!(exit, 0, "{document:#}");
    for (kernel, strength) in kernels {
        let truth = truth(&document, kernel);
        assert!(truth["unjudged"].is_null(), "{truth:#}");
        let enough = |asked: &Value| asked["cases"].as_u64().unwrap() >= 32;
        let sources = truth["sources"].as_array().unwrap();
        assert!(
            sources.iter().any(enough)
                && sources.iter().all(|asked| asked["strength"] == *strength),
            "{truth:#}"
        );
    }
    document
}

/// That truth finds every planted fault of the kernels, and properties those that the table promises: at least half of each kernel's. Whether
/// they find another one says nothing; that they judge it all the same, only the thorough run looks at.
fn faults_are_found(kernels: &[&'static str]) {
    let table = read(&packs().join("foreign.faults.json"));
    let table = table.as_array().unwrap();
    let of = |kernel: &str, number: u64| {
        table
            .iter()
            .find(|fault| fault["kernel"] == kernel && fault["fault"] == number)
    };
    for kernel in kernels {
        let faults = table.iter().filter(|fault| fault["kernel"] == *kernel);
        let (all, promised) = faults.fold((0, 0), |(all, promised), fault| {
            (all + 1, promised + i32::from(fault["properties"] == true))
        });
        assert!(
            all >= 4 && 2 * promised >= all,
            "{kernel}: {promised} of {all}"
        );
    }
    // Every other one, unless all are wanted.
    for number in (1..=FAULTS).step_by(if thorough() { 1 } else { 2 }) {
        let faulty: Vec<&'static str> = kernels
            .iter()
            .copied()
            .filter(|kernel| of(kernel, number).is_some())
            .collect();
        let module = |kernel: &str| {
            let file = of(kernel, number).unwrap()["file"].as_str().unwrap();
            packs().join("foreign.faults").join(file)
        };
        let promises = |kernel: &&str| of(kernel, number).unwrap()["properties"] == true;
        let without_truth = if thorough() {
            faulty.clone()
        } else {
            faulty.iter().copied().filter(promises).collect()
        };
        let variation = |kernels: &[&'static str], truth| Variation {
            kernels: kernels.to_vec(),
            module: &module,
            truth,
            vectors: if truth { usize::MAX } else { 0 },
        };
        let (exit, by_truth) = variation(&faulty, true).conform(FEW);
        assert_eq!(exit, 1, "fault {number}");
        // Without a kernel that is named, all would be judged.
        let by_properties = (!without_truth.is_empty()).then(|| {
            let (exit, by_properties) = variation(&without_truth, false).conform(MANY);
            assert_eq!(exit, 1, "fault {number}");
            by_properties
        });
        for kernel in faulty {
            let fault = of(kernel, number).unwrap();
            let layers = failing(&by_truth, kernel);
            assert!(
                layers.contains("L4") || layers.contains("L5"),
                "{layers}: {fault}"
            );
            let by_properties = by_properties.as_ref();
            let by_properties = by_properties.filter(|_| without_truth.contains(&kernel));
            if let Some(document) = by_properties {
                let unjudged = &truth(document, kernel)["unjudged"];
                assert!(unjudged.is_string(), "{fault}");
            }
            if fault["properties"] == true {
                let document = by_properties.expect("what promises is judged");
                assert_eq!(failing(document, kernel), "L7", "{fault}");
            }
        }
    }
}

#[test]
fn kernels_are_judged_by_definitions_references_and_vectors() {
    let document = judged_by(&ALONE);
    for (kernel, name) in [
        ("rmsnorm_eight", "builtin rmsnorm@1"),
        ("fused_add_rmsnorm", "the author's reference module"),
        ("dot", "the author's own vectors"),
    ] {
        assert_eq!(truth(&document, kernel)["sources"][0]["name"], name);
    }
}

#[test]
fn their_faults_are_found_by_truth_and_by_properties() {
    faults_are_found(&ALONE.map(|(kernel, _)| kernel));
}

#[test]
fn without_a_truth_a_kernel_is_not_judged_and_three_vectors_are_none() {
    for (vectors, exit, reason) in [
        (0, 1, Some("names no truth")),
        (3, 1, Some("3 cases where at least 32")),
        (40, 0, None),
    ] {
        let variation = Variation {
            kernels: vec!["silu_and_mul"],
            module: &right,
            truth: false,
            vectors,
        };
        let (got, document) = variation.conform(FEW);
        assert_eq!(got, exit, "{vectors}: {document:#}");
        assert_eq!(
            failing(&document, "silu_and_mul"),
            "",
            "nothing is wrong with it"
        );
        let truth = truth(&document, "silu_and_mul");
        match reason {
            Some(reason) => {
                let said = truth["unjudged"].as_str().unwrap();
                assert!(said.contains(reason), "{said}");
                let reasons = document["reasons"].to_string();
                assert!(reasons.contains("silu_and_mul"), "{reasons}");
            }
            None => {
                assert_eq!(truth["sources"][0]["name"], "the author's own vectors");
                assert_eq!(truth["sources"][0]["strength"], "own");
            }
        }
    }
}

/// A truth that is the judged module under another name says nothing, whatever is wrong with it.
#[test]
fn a_reference_that_is_the_kernel_itself_is_no_truth() {
    let kernel = "fused_add_rmsnorm";
    let (exit, document) = with_fault(kernel, &|pack| {
        let mut copy = fs::read(pack.join(format!("kernels/{kernel}.wasm"))).unwrap();
        // A section of its own, named `x`.
        copy.extend([0, 2, 1, b'x']);
        fs::write(pack.join(format!("reference/{kernel}.wasm")), &copy).unwrap();
        let digest = hex::encode(Sha256::digest(&copy));
        rewrite(
            &pack.join(format!("contracts/{kernel}.json")),
            &|contract| {
                contract["truth"][0]["reference"]["hash"] = format!("sha256:{digest}").into();
            },
        );
    });
    assert_eq!(exit, 1);
    let truth = truth(&document, kernel);
    let said = truth["unjudged"].as_str().unwrap();
    assert!(said.contains("the kernel's own code"), "{said}");
}

/// `assay conform` of a kernel of the foreign pack with its first fault, and with one of the pack's files changed: exit code and document.
fn changed(kernel: &str, file: &str, change: &dyn Fn(&mut Value)) -> (i32, Value) {
    with_fault(kernel, &|pack| rewrite(&pack.join(file), change))
}

fn rewrite(file: &Path, change: &dyn Fn(&mut Value)) {
    let mut content = read(file);
    change(&mut content);
    fs::write(file, content.to_string()).unwrap();
}

/// `assay conform` of a kernel of the foreign pack with its first fault, in a pack that was changed and then signed: exit code and document.
fn with_fault(kernel: &str, change: &dyn Fn(&Path)) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    let variation = Variation {
        kernels: vec![kernel],
        module: &|kernel| packs().join(format!("foreign.faults/{kernel}.1.wasm")),
        truth: true,
        vectors: usize::MAX,
    };
    let pack = variation.write(folder.path());
    change(&pack);
    let key = PackSigningKey::read(&root().join("fixtures/keys/test.ed25519")).unwrap();
    let template = folder.path().join("template.json");
    build_folder(&pack, &template, Some(&key.public())).unwrap();
    sign_folder(&pack, &key, &[]).unwrap();
    conform(&pack, FEW, &["--kernel", kernel])
}

/// Skips its work where the first element of x is a number that nobody draws, or where there are so many rows.
#[test]
fn qualify_searches_and_finds_what_a_kernel_skips_on_one_value_and_on_one_shape() {
    let kernel = "gemma_rmsnorm";
    let honest = fs::read(right(kernel)).unwrap();
    for skips in [
        ("i32.load", "i32.load i32.const 0x3f9d70a4"),
        ("i32.load offset=32", "i32.load i32.const 77"),
    ] {
        let (region, number) = skips;
        // It comes before the kernel's own checks, and must not trap.
        let inside = "memory.size i32.const 16 i32.shl i32.const 64 i32.sub i32.lt_u";
        let skips = format!(
            "local.get 0 {inside} if
                local.get 0 {region} {inside} if
                    local.get 0 {region} {number} i32.eq if i32.const 0 return end
                end
            end"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("skips.wasm");
        fs::write(&file, with_prologue(&honest, &skips, "")).unwrap();
        let module = |_: &str| file.clone();
        let pack = Variation {
            kernels: vec![kernel],
            module: &module,
            truth: true,
            vectors: usize::MAX,
        };
        let pack = pack.write(folder.path());
        let run = |searched: &[&str]| {
            let out = folder.path().join("results");
            let mut line = vec!["qualify", pack.to_str().unwrap(), "--kernel", kernel];
            line.extend(["--runtime", "wasmtime.cranelift", "--interruptions", "0"]);
            line.extend(["--seed", "2", "--out", out.to_str().unwrap()]);
            line.extend(searched);
            let done = json(&line);
            fs::remove_dir_all(out).unwrap();
            done
        };
        let (exit, document) = run(&["--search", "0"]);
        assert_eq!(exit, 0, "{skips}: {document:#}");
        let (exit, document) = run(&[]);
        assert_eq!(exit, 1, "{skips}: {document:#}");
        let mut results = document["conform"]["results"].as_array().unwrap().iter();
        let found = results.find(|entry| {
            let case = entry["case"].as_str().unwrap_or_default();
            case.starts_with("search:") && entry["layer"] == "L4" && entry["outcome"] == "fail"
        });
        assert!(found.is_some(), "{document:#}");
    }
}

#[test]
fn a_definition_judges_whatever_other_truth_a_contract_names() {
    let change = |contract: &mut Value| {
        let identity = json!({"op": "Identity", "version": 19, "inputs": ["x"], "outputs": ["y"]});
        contract["truth"] = json!([{"onnx": identity}]);
    };
    let (exit, document) = changed("rmsnorm_eight", "contracts/rmsnorm_eight.json", &change);
    assert_eq!(exit, 1, "{document:#}");
    let sources = &truth(&document, "rmsnorm_eight")["sources"];
    assert_eq!(sources[0]["name"], "builtin rmsnorm@1", "{sources:#}");
    assert!(failing(&document, "rmsnorm_eight").contains("L4"));
}

/// Where `assay` is called a pack of somebody else's may lie, with whatever names its files have.
#[cfg(unix)]
#[test]
fn an_oracle_is_started_without_what_lies_in_the_current_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let run = |set: &[(&str, &str)]| {
        let mut command = crate::support::command(env!("CARGO_BIN_EXE_assay"));
        command
            .current_dir(folder.path())
            .args(["conform", packs().join("foreign").to_str().unwrap()]);
        command.args("--kernel gelu_erf --runtime wasmi --cases 1 --out results".split(' '));
        command.env_remove("ASSAY_PYTHON").envs(set.iter().copied());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    };
    script("python3", "echo > ran");
    for path in ["", ":/nowhere", ".", "/nowhere:"] {
        let said = run(&[("PATH", path)]);
        assert!(
            said.contains("no absolute folder of PATH"),
            "{path:?}: {said}"
        );
    }
    assert!(!folder.path().join("ran").exists());

    let seen = folder.path().join("seen");
    let seen = seen.to_str().unwrap();
    let text = format!("(pwd; echo \"$PYTHONPATH $PYTHONHOME\") > {seen}");
    let python = script("named", &text);
    for python in [python.to_str().unwrap(), "./named"] {
        run(&[
            ("ASSAY_PYTHON", python),
            ("PYTHONPATH", ":/some:relative:."),
            ("PYTHONHOME", "here"),
        ]);
        assert_eq!(fs::read_to_string(seen).unwrap(), "/\n/some \n");
        fs::remove_file(seen).unwrap();
    }
    // A module beside the pack, under the name of one that the oracle needs.
    fs::write(folder.path().join("numpy.py"), "open('ran', 'w')").unwrap();
    run(&[]);
    assert!(!folder.path().join("ran").exists());
}

#[test]
fn an_oracle_that_nobody_would_ask_is_wrong_use() {
    for (oracle, said) in [
        ("nothing=true", "nothing"),
        ("dot=true", "dot"),
        ("rmsnorm_eight=true", "definition"),
    ] {
        let further = ["--kernel", "rmsnorm_eight", "--oracle", oracle];
        let (exit, document) = conform(&packs().join("foreign"), FEW, &further);
        assert_eq!(exit, 2, "{oracle}: {document:#}");
        assert!(
            document["error"].as_str().unwrap().contains(said),
            "{document:#}"
        );
    }
}

#[test]
fn vectors_that_do_not_fit_reject_the_pack() {
    let change = |vectors: &mut Value| {
        vectors["cases"][0]["inputs"]
            .as_object_mut()
            .unwrap()
            .clear();
    };
    let (exit, document) = changed("dot", "vectors/dot.json", &change);
    assert_eq!(exit, 3, "{document:#}");
    assert_eq!(document["code"], "manifest-invalid", "{document:#}");
    let said = document.to_string();
    assert!(
        said.contains("vectors/dot.json") && said.contains("is missing"),
        "{said}"
    );
}

/// Exit code and document of a desk check of the bench.
fn bench(pack: &Path, kernel: &str) -> (i32, Value) {
    let out = tempfile::tempdir().unwrap();
    let pack = pack.to_str().unwrap();
    let out = out.path().to_str().unwrap();
    let mut arguments = vec!["bench", pack, "--kernel", kernel, "--out", out, "--quick"];
    arguments.extend(["--runtime", "wasmtime.cranelift", "--processes", "1"]);
    json(&arguments)
}

#[test]
fn kernels_of_others_are_timed_and_what_was_timed_is_judged() {
    for kernel in ["dot", "rmsnorm_eight"] {
        let (exit, document) = bench(&packs().join("foreign"), kernel);
        assert_eq!(exit, 0, "{document:#}");
        let said = document.to_string();
        assert!(
            said.contains(kernel) && !said.contains("not measured: "),
            "{said}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let variation = Variation {
        kernels: vec!["dot"],
        module: &|kernel| packs().join(format!("foreign.faults/{kernel}.3.wasm")),
        truth: true,
        vectors: usize::MAX,
    };
    let (exit, document) = bench(&variation.write(folder.path()), "dot");
    assert_eq!(exit, 1, "{document:#}");
    assert!(
        document.to_string().contains("its output is wrong"),
        "{document:#}"
    );
}

#[test]
fn what_a_kernel_undoes_is_asked_and_what_cannot_be_is_said() {
    let file = "contracts/rmsnorm_eight.json";
    let undoing = |of: &'static str| {
        move |contract: &mut Value| contract["properties"] = json!([{"inverse_of": of}])
    };
    // To normalise what is normalised changes it again.
    let (exit, document) = changed("rmsnorm_eight", file, &undoing("rmsnorm_eight"));
    assert_eq!(exit, 1, "{document:#}");
    assert!(failing(&document, "rmsnorm_eight").contains("L7"));
    let (_, document) = changed("rmsnorm_eight", file, &undoing("dot"));
    let notes = document["notes"].to_string();
    assert!(notes.contains("`inverse_of: dot` was not asked"), "{notes}");
    let folder = tempfile::tempdir().unwrap();
    let variation = Variation {
        kernels: vec!["rmsnorm_eight"],
        module: &right,
        truth: true,
        vectors: usize::MAX,
    };
    let pack = variation.write(folder.path());
    let mut contract = read(&pack.join(file));
    undoing("nobody")(&mut contract);
    fs::write(pack.join(file), contract.to_string()).unwrap();
    let template = folder.path().join("template.json");
    let key = PackSigningKey::read(&root().join("fixtures/keys/test.ed25519")).unwrap();
    let refused = build_folder(&pack, &template, Some(&key.public())).unwrap_err();
    let refused = refused.to_string();
    assert!(
        refused.contains("which is no kernel of the pack"),
        "{refused}"
    );
}

/// What needs a Python with the packages of oracles/onnx.
mod needs_onnx {
    use super::*;

    /// Kernels whose truth is an operator of ONNX, and which.
    const BY_ONNX: [(&str, &str); 7] = [
        ("rms_norm", "onnx RMSNormalization-23"),
        ("gelu_tanh", "onnx Gelu-20"),
        ("gelu_erf", "onnx Gelu-20"),
        ("layer_norm", "onnx LayerNormalization-17"),
        ("softmax", "onnx Softmax-13"),
        ("rope", "onnx RotaryEmbedding-23"),
        ("clamp_f16", "onnx Clip-13"),
    ];

    fn python() -> String {
        std::env::var("ASSAY_PYTHON").unwrap_or_else(|_| "python3".to_owned())
    }

    #[test]
    #[ignore = "needs Python with onnx: scripts/python-packages"]
    fn kernels_are_judged_by_operators_of_onnx() {
        let document = judged_by(&BY_ONNX.map(|(kernel, _)| (kernel, "independent")));
        for (kernel, name) in BY_ONNX {
            assert_eq!(truth(&document, kernel)["sources"][0]["name"], name);
        }
    }

    #[test]
    #[ignore = "needs Python with onnx: scripts/python-packages"]
    fn their_faults_are_found_by_truth_and_by_properties() {
        faults_are_found(&BY_ONNX.map(|(kernel, _)| kernel));
    }

    #[test]
    #[ignore = "needs Python with onnx: scripts/python-packages"]
    fn definitions_of_others_judge_by_their_references() {
        let kernels = [
            ("rms_norm", "rmsnorm"),
            ("fused_add_rmsnorm", "fused_add_rmsnorm"),
            ("gemma_rmsnorm", "gemma_rmsnorm_h640"),
            ("rope", "rope"),
            ("silu_and_mul", "silu_and_mul"),
        ];
        let program = root().join("oracles/numpy/oracle.py");
        let oracles = kernels.map(|(kernel, definition)| {
            let definition = root().join(format!("fixtures/definitions/{definition}.json"));
            let command = [
                python().as_str(),
                program.to_str().unwrap(),
                definition.to_str().unwrap(),
            ]
            .map(str::to_owned);
            format!(
                "{kernel}={}",
                shlex::try_join(command.iter().map(String::as_str)).unwrap()
            )
        });
        let mut further = Vec::new();
        for ((kernel, _), oracle) in kernels.iter().zip(&oracles) {
            further.extend(["--kernel", kernel, "--oracle", oracle]);
        }
        let (exit, document) = conform(&packs().join("foreign"), MANY, &further);
        assert_eq!(exit, 0, "{document:#}");
        for (kernel, _) in kernels {
            let sources = truth(&document, kernel)["sources"].as_array().unwrap();
            let numpy = sources
                .iter()
                .find(|asked| asked["name"].as_str().unwrap().starts_with("oracle numpy"));
            let numpy = numpy.unwrap_or_else(|| panic!("{kernel}: {sources:#?}"));
            assert_eq!(numpy["strength"], "independent");
            assert!(numpy["cases"].as_u64().unwrap() >= 32, "{numpy}");
        }
    }

    /// An oracle of choice: what it says to `hello`, and to `evaluate`.
    const ORACLE: &str = r#"
import base64, json, struct, sys
behaviour = sys.argv[1]
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "hello":
        if behaviour == "mute": sys.exit(3)
        reply = {"hello": {"protocol": 2 if behaviour == "other" else 1, "name": behaviour, "version": "1"}}
    else:
        if behaviour == "dies": sys.exit(4)
        rows, width = request["inputs"][0]["shape"]
        count = rows * (width // 2) - (behaviour == "short")
        value = {"nan": float("nan"), "infinite": float("inf")}.get(behaviour, 0.0)
        data = base64.b64encode(struct.pack("<d", value) * count).decode()
        reply = {"evaluated": {"outputs": [{"shape": [rows, width // 2], "data": data}]}}
        if behaviour == "turned": reply["evaluated"]["outputs"][0]["shape"] = [count, 7]
        if behaviour == "negative": reply["evaluated"]["outputs"][0]["magnitude"] = base64.b64encode(struct.pack("<d", -1.0) * count).decode()
        if behaviour == "nothing": reply = {"evaluated": {"outputs": [None]}}
        if behaviour == "fails": reply = {"failed": "no idea"}
    reply["id"] = request["id"] + (behaviour == "late" and request["op"] != "hello")
    print("garbage" if behaviour == "garbage" and "evaluated" in reply else json.dumps(reply), flush=True)
"#;

    #[test]
    #[ignore = "needs Python with onnx: scripts/python-packages"]
    fn an_oracle_that_does_not_know_gives_no_pass() {
        let folder = tempfile::tempdir().unwrap();
        let variation = Variation {
            kernels: vec!["silu_and_mul"],
            module: &right,
            truth: false,
            vectors: 0,
        };
        let pack = variation.write(folder.path());
        let program = folder.path().join("oracle.py");
        fs::write(&program, ORACLE).unwrap();
        let silent = [
            "mute", "other", "dies", "short", "turned", "negative", "nothing", "fails", "late",
            "garbage",
        ];
        let lies = ["zero", "nan", "infinite"];
        for behaviour in silent.into_iter().chain(lies) {
            let words = [&python(), program.to_str().unwrap(), behaviour].map(str::to_owned);
            let words = shlex::try_join(words.iter().map(String::as_str)).unwrap();
            let oracle = format!("silu_and_mul={words}");
            let further = ["--kernel", "silu_and_mul", "--oracle", &oracle];
            let (exit, document) = conform(&pack, FEW, &further);
            assert_eq!(exit, 1, "{behaviour}: {document:#}");
            let failing = failing(&document, "silu_and_mul");
            let unjudged = &truth(&document, "silu_and_mul")["unjudged"];
            if lies.contains(&behaviour) {
                assert_eq!(failing, "L4", "{behaviour}");
            } else {
                assert_eq!(failing, "", "{behaviour}");
                assert!(unjudged.is_string(), "{behaviour}");
            }
        }
    }
}
