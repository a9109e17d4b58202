//! Costs of budgets, and what is claimed of them.

use super::*;

/// Ratios of budgets for the first kernels of the core pack; the first of them has another one.
pub(super) fn metered(
    kernels: usize,
    ratio: f64,
    first: f64,
    spread: Spread,
) -> impl Fn(&mut Bench) + Copy {
    move |bench| {
        for (index, kernel) in kernel_core::KERNELS.iter().take(kernels).enumerate() {
            let key = Bench::key(ENGINE, kernel.id, BASE, "64Ki", "call");
            bench.time(&key, 1000.0, Spread::Narrow);
            let ratio = if index == 0 { first } else { ratio };
            for budget in [BudgetKind::Epoch, BudgetKind::Fuel] {
                bench.budget(&key, budget, 1000.0 * ratio, spread);
            }
        }
    }
}

#[test]
fn costs_of_budgets() {
    for (name, width) in [
        ("cost of epochs", "intervals of epochs' ratios"),
        ("cost of fuel", "intervals of fuel's ratios"),
    ] {
        let held = metered(13, 1.02, 1.02, Spread::Narrow);
        assert_eq!(
            assert_word(held, name, ENGINE, Verdict::Held)
                .counts
                .unwrap()
                .held,
            13
        );
        let known = assert_word(held, width, ENGINE, Verdict::Held);
        assert!(known.measured.unwrap().value <= 0.02, "{known:?}");
        let missed = assert_word(
            metered(13, 1.02, 1.25, Spread::Narrow),
            name,
            ENGINE,
            Verdict::NotHeld,
        );
        assert!(missed.note.contains("rope_f32"), "{missed:?}");
        assert_eq!(missed.counts.unwrap().held, 12);
        let wide = metered(13, 1.05, 1.05, Spread::Wide);
        assert_word(wide, name, ENGINE, Verdict::Unsure);
        let wide = assert_word(wide, width, ENGINE, Verdict::NotHeld);
        assert!(wide.note.contains("lora_apply_f16 (+-"), "{wide:?}");
        // Twelve of thirteen are not each of the thirteen.
        let partly = metered(12, 1.02, 1.02, Spread::Narrow);
        for name in [name, width] {
            let partly = assert_word(partly, name, ENGINE, Verdict::Unsure);
            assert!(
                partly.note.contains("not measured: lora_apply_f16"),
                "{partly:?}"
            );
            assert_word(|_| (), name, ENGINE, Verdict::NotMeasured);
        }
    }
    let quick = |bench: &mut Bench| {
        bench.quick = true;
        let key = Bench::key(ENGINE, "rope_f32", BASE, "4Ki", "call");
        bench.time(&key, 1000.0, Spread::Narrow);
        bench.budget(&key, BudgetKind::Epoch, 1000.0, Spread::Narrow);
    };
    let quick = assert_word(quick, "cost of epochs", ENGINE, Verdict::NotMeasured);
    assert!(quick.note.contains("quick"));
}

#[test]
fn the_sentence_and_the_claims_on_budgets() {
    let tables = made(metered(13, 1.02, 1.4, Spread::Narrow));
    let text = &tables.sentences[0].text;
    assert!(
        text.starts_with(
            "wasmtime.cranelift: claimed 2-5 % / 15-30 %: held / not held for 12 / 1 of 13 (epoch"
        ),
        "{text}"
    );
    assert!(text.contains("12 / 1 of 13 (fuel"), "{text}");
    let claim = |name: &str| {
        tables
            .claims
            .iter()
            .find(|claim| claim.claim == name)
            .unwrap()
    };
    let epochs = claim("cost of epochs");
    assert_eq!(epochs.verdict, Verdict::NotHeld);
    assert!(epochs.note.contains("not held for rope_f32"), "{epochs:?}");
    // The mean is over all kernels: 1.02 twelve times, 1.4 once.
    let mean = (1.02_f64.powi(12) * 1.4).powf(1.0 / 13.0);
    assert!(
        (epochs.measured.unwrap().value - mean).abs() < 1e-3,
        "{epochs:?}"
    );
    let lookup = claim("lookup of the kernel");
    assert_eq!(
        (lookup.verdict, lookup.measured),
        (Verdict::NotMeasured, None)
    );
}
