use super::{
    super::truth::{self, Verdict},
    *,
};
use kernel_core::KERNELS;
use std::collections::{BTreeSet, HashSet};

#[test]
fn every_kernel_has_a_table_and_no_other_name_has() {
    for kernel in &KERNELS {
        let count = cases(kernel.id).len();
        assert!((100..=600).contains(&count), "{}: {count}", kernel.id);
    }
    assert!(cases("softmax_f32").is_empty());
    assert!(cases("").is_empty());
}

#[test]
fn names_are_unique_and_say_where_they_come_from() {
    for kernel in &KERNELS {
        let mut names = HashSet::new();
        for case in cases(kernel.id) {
            assert_eq!(case.kernel, kernel.id);
            assert!(case.name.starts_with("edge:"), "{}", case.name);
            assert!(
                names.insert(case.name.clone()),
                "{} {}",
                kernel.id,
                case.name
            );
        }
    }
}

#[test]
fn the_kernels_answer_what_the_tables_say_and_refused_calls_change_nothing() {
    let mut wrong = Vec::new();
    for case in KERNELS.iter().flat_map(|kernel| cases(kernel.id)) {
        let ran = native::run(&case);
        if ran.status != case.expect || ran.violation.is_some() {
            wrong.push((
                case.kernel,
                case.name,
                case.expect,
                ran.status,
                ran.violation,
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_status_that_a_kernel_can_answer_occurs() {
    for kernel in &KERNELS {
        let statuses: BTreeSet<i32> = cases(kernel.id).iter().map(|case| case.expect).collect();
        let expected: &[i32] = match (kernel.id, kernel.has_backward) {
            // Only the gradients of swiglu do without scratch.
            ("swiglu_f32" | "swiglu_f16", true) => &[0, 1, 2, 3],
            (_, true) => &[0, 1, 2, 3, 4],
            (_, false) => &[0, 1, 2, 3, 5],
        };
        assert_eq!(
            statuses,
            expected.iter().copied().collect(),
            "{}",
            kernel.id
        );
    }
}

/// A refused call changes one thing, so that the status can only come from it: taking the changes to the descriptor back
/// gives a call that is taken, unless the parameters or a size are wrong themselves.
#[test]
fn tables_of_regions_start_from_a_call_that_is_taken() {
    for kernel in &KERNELS {
        let mut tweaked = 0;
        for mut case in cases(kernel.id) {
            let bad_params = case.name.contains("bad-value") || case.name.contains("wrap");
            if case.tweaks.is_empty() || bad_params || case.expect == 5 || case.expect == 4 {
                continue;
            }
            if case.name.contains("theta") || case.name.contains("small-") {
                continue;
            }
            case.tweaks.clear();
            assert_eq!(native::run(&case).status, 0, "{} {}", kernel.id, case.name);
            tweaked += 1;
        }
        assert!(tweaked > 50, "{}: {tweaked}", kernel.id);
    }
}

#[test]
fn data_are_small() {
    for kernel in &KERNELS {
        let bytes: Vec<usize> = cases(kernel.id)
            .iter()
            .map(|case| {
                case.a.len() + case.b.len() + case.output_size as usize + case.scratch_size as usize
            })
            .collect();
        // lora: the smallest operands whose output or scratch, or that of the gradient, wraps around 2^32.
        let most = if kernel.id.starts_with("lora") {
            800_000
        } else {
            20_000
        };
        assert!(bytes.iter().all(|bytes| *bytes <= most), "{}", kernel.id);
    }
}

#[test]
fn the_native_output_is_within_the_tolerance_and_mostly_there_is_a_truth() {
    for kernel in &KERNELS {
        let (mut judged, mut without) = (0, Vec::new());
        for case in cases(kernel.id).into_iter().filter(Case::expects_output) {
            match truth::judge(&case, &native::run(&case).output) {
                Verdict::Pass { .. } => judged += 1,
                Verdict::NotApplicable(why) | Verdict::Unknown(why) => {
                    without.push((case.name, why))
                }
                Verdict::Fail(mismatch) => panic!("{} {}: {mismatch}", kernel.id, case.name),
            }
        }
        assert!(
            without.len() * 4 < judged,
            "{}: {judged}, {without:#?}",
            kernel.id
        );
    }
}

/// What a kernel answers that leaves out every term with a zero, is wrong: where NaN is due it has a number.
#[test]
fn zeros_that_meet_no_numbers_show_terms_that_were_left_out() {
    for kernel in &KERNELS {
        let is_of_it = |case: &Case| case.name.contains("zero") && case.name.contains("meet");
        let mut zeros: Vec<Case> = cases(kernel.id).into_iter().filter(is_of_it).collect();
        let long = long_zeros(kernel.id);
        let has_products = !kernel.id.starts_with("kv_pack") && kernel.id != "rope_q8";
        assert_eq!(!zeros.is_empty(), has_products, "{}", kernel.id);
        assert_eq!(!long.is_empty(), has_products, "{}", kernel.id);
        assert!(long.iter().all(is_of_it), "{}", kernel.id);
        zeros.extend(long);
        for case in zeros {
            let output = native::run(&case).output;
            let verdict = truth::judge(&case, &output);
            let name = format!("{} {}", kernel.id, case.name);
            assert!(
                matches!(verdict, Verdict::Pass { .. }),
                "{name}: {verdict:?}"
            );
            let mut left_out = output;
            let replaced = nans_become_zeros(kernel.id, &mut left_out);
            assert!(replaced > 0, "{name}");
            let verdict = truth::judge(&case, &left_out);
            assert!(matches!(verdict, Verdict::Fail(_)), "{name}: {verdict:?}");
        }
    }
}

fn nans_become_zeros(kernel: &str, output: &mut [u8]) -> usize {
    let nans = |bytes: &&mut [u8]| match **bytes {
        [low, high] => half::f16::from_le_bytes([low, high]).is_nan(),
        _ => f32::from_le_bytes((&**bytes).try_into().unwrap()).is_nan(),
    };
    let width = if kernel.ends_with("f16") { 2 } else { 4 };
    let elements = output.chunks_exact_mut(width).filter(nans);
    elements.map(|element| element.fill(0)).count()
}

#[test]
fn sizes_of_gradients_wrap_too() {
    for kernel in KERNELS.iter().filter(|kernel| kernel.has_backward) {
        let wraps = |case: &&Case| case.entry == Entry::Backward && case.name.contains("wrap");
        let all = cases(kernel.id);
        let statuses: BTreeSet<i32> = all.iter().filter(wraps).map(|case| case.expect).collect();
        let due: &[i32] = if kernel.id.starts_with("lora") {
            &[1, 4]
        } else {
            &[1]
        };
        assert_eq!(statuses, due.iter().copied().collect(), "{}", kernel.id);
    }
}
