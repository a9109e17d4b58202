//! Calls of a contract, what holds of their answers, and truths that tell nothing.

use super::*;
use crate::{draw::Draw, truth};

const SCALED: &str = r#"{
  "id": "scaled",
  "inputs": [{"name": "x", "dtype": "f32", "shape": ["rows", "hidden"]}],
  "outputs": [{"name": "y", "dtype": "f32", "shape": ["rows", "hidden"]}],
  "params": {"rows": {"type": "u32", "default": 1, "min": 1, "max": 4096}, "hidden": {"type": "u32", "default": 1, "min": 1}},
  "tolerance": {"rel": 1e-6},
  "properties": ["elementwise", "row_independent", "linear_in: x"]
}"#;

fn contract(changed: &[(&str, &str)]) -> Arc<Contract> {
    let mut text = SCALED.to_owned();
    for (from, to) in changed {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    Arc::new(Contract::parse(text.as_bytes(), "scaled.json").unwrap())
}

/// What a kernel answers that doubles.
fn doubled(case: &Case) -> Vec<u8> {
    let values = number::decode(Dtype::F32, &case.a);
    let bytes = values
        .iter()
        .flat_map(|value| ((2.0 * value) as f32).to_le_bytes());
    bytes.collect()
}

/// The case with the truth that it doubles.
fn told(case: Case) -> Case {
    let mut call = (**case.open.as_ref().unwrap()).clone();
    let values = number::decode(Dtype::F32, &doubled(&case));
    call.expected = vec![Expected {
        truth: "twice".to_owned(),
        outputs: Ok(vec![Values {
            values,
            magnitude: None,
        }]),
    }];
    Case {
        open: Some(Arc::new(call)),
        ..case
    }
}

fn cases(contract: &Arc<Contract>) -> Vec<Case> {
    let mut cases = edge_cases(contract);
    cases.extend((0..40).flat_map(|index| generated(contract, 7, index)));
    cases
}

#[test]
fn cases_fit_the_contract_and_are_the_same_for_a_seed() {
    let contract = contract(&[]);
    let made = cases(&contract);
    assert_eq!(made, cases(&contract));
    let names: std::collections::HashSet<&str> =
        made.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), made.len(), "names are unique");
    for case in made.iter().filter(|case| case.expects_output()) {
        let rows = u32::from_le_bytes(case.params[..4].try_into().unwrap());
        let hidden = u32::from_le_bytes(case.params[4..].try_into().unwrap());
        assert!((1..=4096).contains(&rows), "{}", case.name);
        assert_eq!(case.a.len() as u32, rows * hidden * 4, "{}", case.name);
        assert_eq!(case.output_size, rows * hidden * 4, "{}", case.name);
    }
    let status = |name: &str| {
        made.iter()
            .find(|case| case.name == name)
            .map(|case| case.expect)
    };
    assert_eq!(status("edge:rows-0"), Some(3));
    assert_eq!(status("edge:rows-above-max"), Some(3));
    assert_eq!(status("edge:short-output"), Some(2));
    assert_eq!(status("edge:short-a"), Some(1));
}

#[test]
fn what_is_right_holds_and_what_is_wrong_does_not() {
    let contract = contract(&[]);
    let (mut passed, mut related) = (0, 0);
    let all: Vec<Case> = cases(&contract)
        .into_iter()
        .filter(|case| case.expects_output())
        .map(told)
        .collect();
    for case in &all {
        let output = doubled(case);
        let verdict = truth::judge(case, &output);
        assert!(
            matches!(verdict, truth::Verdict::Pass { .. }),
            "{}: {verdict:?}",
            case.name
        );
        passed += 1;
        let mut wrong = output.clone();
        let bits = f32::from_le_bytes(wrong[..4].try_into().unwrap());
        wrong[..4].copy_from_slice(&(bits * 1.001 + 1e-30).to_le_bytes());
        if bits.is_finite() {
            assert!(
                matches!(truth::judge(case, &wrong), truth::Verdict::Fail(_)),
                "{}",
                case.name
            );
        }
        let relation = case.open.as_ref().unwrap().relation.clone();
        let Some(other) =
            relation.and_then(|relation| all.iter().find(|other| other.name == relation.of))
        else {
            continue;
        };
        let held = judge_relation(case, &output, (other, &doubled(other)));
        assert!(
            matches!(held, Some(truth::Verdict::Pass { .. })),
            "{}: {held:?}",
            case.name
        );
        if bits.is_finite() && bits != 0.0 {
            let held = judge_relation(case, &wrong, (other, &doubled(other)));
            assert!(
                matches!(held, Some(truth::Verdict::Fail(_))),
                "{}: {held:?}",
                case.name
            );
        }
        related += 1;
    }
    assert!(passed > 60 && related > 30, "{passed}, {related}");
}

#[test]
fn a_truth_that_tells_nothing_is_none() {
    let asked = |changed: &[(&str, &str)]| {
        let all: Vec<Case> = cases(&contract(changed)).into_iter().map(told).collect();
        blunt(&all)
    };
    assert_eq!(asked(&[]), None);
    let rel = r#""rel": 1e-6"#;
    let params = r#""params""#;
    for (changed, what) in [
        (vec![(rel, r#""rel": 1.5"#)], "zeros"),
        (vec![(rel, r#""rel": 0.5"#)], "a tenth more"),
        (vec![(rel, r#""abs": 1e30"#)], "zeros"),
        (vec![(rel, r#""rel": "rows / 0""#)], ""),
        (
            vec![(
                params,
                r#""domain": {"x": {"class": "constant", "value": 0, "special": "none"}}, "params""#,
            )],
            "zeros",
        ),
        (
            vec![
                (
                    params,
                    r#""domain": {"x": {"class": "constant", "value": 2, "special": "none"}}, "params""#,
                ),
                (r#", "linear_in: x"]"#, "]"),
            ],
            "the answer of another call",
        ),
    ] {
        match asked(&changed) {
            Some(reason) => assert!(
                !what.is_empty() && reason.contains(what),
                "{changed:?}: {reason}"
            ),
            // What has no value allows nothing.
            None => assert!(what.is_empty(), "{changed:?}"),
        }
    }
}

/// A rounding decides between two codes: what may be one beside is judged where codes are large, and not where they are small.
#[test]
fn codes_that_may_be_one_beside_are_judged_where_they_are_large() {
    let asked = |largest: f64, dtype: &str| {
        let output = format!(r#""y", "dtype": "{dtype}""#);
        let contract = contract(&[
            (r#""y", "dtype": "f32""#, &output),
            (r#""rel": 1e-6"#, r#""abs": 1"#),
            (r#", "linear_in: x"]"#, "]"),
        ]);
        let told = cases(&contract).into_iter().map(|case| {
            let mut call = (**case.open.as_ref().unwrap()).clone();
            let values = number::decode(Dtype::F32, &case.a);
            let code = |value: &f64| (value / 3.0 * largest).round().clamp(-largest, largest);
            call.expected = vec![Expected {
                truth: "codes".to_owned(),
                outputs: Ok(vec![Values {
                    values: values.iter().map(code).collect(),
                    magnitude: None,
                }]),
            }];
            Case {
                open: Some(Arc::new(call)),
                ..case
            }
        });
        blunt(&told.collect::<Vec<_>>())
    };
    assert_eq!(asked(127.0, "i8"), None);
    assert!(asked(3.0, "i8").unwrap().contains("a tenth more"));
    // Indices and counts are exact.
    assert!(asked(127.0, "i32").unwrap().contains("one more"));
}

/// A kernel that ignores an input, or a parameter, must not be taken for one that does not: where no call tells, nothing is judged.
#[test]
fn a_tolerance_that_hides_an_input_or_a_parameter_tells_nothing() {
    let with_w = (
        r#""shape": ["rows", "hidden"]}],
  "outputs""#,
        r#""shape": ["rows", "hidden"]}, {"name": "w", "dtype": "f32", "shape": ["rows", "hidden"]}],
  "outputs""#,
    );
    let with_gain = (
        r#""min": 1}},"#,
        r#""min": 1}, "gain": {"type": "f32", "default": 1, "min": 0.5, "max": 4}},"#,
    );
    let properties = (
        r#",
  "properties": ["elementwise", "row_independent", "linear_in: x"]"#,
        "",
    );
    let tolerance = (r#""rel": 1e-6"#, r#""abs": 1e-3"#);
    let contract = contract(&[with_w, with_gain, properties, tolerance]);
    // y = 2 x + of_w w + of_gain gain
    let asked = |of_w: f64, of_gain: f64| {
        let mut all = cases(&contract);
        all.extend(near(&contract, 3));
        let told = all.into_iter().map(|case| {
            let mut call = (**case.open.as_ref().unwrap()).clone();
            let [x, w] = [&case.a, &case.b].map(|bytes| number::decode(Dtype::F32, bytes));
            let gain = call.values.get("gain").copied().unwrap_or_default();
            let values = x.iter().zip(&w);
            let values = values.map(|(x, w)| 2.0 * x + of_w * w + of_gain * gain);
            call.expected = vec![Expected {
                truth: "a sum".to_owned(),
                outputs: Ok(vec![Values {
                    values: values.collect(),
                    magnitude: None,
                }]),
            }];
            Case {
                open: Some(Arc::new(call)),
                ..case
            }
        });
        blunt(&told.collect::<Vec<_>>())
    };
    assert_eq!(asked(1.0, 1.0), None);
    let hides_w = asked(1e-5, 1.0).unwrap();
    assert!(hides_w.contains("ignores w would pass"), "{hides_w}");
    let hides_gain = asked(1.0, 1e-5).unwrap();
    assert!(
        hides_gain.contains("ignores gain would pass"),
        "{hides_gain}"
    );
    // A parameter that nothing depends on may be ignored.
    assert_eq!(asked(1.0, 0.0), None);
}

#[test]
fn calls_beside_another_one_differ_in_what_their_name_says() {
    let contract = contract(&[]);
    let made = near(&contract, 5);
    assert_eq!(made, near(&contract, 5));
    let mut kinds = std::collections::BTreeSet::new();
    for case in &made {
        let Some(base) = crate::near::beside(&case.name) else {
            continue;
        };
        let base = made.iter().find(|one| one.name == base).unwrap();
        let kind = case.name[base.name.len()..].to_owned();
        let same_params = case.params == base.params;
        assert_eq!(same_params, !kind.starts_with(":traded"), "{kind}");
        assert!(!same_params || case.a != base.a, "{kind}");
        assert_eq!(case.a.len(), base.a.len(), "{kind}");
        kinds.insert(kind);
    }
    for kind in [
        ":other-x",
        ":late-x",
        ":middle-x",
        ":swapped-x",
        ":traded-hidden-rows",
    ] {
        assert!(kinds.contains(kind), "{kind} of {kinds:?}");
    }
}

#[test]
fn wrong_calls_are_made_of_every_contract() {
    let scalar = (
        r#""name": "y", "dtype": "f32", "shape": ["rows", "hidden"]"#,
        r#""name": "y", "dtype": "f32", "shape": [1]"#,
    );
    let free = (
        r#""shape": ["rows", "hidden"]}],
  "outputs""#,
        r#""shape": ["rows", "hidden"]}, {"name": "w", "dtype": "f32", "shape": ["k"]}],
  "outputs""#,
    );
    let properties = (
        r#",
  "properties": ["elementwise", "row_independent", "linear_in: x"]"#,
        "",
    );
    let large = (
        r#""default": 1, "min": 1}},"#,
        r#""default": 32768, "min": 32768}},"#,
    );
    for (what, changed, rows) in [
        (
            "tensors of one element",
            vec![scalar, properties],
            ["misaligned-output-by-8", "long-output", "short-a"],
        ),
        (
            "large tensors",
            vec![large],
            ["misaligned-a-by-1", "short-a", "short-output"],
        ),
        // Another size of w is another call, another one of x is not.
        (
            "an axis that w alone has",
            vec![free, properties],
            ["short-a", "byte-short-b", "size-2^31-more-b"],
        ),
    ] {
        let made = edge_cases(&contract(&changed));
        for row in rows {
            let name = format!("edge:{row}");
            assert!(
                made.iter().any(|case| case.name == name),
                "{what}: no {row}"
            );
        }
        let odd = made.iter().any(|case| case.name == "edge:short-b");
        assert!(!odd, "{what}");
    }
}

#[test]
fn each_axis_comes_as_large_as_it_may_be() {
    let contract = contract(&[]);
    let made = edge_cases(&contract);
    let rows_and_hidden = |name: &str| {
        let case = made.iter().find(|case| case.name == name).unwrap();
        let (words, _) = case.params.as_chunks();
        (u32::from_le_bytes(words[0]), u32::from_le_bytes(words[1]))
    };
    assert_eq!(rows_and_hidden("edge:rows-at-max"), (4096, 1));
    // The bound of its type has too many elements.
    assert_eq!(rows_and_hidden("edge:hidden-at-max"), (1, 1 << 17));
}

#[test]
fn a_magnitude_that_is_no_number_allows_nothing() {
    let contract = contract(&[]);
    let case = generated(&contract, 7, 0).remove(0);
    let mut case = told(case);
    let wrong: Vec<u8> = doubled(&case).iter().map(|byte| byte ^ 0x10).collect();
    for magnitude in [f64::INFINITY, f64::NAN] {
        let mut call = (**case.open.as_ref().unwrap()).clone();
        if let Ok(outputs) = &mut call.expected[0].outputs {
            outputs[0].magnitude = Some(vec![magnitude; outputs[0].values.len()]);
        }
        case.open = Some(Arc::new(call));
        assert!(
            matches!(truth::judge(&case, &wrong), truth::Verdict::Fail(_)),
            "{magnitude}"
        );
    }
}

#[test]
fn a_kernel_that_undoes_another_gives_back_what_that_one_was_given() {
    let doubling = contract(&[]);
    let halving = contract(&[
        (r#""id": "scaled""#, r#""id": "halved""#),
        (r#"[{"name": "x""#, r#"[{"name": "in""#),
        (
            r#""elementwise", "row_independent", "linear_in: x""#,
            r#""inverse_of: scaled""#,
        ),
    ]);
    for index in 0..8 {
        let done = to_undo(&doubling, 3, index).unwrap();
        let case = undoing(&halving, &done, &doubled(&done)).unwrap();
        assert_eq!((&case.name, &case.params), (&done.name, &done.params));
        assert_eq!(case.a, doubled(&done));
        let right = judge_properties(&case, &done.a);
        assert!(matches!(right, Some(Verdict::Pass { .. })), "{right:?}");
        let Some(Verdict::Fail(wrong)) = judge_properties(&case, &case.a) else {
            panic!("the answer itself undoes nothing");
        };
        assert!(wrong.detail.ends_with("`inverse_of: scaled` does not hold"));
    }
    // Nothing is claimed of other calls.
    let own = to_undo(&halving, 3, 0).unwrap();
    assert_eq!(judge_properties(&own, &own.a), None);
    let narrow = contract(&[
        (r#""id": "scaled""#, r#""id": "narrow""#),
        (
            r#""y", "dtype": "f32", "shape": ["rows", "hidden"]"#,
            r#""y", "dtype": "f32", "shape": ["rows"]"#,
        ),
        (
            r#"["elementwise", "row_independent", "linear_in: x"]"#,
            "[]",
        ),
    ]);
    let done = to_undo(&narrow, 3, 1).unwrap();
    let answer = vec![0; done.output_size as usize];
    let refused = undoing(&halving, &done, &answer).unwrap_err();
    assert!(refused.contains("its in is f32 ["), "{refused}");
}

#[test]
fn a_search_puts_words_where_the_contract_allows_them() {
    let open = contract(&[]);
    let shows = |word: u32, is_there: &dyn Fn(&Case) -> bool| {
        let draws = (1..400).map(|number| Draw {
            number,
            word: Some(word),
        });
        let made = draws.filter_map(|draw| searched(&open, &[], &[draw], 7, draw.to_string()));
        made.filter(is_there).count()
    };
    let has = |bytes: [u8; 4]| {
        move |case: &Case| {
            let (elements, _) = case.a.as_chunks::<4>();
            elements.contains(&bytes)
        }
    };
    let value = 1.23_f32;
    assert!(shows(value.to_bits(), &has(value.to_le_bytes())) > 50);
    let rows = |case: &Case| case.open.as_ref().unwrap().values["rows"] == 77.0;
    assert!(shows(77, &rows) > 50);
    // What no host passes is no reason to refuse a kernel.
    for far in [1e30_f32, -1e30, 1e-30] {
        assert_eq!(shows(far.to_bits(), &has(far.to_le_bytes())), 0, "{far}");
    }
    let of = |number| Draw { number, word: None };
    let twice = [of(3), of(5)];
    let made = searched(&open, &[1, 2, 3], &twice, 7, "name".to_owned());
    assert!(made.is_some());
    assert_eq!(
        made,
        searched(&open, &[1, 2, 3], &twice, 7, "name".to_owned())
    );
}

#[test]
fn axes_and_parameters_are_large_and_small_in_every_choice() {
    let contract = contract(&[(
        r#""min": 1}}"#,
        r#""min": 1}, "alpha": {"type": "f32", "default": 1.0, "min": -4.0, "max": 4.0}}, "axes": {"hidden": {"typical": [64, 576]}}"#,
    )]);
    for seed in 1..20 {
        let cases = together(&contract, seed);
        assert_eq!(cases, together(&contract, seed));
        let names: Vec<&str> = cases.iter().map(|case| &*case.name).collect();
        let choices = ["000", "001", "010", "011", "100", "101", "110", "111"];
        let mut expected = choices.map(|bits| format!("together:{bits}")).to_vec();
        expected.sort_by_key(|name| name.chars().rev().collect::<String>());
        expected.extend(["model-64", "model-576"].map(|model| format!("together:{model}")));
        let pairs = [
            "3x85", "85x3", "7x73", "73x7", "3x171", "171x3", "40x1100", "1100x40",
        ];
        expected.extend(pairs.map(|pair| format!("together:pair-{pair}")));
        assert_eq!(names, expected);
        for case in &cases[..8] {
            let values = &case.open.as_ref().unwrap().values;
            let large = [
                values["hidden"] > 8.0,
                values["rows"] > 8.0,
                values["alpha"] != 1.0,
            ];
            let bits: String = large
                .map(|large| if large { '1' } else { '0' })
                .iter()
                .collect();
            assert_eq!(case.name, format!("together:{bits}"), "{values:?}");
        }
    }
}
