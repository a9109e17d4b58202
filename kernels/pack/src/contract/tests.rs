//! What is read, completed and refused.

use super::*;
use crate::error::Code;

const GELU: &str = r#"{
  "id": "gelu",
  "inputs": [{"name": "x", "dtype": "f32", "shape": ["rows", "hidden"]}],
  "outputs": [{"name": "y", "dtype": "f32", "shape": ["rows", "hidden"]}],
  "params": {"rows": {"type": "u32", "default": 1, "min": 1}, "hidden": {"type": "u32", "default": 1, "min": 1, "max": 65536},
             "alpha": {"type": "f32", "default": 1.0, "min": 0.0, "max": 4.0}},
  "tolerance": {"abs": 1e-6, "rel": "4e-7 * sqrt(hidden) + alpha"},
  "truth": [{"onnx": {"op": "Gelu", "version": 20, "attributes": {"approximate": "tanh"}, "inputs": ["x"], "outputs": ["y"]}}]
}"#;

fn parse(text: &str) -> Result<Contract, String> {
    Contract::parse(text.as_bytes(), "gelu.json").map_err(|rejection| {
        let file = rejection.file.as_deref();
        assert!(matches!(file, Some("gelu.json" | "../x.wasm")), "{file:?}");
        assert!(
            matches!(
                rejection.code,
                Code::ManifestInvalid
                    | Code::ManifestMalformed
                    | Code::PathEscape
                    | Code::HashMalformed
            ),
            "{rejection}"
        );
        rejection.message
    })
}

/// The contract with members in the place of its own, or beside them.
fn with(members: &str) -> Result<Contract, String> {
    let mut value: serde_json::Value = serde_json::from_str(GELU).unwrap();
    let changed: serde_json::Value = serde_json::from_str(members).unwrap();
    for (key, member) in changed.as_object().unwrap() {
        value[key] = member.clone();
    }
    parse(&value.to_string())
}

#[test]
fn every_definition_is_read_and_is_a_contract() {
    let written =
        serde_json::from_str::<serde_json::Value>(include_str!("definitions.json")).unwrap();
    assert_eq!(definitions().len(), written.as_array().unwrap().len());
    assert_eq!(definitions().len(), 13);
    for definition in definitions() {
        let contract = definition.contract().unwrap();
        assert_eq!(contract.builtin(), Some(definition.kernel.as_str()));
        assert_eq!(contract.truth[0], TruthSource::Builtin);
    }
}

#[test]
fn what_is_left_out_follows() {
    let contract = parse(GELU).unwrap();
    assert_eq!(
        (contract.a.as_slice(), contract.b.as_slice()),
        (&[0][..], &[][..])
    );
    assert_eq!(contract.axes["rows"].max, u32::MAX);
    assert_eq!(contract.axes["hidden"].max, 65536);
    assert!(contract.axes["rows"].is_param);
    assert_eq!(contract.builtin(), None);
    assert_eq!(contract.source, None);
    let names: Vec<_> = contract
        .params
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        ["rows", "hidden", "alpha"],
        "in the order of the struct"
    );
    let shape = contract
        .shape(&|name| match name {
            "rows" => Some(3),
            "hidden" => Some(5),
            _ => None,
        })
        .unwrap();
    assert_eq!(shape.inputs, [[3, 5]]);
    assert_eq!(shape.scratch, 0);
}

#[test]
fn regions_take_tensors_as_they_are_told() {
    let lora = definitions()
        .iter()
        .find(|one| one.kernel == "lora_apply_f32")
        .unwrap();
    let contract = lora.contract().unwrap();
    assert_eq!(
        (contract.a.as_slice(), contract.b.as_slice()),
        (&[0][..], &[1, 2][..])
    );
    assert_eq!(contract.initial, Some(3));
}

#[test]
fn what_is_wrong_is_refused_with_place_and_reason() {
    let long = format!(r#"{{"constraints": ["{}"]}}"#, "rows + ".repeat(20_000));
    for (members, reason) in [
        (r#"{"axes": {"columns": {}}}"#, "in no shape"),
        (
            r#"{"axes": {"rows": {"min": 5, "max": 4}}}"#,
            "min above its max",
        ),
        (
            r#"{"axes": {"rows": {"value": 5, "max": 4}}}"#,
            "has a value",
        ),
        (
            r#"{"axes": {"hidden": {"max": 4294967295}}}"#,
            "and the parameter from 1 to 65536",
        ),
        (
            r#"{"axes": {"hidden": {"multiple_of": 32, "typical": [33]}}}"#,
            "33 as typical",
        ),
        (
            r#"{"axes": {"rows": {"multiple_of": 0}}}"#,
            "axes.rows.multiple_of",
        ),
        (
            r#"{"constraints": ["columns == 1"]}"#,
            "no axis and no parameter",
        ),
        (
            r#"{"constraints": ["alpha == 1"]}"#,
            "no axis and no parameter",
        ),
        (
            r#"{"constraints": ["rows"]}"#,
            "constraints[0] is no expression",
        ),
        (r#"{"constraints": ["rows == 1/0.5"]}"#, "whole numbers"),
        (&long, "at most 256"),
        (r#"{"regions": {"a": ["x", "x"]}}"#, "exactly once"),
        (r#"{"regions": {"b": ["z"]}}"#, "no input"),
        (r#"{"regions": {"scratch": "columns * 4"}}"#, "no axis"),
        (
            r#"{"domain": {"z": {"class": "unit"}}}"#,
            "no input and no parameter",
        ),
        (
            r#"{"domain": {"x": {"class": "gaussian"}}}"#,
            "must be normal",
        ),
        (
            r#"{"domain": {"x": {"class": "uniform", "min": 1}}}"#,
            "needs min and max",
        ),
        (
            r#"{"domain": {"x": {"class": "log_uniform", "min": 0, "max": 1}}}"#,
            "min above 0",
        ),
        (
            r#"{"domain": {"x": {"class": "unit", "max": 1}}}"#,
            "does not have",
        ),
        (
            r#"{"domain": {"x": {"class": "unit", "special": ["huge"]}}}"#,
            "must be zeros",
        ),
        (r#"{"truth": ["builtin"]}"#, "without a definition"),
        (r#"{"truth": ["onnx"]}"#, "must be an object"),
        (r#"{"truth": ["python"]}"#, "must be builtin, onnx"),
        (
            r#"{"truth": [{"onnx": {"op": "Gelu", "version": 20, "inputs": ["z"], "outputs": ["y"]}}]}"#,
            "does not have",
        ),
        (
            r#"{"truth": [{"onnx": {"op": "Gelu", "version": 20, "inputs": ["x"], "outputs": ["z"]}}]}"#,
            "no output",
        ),
        (
            r#"{"truth": [{"onnx": {"op": "Gelu", "version": 20, "inputs": ["x"], "outputs": [""]}}]}"#,
            "covers all outputs",
        ),
        (
            r#"{"truth": [{"reference": {"path": "../x.wasm", "hash": "sha256:00"}}]}"#,
            "path",
        ),
        (r#"{"tolerance": {}}"#, "states no bound"),
        (
            r#"{"tolerance": {"nmse": 0.1}}"#,
            "one wrong element would not show",
        ),
        (
            r#"{"tolerance": {"bits": true, "abs": 1}}"#,
            "one of them is meant",
        ),
        (
            r#"{"tolerance": {"rel": "columns"}}"#,
            "no axis and no parameter",
        ),
        (r#"{"tolerance": {"abs": -1}}"#, "must not be negative"),
        (
            r#"{"tolerance": {"outputs": {"z": {"abs": 1}}}}"#,
            "no output",
        ),
        (r#"{"properties": ["commutative"]}"#, "no property"),
        (r#"{"properties": ["linear_in: z"]}"#, "does not have"),
        (r#"{"properties": ["at_least: high"]}"#, "needs a number"),
        (r#"{"properties": ["sums_to_one"]}"#, "needs a name"),
        (
            r#"{"source": "my-crate@1.0.0"}"#,
            "must be kernel-core@VERSION",
        ),
        (r#"{"source": "kernel-core@1.0.0"}"#, "no definition"),
        (
            r#"{"definition": "gelu@1"}"#,
            "names the definition \"gelu@1\"; there are",
        ),
        (r#"{"definition": "swiglu@1"}"#, "1 inputs where 2 are due"),
        (r#"{"outputs": []}"#, "at least one output"),
        (r#"{"more": 1}"#, "is not a field"),
        (
            r#"{"inputs": [{"name": "x", "dtype": "f64", "shape": [1]}]}"#,
            "must be one of",
        ),
        (
            r#"{"inputs": [{"name": "x", "dtype": "f32", "shape": ["rows*"]}]}"#,
            "at byte 5",
        ),
        (
            r#"{"inputs": [{"name": "x", "dtype": "f32", "shape": ["alpha"]}]}"#,
            "no integer",
        ),
    ] {
        let refused = with(members).expect_err(&members[..members.len().min(80)]);
        assert!(
            refused.contains(reason),
            "{}: {refused}",
            &members[..members.len().min(80)]
        );
        assert!(
            refused.contains("gelu.json: ") || refused.contains("../x.wasm"),
            "{refused}"
        );
    }
    assert!(
        parse("{\"a\": 1, \"a\": 2}")
            .unwrap_err()
            .contains("strict JSON")
    );
    let huge = format!(
        "{{\"x-much\": \"{}\"}}",
        "a".repeat(LARGEST_CONTRACT as usize)
    );
    assert!(parse(&huge).unwrap_err().contains("larger than"));
}

#[test]
fn claims_that_nobody_can_hold_are_refused() {
    let rmsnorm = |tolerance: &str| {
        let text = format!(
            r#"{{"id": "mine", "definition": "rmsnorm@1",
              "inputs": [{{"name": "h", "dtype": "f32", "shape": ["rows", "hidden"]}}, {{"name": "w", "dtype": "f32", "shape": ["hidden"]}}],
              "outputs": [{{"name": "y", "dtype": "f32", "shape": ["rows", "hidden"]}}],
              "params": {{"eps": {{"type": "f32", "default": 0.1}}, "hidden": {{"type": "u32", "default": 1}}, "rows": {{"type": "u32", "default": 1}}}}
              {tolerance} }}"#
        );
        parse(&text)
    };
    let contract = rmsnorm("").unwrap();
    assert_eq!(contract.builtin(), Some("rmsnorm_f32"));
    assert_eq!(contract.kernel, "mine");
    assert!(rmsnorm(r#", "tolerance": {"rel": 1e-6}"#).is_ok());
    for tolerance in [r#"{"rel": 1e-7}"#, r#"{"ulp": 1}"#, r#"{"bits": true}"#] {
        let refused = rmsnorm(&format!(r#", "tolerance": {tolerance}"#)).unwrap_err();
        assert!(
            refused.contains("tighter than rmsnorm@1 can hold"),
            "{refused}"
        );
    }
    let own_truth = r#", "truth": [{"onnx": {"op": "RMSNormalization", "version": 23, "inputs": ["h", "w"], "outputs": ["y"]}}]"#;
    let truth = rmsnorm(own_truth).unwrap().truth;
    assert_eq!(truth[0], TruthSource::Builtin, "the definition judges too");
    assert_eq!(truth.len(), 2);
    // A kernel that could be called in the place of this project's is judged as one, whether its contract names the definition or not.
    let unnamed = |id: &str| {
        let text = format!(
            r#"{{"id": "{id}",
              "inputs": [{{"name": "h", "dtype": "f32", "shape": ["rows", "hidden"]}}, {{"name": "w", "dtype": "f32", "shape": ["hidden"]}}],
              "outputs": [{{"name": "y", "dtype": "f32", "shape": ["rows", "hidden"]}}],
              "params": {{"eps": {{"type": "f32", "default": 0.1}}, "hidden": {{"type": "u32", "default": 1}}, "rows": {{"type": "u32", "default": 1}}}},
              "tolerance": {{"rel": 1e-5}} {own_truth} }}"#
        );
        parse(&text).unwrap()
    };
    assert_eq!(unnamed("rmsnorm_f32").builtin(), Some("rmsnorm_f32"));
    assert_eq!(unnamed("swiglu_f32").builtin(), None, "another interface");
    assert_eq!(unnamed("mine").builtin(), None);
}

#[test]
fn a_constraint_without_a_value_does_not_hold() {
    let contract = with(
        r#"{"constraints": ["rows / (hidden - 5) < 1000", "rows * 9223372036854775807 > 0"]}"#,
    )
    .unwrap();
    let at = |rows: i64, hidden: i64| {
        let values = move |name: &str| match name {
            "rows" => Some(rows),
            "hidden" => Some(hidden),
            _ => None,
        };
        contract.shape(&values).unwrap_err()
    };
    assert!(at(1, 5).contains("rows / (hidden - 5)"), "divides by zero");
    assert!(at(2, 6).contains("9223372036854775807"), "overflows");
    assert!(at(0, 6).contains("rows is outside"));
    assert!(at(1 << 40, 6).contains("rows is outside"));
}

#[test]
fn what_is_shown_reads_back() {
    let with_everything = r#"{"axes": {"rows": {"typical": [1, 17]}, "hidden": {"multiple_of": 2, "max": 4096}}, "constraints": ["rows <= 4096"],
        "regions": {"scratch": "rows * 4"}, "domain": {"x": {"class": "log_uniform", "min": 0.5, "max": 8, "special": ["nans"]}, "alpha": {"class": "integers", "min": -2}},
        "truth": ["vectors", {"reference": {"path": "reference/gelu.wasm", "hash": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],
        "tolerance": {"ulp": 2, "nmse": "1e-12 * hidden"}, "properties": ["elementwise", "at_least: -0.25", {"linear_in": "x"}]}"#;
    let all = definitions().iter().filter_map(Definition::contract);
    for contract in all.chain([parse(GELU).unwrap(), with(with_everything).unwrap()]) {
        let shown = contract.to_json();
        let again = Contract::parse(shown.as_bytes(), "shown.json").unwrap();
        assert_eq!(again.to_json(), shown);
        let names = |contract: &Contract| {
            format!(
                "{:?}",
                (
                    &contract.params,
                    &contract.a,
                    &contract.b,
                    contract.initial,
                    &contract.properties
                )
            )
        };
        assert_eq!(names(&again), names(&contract), "{}", contract.kernel);
    }
}

#[test]
fn definitions_of_others_are_imported() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/definitions");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let imported = import(&std::fs::read(&path).unwrap(), "definition.json").unwrap();
            assert!(
                imported.notes.iter().any(|note| note.contains("--oracle")),
                "{path:?}"
            );
            assert!(!imported.contract.outputs.is_empty());
            seen += 1;
        }
    }
    assert_eq!(seen, 5);
    for (text, reason) in [
        (r#"{"name": "x"}"#, "axes is missing"),
        (
            r#"{"name": "x", "axes": {"n": {"type": "dynamic"}}}"#,
            "must be var or const",
        ),
        (
            r#"{"name": "x", "axes": {}, "inputs": {"a": {"shape": [1], "dtype": "float64"}}, "outputs": {}}"#,
            "kernels have float32",
        ),
        (
            r#"{"name": "x", "axes": {}, "inputs": {"a": {"shape": [1], "dtype": "int8"}}, "outputs": {}}"#,
            "lacks outputs",
        ),
    ] {
        let refused = import(text.as_bytes(), "definition.json").unwrap_err();
        assert!(refused.message.contains(reason), "{refused}");
    }
}

/// docs/contract.md is for authors: it names every definition and kernel, and what can be claimed.
#[test]
fn the_document_has_every_definition_class_property_and_limit() {
    const DOCUMENT: &str = include_str!("../../../../docs/contract.md");
    let has = |text: &str| assert!(DOCUMENT.contains(&format!("`{text}`")), "{text}");
    for definition in definitions() {
        has(&definition.name);
        has(&definition.kernel);
    }
    for class in [
        "normal",
        "uniform",
        "log_uniform",
        "unit",
        "integers",
        "angles",
        "constant",
    ] {
        has(class);
    }
    for property in [
        "row_independent",
        "elementwise",
        "permutes_with: AXIS",
        "linear_in: X",
        "scale_invariant: X",
        "norm_preserving",
        "inverse_of: KERNEL",
        "sums_to_one: AXIS",
        "finite",
        "at_least: NUMBER",
        "at_most: NUMBER",
    ] {
        has(property);
        let spelled = property
            .replace("NUMBER", "1")
            .replace("AXIS", "hidden")
            .replace('X', "x")
            .replace("KERNEL", "gelu");
        assert!(
            with(&format!(r#"{{"properties": ["{spelled}"]}}"#)).is_ok(),
            "{spelled}"
        );
    }
    assert!(DOCUMENT.contains(&format!("at most {LARGEST_CONTRACT} bytes")));
    assert!(DOCUMENT.contains(&format!("At most {LONGEST_EXPRESSION} characters")));
}
