use super::{
    super::{
        case::{Entry, Tweak},
        edge::native,
        truth::{self, Verdict},
    },
    *,
};
use half::f16;
use kernel_abi::params::RmsNorm;
use kernel_core::KERNELS;
use std::collections::{BTreeMap, BTreeSet};

fn cases(kernel: &'static str, count: u32) -> impl Iterator<Item = Case> {
    (0..count).map(move |index| case(kernel, 7, index).unwrap())
}

/// Calls of a kernel and a seed have names of their own, and the same source natively takes each and answers it rightly.
pub(super) fn answered_rightly(cases: &[Case], seed: u64) {
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "{names:?}");
    for case in cases {
        let ran = native::run(case);
        let of = format!("{} {} {seed}", case.kernel, case.name);
        assert_eq!((ran.status, ran.violation), (0, None), "{of}");
        let verdict = truth::judge(case, &ran.output);
        assert!(matches!(verdict, Verdict::Pass { .. }), "{of}: {verdict:?}");
    }
}

/// Dimensions of the calls whose names begin with this and a digit, and end with them.
pub(super) fn shapes_of(cases: &[Case], start: &str) -> Vec<Vec<u64>> {
    let of = |case: &Case| {
        let rest = case.name.strip_prefix(start)?;
        rest.starts_with(|first: char| first.is_ascii_digit())
            .then_some(())?;
        let shape = rest.rsplit('-').next()?;
        Some(shape.split('x').map(|size| size.parse().unwrap()).collect())
    };
    cases.iter().filter_map(of).collect()
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    let (elements, _) = bytes.as_chunks();
    elements
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

fn f16s(bytes: &[u8]) -> Vec<f32> {
    let (elements, _) = bytes.as_chunks();
    elements
        .iter()
        .map(|bytes| f16::from_le_bytes(*bytes).to_f32())
        .collect()
}

fn size(case: &Case) -> usize {
    case.a.len() + case.b.len() + case.output_size as usize + case.scratch_size as usize
}

/// Simplifies while `fails` holds; the last case for which it did, and the number of cases tried.
fn shrink(mut tree: impl ValueTree<Value = Case>, fails: impl Fn(&Case) -> bool) -> (Case, usize) {
    let mut smallest = tree.current();
    assert!(fails(&smallest));
    let mut tried = 0;
    let mut go_on = tree.simplify();
    while go_on {
        tried += 1;
        assert!(tried < 10_000);
        let current = tree.current();
        go_on = if fails(&current) {
            smallest = current;
            tree.simplify()
        } else {
            tree.complicate()
        };
    }
    (smallest, tried)
}

#[test]
fn a_case_depends_on_seed_kernel_and_index_only() {
    for kernel in &KERNELS {
        let late = case(kernel.id, 42, 9).unwrap();
        let all: Vec<Case> = (0..10)
            .map(|index| case(kernel.id, 42, index).unwrap())
            .collect();
        assert_eq!(late, all[9]);
        assert_eq!(tree(kernel.id, 42, 9).unwrap().current(), late);
        assert_ne!(case(kernel.id, 43, 9).unwrap(), late);
        assert_ne!(all[8].a, late.a);
        assert_eq!(
            (late.kernel.as_str(), late.name.as_str()),
            (kernel.id, "generated:9")
        );
    }
    assert!(case("softmax_f32", 1, 1).is_none());
    assert!(tree("softmax_f32", 1, 1).is_none());
}

/// The values of a case are part of what a seed means: a change here makes recorded seeds worthless.
#[test]
fn cases_stay_what_they_are() {
    let mut hasher = Sha256::new();
    for case in KERNELS.iter().flat_map(|kernel| cases(kernel.id, 40)) {
        for bytes in [&case.params, &case.a, &case.b] {
            hasher.update(bytes);
        }
        hasher.update(format!("{:?} {:?}", case.entry, case.tweaks));
    }
    let digest = hex::encode(hasher.finalize());
    assert_eq!(digest[..16], *"7df5b63fa17472fb");
}

#[test]
fn the_kernels_answer_the_expected_status() {
    for kernel in &KERNELS {
        let mut statuses = BTreeMap::<i32, u32>::new();
        for case in cases(kernel.id, 400) {
            let ran = native::run(&case);
            assert_eq!(
                ran.status, case.expect,
                "{} {} {:?}",
                kernel.id, case.name, case.tweaks
            );
            assert_eq!(ran.violation, None, "{} {}", kernel.id, case.name);
            *statuses.entry(case.expect).or_default() += 1;
        }
        let taken = statuses[&0];
        assert!((340..=380).contains(&taken), "{}: {statuses:?}", kernel.id);
        for status in [1, 2, 3] {
            assert!(
                statuses.contains_key(&status),
                "{}: {statuses:?}",
                kernel.id
            );
        }
        if kernel.id.starts_with("lora") {
            assert!(statuses.contains_key(&4), "{}: {statuses:?}", kernel.id);
        }
    }
}

#[test]
fn the_native_output_is_within_the_tolerance_and_nearly_always_there_is_a_truth() {
    for kernel in &KERNELS {
        let (mut judged, mut without) = (0, Vec::new());
        for case in cases(kernel.id, 300).filter(Case::expects_output) {
            match truth::judge(&case, &native::run(&case).output) {
                Verdict::Pass { .. } => judged += 1,
                Verdict::NotApplicable(why) | Verdict::Unknown(why) => {
                    without.push((case.name, why))
                }
                Verdict::Fail(mismatch) => panic!("{} {}: {mismatch}", kernel.id, case.name),
            }
        }
        assert!(
            without.len() * 15 < judged,
            "{}: {judged}, {without:#?}",
            kernel.id
        );
    }
}

#[test]
fn gradients_are_asked_of_the_kernels_that_have_them() {
    for kernel in &KERNELS {
        let count = cases(kernel.id, 500)
            .filter(|case| case.entry == Entry::Backward)
            .count();
        let expected = if kernel.has_backward { 60..=140 } else { 0..=0 };
        assert!(expected.contains(&count), "{}: {count}", kernel.id);
    }
}

#[test]
fn most_cases_are_small_and_none_is_large() {
    for kernel in &KERNELS {
        let sizes: Vec<usize> = cases(kernel.id, 500).map(|case| size(&case)).collect();
        let average = sizes.iter().sum::<usize>() / sizes.len();
        assert!(
            (2_000..=14_000).contains(&average),
            "{}: {average}",
            kernel.id
        );
        assert!(sizes.iter().all(|size| *size <= 256 << 10), "{}", kernel.id);
        assert!(sizes.iter().any(|size| *size >= 30_000), "{}", kernel.id);
        assert!(sizes.iter().any(|size| *size <= 300), "{}", kernel.id);
    }
}

#[test]
fn every_kind_of_value_and_shape_occurs() {
    let mut kinds = BTreeMap::<&str, u32>::new();
    let mut seen = |kind, holds: bool| *kinds.entry(kind).or_default() += u32::from(holds);
    for case in cases("rmsnorm_f32", 500) {
        let RmsNorm { hidden, rows, eps } = RmsNorm::from_le_bytes(&case.params).unwrap();
        seen("hidden 1", hidden == 1);
        seen("odd hidden", hidden % 2 == 1 && hidden > 1);
        seen("hidden 4096 or so", (4090..=4100).contains(&hidden));
        seen("one row", rows == 1);
        seen("five rows or more", rows > 4);
        seen("eps 0", eps == 0.0);
        seen("no scratch", case.scratch_size == 0);
        seen("scratch", case.scratch_size > 0);
        let x = f32s(&case.a);
        let all = |holds: fn(&f32) -> bool| x.iter().all(holds);
        seen(
            "constant",
            x.len() > 2 && x.iter().all(|value| *value == x[0]) && x[0] != 0.0,
        );
        seen(
            "normal",
            all(|value| value.abs() <= 4.0 && value.abs() > 1e-6),
        );
        seen(
            "zeros",
            x.len() > 16 && x.iter().filter(|value| **value == 0.0).count() * 2 > x.len(),
        );
        seen(
            "minus zeros",
            x.iter()
                .any(|value| *value == 0.0 && value.is_sign_negative()),
        );
        seen(
            "small",
            all(|value| value.abs() < 1e-3 && *value != 0.0 && value.is_normal()),
        );
        seen("large", all(|value| value.abs() >= 1000.0));
        seen("subnormal", x.iter().any(|value| value.is_subnormal()));
        seen("nan", x.iter().any(|value| value.is_nan()));
        seen("infinite", x.iter().any(|value| value.is_infinite()));
        seen("finite", all(|value| value.is_finite()));
    }
    for case in cases("rope_f16", 500) {
        let table = case.params.get(24).copied();
        seen("20 bytes of params", case.params.len() == 20);
        seen("24 bytes of params", case.params.len() == 24);
        seen("angles computed", case.b.is_empty());
        seen(
            "angles given",
            !case.b.is_empty() && table.is_none_or(|table| table == 0),
        );
        seen("tables", table == Some(1));
        seen("tables in f16", table == Some(2));
        if table.is_none() {
            let largest = f32s(&case.b)
                .into_iter()
                .fold(0.0, |a: f32, b| a.max(b.abs()));
            seen(
                "angles near 2^17",
                largest > 100_000.0 && largest <= 131_072.0,
            );
        }
        seen(
            "nan in f16",
            f16s(&case.a).iter().any(|value| value.is_nan()),
        );
        seen(
            "subnormal in f16",
            f16s(&case.a).iter().any(|v| *v != 0.0 && v.abs() < 6e-5),
        );
    }
    for case in cases("kv_pack_q4", 500) {
        let x = f32s(&case.a);
        // Between two codes: an odd multiple of half a scale, which is a power of two.
        let tie = x.len() >= 32 && {
            let scale = x[..32].iter().fold(0.0, |a: f32, b| a.max(b.abs())) / 8.0;
            let between = |value: &f32| (value / scale * 2.0).rem_euclid(2.0) == 1.0;
            x[..32].iter().filter(|value| between(value)).count() == 31
        };
        seen("ties", tie);
    }
    for (kind, count) in &kinds {
        assert!(*count >= 3, "{kind}: {count} of 500");
    }
    assert!(kinds["finite"] > 450, "{}", kinds["finite"]);
}

#[test]
fn tables_are_cosines_and_sines() {
    for case in cases("rope_f32", 300).filter(|case| case.params.get(24) == Some(&1)) {
        let values = f32s(&case.b);
        let (cosines, sines) = values.split_at(values.len() / 2);
        for (cosine, sine) in cosines.iter().zip(sines) {
            let square = f64::from(*cosine).powi(2) + f64::from(*sine).powi(2);
            assert!((square - 1.0).abs() < 1e-6, "{cosine} {sine}");
        }
    }
}

#[test]
fn shrinking_finds_the_smallest_case_that_still_fails() {
    let hidden = |case: &Case| RmsNorm::from_le_bytes(&case.params).unwrap().hidden;
    let mut shrunk = 0;
    for index in 0..40 {
        let tree = tree("rmsnorm_f32", 3, index).unwrap();
        let fails = |case: &Case| case.expect == 0 && hidden(case) > 3;
        if !fails(&tree.current()) {
            continue;
        }
        let (smallest, tried) = shrink(tree, fails);
        let RmsNorm { hidden, rows, .. } = RmsNorm::from_le_bytes(&smallest.params).unwrap();
        assert_eq!((hidden, rows), (4, 1), "{index}");
        assert_eq!(smallest.scratch_size, 0);
        assert_eq!(smallest.entry, Entry::Forward);
        let x = f32s(&smallest.a);
        assert!(x.iter().all(|value| *value == x[0]), "{x:?}");
        assert!(tried < 200, "{tried}");
        shrunk += 1;
    }
    assert!(shrunk > 20);
}

#[test]
fn shrinking_keeps_what_makes_a_case_fail() {
    // A NaN in x: the shape shrinks, the class of values does not.
    let fails = |case: &Case| f32s(&case.a).iter().any(|value| value.is_nan());
    let tree = (0..)
        .map(|index| tree("swiglu_f32", 1, index).unwrap())
        .find(|tree| fails(&tree.current()) && tree.current().a.len() > 400)
        .unwrap();
    let before = tree.current().a.len();
    let (smallest, _) = shrink(tree, fails);
    assert!(
        smallest.a.len() * 2 < before,
        "{} of {before}",
        smallest.a.len()
    );

    // A mistake stays while it is what fails.
    let fails = |case: &Case| matches!(case.tweaks[..], [Tweak::Copy(..)]);
    let tree = (0..)
        .map(|index| self::tree("rope_q8", 1, index).unwrap())
        .find(|tree| fails(&tree.current()))
        .unwrap();
    let (smallest, _) = shrink(tree, fails);
    assert_eq!(smallest.a.len(), 34);
}

#[test]
fn shrinking_ends_for_every_kernel_whatever_fails() {
    for kernel in &KERNELS {
        for index in 0..10 {
            let (smallest, _) = shrink(tree(kernel.id, 11, index).unwrap(), |_| true);
            assert!(size(&smallest) <= 170, "{}: {}", kernel.id, size(&smallest));
            assert_eq!(smallest.expect, 0);
            assert_eq!(native::run(&smallest).status, 0);
            let of_its_size = tree(kernel.id, 11, index).unwrap();
            let bytes = size(&of_its_size.current());
            shrink(of_its_size, |case| size(case) >= bytes / 2);
        }
    }
}

#[test]
fn the_usual_number_of_cases_takes_no_time() {
    let start = std::time::Instant::now();
    let bytes: usize = KERNELS
        .iter()
        .flat_map(|kernel| cases(kernel.id, 64))
        .map(|case| size(&case))
        .sum();
    let elapsed = start.elapsed();
    assert!(bytes > 1 << 20, "{bytes}");
    // Without optimisation half a second; the rest is for machines that do something else as well.
    assert!(elapsed.as_secs() < 10, "{elapsed:?}");
}

/// A false alarm in a case that a run draws for itself would refuse an honest kernel by chance.
#[test]
fn the_native_kernels_hold_on_what_runs_draw_for_themselves() {
    for kernel in &KERNELS {
        let mut judged = 0;
        for (seed, index) in (0..6).flat_map(|seed| (0..32).map(move |index| (seed, index))) {
            let case = drawn(kernel.id, seed, index).unwrap();
            assert_eq!(case, drawn(kernel.id, seed, index).unwrap());
            let ran = native::run(&case);
            let what = format!("{} {seed} {index}", kernel.id);
            assert_eq!((ran.status, ran.violation), (case.expect, None), "{what}");
            if case.expects_output() {
                match truth::judge(&case, &ran.output) {
                    Verdict::Pass { .. } => judged += 1,
                    Verdict::NotApplicable(_) => {}
                    Verdict::Unknown(why) => panic!("{what}: {why}"),
                    Verdict::Fail(mismatch) => panic!("{what}: {mismatch}"),
                }
            }
        }
        assert!(judged > 120, "{}: {judged}", kernel.id);
    }
}

#[test]
fn what_is_large_together_has_every_choice_of_five_and_is_taken() {
    for kernel in &KERNELS {
        for seed in [1, 2] {
            let cases = together(kernel.id, seed);
            let bits = cases.iter().filter_map(|case| {
                let bits = case.name.strip_prefix(TOGETHER)?;
                u32::from_str_radix(bits, 2)
                    .ok()
                    .map(|choice| (bits.len(), choice))
            });
            let bits: Vec<(usize, u32)> = bits.collect();
            let width = bits[0].0;
            for left_out in 0..width {
                let others = |choice: u32| match width {
                    6 => choice & !(1 << left_out),
                    _ => choice,
                };
                let chosen: BTreeSet<u32> =
                    bits.iter().map(|(_, choice)| others(*choice)).collect();
                assert_eq!(chosen.len(), 1 << width.min(5), "{}", kernel.id);
            }
            assert!(
                cases.len() >= bits.len() + 2,
                "{}: no shape of a model",
                kernel.id
            );
            let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
            assert_eq!(names.len(), cases.len(), "{}", kernel.id);
            for case in &cases {
                assert!(case.expects_output(), "{}: {}", kernel.id, case.name);
                assert_eq!(native::run(case).status, 0, "{}: {}", kernel.id, case.name);
            }
        }
    }
    assert!(together("other", 1).is_empty());
}
