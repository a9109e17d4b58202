//! Smaller calls are calls that the contract takes, and lead to a small one that fails.

use super::{smaller::Smaller, *};
use crate::generate;
use proptest::prelude::*;
use std::{
    cell::Cell,
    collections::HashSet,
    ops::ControlFlow::{Break, Continue},
};

/// Contracts whose shapes are not free: equations, multiples, constraints, blocks, scratch, what lies in the output, axes that only sizes tell.
const CONTRACTS: [&str; 5] = [
    r#"{
      "id": "rows", "tolerance": {"rel": 1e-6},
      "inputs": [{"name": "x", "dtype": "f32", "shape": ["rows", "width"]}, {"name": "w", "dtype": "f16", "shape": ["width"]}],
      "outputs": [{"name": "y", "dtype": "f32", "shape": ["rows", "width"]}],
      "params": {"rows": {"type": "u32", "default": 2, "min": 2, "max": 4096}, "width": {"type": "u32", "default": 8, "min": 1},
        "eps": {"type": "f32", "default": 0.5, "min": 0, "max": 1}},
      "regions": {"a": ["x"], "b": ["w"], "output": ["y"], "scratch": "8 * width"}
    }"#,
    r#"{
      "id": "turn", "tolerance": {"abs": 1e-6},
      "inputs": [{"name": "x", "dtype": "f32", "shape": ["heads", "dim"]}, {"name": "t", "dtype": "f32", "shape": ["half"]},
        {"name": "k", "dtype": "f32", "shape": ["kv", "dim"]}],
      "outputs": [{"name": "y", "dtype": "f32", "shape": ["heads", "dim"]}],
      "params": {"heads": {"type": "u32", "default": 1, "min": 1}, "kv": {"type": "u32", "default": 1, "min": 1, "max": 64},
        "dim": {"type": "u32", "default": 2, "min": 2}},
      "axes": {"half": {"min": 3}, "kv": {"max": 64}, "dim": {"multiple_of": 2}},
      "constraints": ["dim == 2 * half", "heads % kv == 0"],
      "domain": {"x": {"class": "uniform", "min": -8, "max": 0.75}, "t": {"class": "unit", "special": "none"}}
    }"#,
    r#"{
      "id": "blocks", "tolerance": {"abs": 1e-6},
      "inputs": [{"name": "q", "dtype": "q8", "shape": ["rows", "width"]}, {"name": "p", "dtype": "q4", "shape": ["width"]}],
      "outputs": [{"name": "y", "dtype": "f32", "shape": ["width", "rows"]}],
      "params": {"rows": {"type": "u32", "default": 1, "min": 0, "max": 99}, "width": {"type": "u32", "default": 32, "min": 32}}
    }"#,
    r#"{
      "id": "gather", "tolerance": {"bits": true},
      "inputs": [{"name": "table", "dtype": "bf16", "shape": ["entries", "width"]}, {"name": "at", "dtype": "i32", "shape": ["count"]},
        {"name": "old", "dtype": "bf16", "shape": ["count", "width"]}],
      "outputs": [{"name": "y", "dtype": "bf16", "shape": ["count", "width"]}],
      "params": {"width": {"type": "u32", "default": 4, "min": 1, "max": 512}, "count": {"type": "u32", "default": 1, "min": 1},
        "base": {"type": "i32", "default": -1, "min": -5, "max": 5}},
      "axes": {"entries": {"min": 5, "max": 4096}},
      "regions": {"a": ["table"], "b": ["at"], "output": ["y"], "initial": "old"},
      "domain": {"at": {"class": "integers", "min": 2, "max": 4, "special": "none"}, "base": {"class": "integers", "min": -2, "max": 2}}
    }"#,
    r#"{
      "id": "pairs", "tolerance": {"ulp": 1},
      "inputs": [{"name": "x", "dtype": "f16", "shape": ["rows", "n*2+taps", 3]}, {"name": "k", "dtype": "u8", "shape": ["taps"]}],
      "outputs": [{"name": "y", "dtype": "f16", "shape": ["rows", "n/7"]}],
      "params": {"rows": {"type": "u32", "default": 1, "min": 1, "max": 64}, "n": {"type": "u32", "default": 7, "min": 7, "max": 900},
        "taps": {"type": "u32", "default": 3, "min": 1, "max": 9}, "stride": {"type": "u32", "default": 2, "min": 1, "max": 4}},
      "constraints": ["taps <= n", "stride < taps + 2"],
      "domain": {"x": {"class": "log_uniform", "min": 0.25, "max": 8, "special": ["nans"]}, "k": {"class": "constant", "value": 7, "special": "none"}}
    }"#,
];

fn read(text: &str) -> Arc<Contract> {
    Arc::new(Contract::parse(text.as_bytes(), "smaller.json").unwrap())
}

/// The smallest call that fails, and how many were tried; at most so many are.
fn smallest(
    contract: &Arc<Contract>,
    case: &Case,
    most: usize,
    fails: impl Fn(&Case) -> bool,
) -> (Case, usize) {
    let (mut smallest, mut tried) = (case.clone(), 0);
    let mut each = |case: Case| {
        tried += 1;
        let failed = fails(&case);
        if failed {
            smallest = case;
        }
        match tried < most {
            true => Continue(failed),
            false => Break(()),
        }
    };
    let search = Smaller::new(contract, case).unwrap().search(&mut each);
    assert!(search.is_continue() || tried == most, "{}", case.name);
    (smallest, tried)
}

/// That a contract takes a call, as far as that can be said without what made it: shapes, sizes, parameters, and values that are drawn, unless they are
/// of the call that it was made from.
fn is_taken(contract: &Contract, case: &Case, found: &Case) -> Result<(), String> {
    let call = case.open.as_ref().ok_or("it has no names")?;
    let values = &call.values;
    let shape = contract.shape(&|name| values.get(name).map(|value| *value as i64))?;
    let bytes = |arrays: &[Array], shapes: &[Vec<u32>]| -> Vec<usize> {
        let shapes = shapes.iter().map(|shape| shape.iter().product::<u32>());
        let pairs = arrays.iter().zip(shapes);
        pairs
            .map(|(array, elements)| number::bytes_of(array.dtype, elements as usize))
            .collect()
    };
    let inputs = bytes(&contract.inputs, &shape.inputs);
    let sum = |indices: &[usize]| indices.iter().map(|index| inputs[*index]).sum::<usize>();
    let output: usize = bytes(&contract.outputs, &shape.outputs).iter().sum();
    let sizes = [case.a.len(), case.b.len(), case.output_size as usize];
    let due = [sum(&contract.a), sum(&contract.b), output];
    if sizes != due || case.scratch_size < shape.scratch {
        return Err(format!("sizes {sizes:?} where {due:?} are due"));
    }
    if case.base.as_ref().map(Vec::len) != contract.initial.map(|index| inputs[index]) {
        return Err("what the output holds has another size".to_owned());
    }
    if refuses(contract, &case.params) {
        return Err(format!("parameters {:?}", case.params));
    }
    let before = found.open.as_ref().ok_or("it had no names")?;
    for ((array, input), old) in contract.inputs.iter().zip(&call.inputs).zip(&before.inputs) {
        let unit = array.dtype.unit().1 as usize;
        let old: HashSet<&[u8]> = before.input(found, old).chunks_exact(unit).collect();
        let domain = contract.domain_of_input(array);
        for element in call.input(case, input).chunks_exact(unit) {
            let (value, codes) = match array.dtype.unit().0 {
                1 => (number::decode(array.dtype, element)[0], &[][..]),
                _ => (
                    64.0 * number::decode(Dtype::F16, &element[..2])[0],
                    &element[2..],
                ),
            };
            let is_drawn =
                searched::allows(domain.class, value) || domain.special.zeros && value == 0.0;
            let is_old = old.contains(&element);
            let has_old_codes = codes.is_empty() || old.iter().any(|old| old.ends_with(codes));
            if !(is_old || is_drawn && has_old_codes) {
                return Err(format!("{} holds {value}", array.name));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whichever of them fail.
    #[test]
    fn smaller_calls_are_taken_by_the_contract(
        which in 0..CONTRACTS.len(),
        seed in any::<u64>(),
        index in 0..32_u32,
        choice in any::<u64>(),
        often in 1..8_u64,
    ) {
        let contract = read(CONTRACTS[which]);
        let found = generated(&contract, seed, index).swap_remove(0);
        let wrong = Cell::new(None);
        let number = Cell::new(0);
        let (smallest, _) = smallest(&contract, &found, 200, |case| {
            number.set(number.get() + 1);
            if let Err(reason) = is_taken(&contract, case, &found) {
                wrong.set(Some(reason));
            }
            crate::draw::random(choice, number.get()) % 8 < often
        });
        prop_assert_eq!(wrong.take(), None);
        let size = |case: &Case| case.a.len() + case.b.len() + case.output_size as usize;
        prop_assert!(size(&smallest) <= size(&found));
        prop_assert_eq!(smallest.name, found.name);
    }
}

#[test]
fn what_always_fails_becomes_the_smallest_call_of_all() {
    let due: [&[(&str, f64)]; 5] = [
        &[("rows", 2.0), ("width", 1.0), ("eps", 0.5)],
        &[("heads", 1.0), ("kv", 1.0), ("dim", 6.0), ("half", 3.0)],
        &[("rows", 1.0), ("width", 32.0)],
        &[
            ("entries", 5.0),
            ("width", 1.0),
            ("count", 1.0),
            ("base", -1.0),
        ],
        &[("rows", 1.0), ("n", 7.0), ("taps", 1.0), ("stride", 2.0)],
    ];
    for (text, due) in CONTRACTS.into_iter().zip(due) {
        let contract = read(text);
        for index in 0..8 {
            let found = generated(&contract, 5, index).swap_remove(0);
            if found.output_size == 0 {
                // An axis may have no elements; it gets none by this.
                continue;
            }
            let (smallest, tried) = smallest(&contract, &found, 200, |_| true);
            let call = smallest.open.as_ref().unwrap();
            for (name, value) in due {
                assert_eq!(call.values[*name], *value, "{name} of {}", contract.kernel);
            }
            let simple = |name: &str| {
                let mut inputs = call.inputs.iter();
                let input = inputs.find(|input| input.name == name).unwrap();
                number::decode(input.dtype, call.input(&smallest, input))
            };
            match contract.kernel.as_str() {
                "rows" => assert_eq!((simple("x"), simple("w")), (vec![0.0; 2], vec![0.0])),
                "turn" => assert_eq!((simple("x"), simple("t")), (vec![0.0; 6], vec![0.0; 3])),
                "blocks" => assert_eq!(simple("q"), vec![0.0; 32]),
                // Neither 0 nor 1 is one of its numbers; of the table all that is left is a zero.
                "gather" => assert!(simple("table") == [0.0; 5] && simple("at")[0] >= 2.0),
                _ => assert!(simple("x") == [1.0; 45] && simple("k") == [7.0]),
            }
            assert!(tried < 40, "{tried}");
        }
    }
}

#[test]
fn what_makes_a_call_fail_is_kept() {
    let contract = read(CONTRACTS[0]);
    let values = |case: &Case| {
        let call = case.open.as_ref().unwrap();
        let x = number::decode(Dtype::F32, &case.a);
        (call.values.clone(), x)
    };
    let mut seen = 0;
    for index in 0..40 {
        let found = generated(&contract, 3, index).swap_remove(0);
        // The last column of rows that are longer than 8.
        let (before, x) = values(&found);
        if before["width"] > 8.0 {
            let (smallest, _) =
                smallest(&contract, &found, 200, |case| values(case).0["width"] > 8.0);
            let (after, x) = values(&smallest);
            assert_eq!(
                (after["width"], after["rows"], after["eps"]),
                (9.0, 2.0, 0.5)
            );
            assert_eq!(x, vec![0.0; 18]);
            seen += 1;
        }
        if x.iter().any(|value| value.is_infinite()) {
            let fails = |case: &Case| values(case).1.iter().any(|value| value.is_infinite());
            let (smallest, _) = smallest(&contract, &found, 200, fails);
            let (after, x) = values(&smallest);
            assert_eq!((after["width"], after["rows"]), (1.0, 2.0), "{x:?}");
            assert_eq!(x.iter().filter(|value| **value == 0.0).count(), 1, "{x:?}");
            seen += 1;
        }
        if before["eps"] != 0.5 {
            let fails = |case: &Case| values(case).0["eps"] != 0.5;
            let (smallest, _) = smallest(&contract, &found, 200, fails);
            assert_eq!(values(&smallest).0["eps"], before["eps"]);
            assert_eq!(values(&smallest).1, [0.0; 2]);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn scratch_beyond_what_is_needed_is_kept_where_it_matters() {
    let contract = read(CONTRACTS[0]);
    let mut found = generated(&contract, 3, 1).swap_remove(0);
    found.scratch_size = 1 << 18;
    let (kept, _) = smallest(&contract, &found, 200, |case| case.scratch_size >= 1 << 18);
    assert_eq!((kept.scratch_size, kept.a.len()), (1 << 18, 8));
    let (smallest, _) = smallest(&contract, &found, 200, |_| true);
    assert_eq!(smallest.scratch_size, 8);
}

#[test]
fn calls_that_ask_for_no_work_are_not_made_smaller() {
    let contract = read(CONTRACTS[0]);
    for case in edge_cases(&contract) {
        let taken = case.expects_output() && case.tweaks.is_empty();
        // A call may also have larger regions than it needs.
        let understood = Smaller::new(&contract, &case).is_some();
        assert!(taken || !understood, "{}", case.name);
    }
}

/// What is known by heart has no names, and contracts of the same tensors.
#[test]
fn calls_of_known_kernels_are_understood_by_their_contracts() {
    for definition in kernel_pack::contract::definitions() {
        let contract = Arc::new(definition.contract().unwrap());
        let kernel = definition.kernel.as_str();
        let mut cases = generate::large(kernel, 7);
        cases.extend(generate::together(kernel, 7));
        cases.extend(generate::alike(kernel, 7));
        let forward = cases.iter().filter(|case| case.entry == Entry::Forward);
        let (mut all, mut understood) = (0, 0);
        for case in forward.filter(|case| case.expects_output()) {
            all += 1;
            if Smaller::new(&contract, case).is_some() {
                understood += 1;
                let (smallest, _) = smallest(&contract, case, 200, |_| true);
                assert!(smallest.open.is_none() && smallest.kernel == case.kernel);
                assert!(
                    smallest.a.len() <= 4 * 32,
                    "{kernel} {}: {}",
                    case.name,
                    smallest.a.len()
                );
            }
        }
        assert!(2 * understood > all, "{kernel}: {understood} of {all}");
    }
}

#[test]
fn what_follows_from_a_call_follows_from_a_smaller_one() {
    let text = CONTRACTS[0].replace(
        r#""id": "rows","#,
        r#""id": "rows", "properties": ["row_independent", {"permutes_with": "width"}, "elementwise", {"linear_in": "x"}, {"scale_invariant": "w"}],"#,
    );
    let contract = read(&text);
    let mut seen = 0;
    for index in 0..20 {
        let cases = generated(&contract, 9, index);
        let (base, related) = cases.split_first().unwrap();
        for case in related {
            assert_eq!(following_as(case, base).as_ref(), Some(case));
            let (smaller, _) = smallest(&contract, base, 3, |_| true);
            let following = following_as(case, &smaller).unwrap();
            let relation = following.open.as_ref().unwrap().relation.as_ref().unwrap();
            assert_eq!((&relation.of, &following.name), (&base.name, &case.name));
            assert!(following.a.len() <= smaller.a.len());
            seen += 1;
        }
        assert_eq!(following_as(base, base), None);
    }
    assert!(seen > 15, "{seen}");
}
