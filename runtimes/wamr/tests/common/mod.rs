//! What the tests of this crate share. Tests that need the ahead-of-time compiler are ignored: `scripts/test-ignored` runs them
//! where it is there.

use std::path::{Path, PathBuf};

/// `ASSAY_WAMRC`, or the `assay-wamrc` of the profile that this test was built in.
pub(crate) fn compiler() -> PathBuf {
    if let Some(path) = std::env::var_os("ASSAY_WAMRC") {
        return path.into();
    }
    // <target>/<profile>/deps/<test>
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("assay-wamrc")
}

/// `wamr.aot`.
pub(crate) fn aot() -> Box<dyn runtime_api::Runtime> {
    runtime_wamr::aot(&compiler()).unwrap_or_else(|error| {
        panic!("failed to {error}; `cargo build -p wamr-compiler` makes assay-wamrc, or ASSAY_WAMRC=<its path>")
    })
}
