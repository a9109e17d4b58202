//! Quantisation as the specification has it. rten multiplies with the reciprocal of the scale, which rounds some values to another integer.

use super::{Node, Writer};

pub(super) fn quantize(node: &Node, writer: &mut Writer) -> bool {
    if node.int("block_size").unwrap_or(0) != 0 || node.has("output_dtype") {
        return false;
    }
    let axis = node.int("axis").unwrap_or(1);
    if !(-16..16).contains(&axis) {
        return false;
    }
    // So many dimensions come after the axis.
    writer.bind_int("after", -1 - axis);
    writer.write(if axis < 0 {
        "behind = Expand(1, Reshape(after, [1]));"
    } else {
        "behind = Expand(1, Reshape(Max(Size(Shape(in0)) + after, 0), [1]));"
    });
    // A scale for all is one for each of one.
    writer.write(
        "shape = Concat([-1], behind; axis = 0);
         scale = Reshape(in1, shape);",
    );
    writer.write(&rounded("scale"));
    writer.write(if node.input(2).is_some() {
        // A cast to integers of 8 bits ends at the smallest and the largest.
        "out0 = CastLike(rounded + Reshape(Cast(in2; to = 1), shape), in2);"
    } else {
        "out0 = Cast(rounded; to = 2);"
    });
    true
}

pub(super) fn dynamic(writer: &mut Writer) -> bool {
    writer.write(
        "low = Min(ReduceMin(in0; keepdims = 0), 0.0);
         high = Max(ReduceMax(in0; keepdims = 0), 0.0);
         scale = (high - low) / 255.0;
         zero = Round(Clip(0.0 - low / scale, 0.0, 255.0));
         out1 = scale;
         out2 = Cast(zero; to = 2);",
    );
    writer.write(&rounded("scale"));
    writer.write("out0 = Cast(rounded + zero; to = 2);");
    true
}

/// The text of the input over a scale, as `rounded`. Over a single number rten multiplies with the reciprocal again, so there are two of it.
fn rounded(scale: &str) -> String {
    format!(
        "both = Unsqueeze(in0, [-1]) / (Unsqueeze({scale}, [-1]) * Cast([1, 1]; to = 1));
         rounded = Reshape(Round(Slice(both, [0], [1], [-1])), Shape(in0));"
    )
}
