//! Contracts: what a kernel promises, as signed data. docs/contract.md is for authors.
//!
//! `read` reads what an author wrote, `resolve` completes it from the manifest and checks it against the definition that it names, `expression` is
//! the language of sizes, constraints and tolerances. Nothing here is executed, and nothing here knows an engine.

mod definition;
mod expression;
mod import;
mod read;
mod resolve;
mod shape;
mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use definition::{Definition, definitions};
pub use expression::{Expression, LONGEST_EXPRESSION, Undefined, Use};
pub use import::{Imported, import};
pub(crate) use read::{ContractEntry, entry, read_file};
pub(crate) use resolve::resolve;
pub use shape::Shape;

use crate::schema::{Dtype, FileEntry, Param};

/// Bytes of a contract file.
pub const LARGEST_CONTRACT: u64 = 256 << 10;

/// A contract, complete: what was left out has been filled in from the manifest.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Contract {
    /// Id of the kernel.
    pub kernel: String,
    /// The built-in definition, and the kernel of this project that it is for these data types.
    pub definition: Option<&'static Definition>,
    /// Tensors read, in the order of the manifest.
    pub inputs: Vec<Array>,
    /// Tensors written, in the order of their region.
    pub outputs: Vec<Array>,
    /// Parameters in the order of the struct, 4 bytes each.
    pub params: Vec<(String, Param)>,
    /// All axes.
    pub axes: BTreeMap<String, Axis>,
    /// Relations that every call fulfils.
    pub constraints: Vec<Expression>,
    /// Indices of the inputs in region a, in order.
    pub a: Vec<usize>,
    /// Indices of the inputs in region b, in order.
    pub b: Vec<usize>,
    /// The input that the output holds on entry.
    pub initial: Option<usize>,
    /// Bytes of scratch; `None` for none.
    pub scratch: Option<Expression>,
    /// What is drawn for tensors and parameters, by name.
    pub domain: BTreeMap<String, Domain>,
    /// Where expected values come from, in the author's order.
    pub truth: Vec<TruthSource>,
    /// How near an output comes, in the order of `outputs`.
    pub tolerance: Vec<Bounds>,
    /// Relations that hold whatever the truth is.
    pub properties: Vec<Property>,
    /// The source that modules are compiled from, if it is this project's: layer L3 compares bits then.
    pub source: Option<String>,
}

/// A tensor of a contract.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Array {
    /// Name, unique among inputs and among outputs.
    pub name: String,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Outermost first.
    pub shape: Vec<Expression>,
}

/// What a dimension may be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Axis {
    /// Smallest, at least 0.
    pub min: u32,
    /// Largest.
    pub max: u32,
    /// It is a multiple of this, at least 1.
    pub multiple_of: u32,
    /// Those of real models.
    pub typical: Vec<u32>,
    /// Whether it is a parameter as well; else a fixed one, or it follows from the size of its region.
    pub is_param: bool,
}

impl Axis {
    /// Whether it can have one value only.
    pub fn is_fixed(&self) -> bool {
        self.min == self.max
    }

    /// Whether it may have this value.
    pub fn takes(&self, value: u32) -> bool {
        (self.min..=self.max).contains(&value) && value.is_multiple_of(self.multiple_of)
    }
}

/// What values are drawn.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Domain {
    /// The class.
    pub class: Class,
    /// Which special values are strewn in.
    pub special: Special,
}

/// A class of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Class {
    /// A bell around 0 with this standard deviation.
    Normal {
        /// The standard deviation.
        scale: f64,
    },
    /// Evenly between two bounds.
    Uniform {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// Magnitudes evenly over the exponents.
    LogUniform {
        /// Smallest magnitude, above 0.
        min: f64,
        /// Largest magnitude.
        max: f64,
    },
    /// From -1 to 1.
    Unit,
    /// Whole numbers.
    Integers {
        /// Smallest; the type's where it is left out.
        min: Option<i64>,
        /// Largest; the type's where it is left out.
        max: Option<i64>,
    },
    /// Positions times falling frequencies.
    Angles,
    /// One value.
    Constant {
        /// The value.
        value: f64,
    },
}

/// Which special values a truth covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Special {
    /// Zeros of both signs.
    pub zeros: bool,
    /// Values below the normal range.
    pub subnormals: bool,
    /// Infinities of both signs.
    pub infinities: bool,
    /// NaNs.
    pub nans: bool,
}

impl Special {
    /// All of them.
    pub const ALL: Self = Self {
        zeros: true,
        subnormals: true,
        infinities: true,
        nans: true,
    };
}

/// Where expected values come from.
#[derive(Clone, Debug, PartialEq)]
pub enum TruthSource {
    /// The f64 oracle of the definition.
    Builtin,
    /// An operator of ONNX.
    Onnx(Arc<Onnx>),
    /// A module of the pack, the author's own.
    Reference(Reference),
    /// Vectors that the pack lists, the author's own.
    Vectors,
}

/// An operator of ONNX that computes the same.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Onnx {
    /// Its name.
    pub op: String,
    /// Of the operator set.
    pub version: u32,
    /// By name.
    pub attributes: Vec<(String, Attribute)>,
    /// In the operator's order.
    pub inputs: Vec<Operand>,
    /// The operator's outputs, by the names of the kernel's; empty for one that nobody wants.
    pub outputs: Vec<String>,
}

/// What an attribute is.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
    /// Several.
    List(Vec<Attribute>),
    /// The value of a parameter.
    Param(String),
    /// The value of an axis.
    Axis(String),
}

/// An input of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A tensor of the kernel.
    Tensor(String),
    /// A parameter of the kernel, as a scalar.
    Param(String),
    /// None.
    Absent,
}

/// A module that computes the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference {
    /// The file.
    pub file: FileEntry,
    /// Export that runs it.
    pub entry_point: String,
}

/// How near an output comes. Those that are stated widen each other, but for `nmse`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Bounds {
    /// Equal to the bit, NaN as a class.
    pub bits: bool,
    /// In units in the last place of the expected value.
    pub ulp: Option<Expression>,
    /// Absolute.
    pub abs: Option<Expression>,
    /// Relative to the magnitude of the expected value.
    pub rel: Option<Expression>,
    /// Of the whole output: squared distances over squares.
    pub nmse: Option<Expression>,
}

impl Bounds {
    /// Whether nothing is stated.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether single elements are bounded.
    pub fn bounds_elements(&self) -> bool {
        self.bits || self.ulp.is_some() || self.abs.is_some() || self.rel.is_some()
    }
}

/// A relation that holds whatever the truth is.
#[derive(Clone, Debug, PartialEq)]
pub enum Property {
    /// Rows do not depend on each other.
    RowIndependent,
    /// Elements do not depend on each other.
    Elementwise,
    /// Another order along an axis gives the same answers in that order.
    PermutesWith(String),
    /// Linear in a tensor.
    LinearIn(String),
    /// The size of a tensor does not matter.
    ScaleInvariant(String),
    /// Rows keep their norm.
    NormPreserving,
    /// Undoes another kernel of the pack.
    InverseOf(String),
    /// Sums along an axis are 1.
    SumsToOne(String),
    /// Finite inputs give finite outputs.
    Finite,
    /// No finite answer to finite inputs is smaller.
    AtLeast(f64),
    /// No finite answer to finite inputs is larger.
    AtMost(f64),
}

impl std::fmt::Display for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Property::RowIndependent => f.write_str("row_independent"),
            Property::Elementwise => f.write_str("elementwise"),
            Property::PermutesWith(axis) => write!(f, "permutes_with: {axis}"),
            Property::LinearIn(tensor) => write!(f, "linear_in: {tensor}"),
            Property::ScaleInvariant(tensor) => write!(f, "scale_invariant: {tensor}"),
            Property::NormPreserving => f.write_str("norm_preserving"),
            Property::InverseOf(kernel) => write!(f, "inverse_of: {kernel}"),
            Property::SumsToOne(axis) => write!(f, "sums_to_one: {axis}"),
            Property::Finite => f.write_str("finite"),
            Property::AtLeast(bound) => write!(f, "at_least: {bound}"),
            Property::AtMost(bound) => write!(f, "at_most: {bound}"),
        }
    }
}

impl Contract {
    /// The kernel of this project whose tables and oracle judge it, where there is one.
    pub fn builtin(&self) -> Option<&'static str> {
        self.definition.map(|definition| definition.kernel.as_str())
    }

    /// Reads a contract that stands alone, with `id`, `inputs`, `outputs` and `params` in it.
    ///
    /// # Errors
    /// [`Code::ManifestInvalid`](crate::Code::ManifestInvalid) with place and reason, [`Code::ManifestMalformed`](crate::Code::ManifestMalformed) for what
    /// is not JSON.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, crate::Rejection> {
        let written = read_file(bytes, name)?;
        resolve::alone(&written, name)
    }

    /// Checks a contract that may need a manifest: `None` if it is well formed, and states no tensors of its own.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn check_file(bytes: &[u8], name: &str) -> Result<Option<Self>, crate::Rejection> {
        let written = read_file(bytes, name)?;
        match written.inputs.is_some() && written.outputs.is_some() {
            true => resolve::alone(&written, name).map(Some),
            false => Ok(None),
        }
    }

    /// Files of the pack that the contract needs besides its own.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.truth.iter().filter_map(|truth| match truth {
            TruthSource::Reference(reference) => Some(&reference.file),
            _ => None,
        })
    }
}
