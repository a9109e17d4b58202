//! Attributes that a file leaves to their defaults, and that rten 0.27.0 wants to be said.

use rten_onnx::onnx::{AttributeProto, AttributeType, GraphProto, ModelProto, NodeProto};
use std::{borrow::Cow, collections::BTreeMap};

/// A file with these attributes written out; the very bytes where none is missing. A file that cannot be read is the loader's to refuse.
pub(super) fn written_out(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Ok(mut model) = ModelProto::parse_buf(bytes) else {
        return Cow::Borrowed(bytes);
    };
    let changed = model.graph.as_mut().is_some_and(fill);
    match model.write_buf() {
        Ok(written) if changed => Cow::Owned(written),
        _ => Cow::Borrowed(bytes),
    }
}

fn fill(graph: &mut GraphProto) -> bool {
    let ranks: BTreeMap<String, usize> = ranks(graph).collect();
    let changed = graph.node.iter_mut().map(|node| fill_node(node, &ranks));
    changed.fold(false, |any, one| any | one)
}

/// How many dimensions each input and weight has, as far as the file says.
fn ranks(graph: &GraphProto) -> impl Iterator<Item = (String, usize)> + '_ {
    let weights = graph.initializer.iter();
    let weights = weights.filter_map(|weight| Some((weight.name.clone()?, weight.dims.len())));
    let inputs = graph.input.iter().filter_map(|input| {
        let tensor = input.r#type.as_ref()?.tensor_type.as_ref()?;
        Some((input.name.clone()?, tensor.shape.as_ref()?.dim.len()))
    });
    inputs.chain(weights)
}

fn fill_node(node: &mut NodeProto, ranks: &BTreeMap<String, usize>) -> bool {
    let (strides, dilations, pads) = (("strides", 1, 1), ("dilations", 1, 1), ("pads", 2, 0));
    // Name, how many for each dimension of space, value.
    let wanted = match node.op_type.as_deref() {
        Some("MaxPool" | "AveragePool") => vec![strides],
        Some("Conv" | "ConvTranspose") => vec![strides, dilations, pads],
        _ => return false,
    };
    let has = |node: &NodeProto, name: &str| {
        let mut attributes = node.attribute.iter();
        attributes.any(|attribute| attribute.name.as_deref() == Some(name))
    };
    let kernel = node.attribute.iter();
    let mut kernel = kernel.filter(|its| its.name.as_deref() == Some("kernel_shape"));
    let weight = || ranks.get(node.input.get(1)?)?.checked_sub(2);
    let Some(dimensions) = kernel.next().map(|its| its.ints.len()).or_else(weight) else {
        return false;
    };
    let padded_by_rule = has(node, "auto_pad");
    let mut changed = false;
    for (name, count, value) in wanted {
        if has(node, name) || name == "pads" && padded_by_rule {
            continue;
        }
        node.attribute.push(AttributeProto {
            name: Some(name.to_owned()),
            // A kernel has as many dimensions as bytes of the file at most.
            ints: vec![value; count * dimensions],
            r#type: Some(AttributeType::INTS),
            ..AttributeProto::default()
        });
        changed = true;
    }
    changed
}
