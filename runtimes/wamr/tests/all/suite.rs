//! The shared adapter suite over both engines.

use runtime_api::{
    Runtime,
    suite::{assert_passes, unsupported},
};

/// What WAMR cannot, and nothing else.
const UNSUPPORTED: [&str; 5] = [
    "budget.fuel.stops",
    "budget.fuel.stops-start",
    "budget.fuel.per-call",
    "budget.fuel.extremes",
    "budget.fuel.batch",
];

#[test]
fn fast() {
    passes(&*runtime_wamr::fast().unwrap());
}

mod needs_wamrc {
    #[test]
    #[ignore = "needs assay-wamrc"]
    fn aot() {
        super::passes(&*crate::common::aot());
    }
}

fn passes(runtime: &dyn Runtime) {
    println!("{:#?}", runtime.info());
    let findings = assert_passes(runtime);
    let found: Vec<_> = unsupported(&findings)
        .into_iter()
        // Without SIMDe there is no SIMD: `Info` says so, and the suite leaves those checks out.
        .filter(|name| !name.contains("simd") && !name.contains("v128"))
        .collect();
    assert_eq!(found, UNSUPPORTED);
}
