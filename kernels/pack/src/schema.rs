//! The manifest's data, as typed as its schema.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use time::OffsetDateTime;

use crate::contract::ContractEntry;
use crate::fallback::Fallback;
use crate::feature::Feature;
use crate::module::State;

/// The only schema today.
pub const SCHEMA: &str = "https://ruvllm.dev/schemas/kernel-pack-v1.json";

/// What the host is willing to grant; a manifest that asks for more is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCaps {
    /// Pages of 64 KiB.
    pub max_memory_pages: u32,
    /// Epoch ticks of one call.
    pub max_epoch_ticks: u64,
    /// Table elements in sum.
    pub max_table_elements: u32,
}

impl Default for HostCaps {
    fn default() -> Self {
        Self {
            max_memory_pages: 4096,
            max_epoch_ticks: 60_000,
            max_table_elements: 65_536,
        }
    }
}

/// `kernels.json`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Manifest {
    /// Name of the pack: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Version of the pack.
    pub version: Version,
    /// One line for people.
    pub description: Option<String>,
    /// When the pack was made.
    pub created_at: OffsetDateTime,
    /// From when on the pack is refused.
    pub expires_at: Option<OffsetDateTime>,
    /// Oldest release of this project that may run the pack.
    pub min_runtime_version: Version,
    /// Newest release of this project that may run the pack; not below the oldest.
    pub max_runtime_version: Version,
    /// Who made it.
    pub author: Author,
    /// 1 to 256, ids unique.
    pub kernels: Vec<KernelEntry>,
    /// By kernel id; free of cycles.
    pub fallbacks: BTreeMap<String, Fallback>,
    /// Ahead-of-time compiled forms.
    pub artifacts: Vec<ArtifactEntry>,
    /// Expected outputs.
    pub vectors: Vec<VectorEntry>,
    /// What has no effect and was probably meant otherwise; text of the manifest in it is escaped.
    pub warnings: Vec<String>,
}

/// Who made a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Author {
    /// Name for people.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Ed25519 public key that must have signed.
    pub signing_key: [u8; 32],
}

/// A file of the pack and what it must hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileEntry {
    /// Relative, checked path.
    pub path: String,
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// One kernel.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KernelEntry {
    /// `[a-z0-9_]{1,64}`, unique.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// `[a-z0-9_-]{1,64}`.
    pub category: String,
    /// The base module.
    pub file: FileEntry,
    /// Export that runs the kernel.
    pub entry_point: String,
    /// Tensors read.
    pub inputs: Vec<Tensor>,
    /// Tensors written.
    pub outputs: Vec<Tensor>,
    /// Parameters by name, in the order of the struct.
    pub params: Vec<(String, Param)>,
    /// Enforced at instantiation and call.
    pub limits: ResourceLimits,
    /// Engines that may run it, by id or family.
    pub platforms: BTreeMap<String, Platform>,
    /// What the author claims, by case.
    pub benchmarks: BTreeMap<String, Benchmark>,
    /// Bounds the author states, if any.
    pub tolerance: Option<Tolerance>,
    /// The same kernel built with more features.
    pub variants: Vec<VariantEntry>,
    /// What it promises, or where that stands.
    pub(crate) contract: Option<ContractEntry>,
    /// State outside of memory that its modules may have.
    pub state: BTreeSet<State>,
}

/// A tensor's name, type and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tensor {
    /// `[A-Za-z0-9_]{1,64}`, unique among inputs and among outputs.
    pub name: String,
    /// One of f32 f16 bf16 i8 u8 i32 u32 q8 q4.
    pub dtype: Dtype,
    /// Outermost first.
    pub shape: Vec<Dimension>,
}

/// Element types of tensors; q8 and q4 are the GGUF blocks Q8_0 and Q4_0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Dtype {
    F32,
    F16,
    Bf16,
    I8,
    U8,
    I32,
    U32,
    Q8,
    Q4,
}

impl Dtype {
    /// All types, with their names.
    pub const ALL: [(&'static str, Dtype); 9] = [
        ("f32", Dtype::F32),
        ("f16", Dtype::F16),
        ("bf16", Dtype::Bf16),
        ("i8", Dtype::I8),
        ("u8", Dtype::U8),
        ("i32", Dtype::I32),
        ("u32", Dtype::U32),
        ("q8", Dtype::Q8),
        ("q4", Dtype::Q4),
    ];

    /// As a manifest spells it.
    pub fn name(self) -> &'static str {
        let all = Self::ALL.iter();
        all.filter(|(_, dtype)| *dtype == self)
            .map(|(name, _)| *name)
            .next()
            .unwrap_or_default()
    }

    /// The type of a name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(own, _)| *own == name).map(|(_, dtype)| *dtype)
    }

    /// Elements and bytes of what cannot be divided: an element, or a block.
    pub const fn unit(self) -> (u32, u32) {
        match self {
            Dtype::F32 | Dtype::I32 | Dtype::U32 => (1, 4),
            Dtype::F16 | Dtype::Bf16 => (1, 2),
            Dtype::I8 | Dtype::U8 => (1, 1),
            Dtype::Q8 => (32, 34),
            Dtype::Q4 => (32, 18),
        }
    }
}

/// One dimension of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// A number of elements, at least 1.
    Fixed(u32),
    /// A name such as `seq`, or a simple expression such as `head_dim/2`.
    Symbolic(String),
}

/// A parameter: default within min..=max.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // the names say it
pub enum Param {
    F32 { default: f32, min: f32, max: f32 },
    U32 { default: u32, min: u32, max: u32 },
    I32 { default: i32, min: i32, max: i32 },
}

impl Param {
    /// Its type, as a manifest spells it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Param::F32 { .. } => "f32",
            Param::U32 { .. } => "u32",
            Param::I32 { .. } => "i32",
        }
    }
}

/// Enforced at instantiation and call; within the host's caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceLimits {
    /// Pages of 64 KiB, at least 1.
    pub max_memory_pages: u32,
    /// Epoch ticks of one call, at least 1.
    pub max_epoch_ticks: u64,
    /// Table elements in sum.
    pub max_table_elements: u32,
    /// Fuel of one call, for engines that count.
    pub max_fuel: Option<u64>,
}

/// What an engine must be to run a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Platform {
    /// Oldest version of the engine.
    pub min_version: Version,
    /// Features it must have.
    pub features: BTreeSet<Feature>,
    /// Whether the kernel can be compiled ahead of time for it.
    pub aot_available: Option<bool>,
}

/// What the author claims of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Benchmark {
    /// Microseconds of one call.
    pub latency_us: f64,
    /// 10^9 floating-point operations per second.
    pub throughput_gflops: f64,
}

/// Bounds on the distance from the exact result that the author states. Any that are stated hold together; the
/// numeric contract's own tolerances are not loosened by them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tolerance {
    /// Absolute.
    pub abs: Option<f64>,
    /// Relative to the exact result.
    pub rel: Option<f64>,
    /// In units in the last place of the exact result.
    pub ulp: Option<f64>,
}

/// The same kernel built with more features.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariantEntry {
    /// What an engine needs to run it; at least one.
    pub features: BTreeSet<Feature>,
    /// The module.
    pub file: FileEntry,
}

/// An ahead-of-time compiled form of a kernel: native code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactEntry {
    /// Id of the kernel.
    pub kernel: String,
    /// Engine that loads it.
    pub engine: String,
    /// Exact version of that engine.
    pub engine_version: Version,
    /// Target triple.
    pub target: String,
    /// The file.
    pub file: FileEntry,
}

/// A file of expected outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VectorEntry {
    /// Id of the kernel.
    pub kernel: String,
    /// The file.
    pub file: FileEntry,
}
