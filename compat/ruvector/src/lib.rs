//! A [`KernelRuntime`] of the crate `ruvector-wasm` over the kernel host of Kernel Assay.
//!
//! The client's only implementation of its trait is a mock. This one runs kernels: the client's manager calls it, the
//! kernel host places the tensors, calls under a budget and checks guard bands, on wasmi. Where the two sides do not
//! fit, this crate does the least that works and bends neither; `docs/compatibility.md` lists what that is.

mod engine;
mod errors;

use engine::{Call, ENGINE, Engine, Kernel};
use kernel_pack::{Feature, ModuleRules, inspect_module};
use runtime_api::{Budget, Limits, Options, TICK};
use runtime_call::Contract;
use ruvector_wasm::kernel::epoch::EpochController;
use ruvector_wasm::kernel::error::{KernelError, KernelResult};
use ruvector_wasm::kernel::manifest::{KernelDescriptor, KernelInfo};
use ruvector_wasm::kernel::runtime::{
    CompiledKernel, KernelRuntime, RuntimeConfig, WasmKernelInstance,
};
use std::ops::Range;

/// The kernel host as the client's runtime.
///
/// Kernels are known by their id alone, because that is all that the client's instance carries: compiling a second
/// kernel of an id replaces the first.
pub struct HostRuntime {
    config: RuntimeConfig,
    epochs: EpochController,
    engine: Engine,
}

impl HostRuntime {
    /// A runtime with the client's configuration.
    ///
    /// # Errors
    /// [`KernelError::InitializationFailed`] if the system starts no thread for the engine.
    pub fn new(config: RuntimeConfig) -> KernelResult<Self> {
        Ok(Self {
            epochs: EpochController::new(config.epoch.tick_interval()),
            config,
            engine: Engine::start().map_err(errors::initialisation)?,
        })
    }

    /// What one call may cost, in the host's ticks: the client's have the length that its configuration says.
    fn budget(&self, client_ticks: u64) -> Budget {
        let epoch = self.config.epoch;
        if !epoch.enabled {
            return Budget::None;
        }
        let time = epoch
            .tick_interval()
            .saturating_mul(u32::try_from(epoch.clamp_budget(client_ticks)).unwrap_or(u32::MAX));
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos()).max(1);
        Budget::Epoch(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    /// The limits of the manifest, within those of the configuration.
    fn limits(&self, info: &KernelInfo) -> Limits {
        let asked = &info.resource_limits;
        Limits {
            max_memory_pages: asked.max_memory_pages.min(self.config.max_memory_pages),
            max_table_elements: asked.max_table_elements,
            max_stack_bytes: asked
                .max_stack_size
                .map_or(Limits::default().max_stack_bytes, |bytes| {
                    u32::try_from(bytes).unwrap_or(u32::MAX)
                }),
        }
    }
}

impl KernelRuntime for HostRuntime {
    fn compile_kernel(
        &self,
        id: &str,
        wasm_bytes: &[u8],
        info: &KernelInfo,
    ) -> KernelResult<CompiledKernel> {
        let limits = self.limits(info);
        let budget = self.budget(info.resource_limits.max_epoch_ticks);
        let facts = inspect_module(
            wasm_bytes,
            &ModuleRules {
                entry_point: &info.entry_point,
                max_memory_pages: limits.max_memory_pages,
                max_table_elements: limits.max_table_elements,
            },
        )
        .map_err(errors::initialisation)?;
        self.engine.compile(Kernel {
            wasm: wasm_bytes.to_vec(),
            options: Options {
                limits,
                metering: budget.kind(),
            },
            contract: Contract {
                kernel: id.to_owned(),
                engine: ENGINE.to_owned(),
                entry: info.entry_point.clone(),
                heap_base: facts.heap_base,
                max_pages: limits.max_memory_pages,
                budget,
            },
        })?;
        Ok(CompiledKernel {
            id: id.to_owned(),
            info: info.clone(),
            compiled_bytes: Vec::new(), // an interpreter has no compiled form to keep
            uses_simd: facts.features_used.contains(&Feature::Simd),
            // As the client's mock has it: the limit, which its instance then checks descriptors against.
            required_pages: limits.max_memory_pages,
        })
    }

    fn instantiate(&self, kernel: &CompiledKernel) -> KernelResult<WasmKernelInstance> {
        Ok(WasmKernelInstance::new(
            kernel.id.clone(),
            kernel.required_pages,
        ))
    }

    fn execute(
        &self,
        instance: &mut WasmKernelInstance,
        descriptor: &KernelDescriptor,
        memory: &mut [u8],
    ) -> KernelResult<()> {
        instance.validate_descriptor(descriptor)?;
        if instance.check_deadline(&self.epochs) {
            return Err(KernelError::EpochDeadline);
        }
        let place = |offset, size| within(memory, offset, size);
        let params = place(descriptor.params_offset, descriptor.params_size)?;
        let a = place(descriptor.input_a_offset, descriptor.input_a_size)?;
        let b = place(descriptor.input_b_offset, descriptor.input_b_size)?;
        let output = place(descriptor.output_offset, descriptor.output_size)?;
        // The kernel gets scratch of its own; that the caller has none to give is the caller's mistake all the same.
        place(descriptor.scratch_offset, descriptor.scratch_size)?;
        let result = self.engine.call(Call {
            kernel: instance.kernel_id().to_owned(),
            params: memory[params].to_vec(),
            a: memory[a].to_vec(),
            b: memory[b].to_vec(),
            output: memory[output.clone()].to_vec(),
            scratch_size: descriptor.scratch_size,
        })?;
        memory[output].copy_from_slice(&result);
        Ok(())
    }

    fn config(&self) -> &RuntimeConfig {
        &self.config
    }

    fn epoch_controller(&self) -> &EpochController {
        &self.epochs
    }
}

/// A region of the client's memory; one of no bytes is absent, wherever it is said to be.
fn within(memory: &[u8], offset: u32, size: u32) -> KernelResult<Range<usize>> {
    if size == 0 {
        return Ok(0..0);
    }
    let range = offset as usize..(offset as usize).saturating_add(size as usize);
    if memory.get(range.clone()).is_none() {
        return Err(KernelError::MemoryAccessViolation { offset, size });
    }
    Ok(range)
}
