//! The shared adapter suite over both engines.

use runtime_api::{
    Runtime,
    suite::{assert_passes, unsupported},
};
use std::path::{Path, PathBuf};

/// What WAMR cannot, and nothing else.
const UNSUPPORTED: [&str; 4] = [
    "budget.fuel.stops",
    "budget.fuel.stops-start",
    "budget.fuel.per-call",
    "budget.fuel.extremes",
];

#[test]
fn fast() {
    passes(&*runtime_wamr::fast().unwrap());
}

/// Skipped aloud where the compiler has not been built: it needs LLVM.
#[test]
fn aot() {
    let Some(compiler) = compiler() else {
        println!(
            "wamr.aot is absent: no assay-wamrc; `cargo build -p wamr-compiler`, or ASSAY_WAMRC=<its path>"
        );
        return;
    };
    match runtime_wamr::aot(&compiler) {
        Ok(runtime) => passes(&*runtime),
        Err(runtime_api::Error::Unsupported { reason }) => println!("wamr.aot is absent: {reason}"),
        Err(error) => panic!("failed to {error}"),
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

/// `ASSAY_WAMRC`, or an `assay-wamrc` of the profile that this test was built in.
fn compiler() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ASSAY_WAMRC") {
        return Some(path.into());
    }
    // <target>/<profile>/deps/<test>
    let test = std::env::current_exe().ok()?;
    let beside = test.parent().and_then(Path::parent)?.join("assay-wamrc");
    beside.exists().then_some(beside)
}
