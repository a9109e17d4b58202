//! The definitions that are built in: the 13 kernels of this project, as the contracts that their authors would have written.

use std::sync::LazyLock;

use super::read::{self, Tolerances, Written};
use super::{Bounds, Contract};
use crate::json::{self, Value};
use crate::schema::{Param, Tensor};

/// Contracts in the language of docs/contract.md, one for each data type of each definition.
const DATA: &str = include_str!("definitions.json");

/// A built-in definition for certain data types.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub struct Definition {
    /// `rmsnorm@1`.
    pub name: String,
    /// The kernel of this project that it is for these data types: whose oracle, statuses, tolerances and tables judge.
    pub kernel: String,
    pub(crate) written: Written,
}

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let Ok(Value::Array(items)) = json::parse(DATA.as_bytes()) else {
        return Vec::new();
    };
    let read = items.iter().filter_map(|item| {
        let written = read::value(item, "definitions.json").ok()?;
        Some(Definition {
            name: written.definition.clone()?,
            kernel: written.id.clone()?,
            written,
        })
    });
    read.collect()
});

/// All of them. A test holds that none of the data is passed over.
pub fn definitions() -> &'static [Definition] {
    &DEFINITIONS
}

impl Definition {
    /// The one for a kernel of this project.
    pub(crate) fn of_kernel(id: &str) -> Option<&'static Definition> {
        definitions()
            .iter()
            .find(|definition| definition.kernel == id)
    }

    /// The definition as a contract of its own, under the id of this project's kernel.
    pub fn contract(&self) -> Option<Contract> {
        super::resolve::alone(&self.written, "definitions.json").ok()
    }

    /// Tensors that it reads.
    pub(crate) fn inputs(&self) -> &[Tensor] {
        self.written.inputs.as_deref().unwrap_or_default()
    }

    /// Tensors that it writes.
    pub(crate) fn outputs(&self) -> &[Tensor] {
        self.written.outputs.as_deref().unwrap_or_default()
    }

    /// Its parameters in order.
    pub(crate) fn params(&self) -> &[(String, Param)] {
        self.written.params.as_deref().unwrap_or_default()
    }

    /// How many of its parameters a kernel must have; the others are optional at the end.
    pub(crate) fn needed_params(&self) -> usize {
        match self.name.as_str() {
            "rope@1" => 5,
            _ => self.params().len(),
        }
    }

    /// How near f32 arithmetic comes at best: nobody can promise more. `None` where no bound is stated.
    pub(crate) fn bounds(&self) -> Option<&Bounds> {
        match &self.written.tolerance {
            Some(Tolerances::All(bounds)) => Some(&**bounds),
            _ => None,
        }
    }
}
