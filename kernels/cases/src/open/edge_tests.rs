//! The families of calls at a limit: that each is there, and that it tells a wrong kernel from a right one.

use super::*;
use kernel_abi::Status;

/// Inputs and outputs as `name:shape`, and the rest of the contract.
fn contract(input: &str, output: &str, params: &str, rest: &str) -> Arc<Contract> {
    let array = |name: &str, of: &str| {
        let (dtype, axes) = of.split_once(' ').unwrap();
        let axes: Vec<String> = axes.split(' ').map(|axis| format!("{axis:?}")).collect();
        format!(
            r#"[{{"name": "{name}", "dtype": "{dtype}", "shape": [{}]}}]"#,
            axes.join(", ")
        )
    };
    let text = format!(
        r#"{{"id": "one", "inputs": {}, "outputs": {}, "params": {{{params}}}{rest}, "tolerance": {{"bits": true}}}}"#,
        array("x", input),
        array("y", output),
    );
    Arc::new(Contract::parse(text.as_bytes(), "one.json").unwrap())
}

fn count(name: &str, bounds: &str) -> String {
    format!(r#""{name}": {{"type": "u32", "default": 1{bounds}}}"#)
}

fn rows_and_columns() -> String {
    let axis = |name| count(name, r#", "min": 1"#);
    [axis("rows"), axis("columns")].join(", ")
}

/// One matrix from another.
fn matrices(params: &str, rest: &str) -> Arc<Contract> {
    contract("f32 rows columns", "f32 rows columns", params, rest)
}

fn named<'a>(cases: &'a [Case], part: &str) -> Vec<&'a Case> {
    let named = cases.iter().filter(|case| case.name.contains(part));
    named.collect()
}

fn value(case: &Case, name: &str) -> u64 {
    case.open.as_ref().unwrap().values[name] as u64
}

#[test]
fn special_values_come_in_runs_along_each_axis() {
    let open = matrices(&rows_and_columns(), "");
    let cases = edge_cases(&open);
    let case = |name: &str| *named(&cases, name).first().unwrap();
    let rows = |case: &Case, length: usize| -> Vec<Vec<f64>> {
        let values = number::decode(Dtype::F32, &case.a);
        values.chunks(length).map(<[f64]>::to_vec).collect()
    };
    let below = |value: &f64| *value == f64::NEG_INFINITY;
    let along = rows(case("edge:runs-x-minus-inf-1-0"), 300);
    for run in [1, 4, 16, 64, 256] {
        let (first, last) = (run, 300 - run);
        let is_first =
            |row: &Vec<f64>| row.iter().take_while(|value| below(value)).count() == first;
        let is_last = |row: &Vec<f64>| row.iter().skip_while(|value| !below(value)).count() == run;
        assert!(along.iter().any(is_first), "first {first}");
        assert!(along.iter().any(is_last), "from {last} on");
    }
    let in_row = |row: &Vec<f64>| row.iter().filter(|value| below(value)).count();
    assert_eq!(along.iter().filter(|row| in_row(row) == 299).count(), 3);
    assert!(along.iter().any(|row| in_row(row) == 300));
    // A softmax that takes the first tile for one that has a largest element: NaN is not due where the row has one.
    let is_wrong = |row: &Vec<f64>| in_row(row) < 300 && row[..16].iter().all(below);
    assert!(along.iter().any(is_wrong));
    // Along the other axis, of the other sign, and in longer rows.
    let across = rows(case("edge:runs-x-minus-inf-0-0"), 17);
    assert_eq!(across.len(), 300);
    assert!(across[..16].iter().all(|row| below(&row[0])) && !below(&across[299][0]));
    assert!(
        case("edge:runs-x-inf-1-0")
            .a
            .chunks(4)
            .any(|bits| bits == f32::INFINITY.to_le_bytes())
    );
    let long = rows(case("edge:runs-x-minus-inf-long-1-0"), 1100);
    assert_eq!(in_row(&long[0]), 1024);
    // What is not promised does not come.
    let no = r#", "domain": {"x": {"class": "normal", "special": ["zeros"]}}"#;
    let open = matrices(&rows_and_columns(), no);
    let cases = edge_cases(&open);
    assert_eq!(named(&cases, "edge:runs-").len(), 1);
    assert!(cases.iter().all(|case| {
        number::decode(Dtype::F32, &case.a)
            .iter()
            .all(|value| value.is_finite())
    }));
}

#[test]
fn nans_come_with_payloads_at_both_ends() {
    let n = count("n", r#", "min": 1"#);
    for (input, patterns) in [
        (
            "f32 n",
            [0x7f80_0001_u32, 0xff80_0001, 0x7fff_ffff, u32::MAX],
        ),
        ("f16 n", [0x7c01, 0xfc01, 0x7fff, 0xffff]),
        ("bf16 n", [0x7f81, 0xff81, 0x7fff, 0xffff]),
    ] {
        let cases = edge_cases(&contract(input, "f32 n", &n, ""));
        let width = if input.starts_with("f32") { 4 } else { 2 };
        for bits in patterns {
            let bits = &bits.to_le_bytes()[..width];
            let has = |case: &Case| case.a.chunks(width).any(|element| element == bits);
            assert!(cases.iter().any(has), "{input}: {bits:?}");
        }
    }
}

#[test]
fn axes_that_may_be_empty_are_asked_without_elements() {
    let params = [count("rows", ""), count("columns", r#", "min": 0"#)].join(", ");
    let cases = edge_cases(&matrices(&params, ""));
    let empty = named(&cases, "-empty");
    let names: Vec<&str> = empty.iter().map(|case| case.name.as_str()).collect();
    let all: std::collections::BTreeSet<&str> = cases.iter().map(|case| &*case.name).collect();
    assert_eq!(all.len(), cases.len(), "names are unique");
    assert_eq!(
        names,
        [
            "edge:columns-empty",
            "edge:columns-and-rows-empty",
            "edge:rows-empty"
        ]
    );
    for case in empty {
        assert_eq!((case.a.len(), case.output_size, case.expect), (0, 0, 0));
    }
    let open = matrices(&rows_and_columns(), "");
    assert!(named(&edge_cases(&open), "-empty").is_empty());
}

/// A truth may have no word for the mean of nothing: that is no reason to refuse a kernel, and what it does say is due.
#[test]
fn what_no_truth_says_of_nothing_is_not_judged() {
    let params = [count("rows", r#", "min": 1"#), count("columns", "")].join(", ");
    let open = contract("f32 rows columns", "f32 rows", &params, "");
    let cases = edge_cases(&open);
    let case = named(&cases, "edge:columns-empty")[0].clone();
    let judged = |outputs: Result<Vec<f64>, String>| {
        let mut call = (**case.open.as_ref().unwrap()).clone();
        call.expected = vec![Expected {
            truth: "a sum".to_owned(),
            outputs: outputs.map(|values| {
                vec![Values {
                    values,
                    magnitude: None,
                }]
            }),
        }];
        judge(&call, &vec![0; case.output_size as usize])
    };
    let rows = case.output_size as usize / 4;
    assert!(rows > 0);
    assert!(matches!(judged(Ok(vec![0.0; rows])), Verdict::Pass { .. }));
    assert!(matches!(judged(Ok(vec![1.0; rows])), Verdict::Fail(_)));
    let silent = judged(Err("no mean of nothing".to_owned()));
    assert!(matches!(silent, Verdict::NotApplicable(_)));
}

/// Rows that a kernel makes of the size of its input, and of the part of one.
#[test]
fn inputs_and_outputs_are_wrong_by_the_same_part_of_a_row() {
    let open = contract(
        "f32 rows width",
        "f32 rows width",
        &count("width", r#", "min": 1"#),
        "",
    );
    let cases = edge_cases(&open);
    let parts = named(&cases, "edge:rows-and-");
    assert_eq!(parts.len(), 4);
    for case in parts {
        let row = 4 * value(case, "width");
        assert_eq!(case.a.len(), case.output_size as usize, "{}", case.name);
        assert_ne!(case.a.len() as u64 % row, 0, "{}", case.name);
        assert_eq!(case.expect, Status::INVALID_INPUT.0);
    }
    // Of an axis alone only part of an element is none.
    let cases = edge_cases(&contract("f32 n", "f32 n", "", ""));
    let names: Vec<&str> = named(&cases, "edge:n-and-")
        .iter()
        .map(|case| &*case.name)
        .collect();
    assert_eq!(names, ["edge:n-and-half-an-element"]);
}

#[test]
fn outputs_and_scratch_are_asked_where_their_sizes_wrap_around() {
    let axis = |name| count(name, r#", "min": 1"#);
    let params = [axis("n"), axis("times")].join(", ");
    let open = contract("f32 n", "f32 n times", &params, "");
    let cases = edge_cases(&open);
    let wraps: Vec<&Case> = named(&cases, "edge:times-")
        .into_iter()
        .filter(|case| case.name.ends_with("-wraps") && case.a.len() == 4)
        .collect();
    // A kernel that counts in 32 bits takes them.
    let taken = |case: &&Case| {
        let (words, _) = case.params.as_chunks::<4>();
        let [n, times] = [words[0], words[1]].map(u32::from_le_bytes);
        let bytes = n.wrapping_mul(4).wrapping_mul(times);
        bytes == case.output_size && u64::from(n) * u64::from(times) * 4 >= 1 << 32
    };
    assert_eq!(wraps.iter().copied().filter(taken).count(), 2);
    assert!(
        wraps
            .iter()
            .all(|case| case.expect == Status::INVALID_OUTPUT.0)
    );
    let scratch = r#", "regions": {"a": ["x"], "b": [], "output": ["y"], "scratch": "4 * columns * columns"}"#;
    let open = contract(
        "f32 rows columns",
        "f32 rows columns",
        &rows_and_columns(),
        scratch,
    );
    let cases = edge_cases(&open);
    let wraps = named(&cases, "edge:columns-32768-wraps")[0];
    assert_eq!(
        (wraps.scratch_size, wraps.expect),
        (0, Status::OUT_OF_MEMORY.0)
    );
    assert_eq!(wraps.a.len(), 4 << 15);
}

#[test]
fn long_rows_have_every_remainder() {
    let open = matrices(&rows_and_columns(), "");
    let cases = edge_cases(&open);
    for length in 2048..2064 {
        let case = named(&cases, &format!("edge:columns-long-{length}"))[0];
        assert_eq!((value(case, "columns"), value(case, "rows")), (length, 1));
    }
    let most = count("columns", r#", "min": 1, "max": 1000"#);
    let params = [count("rows", r#", "min": 1, "max": 1000"#), most].join(", ");
    let cases = edge_cases(&matrices(&params, ""));
    let lengths =
        (976..992).map(|length| named(&cases, &format!("edge:columns-long-{length}")).len());
    assert!(lengths.into_iter().all(|count| count == 1));
    // Neither axis may be as long as a large tile, both together may.
    let tile = named(&cases, "edge:tile-of-2^16")[0];
    assert_eq!(tile.output_size, 4 << 16);
}

/// A kernel that counts all it has to do in 32 bits, and takes 0 for nothing.
#[test]
fn products_of_axes_wrap_around_though_no_tensor_is_large() {
    let axis = |name: &str| count(name, r#", "min": 1"#);
    let params = ["a", "b", "c", "d"].map(axis).join(", ");
    let text = format!(
        r#"{{"id": "one", "inputs": [{{"name": "x", "dtype": "f32", "shape": ["a", "b"]}}, {{"name": "w", "dtype": "f32", "shape": ["b", "c"]}}, {{"name": "v", "dtype": "f32", "shape": ["c", "d"]}}],
        "outputs": [{{"name": "y", "dtype": "f32", "shape": ["a", "d"]}}], "params": {{{params}}}, "tolerance": {{"rel": 1e-5}}}}"#
    );
    let open = Arc::new(Contract::parse(text.as_bytes(), "one.json").unwrap());
    let cases = edge_cases(&open);
    let products = named(&cases, "edge:2^32-");
    assert_eq!(products.len(), 1);
    let lengths = ["a", "b", "c", "d"].map(|name| value(products[0], name) as u32);
    assert_eq!(lengths.into_iter().fold(1, u32::wrapping_mul), 0);
}

#[test]
fn parameters_without_narrow_bounds_leave_one_byte_and_two() {
    let shown = |param: &str, tolerance: &str| -> Vec<f64> {
        let text = format!(
            r#"{{"id": "one", "inputs": [{{"name": "x", "dtype": "f32", "shape": ["n"]}}], "outputs": [{{"name": "y", "dtype": "f32", "shape": ["n"]}}],
            "params": {{{}, "p": {{{param}}}}}, "tolerance": {{{tolerance}}}}}"#,
            count("n", r#", "min": 1"#)
        );
        let open = Arc::new(Contract::parse(text.as_bytes(), "one.json").unwrap());
        let cases = edge_cases(&open);
        let values = named(&cases, "edge:shown-").into_iter();
        values
            .map(|case| case.open.as_ref().unwrap().values["p"])
            .collect()
    };
    let bits = r#""bits": true"#;
    let start = shown(r#""type": "u32", "default": 0"#, bits);
    assert!(
        [256.0, 65_536.0].iter().all(|value| start.contains(value)),
        "{start:?}"
    );
    let named = shown(
        r#""type": "u32", "default": 0, "max": 100000000"#,
        r#""rel": 1e-6"#,
    );
    assert!(named.contains(&16_777_216.0), "{named:?}");
    let scale = r#""type": "f32", "default": 1"#;
    let exact = shown(scale, r#""ulp": 1"#);
    assert!(
        [128.0, -128.0, 4096.0]
            .iter()
            .all(|value| exact.contains(value)),
        "{exact:?}"
    );
    // A formula in f32 need not hold there.
    let near = shown(scale, r#""rel": 1e-6"#);
    assert!(near.iter().all(|value| value.abs() <= 4.0), "{near:?}");
}
