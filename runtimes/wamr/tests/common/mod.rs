//! What the tests of this crate share.

use std::path::{Path, PathBuf};

/// `ASSAY_WAMRC`, or an `assay-wamrc` of the profile that this test was built in.
pub(crate) fn compiler() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ASSAY_WAMRC") {
        return Some(path.into());
    }
    // <target>/<profile>/deps/<test>
    let test = std::env::current_exe().ok()?;
    let beside = test.parent().and_then(Path::parent)?.join("assay-wamrc");
    beside.exists().then_some(beside)
}

/// `wamr.aot`, or nothing and the reason on stdout where it has not been built.
pub(crate) fn aot() -> Option<Box<dyn runtime_api::Runtime>> {
    let Some(compiler) = compiler() else {
        println!(
            "wamr.aot is absent: no assay-wamrc; `cargo build -p wamr-compiler`, or ASSAY_WAMRC=<its path>"
        );
        return None;
    };
    match runtime_wamr::aot(&compiler) {
        Ok(runtime) => Some(runtime),
        Err(runtime_api::Error::Unsupported { reason }) => {
            println!("wamr.aot is absent: {reason}");
            None
        }
        Err(error) => panic!("failed to {error}"),
    }
}
