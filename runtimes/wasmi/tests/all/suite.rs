//! The shared adapter suite over the id that this build has.

use runtime_api::{
    Kind, PACK_FEATURES,
    suite::{assert_passes, unsupported},
};

#[test]
fn suite() {
    let runtime = runtime_wasmi::runtime().unwrap();
    let info = runtime.info();
    let id = if cfg!(feature = "portable-dispatch") {
        "wasmi"
    } else {
        "wasmi.fast"
    };
    assert_eq!((info.id.as_str(), info.kind), (id, Kind::Interpreter));
    assert_eq!(info.capabilities.features, PACK_FEATURES);
    let lock = include_str!("../../../../Cargo.lock");
    let locked = format!("name = \"wasmi\"\nversion = \"{}\"", info.version);
    assert!(lock.contains(&locked), "{}", info.version);
    assert_eq!(unsupported(&assert_passes(&*runtime)), [""; 0]);
}
