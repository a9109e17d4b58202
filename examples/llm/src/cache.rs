//! Keys and values of the positions so far, in f32 or in blocks.

use crate::{
    config::Config,
    kernels::{Kernel, Kernels},
};
use anyhow::Result;
use kernel_abi::block;
use serde::{Deserialize, Serialize};

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As they are.
    F32,
    /// Q8_0 blocks: 34 bytes for 32 elements.
    Q8,
    /// Q4_0 blocks: 18 bytes for 32 elements.
    Q4,
}

impl Format {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Format::F32 => "f32",
            Format::Q8 => "q8",
            Format::Q4 => "q4",
        }
    }
}

/// Kernels that pack and unpack, and bytes of a block of theirs.
#[derive(Clone, Copy, Debug)]
struct Packing {
    pack: Kernel,
    unpack: Kernel,
    block_bytes: usize,
}

/// Keys and values of all layers. Blocks are unpacked each time that a layer looks at them: only the packed form is kept.
#[derive(Debug)]
pub struct Cache {
    dim: usize,
    positions: usize,
    rows: Rows,
}

/// Keys, then values, of each layer.
#[derive(Debug)]
enum Rows {
    Plain(Vec<[Vec<f32>; 2]>),
    Blocks {
        packing: Packing,
        layers: Vec<[Vec<u8>; 2]>,
        /// Those of the layer that was asked last.
        unpacked: [Vec<f32>; 2],
    },
}

impl Cache {
    /// An empty cache.
    pub fn new(config: &Config, format: Format) -> Self {
        let blocks = |pack, unpack, block_bytes| Rows::Blocks {
            packing: Packing {
                pack,
                unpack,
                block_bytes,
            },
            layers: vec![[Vec::new(), Vec::new()]; config.layers],
            unpacked: [Vec::new(), Vec::new()],
        };
        Self {
            dim: config.kv_dim(),
            positions: 0,
            rows: match format {
                Format::F32 => Rows::Plain(vec![[Vec::new(), Vec::new()]; config.layers]),
                Format::Q8 => blocks(Kernel::PackQ8, Kernel::UnpackQ8, block::Q8_BYTES),
                Format::Q4 => blocks(Kernel::PackQ4, Kernel::UnpackQ4, block::Q4_BYTES),
            },
        }
    }

    /// Positions that all layers hold.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Says that every layer was given the rows of so many new positions.
    pub fn advance(&mut self, positions: usize) {
        self.positions += positions;
    }

    /// Bytes that keys and values take.
    pub fn bytes(&self) -> usize {
        match &self.rows {
            Rows::Plain(layers) => layers.iter().flatten().map(|rows| rows.len() * 4).sum(),
            Rows::Blocks { layers, .. } => layers.iter().flatten().map(Vec::len).sum(),
        }
    }

    /// Appends the rows of new positions, keys and values \[rows, kv_dim\], to a layer, and returns all of its keys and values.
    ///
    /// # Errors
    /// As [`Kernels::run`].
    pub fn extend(
        &mut self,
        kernels: &mut dyn Kernels,
        layer: usize,
        new: [&[f32]; 2],
    ) -> Result<[&[f32]; 2]> {
        match &mut self.rows {
            Rows::Plain(layers) => {
                let rows = &mut layers[layer];
                for (rows, new) in rows.iter_mut().zip(new) {
                    rows.extend_from_slice(new);
                }
                Ok(rows.each_ref().map(Vec::as_slice))
            }
            Rows::Blocks {
                packing,
                layers,
                unpacked,
            } => {
                for ((blocks, new), unpacked) in
                    layers[layer].iter_mut().zip(new).zip(&mut *unpacked)
                {
                    kernels.pack(packing.pack, self.dim, new, packing.block_bytes, blocks)?;
                    unpacked.resize(blocks.len() / packing.block_bytes * block::ELEMENTS, 0.0);
                    kernels.unpack(packing.unpack, self.dim, blocks, unpacked)?;
                }
                Ok(unpacked.each_ref().map(Vec::as_slice))
            }
        }
    }
}
