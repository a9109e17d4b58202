//! Bytes as a manifest: refused or taken, never anything else; and what is taken is taken again.
#![no_main]

use kernel_pack::{HostCaps, Manifest};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let caps = HostCaps::default();
    if let Ok(manifest) = Manifest::parse(bytes, &caps) {
        assert!((1..=256).contains(&manifest.kernels.len()));
        for kernel in &manifest.kernels {
            kernel_pack::check_path(&kernel.file.path)
                .expect("a manifest that is taken has plain paths");
        }
    }
});
