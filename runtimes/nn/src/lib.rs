//! WASI-NN behind an interface of our own. `docs/wasi-nn.md` says what it is for.
//!
//! The interface knows neither engines nor the form in which guests call: a [`Backend`] loads a [`Graph`], a [`Session`] is what one instance
//! of a guest has of graphs and contexts, within [`Limits`], and a [`Tensor`] goes in and out. [`Nn`] is all that an embedder offers.
//!
//! Around it:
//!
//! - [`backends`]: kernels of a signed pack, the same as native code, ONNX by a library in Rust, ONNX by ONNX Runtime;
//! - [`abi`]: the functions of `wasi_ephemeral_nn` over the bytes of a guest's memory;
//! - [`Guest`]: a guest on any engine whose adapter links functions (`runtime_api::Runtime::compile_guest`).
#![forbid(unsafe_code)]

pub mod abi;
mod backend;
pub mod backends;
#[cfg(any(test, feature = "check"))]
pub mod check;
mod error;
mod guest;
mod limits;
mod nn;
mod session;
mod tensor;
mod work;

pub use backend::{Backend, Encoding, Graph, Input, Target};
pub use error::Error;
pub use guest::Guest;
pub use limits::Limits;
pub use nn::Nn;
pub use session::Session;
pub use tensor::{Dtype, MAX_DIMENSIONS, Tensor, byte_length};
