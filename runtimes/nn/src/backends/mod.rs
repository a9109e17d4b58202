//! What computes graphs. Each is one file over the interface, and none knows the others.

#[cfg(any(feature = "onnx", feature = "onnxruntime"))]
mod declared;
mod document;
#[cfg(feature = "kernels")]
mod kernels;
mod native;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(all(feature = "onnxruntime", not(target_family = "wasm")))]
mod onnxruntime;
#[cfg(feature = "onnx")]
mod rewrite;

#[cfg(feature = "kernels")]
pub use kernels::Kernels;
pub use native::Native;
#[cfg(feature = "onnx")]
pub use onnx::Onnx;
#[cfg(all(feature = "onnxruntime", not(target_family = "wasm")))]
pub use onnxruntime::OnnxRuntime;
#[cfg(feature = "onnx")]
pub use rewrite::stated;

use crate::{Error, Target};

/// All backends compute on the processor.
fn only_cpu(target: Target) -> Result<(), Error> {
    match target {
        Target::Cpu => Ok(()),
        other => Err(Error::Unsupported(format!(
            "the target {other:?}; graphs are computed on the processor"
        ))),
    }
}
