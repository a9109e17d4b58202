//! The packs of this repository, and calls laid out by the client.

use compat_ruvector::HostRuntime;
use kernel_abi::Descriptor;
use ruvector_wasm::kernel::KernelInvocationDescriptor;
use ruvector_wasm::kernel::error::KernelResult;
use ruvector_wasm::kernel::manifest::{KernelDescriptor, KernelManifest};
use ruvector_wasm::kernel::memory::PAGE_SIZE;
use ruvector_wasm::kernel::runtime::{KernelManager, RuntimeConfig};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const CORE: &str = "core";
pub(crate) const DESIGN_EXAMPLE: &str = "design-example";

/// A path below `fixtures`.
pub(crate) fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(path)
}

/// A file of a pack.
pub(crate) fn pack_file(pack: &str, path: &str) -> Vec<u8> {
    std::fs::read(fixture("packs").join(pack).join(path)).unwrap()
}

/// The manifest's text.
pub(crate) fn manifest_text(pack: &str) -> String {
    String::from_utf8(pack_file(pack, "kernels.json")).unwrap()
}

/// The manifest as the client reads it.
pub(crate) fn manifest(pack: &str) -> KernelManifest {
    KernelManifest::from_json(&manifest_text(pack)).unwrap()
}

/// The manifest of the core pack with a change.
pub(crate) fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::from_str(&manifest_text(CORE)).unwrap();
    change(&mut value);
    value.to_string()
}

/// A manager with all kernels of a manifest, whose modules are those of a pack.
pub(crate) fn manager_of(
    pack: &str,
    manifest: KernelManifest,
    config: RuntimeConfig,
) -> KernelManager<HostRuntime> {
    let mut manager = KernelManager::new(Arc::new(HostRuntime::new(config).unwrap()));
    manager.load_manifest(pack, manifest.clone());
    for kernel in &manifest.kernels {
        let module = pack_file(pack, &kernel.path);
        manager.compile_kernel(pack, &kernel.id, &module).unwrap();
    }
    manager
}

/// A manager with a pack as it is, with the client's defaults.
pub(crate) fn manager(pack: &str) -> KernelManager<HostRuntime> {
    manager_of(pack, manifest(pack), RuntimeConfig::default())
}

/// Bytes of the regions of a call; of the output those on entry.
#[derive(Clone, Default)]
pub(crate) struct Call {
    pub(crate) params: Vec<u8>,
    pub(crate) a: Vec<u8>,
    pub(crate) b: Vec<u8>,
    pub(crate) output: Vec<u8>,
    pub(crate) scratch_size: usize,
}

impl Call {
    /// The call in memory that begins at address 0, laid out by the client's own allocator.
    pub(crate) fn laid_out(&self) -> (KernelDescriptor, Vec<u8>) {
        let mut client = KernelInvocationDescriptor::new(4096);
        client.allocate_input_a(self.a.len()).unwrap();
        if !self.b.is_empty() {
            client.allocate_input_b(self.b.len()).unwrap();
        }
        client.allocate_output(self.output.len()).unwrap();
        if self.scratch_size > 0 {
            client.allocate_scratch(self.scratch_size).unwrap();
        }
        client.allocate_params(self.params.len()).unwrap();
        let descriptor = client.descriptor;
        let mut memory = vec![0; client.required_pages() * PAGE_SIZE];
        for (at, bytes) in [
            (descriptor.input_a_offset, &self.a),
            (descriptor.input_b_offset, &self.b),
            (descriptor.output_offset, &self.output),
            (descriptor.params_offset, &self.params),
        ] {
            memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        (descriptor, memory)
    }

    /// The output by the client's manager. Nothing else of the client's memory may have changed.
    pub(crate) fn run(
        &self,
        manager: &KernelManager<HostRuntime>,
        kernel: &str,
    ) -> KernelResult<Vec<u8>> {
        let (descriptor, mut memory) = self.laid_out();
        let before = memory.clone();
        manager.execute(kernel, &descriptor, &mut memory)?;
        let start = descriptor.output_offset as usize;
        let output = start..start + descriptor.output_size as usize;
        assert_eq!(memory[..output.start], before[..output.start]);
        assert_eq!(memory[output.end..], before[output.end..]);
        Ok(memory[output].to_vec())
    }

    /// The output by the same source as native code.
    pub(crate) fn run_natively(&self, kernel: &str) -> Vec<u8> {
        let (descriptor, mut memory) = self.laid_out();
        let address = memory.len();
        memory.extend(descriptor.to_bytes());
        let status = kernel_core::kernel(kernel).unwrap().forward(
            &mut memory,
            0,
            u32::try_from(address).unwrap(),
        );
        assert!(status.is_ok(), "{kernel}: {status}");
        let descriptor = abi_descriptor(&descriptor);
        let start = descriptor.output.offset as usize;
        memory[start..start + descriptor.output.size as usize].to_vec()
    }
}

/// The client's descriptor as this project's: by its bytes.
pub(crate) fn abi_descriptor(descriptor: &KernelDescriptor) -> Descriptor {
    Descriptor::from_le_bytes(&descriptor.to_bytes().try_into().unwrap())
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Numbers(u32);

impl Numbers {
    pub(crate) fn seeded(seed: u32) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    /// f32 in -4 to 4.
    pub(crate) fn f32(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|_| ((self.next() as f32 / (1 << 21) as f32) - 4.0).to_le_bytes())
            .collect()
    }

    /// f16 of either sign, of magnitudes from 2^-4 to 4.
    pub(crate) fn f16(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|_| {
                let bits = self.next();
                let sign = bits & 0x8000;
                let exponent = 11 + (bits >> 16) % 6;
                (((sign | exponent << 10 | bits & 0x3FF) & 0xFFFF) as u16).to_le_bytes()
            })
            .collect()
    }

    /// Blocks of an f16 scale and as many bytes of codes.
    pub(crate) fn blocks(&mut self, count: usize, code_bytes: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|_| {
                let mut block = self.f16(1);
                block.extend((0..code_bytes).map(|_| self.next() as u8));
                block
            })
            .collect()
    }
}

/// A call of rmsnorm_f32.
pub(crate) fn rmsnorm(rows: u32, hidden: u32) -> Call {
    let mut numbers = Numbers::seeded(rows ^ hidden);
    let elements = (rows * hidden) as usize;
    Call {
        params: kernel_abi::params::RmsNorm {
            eps: 1e-5,
            hidden,
            rows,
        }
        .to_le_bytes()
        .to_vec(),
        a: numbers.f32(elements),
        b: numbers.f32(hidden as usize),
        output: vec![0xA5; elements * 4],
        scratch_size: 0,
    }
}
