//! Whether a contract fits together: names are known, and what truths and properties are about is there.

use super::super::{Attribute, Contract, Expression, Onnx, Operand, Property, TruthSource};
use crate::error::quoted;
use crate::schema::Param;

impl Contract {
    /// All of it.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_expressions()?;
        let mut drawn = self.domain.keys();
        if let Some(stray) = drawn.find(|name| !self.is_input(name) && !self.is_param(name)) {
            return Err(format!(
                "has a domain of {}, which is no input and no parameter",
                quoted(stray)
            ));
        }
        if self.source.is_some() && self.definition.is_none() {
            return Err("names a source, and no definition whose source that could be".to_owned());
        }
        for truth in &self.truth {
            match truth {
                TruthSource::Builtin if self.definition.is_none() => {
                    return Err("has the truth builtin without a definition".to_owned());
                }
                TruthSource::Onnx(onnx) => self.check_operator(onnx)?,
                _ => {}
            }
        }
        let unknown = self.properties.iter().find(|property| match property {
            Property::LinearIn(name) | Property::ScaleInvariant(name) => !self.is_input(name),
            Property::PermutesWith(axis) | Property::SumsToOne(axis) => {
                !self.axes.contains_key(axis)
            }
            _ => false,
        });
        match unknown {
            Some(property) => Err(format!(
                "has the property `{property}` of what the kernel does not have"
            )),
            None => Ok(()),
        }
    }

    fn is_input(&self, name: &str) -> bool {
        self.inputs.iter().any(|array| array.name == name)
    }

    fn is_param(&self, name: &str) -> bool {
        self.params.iter().any(|(param, _)| param == name)
    }

    /// Whether a name has an integer for its value.
    fn is_integer(&self, name: &str) -> bool {
        let mut params = self.params.iter();
        self.axes.contains_key(name)
            || params.any(|(param, kind)| param == name && !matches!(kind, Param::F32 { .. }))
    }

    fn check_expressions(&self) -> Result<(), String> {
        let known = |expression: &Expression, known: &dyn Fn(&str) -> bool| {
            let names = expression.names();
            match names.into_iter().find(|name| !known(name)) {
                Some(name) => Err(format!(
                    "uses {} in `{expression}`; it is no axis and no parameter",
                    quoted(name)
                )),
                None => Ok(()),
            }
        };
        for expression in self.constraints.iter().chain(&self.scratch) {
            known(expression, &|name| self.is_integer(name))?;
        }
        for bounds in &self.tolerance {
            let stated = [&bounds.ulp, &bounds.abs, &bounds.rel, &bounds.nmse];
            for expression in stated.into_iter().flatten() {
                known(expression, &|name| {
                    self.is_integer(name) || self.is_param(name)
                })?;
            }
        }
        Ok(())
    }

    /// An operator takes what the kernel has, and gives all its outputs.
    fn check_operator(&self, onnx: &Onnx) -> Result<(), String> {
        let stray = onnx.inputs.iter().find(|operand| match operand {
            Operand::Tensor(name) => !self.is_input(name),
            Operand::Param(name) => !self.is_param(name),
            Operand::Absent => false,
        });
        if let Some(operand) = stray {
            return Err(format!(
                "gives the operator {} what the kernel does not have: {operand:?}",
                onnx.op
            ));
        }
        let stray = onnx
            .attributes
            .iter()
            .find(|(_, attribute)| match attribute {
                Attribute::Param(param) => !self.is_param(param),
                Attribute::Axis(axis) => !self.axes.contains_key(axis),
                _ => false,
            });
        if let Some((name, _)) = stray {
            return Err(format!(
                "takes the attribute {} from what the kernel does not have",
                quoted(name)
            ));
        }
        let is_output = |name: &str| self.outputs.iter().any(|array| array.name == name);
        let mut given = onnx.outputs.iter();
        if let Some(stray) = given.find(|name| !name.is_empty() && !is_output(name)) {
            return Err(format!(
                "takes {} from the operator {}, which is no output",
                quoted(stray),
                onnx.op
            ));
        }
        let mut outputs = self.outputs.iter();
        match outputs.find(|array| !onnx.outputs.contains(&array.name)) {
            Some(left_out) => Err(format!(
                "takes no {} from the operator {}; a truth covers all outputs",
                left_out.name, onnx.op
            )),
            None => Ok(()),
        }
    }
}
