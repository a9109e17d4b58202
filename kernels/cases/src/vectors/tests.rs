use super::{
    super::{
        case::Binding,
        edge::native,
        truth::{self, Verdict},
    },
    *,
};
use half::f16;
use serde_json::{Value, json};
use std::collections::BTreeSet;

mod damage;
#[path = "../../../../kernels/abi/tests/markdown/mod.rs"]
mod markdown;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/packs/core/vectors")
}

fn fixture(kernel: &str) -> Value {
    let text = fs::read_to_string(fixtures().join(format!("{kernel}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn load(content: &Value) -> Result<Vec<Case>, VectorError> {
    load_bytes("file.json", content.to_string().as_bytes())
}

fn count(cases: &[Case], binding: Binding) -> usize {
    cases
        .iter()
        .filter(|case| {
            case.external
                .iter()
                .any(|external| external.binding == binding)
        })
        .count()
}

/// Equal bits, NaN as a class.
fn same(kernel: &str, actual: &[u8], expected: &[u8]) -> bool {
    if actual.len() != expected.len() {
        return false;
    }
    if kernel == "kv_unpack_q8" || kernel == "kv_unpack_q4" || kernel.ends_with("f32") {
        let (actual, expected) = (actual.as_chunks().0, expected.as_chunks().0);
        return actual.iter().zip(expected).all(|(actual, expected)| {
            let nan = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes).is_nan();
            actual == expected || nan(actual) && nan(expected)
        });
    }
    if kernel.ends_with("f16") {
        let (actual, expected) = (actual.as_chunks().0, expected.as_chunks().0);
        return actual.iter().zip(expected).all(|(actual, expected)| {
            let nan = |bytes: &[u8; 2]| f16::from_le_bytes(*bytes).is_nan();
            actual == expected || nan(actual) && nan(expected)
        });
    }
    actual == expected
}

#[test]
fn every_vector_of_the_core_pack_is_mapped() {
    let folder = load_folder(&fixtures(), &load_bytes).unwrap();
    assert!(folder.skipped.is_empty());
    // Per kernel: calls, calls with an oracle that binds bit for bit, calls with one that binds within the tolerance.
    let expected = [
        ("kv_pack_q4", 12, 10, 0),
        ("kv_pack_q8", 12, 10, 0),
        ("kv_unpack_q4", 10, 10, 0),
        ("kv_unpack_q8", 10, 10, 0),
        ("lora_apply_f16", 6, 0, 6),
        ("lora_apply_f32", 6, 0, 6),
        ("rmsnorm_f16", 9, 9, 9),
        ("rmsnorm_f32", 10, 0, 10),
        ("rope_f16", 21, 3, 9),
        ("rope_f32", 20, 11, 9),
        ("rope_q8", 10, 5, 5),
        ("swiglu_f16", 5, 0, 5),
        ("swiglu_f32", 6, 0, 6),
    ];
    assert_eq!(expected.len(), kernel_core::KERNELS.len());
    let mut total = 0;
    for (kernel, calls, bits, tolerance) in expected {
        let cases: Vec<Case> = folder
            .cases
            .iter()
            .filter(|case| case.kernel == kernel)
            .cloned()
            .collect();
        assert_eq!(
            (
                cases.len(),
                count(&cases, Binding::Bits),
                count(&cases, Binding::Tolerance)
            ),
            (calls, bits, tolerance),
            "{kernel}"
        );
        total += cases.len();
    }
    assert_eq!(folder.cases.len(), total);
}

#[test]
fn every_mapped_call_is_accepted_and_exact_where_an_oracle_binds_bit_for_bit() {
    let mut exact = 0;
    for case in load_folder(&fixtures(), &load_bytes).unwrap().cases {
        let name = format!("{} {}", case.kernel, case.name);
        let ran = native::run(&case);
        assert_eq!((ran.status, case.expect), (0, 0), "{name}");
        assert_eq!(ran.violation, None, "{name}");
        for external in &case.external {
            assert_eq!(external.bytes.len(), ran.output.len(), "{name}");
            if external.binding == Binding::Bits {
                assert!(
                    same(&case.kernel, &ran.output, &external.bytes),
                    "{name}: differs from {}",
                    external.oracle
                );
                exact += 1;
            }
        }
    }
    assert_eq!(exact, 68);
}

#[test]
fn what_binds_holds_for_the_native_kernels_and_a_changed_bit_does_not() {
    let mut bound = 0;
    for case in load_folder(&fixtures(), &load_bytes).unwrap().cases {
        let output = native::run(&case).output;
        for external in &case.external {
            let verdict = truth::judge_external(&case, external, &output);
            if external.binding == Binding::Informs {
                assert!(
                    !matches!(verdict, Verdict::Fail(_)),
                    "{} {}",
                    case.kernel,
                    case.name
                );
                continue;
            }
            assert!(
                matches!(verdict, Verdict::Pass { .. }),
                "{} {} {}: {verdict:?}",
                case.kernel,
                case.name,
                external.oracle
            );
            bound += 1;
            if external.binding == Binding::Bits {
                let mut wrong = output.clone();
                *wrong.last_mut().unwrap() ^= 0x10;
                let verdict = truth::judge_external(&case, external, &wrong);
                assert!(
                    matches!(verdict, Verdict::Fail(_)),
                    "{} {}: {verdict:?}",
                    case.kernel,
                    case.name
                );
            }
        }
    }
    assert_eq!(bound, 68 + 65);
}

#[test]
fn a_rope_case_becomes_a_run_with_angles_and_one_with_tables() {
    let cases = load(&fixture("rope_f32")).unwrap();
    let named = |name: &str| cases.iter().find(|case| case.name == name).unwrap();
    let angles = named("vector:b2s3h2d6_th10000_p1x1_il/angles");
    let tables = named("vector:b2s3h2d6_th10000_p1x1_il/tables");
    assert_eq!(angles.b.len() * 2, tables.b.len());
    assert_eq!(angles.a, tables.a);
    let binding = |case: &Case, oracle: &str| {
        let external = case.external.iter().find(|e| e.oracle == oracle).unwrap();
        (external.binding, external.magnitude.as_ref().map(Vec::len))
    };
    assert_eq!(binding(angles, "cr"), (Binding::Tolerance, Some(72)));
    assert_eq!(binding(angles, "onnx_ref"), (Binding::Informs, Some(72)));
    assert_eq!(binding(tables, "onnx_ref"), (Binding::Bits, Some(72)));
    assert_eq!(binding(tables, "mlx"), (Binding::Informs, Some(72)));
    // layout 0, table 0 and 1.
    assert_eq!(angles.params[20..], [0; 8]);
    assert_eq!(tables.params[20..], [0, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn tables_of_each_batch_become_a_call_per_batch() {
    let cases = load(&fixture("rope_f32")).unwrap();
    let node = "vector:onnx_node_test_rotary_embedding_3d_input/tables/batch";
    let batches: Vec<&Case> = cases
        .iter()
        .filter(|case| case.name.starts_with(node))
        .collect();
    assert_eq!(batches.len(), 2);
    for batch in &batches {
        assert_eq!(batch.a.len(), 3 * 4 * 8 * 4);
        assert_eq!(batch.b.len(), 2 * 3 * 4 * 4);
        assert_eq!(batch.params[16..24], [1, 0, 0, 0, 1, 0, 0, 0]); // batch 1, layout 1
        assert_eq!(batch.external[0].binding, Binding::Bits);
        assert_eq!(batch.external[0].bytes.len(), batch.output_size as usize);
    }
    assert_ne!(batches[0].external[0].bytes, batches[1].external[0].bytes);
}

#[test]
fn classes_that_only_inform_bind_nothing_and_do_not_count_for_the_truth() {
    let mut file = fixture("kv_pack_q8");
    let cases = load(&file).unwrap();
    let informing: Vec<&Case> = cases.iter().filter(|case| case.stress).collect();
    assert_eq!(informing.len(), 2);
    for case in informing {
        assert!(!case.external.is_empty());
        assert!(case.external.iter().all(|e| e.binding == Binding::Informs));
    }
    // A stress case needs no oracle at all.
    file["cases"][0]["class"] = json!("stress");
    file["cases"][0]["outputs"] = json!({});
    assert!(load(&file).unwrap()[0].stress);
}

#[test]
fn oracles_of_another_format_are_left_out() {
    let cases = load(&fixture("kv_pack_q8")).unwrap();
    let oracles: Vec<&str> = cases[0]
        .external
        .iter()
        .map(|e| e.oracle.as_str())
        .collect();
    assert_eq!(oracles, ["gguf"]);
}

#[test]
fn oracles_may_be_missing_or_unknown_and_keys_may_be_more() {
    let mut file = fixture("rmsnorm_f32");
    file["more"] = json!([1, {"a": null}]);
    let case = &mut file["cases"][1];
    case["note"] = json!("text");
    case["params"]["more"] = json!([]);
    let outputs = case["outputs"].as_object_mut().unwrap();
    let cr = outputs.remove("cr").unwrap();
    outputs.insert("another_library".to_owned(), cr);
    outputs.insert("nothing".to_owned(), Value::Null);
    let cases = load(&file).unwrap();
    let bindings: Vec<(&str, Binding)> = cases[1]
        .external
        .iter()
        .map(|external| (external.oracle.as_str(), external.binding))
        .collect();
    // Without `cr` it is `ort` that binds.
    assert_eq!(
        bindings,
        [
            ("another_library", Binding::Informs),
            ("ggml", Binding::Informs),
            ("mlx", Binding::Informs),
            ("onnx_fn", Binding::Informs),
            ("ort", Binding::Tolerance),
        ]
    );
}

#[test]
fn dimensions_may_be_written_as_floats_and_flags_as_booleans() {
    let mut file = fixture("rope_f32");
    for case in file["cases"].as_array_mut().unwrap() {
        let params = &mut case["params"];
        params["batch"] = json!(params["batch"].as_u64().unwrap() as f64);
        params["interleaved"] = json!(params["interleaved"] == 1);
        params.as_object_mut().unwrap().remove("theta");
    }
    assert_eq!(load(&file).unwrap().len(), 20);
}

#[test]
fn a_folder_is_read_file_by_file_and_what_it_cannot_use_is_said() {
    // WASI has no folder for temporary files of its own.
    let folder = if cfg!(target_os = "wasi") {
        tempfile::tempdir_in("/tmp")
    } else {
        tempfile::tempdir()
    }
    .unwrap();
    let error = load_folder(folder.path(), &load_bytes).unwrap_err();
    assert!(matches!(error, VectorError::NoCases { .. }));
    assert!(matches!(
        load_folder(&folder.path().join("missing"), &load_bytes).unwrap_err(),
        VectorError::Read { .. }
    ));

    let write = |name: &str, content: &Value| {
        fs::write(folder.path().join(name), content.to_string()).unwrap();
    };
    fs::write(folder.path().join("README.md"), "text").unwrap();
    write("other.json", &json!({"kernel": "convert_f16", "cases": []}));
    let error = load_folder(folder.path(), &load_bytes).unwrap_err();
    assert!(matches!(error, VectorError::NoCases { .. }));

    write("b.json", &fixture("swiglu_f32"));
    write("a.json", &fixture("swiglu_f32"));
    let loaded = load_folder(folder.path(), &load_bytes).unwrap();
    assert_eq!(
        loaded.skipped,
        [
            "skipped: failed to load vector file `other.json`: kernel `convert_f16` is not one of this harness"
        ]
    );
    assert_eq!(loaded.cases.len(), 12);
    assert_eq!(loaded.cases[1].name, "vector:1x1_beta1");
    assert_eq!(loaded.cases[7].name, "vector:1x1_beta1@b.json");

    fs::create_dir(folder.path().join("c.json")).unwrap();
    assert!(matches!(
        load_folder(folder.path(), &load_bytes).unwrap_err(),
        VectorError::NotRegular { .. }
    ));
    fs::remove_dir(folder.path().join("c.json")).unwrap();

    fs::write(folder.path().join("d.json"), "{").unwrap();
    assert!(matches!(
        load_folder(folder.path(), &load_bytes).unwrap_err(),
        VectorError::Json { .. }
    ));
}

const DOCUMENT: &str = include_str!("../../../../docs/vectors.md");

#[test]
fn the_document_lists_what_binds() {
    let mut bound = BTreeSet::new();
    for case in load_folder(&fixtures(), &load_bytes).unwrap().cases {
        for external in case.external {
            if external.binding != Binding::Informs && external.oracle != "onnx_node_test" {
                bound.insert((
                    case.kernel.clone(),
                    external.oracle,
                    external.binding == Binding::Bits,
                ));
            }
        }
    }
    let mut listed = BTreeSet::new();
    for row in markdown::rows(markdown::section(DOCUMENT, "## Oracles")) {
        if row.len() == 3 {
            for (column, bits) in [(1, true), (2, false)] {
                for oracle in markdown::code(row[column]) {
                    listed.insert((row[0].to_owned(), oracle.to_owned(), bits));
                }
            }
        }
    }
    assert_eq!(listed, bound);
}

#[test]
fn the_documents_example_and_its_words_are_read() {
    let example: Value = serde_json::from_str(markdown::fenced(DOCUMENT, "json")).unwrap();
    assert_eq!(load(&example).unwrap().len(), 1);
    assert!(DOCUMENT.contains(&format!("at most {MAX_FILE_BYTES} bytes")));
    let classes = markdown::rows(markdown::section(DOCUMENT, "## Classes"));
    assert_eq!(classes.len(), 5);
    for row in classes {
        let mut case = example.clone();
        case["cases"][0]["class"] = row[0].trim_matches('`').into();
        match load(&case) {
            Ok(_) => {}
            // Its only oracle does not bind there.
            Err(error) => assert!(error.to_string().contains("binds"), "{error}"),
        }
    }
    let needed = markdown::rows(markdown::section(DOCUMENT, "## Format"));
    for row in needed.iter().filter(|row| row[1] == "yes") {
        let key = row[0].trim_matches('`');
        let mut changed = example.clone();
        let (holder, name) = match key.split_once("[].") {
            Some((list, name)) => (&mut changed[list][0], name),
            None => (&mut changed, key),
        };
        assert!(
            holder.as_object_mut().unwrap().remove(name).is_some(),
            "{key}"
        );
        assert!(load(&changed).is_err(), "{key}");
    }
}
