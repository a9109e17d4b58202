//! The vectors of other people's libraries: bit for bit or within the contract's tolerance, as
//! docs/vectors.md says.

use crate::common::{Call, f16s, f32s, fixture, hex, ulp16};
use kernel_abi::params::{Kv, Lora, RmsNorm, Rope, Swiglu};
use kernel_core::{Element, F16, F32};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Type {
    F32,
    F16,
}

impl Type {
    fn values(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Type::F32 => f32s(bytes),
            Type::F16 => f16s(bytes),
        }
    }
}

fn cases(id: &str) -> Vec<Value> {
    let file = fixture(&format!("packs/core/vectors/{id}.json"));
    assert_eq!(file["kernel"], id);
    let cases = file["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn number(case: &Value, name: &str) -> f64 {
    case["params"][name]
        .as_f64()
        .unwrap_or_else(|| panic!("{} has no {name}", case["name"]))
}

fn dimension(case: &Value, name: &str) -> u32 {
    number(case, name) as u32
}

fn input(case: &Value, name: &str) -> Vec<u8> {
    hex(&case["inputs"][name])
}

fn output(case: &Value, name: &str) -> Option<Vec<u8>> {
    let array = &case["outputs"][name];
    (!array.is_null()).then(|| hex(array))
}

/// Equal bits, NaN as a class.
fn assert_same(type_: Type, actual: &[u8], expected: &[u8], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let pairs = type_.values(actual).into_iter().zip(type_.values(expected));
    for (index, (actual, expected)) in pairs.enumerate() {
        assert!(
            actual.to_bits() == expected.to_bits() || actual.is_nan() && expected.is_nan(),
            "{what}[{index}]: {actual:e} instead of {expected:e}"
        );
    }
}

/// Within an absolute tolerance that may depend on the index; NaN and infinities as a class.
fn assert_close(
    type_: Type,
    actual: &[u8],
    expected: &[u8],
    what: &str,
    tolerance: impl Fn(usize, f32) -> f64,
) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let pairs = type_.values(actual).into_iter().zip(type_.values(expected));
    for (index, (actual, expected)) in pairs.enumerate() {
        let error = (f64::from(actual) - f64::from(expected)).abs();
        let same = actual == expected || actual.is_nan() && expected.is_nan();
        let allowed = tolerance(index, expected);
        assert!(
            same || error <= allowed,
            "{what}[{index}]: {actual:e} instead of {expected:e}, error {error:e} above {allowed:e}"
        );
    }
}

fn magnitudes(case: &Value) -> Vec<f64> {
    let array = &case["mag"];
    let bytes = hex(array);
    match array["dtype"].as_str() {
        Some("f32") => f32s(&bytes).into_iter().map(f64::from).collect(),
        other => panic!("mag of type {other:?}"),
    }
}

fn rope_params(case: &Value, layout: u32, table: u32) -> Rope {
    Rope {
        theta: case["params"]["theta"].as_f64().unwrap_or(10_000.0) as f32,
        seq: dimension(case, "seq"),
        head_dim: dimension(case, "dim"),
        heads: dimension(case, "heads"),
        batch: dimension(case, "batch"),
        layout,
        table,
    }
}

/// Runs the kernel with tables; one call per batch where each batch has its own.
fn rope_tables(id: &str, case: &Value, x: &[u8], params: Rope) -> Vec<u8> {
    let (cosines, sines) = (input(case, "cos"), input(case, "sin"));
    let calls = match case["params"]["tables_per_batch"].as_bool() {
        Some(true) => params.batch as usize,
        _ => 1,
    };
    let part = |bytes: &[u8], index: usize| {
        let size = bytes.len() / calls;
        bytes[index * size..][..size].to_vec()
    };
    let params = Rope {
        batch: params.batch / calls as u32,
        ..params
    };
    (0..calls)
        .flat_map(|index| {
            let x = part(x, index);
            let call = Call {
                output: vec![0; x.len()],
                a: x,
                b: [part(&cosines, index), part(&sines, index)].concat(),
                params: params.to_le_bytes().to_vec(),
                ..Call::default()
            };
            call.forward(id).0
        })
        .collect()
}

fn rope_angles(id: &str, case: &Value, x: &[u8], params: Rope) -> Vec<u8> {
    let call = Call {
        a: x.to_vec(),
        b: input(case, "freqs"),
        output: vec![0; x.len()],
        params: params.to_le_bytes().to_vec(),
        ..Call::default()
    };
    call.forward(id).0
}

/// The vector's pairs (2i, 2i + 1) as the pairs (i, i + half) of the other layout, in elements of `size` bytes.
fn to_halves(bytes: &[u8], size: usize, head_dim: usize) -> Vec<u8> {
    let mut halves = Vec::with_capacity(bytes.len());
    for row in bytes.chunks(size * head_dim) {
        for parity in [0, 1] {
            for pair in row.chunks(2 * size) {
                halves.extend_from_slice(&pair[parity * size..][..size]);
            }
        }
    }
    halves
}

fn rope(type_: Type) -> (usize, usize) {
    let (id, size, exact) = match type_ {
        Type::F32 => ("rope_f32", 4, "onnx_ref"),
        Type::F16 => ("rope_f16", 2, "ort"),
    };
    let (mut with_tables, mut with_angles) = (0, 0);
    for case in cases(id) {
        let name = case["name"].as_str().unwrap();
        let layout = 1 - dimension(&case, "interleaved");
        let (x, head_dim) = (input(&case, "x"), dimension(&case, "dim") as usize);
        let half_tables = case["params"]["tables"] == "f16";
        let exact = match case["class"].as_str() {
            Some("onnx_node") => "onnx_node_test",
            _ => exact,
        };
        let binds = type_ == Type::F32 || half_tables;
        if let (true, Some(expected)) = (binds, output(&case, exact)) {
            let params = rope_params(&case, layout, if half_tables { 2 } else { 1 });
            assert_same(type_, &rope_tables(id, &case, &x, params), &expected, name);
            if layout == 0 {
                let halves = rope_tables(
                    id,
                    &case,
                    &to_halves(&x, size, head_dim),
                    Rope {
                        layout: 1,
                        ..params
                    },
                );
                assert_same(type_, &halves, &to_halves(&expected, size, head_dim), name);
            }
            with_tables += 1;
        }
        if let (Some(expected), false) = (output(&case, "cr"), case["inputs"]["freqs"].is_null()) {
            let actual = rope_angles(id, &case, &x, rope_params(&case, layout, 0));
            let magnitudes = magnitudes(&case);
            assert_close(type_, &actual, &expected, name, |index, expected| {
                let rounding = match type_ {
                    Type::F32 => 0.0,
                    Type::F16 => ulp16(expected),
                };
                rounding + 4.0 * 2f64.powi(-23) * magnitudes[index]
            });
            with_angles += 1;
        }
    }
    (with_tables, with_angles)
}

#[test]
fn rope_f32() {
    assert_eq!(rope(Type::F32), (10, 9));
}

#[test]
fn rope_f16() {
    assert_eq!(rope(Type::F16), (3, 9));
}

#[test]
fn rope_q8() {
    for case in cases("rope_q8") {
        let name = case["name"].as_str().unwrap();
        let layout = 1 - dimension(&case, "interleaved");
        let x = input(&case, "x_q8");
        let expected = output(&case, "y_q8_gguf").unwrap();

        let actual = rope_tables("rope_q8", &case, &x, rope_params(&case, layout, 1));
        assert_eq!(actual, expected, "{name}");

        let actual = rope_angles("rope_q8", &case, &x, rope_params(&case, layout, 0));
        let mut off = 0;
        for (actual, expected) in actual.chunks(34).zip(expected.chunks(34)) {
            assert_close(Type::F16, &actual[..2], &expected[..2], name, |_, scale| {
                ulp16(scale)
            });
            for (actual, expected) in actual[2..].iter().zip(&expected[2..]) {
                let distance = (*actual as i8).abs_diff(*expected as i8);
                assert!(distance <= 1, "{name}");
                off += usize::from(distance);
            }
        }
        assert!(off * 50 <= expected.len(), "{name}: {off} codes differ");
    }
}

fn rmsnorm(type_: Type) -> usize {
    let id = match type_ {
        Type::F32 => "rmsnorm_f32",
        Type::F16 => "rmsnorm_f16",
    };
    let mut bound = 0;
    for case in cases(id) {
        let name = case["name"].as_str().unwrap();
        let params = RmsNorm {
            eps: number(&case, "eps") as f32,
            hidden: dimension(&case, "hidden"),
            rows: dimension(&case, "rows"),
        };
        let x = input(&case, "x");
        let mut call = Call {
            output: vec![0; x.len()],
            a: x,
            b: input(&case, "w"),
            params: params.to_le_bytes().to_vec(),
            ..Call::default()
        };
        let (actual, _) = call.forward(id);
        let expected = output(&case, "cr")
            .or_else(|| output(&case, "ort"))
            .unwrap();
        assert_close(type_, &actual, &expected, name, |_, expected| match type_ {
            Type::F32 => {
                let relative = (6.25e-8 * f64::from(params.hidden).sqrt()).max(1e-6);
                relative * f64::from(expected.abs())
            }
            Type::F16 => ulp16(expected),
        });
        if type_ == Type::F16 {
            assert_same(type_, &actual, &output(&case, "ort").unwrap(), name);
        }
        if !case["outputs"]["onnx_node_test"].is_null() {
            let expected = output(&case, "onnx_node_test").unwrap();
            assert_close(type_, &actual, &expected, name, |_, expected| {
                1e-6 * f64::from(expected.abs())
            });
        }

        // With room in scratch the roots of the mean squares are stored, and the output is the same.
        call.scratch = vec![0xff; params.rows as usize * 4 + 4];
        let (again, roots) = call.forward(id);
        assert_eq!(actual, again, "{name}");
        assert_eq!(roots[roots.len() - 4..], [0xff; 4], "{name}");
        let rows = type_.values(&call.a);
        for (row, root) in rows.chunks(params.hidden as usize).zip(f32s(&roots)) {
            let squares: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            let expected = (squares / row.len() as f64 + f64::from(params.eps)).sqrt();
            let near = (f64::from(root) - expected).abs() <= 1e-5 * expected;
            let overflow = expected > 1e19 && root.is_infinite();
            assert!(
                near || overflow
                    || f64::from(root) == expected
                    || root.is_nan() && expected.is_nan(),
                "{name}: {root:e} instead of {expected:e}"
            );
        }
        call.scratch.truncate(params.rows as usize * 4 - 1);
        let (_, untouched) = call.forward(id);
        assert!(untouched.iter().all(|byte| *byte == 0xff), "{name}");
        bound += 1;
    }
    bound
}

#[test]
fn rmsnorm_f32() {
    assert_eq!(rmsnorm(Type::F32), cases("rmsnorm_f32").len());
}

#[test]
fn rmsnorm_f16() {
    assert_eq!(rmsnorm(Type::F16), cases("rmsnorm_f16").len());
}

fn swiglu(type_: Type) {
    let id = match type_ {
        Type::F32 => "swiglu_f32",
        Type::F16 => "swiglu_f16",
    };
    for case in cases(id) {
        let name = case["name"].as_str().unwrap();
        let params = Swiglu {
            rows: dimension(&case, "rows"),
            hidden: dimension(&case, "hidden"),
            beta: number(&case, "beta") as f32,
        };
        let (x, gate) = (input(&case, "x"), input(&case, "gate"));
        let (ups, gates) = (type_.values(&x), type_.values(&gate));
        let call = Call {
            output: vec![0; x.len()],
            a: x,
            b: gate,
            params: params.to_le_bytes().to_vec(),
            ..Call::default()
        };
        let (actual, _) = call.forward(id);
        let expected = output(&case, "cr").unwrap();
        assert_close(
            type_,
            &actual,
            &expected,
            name,
            |index, expected| match type_ {
                Type::F32 => {
                    let near = 8.0 * 2f64.powi(-23) * f64::from(expected.abs()) + 2f64.powi(-126);
                    if (params.beta * gates[index]).abs() <= 80.0 {
                        near
                    } else {
                        near + 1e-30 * f64::from(ups[index].abs())
                    }
                }
                Type::F16 => ulp16(expected),
            },
        );
        // Signs of zero are part of the contract: large negative gates give -0.
        for (actual, expected) in type_.values(&actual).iter().zip(type_.values(&expected)) {
            if expected == 0.0 {
                assert_eq!(
                    actual.is_sign_negative(),
                    expected.is_sign_negative(),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn swiglu_f32() {
    swiglu(Type::F32);
}

#[test]
fn swiglu_f16() {
    swiglu(Type::F16);
}

/// Compares with gguf; `impl_defined` cases, where libraries disagree, only have to run.
fn kv(id: &str, name_of_input: &str, output_bytes: impl Fn(&Kv) -> u32) -> usize {
    let mut bound = 0;
    for case in cases(id) {
        let name = case["name"].as_str().unwrap();
        let params = Kv {
            rows: dimension(&case, "rows"),
            dim: dimension(&case, "dim"),
        };
        let call = Call {
            a: input(&case, name_of_input),
            output: vec![0; output_bytes(&params) as usize],
            params: params.to_le_bytes().to_vec(),
            ..Call::default()
        };
        let (actual, _) = call.forward(id);
        if case["class"] == "impl_defined" {
            continue;
        }
        let expected = output(&case, "gguf").unwrap();
        if id.starts_with("kv_unpack") {
            assert_same(Type::F32, &actual, &expected, name);
        } else {
            assert_eq!(actual, expected, "{name}");
        }
        bound += 1;
    }
    bound
}

#[test]
fn kv_pack() {
    assert_eq!(kv("kv_pack_q4", "x", |p| p.rows * p.dim / 32 * 18), 10);
    assert_eq!(kv("kv_pack_q8", "x", |p| p.rows * p.dim / 32 * 34), 10);
}

#[test]
fn kv_unpack() {
    assert_eq!(kv("kv_unpack_q4", "packed", |p| p.rows * p.dim * 4), 10);
    assert_eq!(kv("kv_unpack_q8", "packed", |p| p.rows * p.dim * 4), 10);
}

fn lora(type_: Type) {
    let id = match type_ {
        Type::F32 => "lora_apply_f32",
        Type::F16 => "lora_apply_f16",
    };
    for case in cases(id) {
        let name = case["name"].as_str().unwrap();
        let params = Lora {
            rows: dimension(&case, "rows"),
            in_features: dimension(&case, "in"),
            rank: dimension(&case, "rank"),
            out_features: dimension(&case, "out"),
            scale: number(&case, "scale") as f32,
        };
        let call = Call {
            a: input(&case, "x"),
            b: [input(&case, "A"), input(&case, "B")].concat(),
            output: input(&case, "base"),
            scratch: vec![0xff; (params.rows * params.rank * 4) as usize],
            params: params.to_le_bytes().to_vec(),
        };
        let (actual, _) = call.forward(id);
        let magnitudes = magnitudes(&case);
        let terms = f64::from(params.in_features + params.rank);
        assert_close(
            type_,
            &actual,
            &output(&case, "cr").unwrap(),
            name,
            |index, expected| {
                let rounding = match type_ {
                    Type::F32 => 0.0,
                    Type::F16 => ulp16(expected),
                };
                rounding + (4.0 + 0.5 * terms.sqrt()) * 2f64.powi(-24) * magnitudes[index]
            },
        );
    }
}

#[test]
fn lora_apply_f32() {
    lora(Type::F32);
}

#[test]
fn lora_apply_f16() {
    lora(Type::F16);
}

#[test]
fn conversions_of_f16() {
    let file = fixture("vectors/convert_f16.json");
    let [narrow, widen] = &file["cases"].as_array().unwrap()[..] else {
        panic!("two cases");
    };
    let values = f32s(&input(narrow, "x"));
    let expected = output(narrow, "numpy").unwrap();
    for (value, expected) in values.iter().zip(expected.as_chunks().0) {
        let actual = F16::store(*value);
        assert!(
            actual == *expected || value.is_nan() && actual.load().is_nan(),
            "{value:e}: {actual:x?} instead of {expected:x?}"
        );
    }
    assert_eq!(values.len() * 2, expected.len());

    let mut hash = Sha256::new();
    let mut count = 0;
    for bits in 0..=u16::MAX {
        let value = bits.to_le_bytes().load();
        if value.is_nan() {
            // A NaN stays a quiet NaN on its way back.
            assert_eq!(u16::from_le_bytes(F16::store(value)) & 0x7e00, 0x7e00);
        } else {
            hash.update(value.to_le_bytes());
            count += 1;
        }
    }
    assert_eq!(number(widen, "count") as u32, count);
    let digest: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(widen["params"]["sha256"], digest.as_str());
}

/// The elementary functions as the kernels use them.
#[test]
fn elementary_functions() {
    let file = fixture("vectors/elementary_f32.json");
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let values = f32s(&input(case, "x"));
        let actual: Vec<f32> = values
            .iter()
            .map(|&x| match name {
                "exp" => libm::exp(f64::from(x)) as f32,
                "sin" => libm::sincos(f64::from(x)).0 as f32,
                "cos" => libm::sincos(f64::from(x)).1 as f32,
                "sqrt" => libm::sqrtf(x),
                "sigmoid" => (1.0 / (1.0 + libm::exp(-f64::from(x)))) as f32,
                other => panic!("unknown function {other}"),
            })
            .collect();
        let actual: Vec<u8> = actual.into_iter().flat_map(F32::store).collect();
        let expected = output(case, "cr").unwrap();
        // Every result is an f64 result rounded once, so at most the last bit differs.
        assert_close(
            Type::F32,
            &actual,
            &expected,
            name,
            |_, expected| match name {
                "sqrt" => 0.0,
                _ => f64::from(expected.abs().max(f32::MIN_POSITIVE)) * 2f64.powi(-23),
            },
        );
    }
}
