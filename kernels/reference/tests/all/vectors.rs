//! The oracles against the vectors of the core pack: `cr` is another f64 computation, in another language, rounded once.

use kernel_reference::{Element, Truth, float16, kv, lora, rmsnorm, rope, swiglu};
use serde_json::Value;
use std::path::PathBuf;

/// A number of f32 or f16.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    F32,
    F16,
}

fn cases(kernel: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/packs/core/vectors")
        .join(format!("{kernel}.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    file["cases"].as_array().unwrap().clone()
}

fn bytes(array: &Value) -> Vec<u8> {
    hex::decode(array["hex"].as_str().unwrap()).unwrap()
}

fn values(array: &Value) -> Vec<f64> {
    let bytes = bytes(array);
    match array["dtype"].as_str().unwrap() {
        "f32" => bytes
            .chunks(4)
            .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
            .collect(),
        "f16" => bytes
            .chunks(2)
            .map(|b| float16::decode(u16::from_le_bytes(b.try_into().unwrap())))
            .collect(),
        other => panic!("{other}"),
    }
}

fn count(case: &Value, name: &str) -> usize {
    case["params"][name].as_u64().unwrap() as usize
}

fn number(case: &Value, name: &str) -> f64 {
    case["params"][name].as_f64().unwrap()
}

fn inputs(case: &Value, name: &str) -> Vec<f64> {
    values(&case["inputs"][name])
}

/// Bits with NaN as a class, of each element rounded once.
fn rounded(format: Format, elements: &[Element]) -> Vec<u32> {
    let bits = |value: f64| match format {
        Format::F32 if value.is_nan() => f32::NAN.to_bits(),
        Format::F32 => (value as f32).to_bits(),
        Format::F16 => u32::from(float16::encode(value)),
    };
    elements
        .iter()
        .map(|element| match element.truth {
            Truth::Value(value) => bits(value),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn bits(array: &Value) -> (Format, Vec<u32>) {
    let format = match array["dtype"].as_str().unwrap() {
        "f32" => Format::F32,
        _ => Format::F16,
    };
    let bits = values(array)
        .into_iter()
        .map(|value| match format {
            Format::F32 if value.is_nan() => f32::NAN.to_bits(),
            Format::F32 => (value as f32).to_bits(),
            Format::F16 => u32::from(float16::encode(value)),
        })
        .collect();
    (format, bits)
}

/// Holds `elements` against an oracle of the case; answers whether the case has it.
fn hold(case: &Value, oracle: &str, elements: &[Element]) -> bool {
    let array = &case["outputs"][oracle];
    if array.is_null() {
        return false;
    }
    let (format, expected) = bits(array);
    let got = rounded(format, elements);
    assert_eq!(got.len(), expected.len());
    for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!(
            got, expected,
            "{} {oracle} index {index}: {got:#x}, {expected:#x}",
            case["name"]
        );
    }
    true
}

/// 2^-149.
const SUBNORMAL_STEP: f64 = 1.401_298_464_324_817e-45;

/// Holds magnitudes against the case's, which are f32 and end at the largest of them.
fn hold_magnitudes(case: &Value, elements: &[Element]) {
    let expected = values(&case["mag"]);
    assert_eq!(elements.len(), expected.len());
    for (element, expected) in elements.iter().zip(expected) {
        // Without a finite value there is nothing to scale.
        if matches!(element.truth, Truth::Value(value) if value.is_finite()) {
            let got = element.magnitude.min(f64::from(f32::MAX));
            assert!(
                (got - expected).abs() <= 1e-6 * expected + SUBNORMAL_STEP,
                "{got} {expected}"
            );
        }
    }
}

fn shape(case: &Value) -> rope::Shape {
    rope::Shape {
        batch: count(case, "batch"),
        seq: count(case, "seq"),
        heads: count(case, "heads"),
        head_dim: count(case, "dim"),
        halves: count(case, "interleaved") == 0,
    }
}

#[test]
fn rope_is_cr_bit_for_bit() {
    for (kernel, least) in [("rope_f32", 9), ("rope_f16", 9)] {
        let mut held = 0;
        for case in cases(kernel) {
            if case["class"] == "stress" || case["outputs"]["cr"].is_null() {
                continue;
            }
            let x = inputs(&case, "x");
            let elements = if case["inputs"]["freqs"].is_null() {
                let (cos, sin) = (inputs(&case, "cos"), inputs(&case, "sin"));
                rope::rope(
                    shape(&case),
                    &x,
                    rope::Rotation::Tables {
                        cos: &cos,
                        sin: &sin,
                    },
                )
            } else {
                let angles = inputs(&case, "freqs");
                rope::rope(shape(&case), &x, rope::Rotation::Angles(&angles))
            };
            held += usize::from(hold(&case, "cr", &elements));
            hold_magnitudes(&case, &elements);
        }
        assert!(held >= least, "{kernel}: {held}");
    }
}

#[test]
fn positions_are_the_angles_of_the_vectors() {
    let case = &cases("rope_f32")[4];
    assert_eq!(number(case, "pos0"), 0.0);
    let x = inputs(case, "x");
    let angles = inputs(case, "freqs");
    let theta = number(case, "theta");
    let by_angle = rope::rope(shape(case), &x, rope::Rotation::Angles(&angles));
    let by_position = rope::rope(shape(case), &x, rope::Rotation::Positions { theta });
    for (a, b) in by_angle.iter().zip(&by_position) {
        let (Truth::Value(value), Truth::Value(other)) = (a.truth, b.truth) else {
            panic!("no value");
        };
        // The angles of the vectors are rounded to f32.
        assert!(
            (value - other).abs() <= 1e-6 * a.magnitude,
            "{value} {other}"
        );
    }
}

#[test]
fn rope_q8_is_cr_before_and_gguf_after_packing() {
    for case in cases("rope_q8") {
        let x = kv::unpack_q8(&bytes(&case["inputs"]["x_q8"]));
        let angles = inputs(&case, "freqs");
        let elements = rope::rope(shape(&case), &x, rope::Rotation::Angles(&angles));
        hold(&case, "y_f32_cr", &elements);
        let f32s: Vec<f32> = values(&case["outputs"]["y_f32_onnx_ref"])
            .into_iter()
            .map(|v| v as f32)
            .collect();
        assert_eq!(kv::pack_q8(&f32s), bytes(&case["outputs"]["y_q8_gguf"]));
    }
}

#[test]
fn rmsnorm_is_cr_bit_for_bit() {
    for kernel in ["rmsnorm_f32", "rmsnorm_f16"] {
        let held = cases(kernel)
            .iter()
            .filter(|case| {
                let (x, w) = (inputs(case, "x"), inputs(case, "w"));
                hold(case, "cr", &rmsnorm::rmsnorm(number(case, "eps"), &x, &w))
            })
            .count();
        assert!(held >= 9, "{kernel}: {held}");
    }
}

#[test]
fn swiglu_is_cr_bit_for_bit() {
    for kernel in ["swiglu_f32", "swiglu_f16"] {
        let held = cases(kernel)
            .iter()
            .filter(|case| {
                let (x, gate) = (inputs(case, "x"), inputs(case, "gate"));
                // The `cr` of this case is that of 1.702 in f64, while the parameter is the f32 next to it: up to 3 ulp apart.
                let beta = match case["name"].as_str() {
                    Some("1x33_beta1.702") => 1.702,
                    _ => number(case, "beta"),
                };
                hold(case, "cr", &swiglu::swiglu(beta, &gate, &x))
            })
            .count();
        assert!(held >= 5, "{kernel}: {held}");
    }
}

#[test]
fn lora_is_cr_bit_for_bit() {
    for kernel in ["lora_apply_f32", "lora_apply_f16"] {
        for case in cases(kernel) {
            let shape = lora::Shape {
                rows: count(&case, "rows"),
                in_features: count(&case, "in"),
                rank: count(&case, "rank"),
                out_features: count(&case, "out"),
            };
            let (x, a, b) = (inputs(&case, "x"), inputs(&case, "A"), inputs(&case, "B"));
            let base = inputs(&case, "base");
            let y = lora::lora_apply(shape, number(&case, "scale"), &x, &a, &b, &base);
            assert!(hold(&case, "cr", &y));
            hold_magnitudes(&case, &y);
        }
    }
}

#[test]
fn blocks_are_those_of_gguf_byte_for_byte() {
    for (kernel, pack) in [
        ("kv_pack_q8", kv::pack_q8 as fn(&[f32]) -> Vec<u8>),
        ("kv_pack_q4", kv::pack_q4),
    ] {
        for case in cases(kernel) {
            if case["class"] == "impl_defined" {
                continue;
            }
            let x: Vec<f32> = inputs(&case, "x").into_iter().map(|v| v as f32).collect();
            assert_eq!(
                pack(&x),
                bytes(&case["outputs"]["gguf"]),
                "{kernel} {}",
                case["name"]
            );
        }
    }
    for (kernel, unpack) in [
        ("kv_unpack_q8", kv::unpack_q8 as fn(&[u8]) -> Vec<f64>),
        ("kv_unpack_q4", kv::unpack_q4),
    ] {
        for case in cases(kernel) {
            let got: Vec<u32> = unpack(&bytes(&case["inputs"]["packed"]))
                .into_iter()
                .map(|v| (v as f32).to_bits())
                .collect();
            assert_eq!(
                got,
                bits(&case["outputs"]["gguf"]).1,
                "{kernel} {}",
                case["name"]
            );
        }
    }
}
