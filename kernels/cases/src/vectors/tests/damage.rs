//! Vector files that are damaged, or do not fit their kernel.

use super::*;

/// What is wrong with the file after a change to its first case, in words.
fn damage(kernel: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut file = fixture(kernel);
    assert!(load(&file).is_ok());
    change(&mut file["cases"][0]);
    load(&file).unwrap_err().to_string()
}

#[test]
fn each_damage_is_refused_with_the_case_and_what_is_wrong() {
    let swiglu = |change: fn(&mut Value)| damage("swiglu_f32", change);
    let table: [(String, &str); 30] = [
        (
            swiglu(|c| c["name"] = json!(5)),
            "`name` is 5 and no string",
        ),
        (
            swiglu(|c| c["name"] = json!("")),
            "a name has 1 to 200 bytes",
        ),
        (
            swiglu(|c| c["name"] = json!("a\u{1b}[2J")),
            "no control characters",
        ),
        (
            swiglu(|c| c["name"] = json!("1x1_beta1")),
            "case number 1 has the same name",
        ),
        (
            swiglu(|c| c["class"] = json!("norm")),
            "unknown class `norm`",
        ),
        (
            swiglu(|c| c["class"] = json!(null)),
            "`class` is null and no string",
        ),
        (
            swiglu(|c| c["params"] = json!([1])),
            "params is an array and no object",
        ),
        (
            swiglu(|c| c["params"]["rows"] = json!("2")),
            "params.rows is \"2\" and no dimension",
        ),
        (
            swiglu(|c| c["params"]["rows"] = json!(-2)),
            "params.rows is -2 and no dimension",
        ),
        (
            swiglu(|c| c["params"]["rows"] = json!(2.5)),
            "params.rows is 2.5 and no dimension",
        ),
        (
            swiglu(|c| c["params"]["rows"] = json!(0)),
            "params.rows is 0",
        ),
        (
            swiglu(|c| c["params"]["rows"] = json!(4_294_967_296u64)),
            "no dimension",
        ),
        (
            swiglu(|c| c["params"]["rows"] = json!(u32::MAX)),
            "the params ask for f32 x",
        ),
        (
            swiglu(|c| c["params"]["beta"] = json!(1e39)),
            "no finite f32",
        ),
        (
            swiglu(|c| c["params"]["beta"] = json!(null)),
            "params.beta is missing",
        ),
        (
            swiglu(|c| c["inputs"] = json!(null)),
            "inputs is null and no object",
        ),
        (
            swiglu(|c| c["inputs"]["gate"] = json!(null)),
            "inputs.gate is missing",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["dtype"] = json!("f64")),
            "unknown dtype `f64`",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["dtype"] = json!(4)),
            "`dtype` is 4 and no string",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["dtype"] = json!("f16")),
            "inputs.x: `hex` has 64 digits",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["shape"] = json!(8)),
            "`shape` is 8 and no array",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["shape"] = json!([2, -4])),
            "`shape` has -4",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["shape"] = json!([2, 5])),
            "need 80",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["shape"] = json!([1u64 << 32, 1u64 << 32])),
            "`shape` overflows",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["shape"] = json!([1u64 << 32, 1u64 << 31])),
            "need more than 2^64",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["hex"] = json!("zz".repeat(32))),
            "`hex`: Invalid character",
        ),
        (
            swiglu(|c| c["inputs"]["x"]["hex"] = json!([])),
            "`hex` is an array and no string",
        ),
        (
            swiglu(|c| c["outputs"] = json!({})),
            "none of its oracles () binds",
        ),
        (
            swiglu(|c| c["outputs"]["cr"] = c["outputs"]["missing"].take()),
            "none of its oracles",
        ),
        (
            swiglu(|c| {
                c["outputs"]["cr"]["shape"] = json!([1]);
                c["outputs"]["cr"]["hex"] = json!("00000000");
            }),
            "outputs.cr is f32 x 1, the output is f32 x 8",
        ),
    ];
    for (message, expected) in table {
        assert!(
            message.contains(expected),
            "{message:?} should say {expected:?}"
        );
        assert!(
            message.starts_with("load vector file `file.json`: case `"),
            "{message}"
        );
    }
}

#[test]
fn what_does_not_fit_the_kernel_is_refused() {
    let rope = |change: fn(&mut Value)| damage("rope_f32", change);
    let table: [(String, &str); 16] = [
        (
            rope(|c| c["params"]["dim"] = json!(3)),
            "params.dim is 3 and no multiple of 2",
        ),
        (
            rope(|c| c["params"]["interleaved"] = json!(2)),
            "params.interleaved is 2 and no flag",
        ),
        (
            rope(|c| c["params"]["interleaved"] = json!(null)),
            "params.interleaved is missing",
        ),
        (
            rope(|c| c["params"]["theta"] = json!("x")),
            "params.theta is \"x\"",
        ),
        (
            rope(|c| c["params"]["tables"] = json!("f16")),
            "for rope_f16 only",
        ),
        (
            rope(|c| c["params"]["tables"] = json!("f8")),
            "neither \"f16\" nor \"f32\"",
        ),
        (
            rope(|c| c["inputs"]["sin"] = json!(null)),
            "only make sense together",
        ),
        (
            rope(|c| {
                let x = c["inputs"]["x"].take();
                c["inputs"] = json!({ "x": x });
            }),
            "neither inputs.freqs nor",
        ),
        (
            rope(|c| c["mag"]["hex"] = json!("0000c07f0000c07f")),
            "mag[0] is NaN, and no magnitude",
        ),
        (
            rope(|c| c["mag"]["hex"] = json!("0000807f0000807f")),
            "mag[0] is inf, and no magnitude",
        ),
        (
            rope(|c| c["mag"]["hex"] = json!("000080bf000080bf")),
            "mag[0] is -1e0, and no magnitude",
        ),
        (
            rope(|c| c["mag"] = json!({"dtype": "f32", "shape": [1], "hex": "00000000"})),
            "mag has 1 elements, the output stands for 2",
        ),
        (
            rope(|c| c["mag"] = json!({"dtype": "i8", "shape": [2], "hex": "0000"})),
            "mag is i8 and no array of floats",
        ),
        (
            damage("kv_pack_q4", |c| c["params"]["dim"] = json!(31)),
            "no multiple of 32",
        ),
        (
            damage("rmsnorm_f16", |c| c["params"]["eps"] = json!(-1.0)),
            "params.eps is -1",
        ),
        (
            // x is 1 x in, A in x rank and B rank x 1: the intermediate may be far larger than the file.
            damage("lora_apply_f32", |c| {
                let array =
                    |n: usize| json!({"dtype": "f32", "shape": [n], "hex": "00".repeat(n * 4)});
                c["params"] = json!({"rows": 8192, "in": 1, "rank": 8192, "out": 1, "scale": 1});
                c["mag"] = json!(null);
                c["class"] = json!("stress");
                c["inputs"] = json!({"x": array(8192), "A": array(8192), "B": array(8192), "base": array(8192)});
            }),
            "bytes of scratch, the limit is",
        ),
    ];
    for (message, expected) in table {
        assert!(
            message.contains(expected),
            "{message:?} should say {expected:?}"
        );
    }
}

#[test]
fn a_file_that_is_none_is_refused() {
    let refused = |bytes: &[u8]| load_bytes("file.json", bytes).unwrap_err();
    for bytes in [
        &b""[..],
        b"{",
        b"\xff\xfe",
        b"{\"kernel\":\"rope_f32\",\"cases\":[}",
        "[".repeat(10_000).as_bytes(),
    ] {
        assert!(matches!(refused(bytes), VectorError::Json { .. }));
    }
    for json in [
        json!([]),
        json!(null),
        json!({}),
        json!({"kernel": 3}),
        json!({"kernel": "rope_f32"}),
        json!({"kernel": "rope_f32", "cases": {}}),
        json!({"kernel": "rope_f32", "cases": []}),
    ] {
        let error = load(&json).unwrap_err();
        assert!(matches!(error, VectorError::File { .. }), "{error}");
    }
    let unknown = load(&json!({"kernel": "softmax_f32", "cases": []})).unwrap_err();
    assert!(matches!(unknown, VectorError::UnknownKernel { .. }));
    let case = load(&json!({"kernel": "rope_f32", "cases": [7]})).unwrap_err();
    assert_eq!(
        case.to_string(),
        "load vector file `file.json`: case `number 1`: the case is 7 and no object"
    );
    let many = format!(
        "{{\"kernel\":\"rope_f32\",\"cases\":[{}]}}",
        "0,".repeat(1 << 20)
    );
    assert!(matches!(
        refused(many.as_bytes()),
        VectorError::TooLarge { .. }
    ));
    let large = vec![b' '; MAX_FILE_BYTES as usize + 1];
    assert!(matches!(refused(&large), VectorError::TooLarge { .. }));
}

/// Every byte of a small file changed, and every prefix of it: an answer, never a panic.
#[test]
fn no_damage_to_a_byte_panics() {
    let mut file = fixture("rope_f32");
    file["cases"].as_array_mut().unwrap().truncate(1);
    let bytes = file.to_string().into_bytes();
    for index in 0..bytes.len() {
        assert!(load_bytes("file.json", &bytes[..index]).is_err());
        for change in [b'0', b'"', b'}', b'-', 0xff, b'9'] {
            let mut bytes = bytes.clone();
            bytes[index] = change;
            let _ = load_bytes("file.json", &bytes);
        }
    }
}
