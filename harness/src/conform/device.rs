//! What a small device has, and which shapes of which kernels fit into it.

use super::subject::{self, Subject};
use kernel_abi::PAGE_BYTES;
use kernel_cases::{case::Case, generate};
use runtime_api::Info;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Limits of a device, which go below those of manifests.
#[derive(Debug)]
pub struct Device {
    /// Bytes of call stack.
    pub stack_bytes: u32,
    /// Bytes of linear memory, whole pages: where tensors are, a heap in the words of embedded systems.
    pub heap_bytes: u32,
    /// Bytes for all of it: memory, stack and code.
    pub all_bytes: u64,
    /// Ticks of 10 ms for each call.
    pub ticks: u64,
}

/// 32 KiB of stack, 128 KiB of heap, 256 KiB in all, 100 ms for each call.
pub static EMBEDDED: Device = Device {
    stack_bytes: 32 * 1024,
    heap_bytes: 128 * 1024,
    all_bytes: 256 * 1024,
    ticks: 10,
};

/// What engines are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Default stacks and heaps, one call at a time per instance.
    #[default]
    Server,
    /// A device with 32 KiB of stack, 128 KiB of memory for tensors and 256 KiB in all, without SIMD; 100 ms for each call.
    Embedded,
}

impl Profile {
    /// The device whose limits hold, if it is one.
    pub fn device(self) -> Option<&'static Device> {
        match self {
            Profile::Server => None,
            Profile::Embedded => Some(&EMBEDDED),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Profile::Server => "server",
            Profile::Embedded => "embedded",
        })
    }
}

/// How large a call of a kernel may be on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Kernel id.
    pub kernel: String,
    /// The largest shape that fits, in rows; none if one row does not.
    pub largest: Option<Shape>,
    /// The same with a row more.
    pub beyond: Shape,
    /// Bytes of memory, stack and module: what the engine needs besides is not in it.
    pub bytes: u64,
}

/// A shape and the memory that its tensors end at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows of 64 elements.
    pub rows: u32,
    /// Dimensions, in the kernel's own order.
    pub dimensions: String,
    /// Bytes of linear memory up to the end of the call's regions.
    pub memory_bytes: u64,
}

impl Fit {
    /// A call of the largest shape, to be judged like any other.
    pub fn case(&self, seed: u64) -> Option<Case> {
        let rows = self.largest.as_ref()?.rows;
        generate::sized(&self.kernel, dimensions(&self.kernel, rows), seed)
    }
}

impl Device {
    /// Pages of linear memory.
    pub fn pages(&self) -> u32 {
        (u64::from(self.heap_bytes) / PAGE_BYTES) as u32
    }

    /// Whether an engine holds the limits that make the device.
    ///
    /// # Errors
    /// Why not.
    pub fn gate(&self, info: &Info) -> Result<(), String> {
        let capabilities = &info.capabilities;
        let missing = [
            (capabilities.memory_limit, "memory"),
            (capabilities.stack_limit, "stack"),
        ];
        match missing.iter().find(|(honoured, _)| !honoured) {
            Some((_, what)) => Err(format!("the engine honours no limit of {what}")),
            None => Ok(()),
        }
    }

    /// Lowers a subject's limits to those of the device.
    pub fn limit(&self, subject: &mut Subject) {
        subject.max_pages = subject.max_pages.min(self.pages());
        subject.max_stack_bytes = subject.max_stack_bytes.min(self.stack_bytes);
        subject.ticks = subject.ticks.min(self.ticks);
    }

    /// The largest number of rows that fits, and the case of it; `None` for a kernel without a contract here. `subject` has the
    /// device's limits.
    pub fn fit(&self, subject: &Subject, seed: u64) -> Option<Fit> {
        let kernel = subject.standard.definition?.id;
        let end = |subject: &Subject, rows: u32| {
            let case = generate::sized(kernel, dimensions(kernel, rows), seed)?;
            let name = case.name.trim_start_matches("sized:").to_owned();
            let prepared = subject::prepare(case, subject, seed).ok()?;
            Some(Shape {
                rows,
                dimensions: name,
                memory_bytes: prepared.first.frame.end(),
            })
        };
        let (mut fits, mut beyond) = (0, 1);
        while end(subject, beyond).is_some() {
            fits = beyond;
            beyond *= 2;
        }
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            if end(subject, middle).is_some() {
                fits = middle;
            } else {
                beyond = middle;
            }
        }
        let roomy = Subject {
            max_pages: u32::from(u16::MAX),
            ..subject.clone()
        };
        let module = subject.wasm.len() as u64;
        Some(Fit {
            kernel: subject.kernel.clone(),
            largest: end(subject, fits).filter(|_| fits > 0),
            beyond: end(&roomy, beyond)?,
            bytes: u64::from(self.pages()) * PAGE_BYTES + u64::from(self.stack_bytes) + module,
        })
    }
}

/// Rows of 64 elements, in the order that [`generate::sized`] has for the kernel's family.
fn dimensions(kernel: &str, rows: u32) -> [u32; 4] {
    match kernel {
        "rope_q8" => [1, rows, 1, 2],
        name if name.starts_with("rope") => [1, rows, 1, 32],
        name if name.starts_with("kv") => [rows, 2, 1, 1],
        name if name.starts_with("lora") => [rows, 64, 8, 64],
        _ => [rows, 64, 1, 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::{standard::Standard, support};

    fn subject(kernel: &str, heap_base: u32) -> Subject {
        let mut subject = Subject {
            kernel: kernel.to_owned(),
            named: kernel.to_owned(),
            variant: "base".to_owned(),
            features: Vec::new(),
            wasm: vec![0; 1000],
            entry_point: "kernel_forward".to_owned(),
            heap_base,
            minimum_pages: 1,
            max_pages: 4096,
            max_table_elements: 0,
            max_stack_bytes: 512 * 1024,
            ticks: 1000,
            fuel: None,
            has_backward: false,
            code: None,
            standard: Standard::of_source(kernel).into(),
            state: Default::default(),
            flags: None,
        };
        EMBEDDED.limit(&mut subject);
        subject
    }

    #[test]
    fn the_device_lowers_limits_and_raises_none() {
        let mut limited = subject("rmsnorm_f32", 1024);
        let limits =
            |subject: &Subject| (subject.max_pages, subject.max_stack_bytes, subject.ticks);
        assert_eq!(limits(&limited), (2, 32 * 1024, 10));
        limited.max_pages = 1;
        limited.ticks = 3;
        EMBEDDED.limit(&mut limited);
        assert_eq!(limits(&limited), (1, 32 * 1024, 3));
    }

    #[test]
    fn the_largest_shape_fits_and_one_row_more_does_not() {
        for kernel in &kernel_core::KERNELS {
            let subject = subject(kernel.id, 1024);
            let fit = EMBEDDED.fit(&subject, 1).unwrap();
            let largest = fit.largest.clone().unwrap();
            assert_eq!(largest.rows + 1, fit.beyond.rows, "{}", kernel.id);
            assert!(largest.memory_bytes <= 128 * 1024, "{fit:?}");
            assert!(fit.beyond.memory_bytes > 128 * 1024, "{fit:?}");
            assert_eq!(fit.bytes, 160 * 1024 + 1000);
            assert!(subject::prepare(fit.case(1).unwrap(), &subject, 1).is_ok());
        }
    }

    #[test]
    fn nothing_fits_above_a_large_stack_of_the_module() {
        let fit = EMBEDDED.fit(&subject("swiglu_f32", 128 * 1024), 1).unwrap();
        assert!(fit.largest.is_none() && fit.case(1).is_none(), "{fit:?}");
    }

    #[test]
    fn an_engine_without_a_limit_is_none_for_the_device() {
        let info = |stack_limit| {
            let mut info = support::info();
            info.capabilities.stack_limit = stack_limit;
            info
        };
        assert_eq!(EMBEDDED.gate(&info(true)), Ok(()));
        assert!(EMBEDDED.gate(&info(false)).unwrap_err().contains("stack"));
    }
}
