//! Attributes that a file leaves to their defaults, and that rten wants to be said.

use super::{Known, Node};
use rten_onnx::onnx::{AttributeProto, AttributeType, NodeProto};

/// Writes them out, and says whether any was missing.
pub(super) fn fill(node: &mut NodeProto, known: &Known) -> bool {
    let (strides, dilations, pads) = (("strides", 1, 1), ("dilations", 1, 1), ("pads", 2, 0));
    // Name, how many for each dimension of space, value.
    let wanted = match node.op_type.as_deref() {
        Some("MaxPool" | "AveragePool") => vec![strides],
        Some("Conv" | "ConvTranspose") => vec![strides, dilations, pads],
        _ => return false,
    };
    let asked = Node(node);
    let kernel = asked.ints("kernel_shape").len();
    let dimensions = if kernel > 0 {
        kernel
    } else {
        let weight = known.rank(asked.input(1));
        weight.and_then(|rank| rank.checked_sub(2)).unwrap_or(0)
    };
    let padded_by_rule = asked.has("auto_pad");
    let missing = wanted.into_iter().filter(|(name, ..)| {
        dimensions > 0 && !asked.has(name) && !(*name == "pads" && padded_by_rule)
    });
    let missing: Vec<_> = missing
        .map(|(name, count, value)| AttributeProto {
            name: Some(name.to_owned()),
            // A kernel has as many dimensions as bytes of the file at most.
            ints: vec![value; count * dimensions],
            r#type: Some(AttributeType::INTS),
            ..AttributeProto::default()
        })
        .collect();
    let changed = !missing.is_empty();
    node.attribute.extend(missing);
    changed
}
