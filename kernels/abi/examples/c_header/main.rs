//! Writes `include/kernel_abi.h`, the ABI for kernels in C.

mod header;

fn main() -> std::io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/include/kernel_abi.h");
    std::fs::write(path, header::header())
}
