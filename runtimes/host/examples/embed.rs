//! How an application embeds the host: `cargo run --release -p runtime-host --features wasmtime --example embed -- PACK TRUST_LIST`.
//! `docs/host.md` shows this file.

use runtime_host::{Budget, DeviceClass, Host, OnFailure, Output, Tensors, Trust};
use std::{error::Error, path::Path, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(pack), Some(keys)) = (arguments.next(), arguments.next()) else {
        return Err("name a pack and a list of trusted keys".into());
    };
    let host = Host::builder()
        .class(DeviceClass::Server) // wasmtime with a pool; or name engines with .engine(...)
        .trust(Trust::file(Path::new(&keys)))
        .budget(Budget::Epoch(10)) // 100 ms
        .grace(Duration::from_secs(300))
        .on_failure(OnFailure::Native)
        // What answers when a kernel fails. None: no native form of it, so the call fails.
        .native(|_kernel, _tensors| None)
        .build()?;
    host.subscribe(|event| println!("{event:?}"));

    // Verify, compile, ask the signed vectors; nothing serves yet. Then swap it in.
    let prepared = host.prepare(Path::new(&pack))?;
    let generation = host.activate(prepared)?;

    // rmsnorm_f32: eps, hidden, rows; two rows of four elements, and the weights.
    let params: Vec<u8> = [
        1e-5_f32.to_le_bytes(),
        4_u32.to_le_bytes(),
        2_u32.to_le_bytes(),
    ]
    .concat();
    let floats = |values: &[f32]| -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    let (x, weights) = (
        floats(&[1.0, 2.0, 3.0, 4.0, 1.0, 1.0, 1.0, 1.0]),
        floats(&[1.0; 4]),
    );
    let tensors = Tensors {
        params: &params,
        a: &x,
        b: &weights,
        output: Output::Written(32),
        scratch_size: 0,
    };
    let served = host.call("rmsnorm_f32", &tensors)?;
    let first = f32::from_le_bytes(served.output[..4].try_into()?);
    println!("generation {generation}: {first} by {:?}", served.path);
    Ok(())
}
