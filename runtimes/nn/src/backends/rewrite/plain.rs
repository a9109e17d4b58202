//! Operators of which a few lines make what is missing.

use super::{Known, Node, Writer};
use rten_onnx::onnx::DataType;

pub(super) fn plain(operator: &str, node: &Node, known: &Known, writer: &mut Writer) -> bool {
    match operator {
        "ArgMax" | "ArgMin" => arg(operator, node, writer),
        "BatchNormalization" => batch_normalization(node, writer),
        "Cast" => cast(node, writer),
        "IsInf" => is_inf(node, writer),
        "LayerNormalization" => layer_normalization(node, writer),
        "MatMul" => mat_mul(node, known, writer),
        "OneHot" => one_hot(node, writer),
        "Pad" => pad(node, writer),
        "Pow" => pow(node, known, writer),
        "Sign" => sign(writer),
        "LogSoftmax" | "Softmax" => softmax(operator, node, known, writer),
        "Squeeze" | "Unsqueeze" => axes_in_a_list(operator, node, known, writer),
        _ => false,
    }
}

/// Of equal values rten gives the last; the first is found from behind.
fn arg(operator: &str, node: &Node, writer: &mut Writer) -> bool {
    let last = node.int("select_last_index").unwrap_or(0) != 0;
    let axis = node.int("axis").unwrap_or(0);
    let keep = node.int("keepdims").unwrap_or(1);
    writer.bind_int("axis", axis);
    writer.bind_ints("axes", &[axis]);
    let call = |of: &str| format!("{operator}({of}; axis = {axis}, keepdims = {keep})");
    if last {
        writer.write(&format!("out0 = {};", call("in0")));
        return true;
    }
    writer.write(&format!(
        "reversed = Slice(in0, [-1], [-2147483647], axes, [-1]);
         out0 = Gather(Shape(in0), axis) - 1 - {};",
        call("reversed")
    ));
    true
}

/// In training, the mean and the variance are the input's.
fn batch_normalization(node: &Node, writer: &mut Writer) -> bool {
    if node.int("training_mode").unwrap_or(0) == 0 {
        return false;
    }
    writer.bind_float("epsilon", node.float("epsilon").unwrap_or(1e-5));
    let momentum = node.float("momentum").unwrap_or(0.9);
    writer.bind_float("momentum", momentum);
    writer.bind_float("other", 1.0 - momentum);
    writer.write(
        "axes = Concat([0], Range(2, Size(Shape(in0)), 1); axis = 0);
         mean = ReduceMean(in0, axes; keepdims = 1);
         centred = in0 - mean;
         variance = ReduceMean(centred * centred, axes; keepdims = 1);
         shape = Shape(mean);
         scaled = centred / Sqrt(variance + epsilon) * Reshape(in1, Concat([1, -1], Slice(shape, [2], [2147483647]); axis = 0));
         out0 = scaled + Reshape(in2, Concat([1, -1], Slice(shape, [2], [2147483647]); axis = 0));",
    );
    for (output, running, found) in [(1, "in3", "mean"), (2, "in4", "variance")] {
        if node.wants(output) {
            writer.write(&format!(
                "out{output} = {running} * momentum + Reshape({found}, [-1]) * other;"
            ));
        }
    }
    true
}

/// Truth values are integers inside, and a number that is not 0 must become 1.
fn cast(node: &Node, writer: &mut Writer) -> bool {
    let truth = node.int("to") == Some(i64::from(DataType::BOOL.0));
    if truth {
        writer.write("out0 = Not(Equal(in0, CastLike(0, in0)));");
    }
    truth
}

fn is_inf(node: &Node, writer: &mut Writer) -> bool {
    let wants = |name| node.int(name).unwrap_or(1) != 0;
    let sign = match (wants("detect_positive"), wants("detect_negative")) {
        (true, true) => return false,
        (true, false) => "Greater(in0, 0.0)",
        (false, true) => "Less(in0, 0.0)",
        (false, false) => "Less(in0, in0)",
    };
    writer.write(&format!("out0 = And(IsInf(in0), {sign});"));
    true
}

/// The mean and the reciprocal of the deviation, beside what rten computes.
fn layer_normalization(node: &Node, writer: &mut Writer) -> bool {
    if !node.wants(1) && !node.wants(2) {
        return false;
    }
    let axis = node.int("axis").unwrap_or(-1);
    writer.bind_int("axis", axis);
    writer.bind_float("epsilon", node.float("epsilon").unwrap_or(1e-5));
    let end = if axis < 0 { "0" } else { "Size(Shape(in0))" };
    writer.write(&format!(
        "axes = Range(axis, {end}, 1);
         mean = ReduceMean(in0, axes; keepdims = 1);
         centred = in0 - mean;
         inverse = Reciprocal(Sqrt(ReduceMean(centred * centred, axes; keepdims = 1) + epsilon));"
    ));
    let mut inner = node.0.clone();
    inner.output.truncate(1);
    writer.nodes.push(inner);
    for (output, found) in [(1, "mean"), (2, "inverse")] {
        if node.wants(output) {
            writer.write(&format!("out{output} = {found};"));
        }
    }
    true
}

/// A vector on the right of more than a matrix: rten leaves its dimension behind.
fn mat_mul(node: &Node, known: &Known, writer: &mut Writer) -> bool {
    if known.rank(node.input(0)).is_some_and(|rank| rank < 3) {
        return false;
    }
    match known.rank(node.input(1)) {
        Some(1) => writer.write("out0 = Squeeze(MatMul(in0, Unsqueeze(in1, [1])), [-1]);"),
        Some(_) => return false,
        // Where a vector is possible, the product of a matrix loses its last dimension if it was one.
        None => writer.write(
            "shape = Shape(in1);
             vector = Reshape(Cast(Equal(Size(shape), 1); to = 7), [1]);
             product = MatMul(in0, Reshape(in1, Concat(shape, Expand(1, vector); axis = 0)));
             full = Shape(product);
             out0 = Reshape(product, Slice(full, [0], Shape(full) - vector));",
        ),
    }
    true
}

/// Up to version 12, all dimensions from the axis on are one, and the axis is 1 if nothing is said.
fn softmax(operator: &str, node: &Node, known: &Known, writer: &mut Writer) -> bool {
    let early = known.version < 13;
    if early {
        let axis = node.int("axis").unwrap_or(1);
        writer.write(&format!(
            "out0 = Reshape({operator}(Flatten(in0; axis = {axis}); axis = -1), Shape(in0));"
        ));
    }
    early
}

/// Places and depth may be of any type, and a place below 0 counts from behind.
fn one_hot(node: &Node, writer: &mut Writer) -> bool {
    let axis = node.int("axis").unwrap_or(-1);
    writer.write(&format!(
        "depth = Cast(Reshape(in1, [1]); to = 7);
         places = Cast(in0; to = 7);
         out0 = OneHot(places, Squeeze(depth), in2; axis = {axis});"
    ));
    true
}

/// Pads of some axes become pads of all.
fn pad(node: &Node, writer: &mut Writer) -> bool {
    if node.input(3).is_none() {
        return false;
    }
    writer.write(
        "rank = Size(Shape(in0));
         axes = Cast(in3; to = 7);
         counted = Where(Less(axes, 0), axes + rank, axes);
         none = Range(0, rank + rank, 1) * 0;
         pads = ScatterElements(none, Concat(counted, counted + rank; axis = 0), in1; axis = 0);",
    );
    let mut inner = node.0.clone();
    inner.input.truncate(3);
    inner.input[1] = writer.value("pads");
    writer.nodes.push(inner);
    true
}

/// The result is of the type of the base.
fn pow(node: &Node, known: &Known, writer: &mut Writer) -> bool {
    let float = |index| known.of(node.input(index)) == Some(DataType::FLOAT);
    let mixed = float(0) && !float(1);
    if mixed {
        writer.write("out0 = Pow(in0, CastLike(in1, in0));");
    }
    mixed
}

/// rten gives 0 the sign of 1.
fn sign(writer: &mut Writer) -> bool {
    writer.write("out0 = Where(Equal(in0, CastLike(0, in0)), in0, Sign(in0));");
    true
}

/// A single axis that is no list.
fn axes_in_a_list(operator: &str, node: &Node, known: &Known, writer: &mut Writer) -> bool {
    let single = known.rank(node.input(1)) == Some(0);
    if single {
        writer.write(&format!("out0 = {operator}(in0, Reshape(in1, [1]));"));
    }
    single
}
