//! ONNX by a library that is Rust alone.
//!
//! `rten` and not `tract-onnx`, of the two that are well kept: rten brings few crates along and needs no C compiler, where tract assembles its
//! kernels with one and brings 117 crates along. tract knows f16 and f64, which rten computes in f32: such graphs are refused here. rten's
//! integers of 64 bits are 32: values beyond are refused on their way in.

use super::{
    declared::{Declared, Element, recognises},
    rewrite::rewrite,
};
use crate::{Backend, Dtype, Encoding, Error, Graph, Input, Target, Tensor};
use rten::{
    LoadErrorKind, Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView,
};
use rten_onnx::onnx::ModelProto;
use rten_tensor::prelude::{AsView, Layout};
use std::{sync::Arc, time::Duration};

/// ONNX computed by rten. It has no budget: a graph that takes too long is left behind on its thread, and each graph has one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Onnx;

impl Backend for Onnx {
    fn id(&self) -> &'static str {
        "onnx"
    }

    fn encoding(&self) -> Encoding {
        Encoding::Onnx
    }

    fn recognises(&self, parts: &[Vec<u8>]) -> bool {
        recognises(parts)
    }

    fn load(&self, parts: &[Vec<u8>], target: Target) -> Result<Arc<dyn Graph>, Error> {
        super::only_cpu(target)?;
        let (declared, bytes) = Declared::read(parts)?;
        let inputs = declared.input_elements.iter().zip(&declared.inputs);
        let inputs = inputs.map(|(element, input)| (*element, &input.name));
        let outputs = declared
            .outputs
            .iter()
            .map(|(name, element)| (*element, name));
        let wide = |(element, _): &(Element, &String)| *element == Element::F64;
        if let Some((_, name)) = inputs.chain(outputs).find(wide) {
            let message = format!("`{name}` is of f64, which would be computed in f32");
            return Err(Error::Unsupported(message));
        }
        let model = ModelOptions::with_all_ops().load(for_engine(bytes)?);
        let model = model.map_err(|error| match error.kind() {
            LoadErrorKind::OperatorInvalid => Error::Unsupported(error.to_string()),
            _ => Error::Argument(error.to_string()),
        })?;
        let id = |name: &str| {
            let id = model.node_id(name);
            id.map_err(|error| Error::Argument(error.to_string()))
        };
        let input_ids = declared.inputs.iter().map(|input| id(&input.name));
        let output_ids = declared.outputs.iter().map(|(name, _)| id(name));
        Ok(Arc::new(Loaded {
            input_ids: input_ids.collect::<Result<_, _>>()?,
            output_ids: output_ids.collect::<Result<_, _>>()?,
            pool: Arc::new(ThreadPool::with_num_threads(1)),
            model,
            declared,
        }))
    }
}

/// A file as rten takes it.
fn for_engine(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let not_onnx = |error| Error::Argument(format!("not ONNX: {error}"));
    let mut model = ModelProto::parse_buf(bytes).map_err(not_onnx)?;
    if rewrite(&mut model)? {
        return model.write_buf().map_err(not_onnx);
    }
    Ok(bytes.to_vec())
}

struct Loaded {
    model: Model,
    declared: Declared,
    input_ids: Vec<NodeId>,
    output_ids: Vec<NodeId>,
    /// Of its own, so that a graph that does not end keeps no other from computing.
    pool: Arc<ThreadPool>,
}

impl Graph for Loaded {
    fn inputs(&self) -> &[Input] {
        &self.declared.inputs
    }

    fn compute(&self, inputs: &[Arc<Tensor>], _: Duration) -> Result<Vec<Tensor>, Error> {
        let elements = self.declared.input_elements.iter();
        let values = inputs.iter().zip(elements).zip(&self.input_ids);
        let values = values.map(|((tensor, element), id)| {
            let value = value(tensor, *element)?;
            Ok((*id, ValueOrView::Value(value)))
        });
        let values = values.collect::<Result<Vec<_>, Error>>()?;
        let mut options = RunOptions::default();
        options.thread_pool = Some(Arc::clone(&self.pool));
        let outputs = self.model.run(values, &self.output_ids, Some(options));
        let outputs = outputs.map_err(|error| failed(error.to_string()))?;
        let outputs = outputs.into_iter().zip(&self.declared.outputs);
        outputs
            .map(|(value, (_, element))| tensor(value, *element))
            .collect()
    }
}

/// rten says in words only that it was asked for what it has not: an output, an attribute's value, a type.
fn failed(words: String) -> Error {
    if words.contains(" failed: unsupported ") {
        Error::Unsupported(words)
    } else {
        Error::Failed(words)
    }
}

fn value(tensor: &Tensor, element: Element) -> Result<Value, Error> {
    let shape: Vec<usize> = tensor
        .dimensions()
        .iter()
        .map(|size| *size as usize)
        .collect();
    let value = match element {
        Element::F32 => Value::from_shape(&shape, tensor.words(f32::from_le_bytes)).ok(),
        Element::U8 => Value::from_shape(&shape, tensor.bytes().to_vec()).ok(),
        Element::I32 => Value::from_shape(&shape, tensor.words(i32::from_le_bytes)).ok(),
        Element::I64 => {
            let values = tensor.words(i64::from_le_bytes).into_iter();
            let values: Result<Vec<_>, _> = values.map(i32::try_from).collect();
            let values = values
                .map_err(|_| Error::Unsupported("an integer of more than 32 bits".to_owned()))?;
            Value::from_shape(&shape, values).ok()
        }
        Element::Bool => {
            Declared::check_bool(tensor)?;
            let values = tensor.bytes().iter().map(|byte| i32::from(*byte));
            Value::from_shape(&shape, values.collect()).ok()
        }
        Element::F64 => None,
    };
    value.ok_or_else(|| Error::Argument("a tensor that does not fit".to_owned()))
}

fn tensor(value: Value, element: Element) -> Result<Tensor, Error> {
    let sizes = |shape: &[usize]| shape.iter().map(|size| *size as u32).collect::<Vec<_>>();
    let (dtype, shape, bytes): (Dtype, Vec<u32>, Vec<u8>) = match (value, element) {
        (Value::FloatTensor(tensor), Element::F32) => {
            let bytes = tensor.iter().flat_map(|value| value.to_le_bytes());
            (Dtype::F32, sizes(tensor.shape()), bytes.collect())
        }
        (Value::UInt8Tensor(tensor), Element::U8) => {
            (Dtype::U8, sizes(tensor.shape()), tensor.to_vec())
        }
        (Value::Int32Tensor(tensor), Element::I32) => {
            let bytes = tensor.iter().flat_map(|value| value.to_le_bytes());
            (Dtype::I32, sizes(tensor.shape()), bytes.collect())
        }
        (Value::Int32Tensor(tensor), Element::I64) => {
            let bytes = tensor
                .iter()
                .flat_map(|value| i64::from(*value).to_le_bytes());
            (Dtype::I64, sizes(tensor.shape()), bytes.collect())
        }
        (Value::Int32Tensor(tensor), Element::Bool) => {
            let bytes = tensor.iter().map(|value| u8::from(*value != 0));
            (Dtype::U8, sizes(tensor.shape()), bytes.collect())
        }
        (other, element) => {
            return Err(Error::Unsupported(format!(
                "an output of {:?} where the graph says {element:?}",
                other.dtype()
            )));
        }
    };
    Tensor::new(dtype, shape, bytes)
}
