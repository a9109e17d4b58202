//! A language model whose norms, rotations, activations and key-value cache run on qualified kernels.
//!
//! [`Model`](model::Model) asks a [`Kernels`](kernels::Kernels) for everything that is a kernel of the core pack:
//! [`Native`](kernels::Native) is their source compiled for this machine, [`Hosted`](hosted::Hosted) the pack's modules in the kernel host.
#![forbid(unsafe_code)]

pub mod attention;
pub mod cache;
pub mod compare;
pub mod config;
pub mod engines;
pub mod generate;
pub mod hosted;
pub mod kernels;
pub mod machine;
pub mod measure;
pub mod model;
pub mod packs;
pub mod text;
pub mod upgrades;
pub mod view;
