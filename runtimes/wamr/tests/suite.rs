//! The shared adapter suite over both engines.

use runtime_api::suite::{assert_passes, unsupported};

#[test]
fn fast() {
    let runtime = runtime_wamr::fast().unwrap();
    let findings = assert_passes(&*runtime);
    println!("{:?}", unsupported(&findings));
}
