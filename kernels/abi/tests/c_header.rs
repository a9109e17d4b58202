//! The committed header is what the crate gives. That it compiles, and that its checks are those of the kernels, is a test of
//! `kernel-core`.

#[path = "../examples/c_header/header.rs"]
mod header;

#[test]
fn the_committed_header_is_current() {
    let committed = include_str!("../include/kernel_abi.h");
    assert!(
        committed == header::header(),
        "include/kernel_abi.h is not what the crate gives; write it with: cargo run -p kernel-abi --example c_header"
    );
}
