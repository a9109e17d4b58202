//! What a kernel is asked, and what it should answer. No engine is known here.
//!
//! [`case`] says what one call is; [`vectors`], [`edge`] and [`generate`] make cases; [`truth`] and [`tolerance`] know what is right.

pub mod case;
pub mod edge;
pub mod generate;
pub mod tolerance;
pub mod truth;
pub mod vectors;
