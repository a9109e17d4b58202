//! What a kernel is asked, and what it should answer. No engine is known here.
//!
//! [`case`] says what one call is; [`vectors`], [`edge`] and [`generate`] make cases; [`truth`] and [`tolerance`] know what is right.
//! [`open`] does all of it for kernels of other authors, from the contract that they signed.

pub mod case;
pub mod draw;
pub mod edge;
#[cfg(feature = "generate")]
pub mod generate;
pub mod near;
pub mod number;
pub mod open;
#[cfg(feature = "generate")]
mod rests;
pub mod tolerance;
pub mod truth;
pub mod vary;
pub mod vectors;
