//! What an ONNX file says of its inputs and outputs. Both ONNX backends go by it, so that the same tensors fit both.

use crate::{Dtype, Error, Input, Tensor};
use rten_onnx::{
    onnx::{DataLocation, DataType, GraphProto, ModelProto, TensorProto, ValueInfoProto},
    protobuf::{Fields, ProtobufError, ReadValue, ValueReader},
};

/// Levels of messages in messages: a graph in a graph is three of them.
const MAX_DEPTH: usize = 64;

/// The type of elements in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    F64,
    U8,
    I32,
    I64,
    /// A byte of 0 or 1: the interface has no type for it.
    Bool,
}

impl Element {
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Element::F32 => Dtype::F32,
            Element::F64 => Dtype::F64,
            Element::U8 | Element::Bool => Dtype::U8,
            Element::I32 => Dtype::I32,
            Element::I64 => Dtype::I64,
        }
    }

    fn of(dtype: DataType, name: &str) -> Result<Self, Error> {
        Ok(match dtype {
            DataType::FLOAT => Element::F32,
            DataType::DOUBLE => Element::F64,
            DataType::UINT8 => Element::U8,
            DataType::INT32 => Element::I32,
            DataType::INT64 => Element::I64,
            DataType::BOOL => Element::Bool,
            other => return Err(Error::Unsupported(format!("`{name}` is of {other}"))),
        })
    }
}

/// The inputs and outputs of a model, in order.
pub(super) struct Declared {
    pub(super) inputs: Vec<Input>,
    pub(super) input_elements: Vec<Element>,
    pub(super) outputs: Vec<(String, Element)>,
}

impl Declared {
    /// Reads a file of one part.
    pub(super) fn read(parts: &[Vec<u8>]) -> Result<(Self, &[u8]), Error> {
        let [bytes] = parts else {
            let message = format!("ONNX in {} parts; it comes in one", parts.len());
            return Err(Error::Argument(message));
        };
        let not_onnx = |error: ProtobufError| Error::Argument(format!("not ONNX: {error}"));
        let mut reader = ValueReader::from_buf(bytes);
        let fields = Fields::new(&mut reader, None);
        if !Message::Model.is_shallow(fields, 0).map_err(not_onnx)? {
            let message = format!("more than {MAX_DEPTH} levels of messages in messages");
            return Err(Error::TooLarge(message));
        }
        let model = ModelProto::parse_buf(bytes).map_err(not_onnx)?;
        let graph = model
            .graph
            .ok_or_else(|| Error::Argument("not ONNX: it has no graph".to_owned()))?;
        refuse_external(&graph)?;
        let mut declared = Self {
            inputs: Vec::new(),
            input_elements: Vec::new(),
            outputs: Vec::new(),
        };
        for input in &graph.input {
            let (name, element, dimensions) = value(input)?;
            let mut initializers = graph.initializer.iter();
            // Old files name their weights among the inputs.
            if initializers.any(|weight| weight.name.as_deref() == Some(&*name)) {
                continue;
            }
            declared.input_elements.push(element);
            declared.inputs.push(Input {
                name,
                dtype: Some(element.dtype()),
                dimensions,
            });
        }
        for output in &graph.output {
            let (name, element, _) = value(output)?;
            declared.outputs.push((name, element));
        }
        Ok((declared, bytes))
    }

    /// Checks a tensor of truth values, which the interface carries as bytes.
    pub(super) fn check_bool(tensor: &Tensor) -> Result<(), Error> {
        if tensor.bytes().iter().all(|byte| *byte < 2) {
            return Ok(());
        }
        let message = "a truth value that is neither 0 nor 1";
        Err(Error::Argument(message.to_owned()))
    }
}

/// Messages of ONNX that hold others, which may hold such as them again. Readers follow them by recursion: without a limit a file of two
/// megabytes uses up the stack of a thread, and ends the process.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Value,
    Type,
    Sequence,
}

impl Message {
    /// What a field of this message holds, if it is one of these.
    fn held(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Message::Model, 7) => Some(Message::Graph),
            (Message::Graph, 1) => Some(Message::Node),
            (Message::Graph, 11..=13) => Some(Message::Value),
            (Message::Node, 5) => Some(Message::Attribute),
            (Message::Attribute, 6 | 11) => Some(Message::Graph),
            (Message::Value, 2) | (Message::Sequence, 1) => Some(Message::Type),
            (Message::Type, 4) => Some(Message::Sequence),
            _ => None,
        }
    }

    fn is_shallow<R: ReadValue>(
        self,
        mut fields: Fields<'_, R>,
        depth: usize,
    ) -> Result<bool, ProtobufError> {
        if depth > MAX_DEPTH {
            return Ok(false);
        }
        while let Some(mut field) = fields.next()? {
            match self.held(field.number()) {
                Some(held) if !held.is_shallow(field.read_message(None)?, depth + 1)? => {
                    return Ok(false);
                }
                Some(_) => {}
                None => field.skip()?,
            }
        }
        Ok(true)
    }
}

type Value = (String, Element, Option<Vec<Option<u32>>>);

fn value(info: &ValueInfoProto) -> Result<Value, Error> {
    let name = info.name.clone().unwrap_or_default();
    let tensor = info.r#type.as_ref().and_then(|it| it.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| Error::Unsupported(format!("`{name}` is no tensor")))?;
    let element = Element::of(tensor.elem_type.unwrap_or(DataType(0)), &name)?;
    let dimensions = tensor.shape.as_ref().map(|shape| {
        let sizes = shape.dim.iter();
        let sizes = sizes.map(|size| size.dim_value.and_then(|size| u32::try_from(size).ok()));
        sizes.collect()
    });
    Ok((name, element, dimensions))
}

/// A graph that names files of the host must not be read: it may come from a guest.
fn refuse_external(graph: &GraphProto) -> Result<(), Error> {
    let external = |tensor: &TensorProto| {
        tensor.data_location == Some(DataLocation::EXTERNAL) || !tensor.external_data.is_empty()
    };
    let attributes = || graph.node.iter().flat_map(|node| &node.attribute);
    let tensors = attributes().filter_map(|attribute| attribute.t.as_ref());
    if graph.initializer.iter().chain(tensors).any(external) {
        let message = "weights in a file of their own";
        return Err(Error::Unsupported(message.to_owned()));
    }
    let mut graphs = attributes().filter_map(|attribute| attribute.g.as_ref());
    graphs.try_for_each(refuse_external)
}

/// Whether bytes look like ONNX: a version of its form comes first in what every tool writes.
pub(super) fn recognises(parts: &[Vec<u8>]) -> bool {
    parts.first().and_then(|part| part.first()) == Some(&0x08)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes that holds `length` bytes, up to them, backwards.
    fn head(number: u8, mut length: usize) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        while length > 0x7f {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.reverse();
        bytes
    }

    /// A model with messages in messages, by the numbers of their fields from the outermost of each round on.
    fn nested(outer: &[u8], round: &[u8], rounds: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..rounds {
            for number in round.iter().rev() {
                bytes.extend(head(*number, bytes.len()));
            }
        }
        for number in outer.iter().rev() {
            bytes.extend(head(*number, bytes.len()));
        }
        bytes.reverse();
        bytes
    }

    #[test]
    fn messages_in_messages_have_a_limit() {
        for (outer, round) in [(&[7][..], [1, 5, 6].as_slice()), (&[7, 12, 2], &[4, 1])] {
            let few = Declared::read(&[nested(outer, round, 20)]).err();
            assert!(!matches!(few, Some(Error::TooLarge(_))), "{few:?}");
            let many = Declared::read(&[nested(outer, round, 200_000)]).err();
            assert!(matches!(many, Some(Error::TooLarge(_))), "{many:?}");
        }
    }
}
