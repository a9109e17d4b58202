//! The checks that every adapter passes.

#[test]
fn passes_the_shared_suite() {
    let runtime = runtime_wasmer::llvm().unwrap();
    let findings = runtime_api::suite::assert_passes(&*runtime);
    assert_eq!(runtime_api::suite::unsupported(&findings), [""; 0]);
}
