use super::Node;
use crate::Error;
use rten_onnx::onnx::{DataType, GraphProto, NodeProto, ValueInfoProto};
use std::collections::HashMap;

/// Nodes one behind the other. In rten 0.27.0 each takes about 320 bytes of stack to plan; `work::STACK` is for them.
/// Programs in WebAssembly have one stack, of 1 MiB.
pub(super) const MAX_DEPTH: usize = if cfg!(target_family = "wasm") {
    1000
} else {
    20_000
};

/// What a file says of its values, and what plainly follows from it: of a graph, and of those around it.
pub(super) struct Known<'a> {
    around: Option<&'a Known<'a>>,
    dimensions: HashMap<String, Vec<Option<i64>>>,
    types: HashMap<String, DataType>,
    /// How many nodes stand one behind the other before a value, and before any value so far.
    depths: HashMap<String, usize>,
    deepest: usize,
    /// The version of the operators.
    pub(super) version: i64,
}

impl<'a> Known<'a> {
    pub(super) fn new(graph: &GraphProto, version: i64, around: Option<&'a Known<'a>>) -> Self {
        let mut known = Self {
            around,
            dimensions: HashMap::new(),
            types: HashMap::new(),
            depths: HashMap::new(),
            deepest: around.map_or(0, |around| around.deepest),
            version,
        };
        let inputs = graph.input.iter().map(|it| &it.name);
        let weights = graph.initializer.iter().map(|it| &it.name);
        for name in inputs.chain(weights).flatten() {
            known.depths.insert(name.clone(), known.deepest);
        }
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

    /// Puts a node behind those before it: what plans graphs follows their nodes by recursion.
    ///
    /// # Errors
    /// [`Error::Argument`] for a value that nothing gave before, as in a cycle; [`Error::TooLarge`] for too many nodes one behind the other.
    pub(super) fn place(&mut self, node: &NodeProto) -> Result<(), Error> {
        let mut depth = self.around.map_or(0, |around| around.deepest);
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            let before = self.depth(name);
            let before = before.ok_or_else(|| {
                Error::Argument(format!("`{name}` is used before anything gives it"))
            })?;
            depth = depth.max(before);
        }
        depth += 1;
        if depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} nodes one behind the other");
            return Err(Error::TooLarge(message));
        }
        self.deepest = self.deepest.max(depth);
        for name in &node.output {
            self.depths.insert(name.clone(), depth);
        }
        Ok(())
    }

    fn depth(&self, name: &str) -> Option<usize> {
        let own = self.depths.get(name).copied();
        own.or_else(|| self.around?.depth(name))
    }

    /// Takes in what a node says of its first output, where the file says nothing.
    pub(super) fn learn(&mut self, node: &NodeProto) {
        let Some(output) = node.output.first() else {
            return;
        };
        let asked = Node(node);
        if self.rank(Some(output)).is_none()
            && let Some(rank) = self.rank_of(&asked)
        {
            self.dimensions.insert(output.clone(), vec![None; rank]);
        }
        let to = match node.op_type.as_deref() {
            Some("Cast") => asked.int("to").and_then(|to| i32::try_from(to).ok()),
            Some("Constant") => asked
                .tensor("value")
                .and_then(|it| it.data_type)
                .map(|it| it.0),
            _ => None,
        };
        if let Some(to) = to {
            self.types.insert(output.clone(), DataType(to));
        }
    }

    /// How many dimensions an operator's output has, where that follows from its inputs' plainly.
    fn rank_of(&self, node: &Node) -> Option<usize> {
        let rank = |index| self.rank(node.input(index));
        let most = || {
            let ranks = (0..node.0.input.len()).map(rank);
            ranks.collect::<Option<Vec<_>>>()?.into_iter().max()
        };
        // A list counts for as many dimensions as it has elements, none of more than tensors may have.
        let few = |count: usize| (count <= crate::MAX_DIMENSIONS).then_some(count);
        match node.0.op_type.as_deref()? {
            "Constant" => {
                let single = node.int("value_int").is_some() || node.float("value_float").is_some();
                let tensor = node.tensor("value").map(|it| it.dims.len());
                tensor.or(single.then_some(0)).and_then(few)
            }
            "Abs"
            | "Cast"
            | "Clip"
            | "Dropout"
            | "Elu"
            | "Erf"
            | "Exp"
            | "Gelu"
            | "HardSigmoid"
            | "HardSwish"
            | "Identity"
            | "LayerNormalization"
            | "LeakyRelu"
            | "Log"
            | "LogSoftmax"
            | "Neg"
            | "RMSNormalization"
            | "Reciprocal"
            | "Relu"
            | "Sigmoid"
            | "Softmax"
            | "Softplus"
            | "Sqrt"
            | "Swish"
            | "Tanh"
            | "Concat"
            | "BatchNormalization"
            | "Conv"
            | "MaxPool"
            | "AveragePool"
            | "InstanceNormalization" => rank(0),
            "Add" | "Sub" | "Mul" | "Div" | "Where" => most(),
            "MatMul" => most().filter(|_| rank(0) >= Some(2) && rank(1) >= Some(2)),
            "Gemm" => Some(2),
            "Transpose" => few(node.ints("perm").len())
                .filter(|rank| *rank > 0)
                .or(rank(0)),
            "Reshape" | "Expand" => match self.dimensions(node.input(1))? {
                [Some(count)] => few(usize::try_from(*count).ok()?),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn dimensions(&self, name: Option<&String>) -> Option<&[Option<i64>]> {
        let name = name?;
        match self.dimensions.get(name) {
            Some(dimensions) => Some(dimensions),
            None => self.around?.dimensions(Some(name)),
        }
    }

    pub(super) fn rank(&self, name: Option<&String>) -> Option<usize> {
        Some(self.dimensions(name)?.len())
    }

    pub(super) fn of(&self, name: Option<&String>) -> Option<DataType> {
        let name = name?;
        match self.types.get(name) {
            Some(of) => Some(*of),
            None => self.around?.of(Some(name)),
        }
    }
}
