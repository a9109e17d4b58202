use super::Node;
use rten_onnx::onnx::{DataType, GraphProto, NodeProto, ValueInfoProto};
use std::collections::BTreeMap;

/// What a file says of its values, and what plainly follows from it.
#[derive(Clone, Default)]
pub(super) struct Known {
    dimensions: BTreeMap<String, Vec<Option<i64>>>,
    types: BTreeMap<String, DataType>,
}

impl Known {
    /// This, with what a graph in it says.
    pub(super) fn with(&self, graph: &GraphProto) -> Self {
        let mut known = self.clone();
        let values = graph.input.iter().chain(&graph.output);
        values
            .chain(&graph.value_info)
            .for_each(|value| known.value(value));
        for weight in &graph.initializer {
            let Some(name) = &weight.name else { continue };
            let sizes = weight.dims.iter().copied().map(Some);
            known.dimensions.insert(name.clone(), sizes.collect());
            if let Some(of) = weight.data_type {
                known.types.insert(name.clone(), of);
            }
        }
        known
    }

    fn value(&mut self, value: &ValueInfoProto) {
        let tensor = value.r#type.as_ref().and_then(|it| it.tensor_type.as_ref());
        let (Some(name), Some(tensor)) = (&value.name, tensor) else {
            return;
        };
        if let Some(shape) = &tensor.shape {
            let sizes = shape.dim.iter().map(|size| size.dim_value);
            self.dimensions.insert(name.clone(), sizes.collect());
        }
        if let Some(of) = tensor.elem_type {
            self.types.insert(name.clone(), of);
        }
    }

    /// Takes in what a node says of its output.
    pub(super) fn learn(&mut self, node: &NodeProto) {
        let Some(output) = node.output.first() else {
            return;
        };
        let asked = Node(node);
        match node.op_type.as_deref().unwrap_or_default() {
            "Constant" => {
                let constant = node.attribute.first();
                if constant.is_some_and(|it| it.i.is_some() || it.f.is_some()) {
                    self.dimensions.insert(output.clone(), Vec::new());
                }
                let tensor = constant.and_then(|it| it.t.as_ref());
                if let Some(tensor) = tensor {
                    let sizes = tensor.dims.iter().copied().map(Some);
                    self.dimensions.insert(output.clone(), sizes.collect());
                    if let Some(of) = tensor.data_type {
                        self.types.insert(output.clone(), of);
                    }
                }
            }
            "Cast" => {
                let to = asked.int("to").and_then(|to| i32::try_from(to).ok());
                if let Some(to) = to {
                    self.types.insert(output.clone(), DataType(to));
                }
            }
            _ => {}
        }
    }

    pub(super) fn dimensions(&self, name: Option<&String>) -> Option<&[Option<i64>]> {
        Some(self.dimensions.get(name?)?)
    }

    pub(super) fn rank(&self, name: Option<&String>) -> Option<usize> {
        Some(self.dimensions(name)?.len())
    }

    pub(super) fn of(&self, name: Option<&String>) -> Option<DataType> {
        self.types.get(name?).copied()
    }
}
