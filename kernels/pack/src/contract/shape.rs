//! Shapes of calls, and what is drawn for them.

use super::{Array, Class, Contract, Domain, Expression, Special, Undefined};
use crate::schema::Dtype;

impl Contract {
    /// What is drawn for a tensor or a parameter, where the contract says so.
    pub fn domain_of(&self, name: &str) -> Option<&Domain> {
        self.domain.get(name)
    }

    /// The domain of an input: what the contract says, else a bell with all special values, or the whole range of an integer.
    pub fn domain_of_input(&self, input: &Array) -> Domain {
        let implied = || Domain {
            class: match input.dtype {
                Dtype::I8 | Dtype::U8 | Dtype::I32 | Dtype::U32 => Class::Integers {
                    min: None,
                    max: None,
                },
                _ => Class::Normal { scale: 1.0 },
            },
            special: Special::ALL,
        };
        self.domain_of(&input.name).cloned().unwrap_or_else(implied)
    }
}

/// Numbers of elements of a contract's tensors for certain values of axes and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Of each input, outermost first.
    pub inputs: Vec<Vec<u32>>,
    /// Of each output.
    pub outputs: Vec<Vec<u32>>,
    /// Bytes of scratch.
    pub scratch: u32,
}

impl Contract {
    /// The shapes of a call.
    ///
    /// # Errors
    /// If a constraint does not hold, an axis is outside its range, or a number has no value or does not fit 32 bits.
    pub fn shape(&self, value_of: &dyn Fn(&str) -> Option<i64>) -> Result<Shape, String> {
        for (name, axis) in &self.axes {
            let value = value_of(name).and_then(|value| u32::try_from(value).ok());
            if !value.is_some_and(|value| axis.takes(value)) {
                return Err(format!("{name} is outside its range"));
            }
        }
        for constraint in &self.constraints {
            if !self.holds(constraint, value_of) {
                return Err(format!("`{constraint}` does not hold"));
            }
        }
        let number = |expression: &Expression| -> Result<u32, String> {
            let value = expression
                .integer(value_of)
                .map_err(|undefined: Undefined| format!("`{expression}` {undefined}"))?;
            u32::try_from(value).map_err(|_| format!("`{expression}` is {value}"))
        };
        let shapes = |arrays: &[Array]| -> Result<Vec<Vec<u32>>, String> {
            let shape = |array: &Array| array.shape.iter().map(number).collect();
            arrays.iter().map(shape).collect()
        };
        Ok(Shape {
            inputs: shapes(&self.inputs)?,
            outputs: shapes(&self.outputs)?,
            scratch: self.scratch.as_ref().map_or(Ok(0), number)?,
        })
    }

    /// Whether a constraint holds; one that has no value does not.
    pub fn holds(&self, constraint: &Expression, value_of: &dyn Fn(&str) -> Option<i64>) -> bool {
        constraint.integer(value_of) == Ok(1)
    }
}
