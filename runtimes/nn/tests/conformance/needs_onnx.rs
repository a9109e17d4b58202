//! The node tests of the PyPI package onnx, by the backend that is Rust alone.
//!
//! In scope are the tests with f32 whose operators the backend states (`backends::stated`), also those with an attribute, an input or an output that
//! it says it has not. Each of these is run, and at least 95 of 100 must pass. `fixtures/nn/node-tests.txt` lists every other one with its reason; one
//! that passes and is listed fails too. Two more shares are told: of the tests with f32 altogether, and of those whose graph is stated whole.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime_nn::{
    Backend, Dtype, Limits, Nn, Tensor,
    backends::{
        Onnx,
        stated::{PARTS, VERSIONS, WHOLE},
    },
};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc, time::Duration};

/// Of the tests in scope so many in a hundred must pass.
const DUE_PERCENT: usize = 95;

#[derive(Deserialize)]
struct Test {
    name: String,
    operators: Vec<String>,
    rtol: f64,
    atol: f64,
    model: String,
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Tensor {
        dtype: String,
        shape: Vec<u32>,
        base64: String,
    },
    Other {
        other: String,
    },
}

fn dtype(numpy: &str) -> Option<Dtype> {
    Some(match numpy {
        "float32" => Dtype::F32,
        "int32" => Dtype::I32,
        "int64" => Dtype::I64,
        "uint8" | "bool" => Dtype::U8,
        _ => return None,
    })
}

/// Why a test is not asked; nothing if it is.
fn out_of_scope(test: &Test) -> Option<String> {
    let values = || {
        test.sets
            .iter()
            .flat_map(|set| set.inputs.iter().chain(&set.outputs))
    };
    let mut single = false;
    for value in values() {
        match value {
            Value::Other { other } => return Some(format!("no tensor: {other}")),
            Value::Tensor { dtype: name, .. } if dtype(name).is_none() => {
                return Some(format!("type {name}"));
            }
            Value::Tensor { dtype, .. } => single |= dtype == "float32",
        }
    }
    let stated = |name: &&String| {
        let parts = PARTS.iter().map(|part| part.operator);
        parts.chain(WHOLE.split_whitespace()).any(|it| it == *name)
    };
    if let Some(other) = test.operators.iter().find(|name| !stated(name)) {
        return Some(format!("operator {other}"));
    }
    (!single).then(|| "no f32".to_owned())
}

/// Whether any tensor of a test is of f32.
fn has_f32(test: &Test) -> bool {
    let sets = test.sets.iter();
    let mut values = sets.flat_map(|set| set.inputs.iter().chain(&set.outputs));
    values.any(|value| matches!(value, Value::Tensor { dtype, .. } if dtype == "float32"))
}

fn tensor(value: &Value) -> Tensor {
    match value {
        Value::Tensor {
            dtype: name,
            shape,
            base64,
        } => {
            let bytes = STANDARD.decode(base64).unwrap();
            Tensor::new(dtype(name).unwrap(), shape.clone(), bytes).unwrap()
        }
        Value::Other { .. } => unreachable!("out of scope"),
    }
}

/// What is wrong with an output.
fn compare(found: &Tensor, due: &Tensor, (rtol, atol): (f64, f64)) -> Result<(), String> {
    if found.dtype() != due.dtype() || found.dimensions() != due.dimensions() {
        let form = |tensor: &Tensor| format!("{} {:?}", tensor.dtype(), tensor.dimensions());
        return Err(format!("{} where {} is due", form(found), form(due)));
    }
    let (Some(values), Some(dues)) = (found.to_f32(), due.to_f32()) else {
        let same = found.bytes() == due.bytes();
        return if same {
            Ok(())
        } else {
            Err("other integers".to_owned())
        };
    };
    for (value, due) in values.iter().zip(&dues) {
        let (wide, wide_due) = (f64::from(*value), f64::from(*due));
        let near = (wide - wide_due).abs() <= atol + rtol * wide_due.abs();
        if !(near || value == due || value.is_nan() && due.is_nan()) {
            return Err(format!("{value} where {due} is due"));
        }
    }
    Ok(())
}

/// Why a test does not pass.
enum Wrong {
    Refused(String),
    Fails(String),
}

impl From<runtime_nn::Error> for Wrong {
    fn from(error: runtime_nn::Error) -> Self {
        match error {
            runtime_nn::Error::Unsupported(words) => Wrong::Refused(words),
            other => Wrong::Fails(format!("failed to {other}")),
        }
    }
}

fn run(test: &Test) -> Result<(), Wrong> {
    let backend = Onnx;
    let limits = Limits {
        compute: Duration::from_secs(60),
        load: Duration::from_secs(60),
        ..Limits::default()
    };
    let graph = STANDARD.decode(&test.model).unwrap();
    assert!(
        backend.recognises(std::slice::from_ref(&graph)),
        "{}",
        test.name
    );
    let nn = Nn::new(limits).named("test", &backend, graph)?;
    let mut session = Arc::new(nn).session();
    let handle = session.load_by_name("test")?;
    for set in &test.sets {
        let context = session.init_execution_context(handle)?;
        for (index, input) in (0..).zip(&set.inputs) {
            session.set_input(context, index, tensor(input))?;
        }
        session.compute(context)?;
        for (index, due) in (0..).zip(&set.outputs) {
            let found = session.output(context, index)?;
            compare(found, &tensor(due), (test.rtol, test.atol)).map_err(Wrong::Fails)?;
        }
    }
    Ok(())
}

/// The tests that do not pass, with their reasons.
fn listed() -> BTreeMap<&'static str, &'static str> {
    let list = include_str!("../../../../fixtures/nn/node-tests.txt");
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let listed = lines.map(|line| line.split_once(": ").expect("a name and a reason"));
    listed.collect()
}

#[test]
#[ignore = "needs a Python with the package onnx"]
fn node_tests_pass_or_are_listed() {
    let python = std::env::var("ASSAY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let made = Command::new(python)
        .args(["-W", "ignore"])
        .arg(root.join("fixtures/nn/node_tests.py"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{errors}");
    let lines = std::str::from_utf8(&made.stdout).unwrap().lines();
    let tests: Vec<Test> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(tests.len() > 1500, "{} tests", tests.len());

    let mut left_out = BTreeMap::<String, usize>::new();
    let mut failed = BTreeMap::new();
    let (mut single, mut asked, mut refused) = (0, 0, 0);
    for test in &tests {
        single += usize::from(has_f32(test));
        if let Some(reason) = out_of_scope(test) {
            *left_out.entry(reason).or_default() += 1;
            continue;
        }
        asked += 1;
        let what = match run(test) {
            Ok(()) => continue,
            Err(Wrong::Refused(why)) => {
                refused += 1;
                format!("refused: {why}")
            }
            Err(Wrong::Fails(what)) => what,
        };
        failed.insert(test.name.as_str(), what);
    }
    let passed = asked - failed.len();
    let share = |of: usize| {
        format!(
            "{passed} of {of}, {:.1} %",
            passed as f64 * 100.0 / of as f64
        )
    };
    println!("in scope by operators: {}", share(asked));
    println!("of those not refused: {}", share(asked - refused));
    println!(
        "of all {} tests those with f32: {}",
        tests.len(),
        share(single)
    );
    for (reason, count) in &left_out {
        println!("not asked: {count} for {reason}");
    }
    for (name, what) in &failed {
        println!("{name}: {}", what.replace('\n', " "));
    }
    let listed = listed();
    let found: BTreeMap<_, _> = failed
        .iter()
        .map(|(name, what)| (*name, what.as_str()))
        .collect();
    assert_eq!(found, listed, "they do not pass, and what is listed");
    assert!(
        passed * 100 >= asked * DUE_PERCENT,
        "{passed} of {asked} pass"
    );
}

/// What a reader of the documentation finds is what files are held to.
#[test]
fn the_documentation_states_what_is_stated() {
    let page = include_str!("../../../../docs/wasi-nn.md");
    let (first, last) = (VERSIONS.start(), VERSIONS.end());
    let versions = format!("versions {first} to {last}");
    assert!(page.contains(&versions), "{versions}");
    for part in PARTS {
        let row = format!("| {} | {} |\n", part.operator, part.without);
        assert!(page.contains(&row), "{row}");
    }
    let whole = page.split_once("These are whole:\n");
    let whole = whole.and_then(|(_, rest)| rest.split_once("\n\n"));
    let words: Vec<_> = whole.unwrap().0.split_whitespace().collect();
    assert_eq!(words, WHOLE.split_whitespace().collect::<Vec<_>>());
}

/// The comparison sees a value that is off, another shape and another type.
#[test]
fn the_comparison_can_fail() {
    let due = Tensor::f32(vec![2], &[1.0, f32::NAN]).unwrap();
    let tolerances = (1e-3, 1e-7);
    assert_eq!(compare(&due, &due, tolerances), Ok(()));
    for other in [
        Tensor::f32(vec![2], &[1.002, f32::NAN]).unwrap(),
        Tensor::f32(vec![2], &[1.0, 1.0]).unwrap(),
        Tensor::f32(vec![2, 1], &[1.0, f32::NAN]).unwrap(),
        Tensor::new(Dtype::I32, vec![2], vec![0; 8]).unwrap(),
    ] {
        assert!(compare(&other, &due, tolerances).is_err());
    }
}
