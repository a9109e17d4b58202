//! Hands the optimisation level to the crate: wasmi chooses its dispatch by it, and `Info::build` states the choice.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=OPT_LEVEL");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=ASSAY_OPT_LEVEL={level}");
}
