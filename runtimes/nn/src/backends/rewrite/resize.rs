//! Resizing with what rten has not or computes otherwise. Of each axis in turn, each element is a weighted sum of those of the input: the weights
//! are a matrix, and the axis comes last while it is multiplied.

use super::{Known, Node, Writer};

/// What rten does well by itself.
pub(super) fn is_plain(node: &Node) -> bool {
    let (mode, coordinates) = modes(node);
    let zero = |name: &str| node.int(name).unwrap_or(0) == 0;
    matches!(mode, "nearest" | "linear")
        && matches!(
            coordinates,
            "half_pixel" | "asymmetric" | "pytorch_half_pixel"
        )
        && zero("antialias")
        && zero("exclude_outside")
        && !node.has("axes")
        && matches!(
            node.words("keep_aspect_ratio_policy"),
            None | Some("stretch")
        )
}

fn modes<'a>(node: &Node<'a>) -> (&'a str, &'a str) {
    let coordinates = node.words("coordinate_transformation_mode");
    (
        node.words("mode").unwrap_or("nearest"),
        coordinates.unwrap_or("half_pixel"),
    )
}

pub(super) fn resize(node: &Node, known: &Known, writer: &mut Writer) -> bool {
    let (mode, coordinates) = modes(node);
    // Linear between three dimensions and more is not rten's.
    let deep = mode == "linear" && known.rank(node.input(0)).is_some_and(|rank| rank > 4);
    if (is_plain(node) && !deep) || !matches!(mode, "nearest" | "linear" | "cubic") {
        return false;
    }
    let vector = |index| match known.dimensions(node.input(index)) {
        Some([Some(count)]) => usize::try_from(*count).ok(),
        _ => None,
    };
    let given = node.ints("axes");
    let rank = known.rank(node.input(0)).or_else(|| {
        // Without axes, there is one size or scale for each.
        given.is_empty().then(|| vector(2).or_else(|| vector(3)))?
    });
    let Some(rank) = rank.filter(|rank| (1..=16).contains(rank)) else {
        return false;
    };
    let turned = given
        .iter()
        .map(|axis| if *axis < 0 { axis + rank as i64 } else { *axis });
    let axes: Vec<i64> = if given.is_empty() {
        (0..rank as i64).collect()
    } else {
        turned.collect()
    };
    if axes.iter().any(|axis| !(0..rank as i64).contains(axis)) || axes.len() > rank {
        return false;
    }
    writer.bind_ints("axes", &axes);
    writer.write("sizes = Cast(Gather(Shape(in0), axes); to = 1);");
    if !scales(node, writer) {
        return false;
    }
    writer.bind_float("a", node.float("cubic_coeff_a").unwrap_or(-0.75));
    writer.bind_float("beyond", node.float("extrapolation_value").unwrap_or(0.0));
    writer.write("value = Identity(in0);");
    let mut value = "value".to_owned();
    for (number, axis) in axes.iter().enumerate() {
        value = one_axis(
            node,
            (mode, coordinates),
            (number, axes.len()),
            (*axis, rank),
            &value,
            writer,
        );
    }
    writer.write(&format!("out0 = {value};"));
    true
}

/// The factor and the size of each axis; false where neither is given as it should be.
fn scales(node: &Node, writer: &mut Writer) -> bool {
    let policy = node.words("keep_aspect_ratio_policy").unwrap_or("stretch");
    let (scales, sizes) = (node.input(2).is_some(), node.input(3).is_some());
    if scales == sizes {
        return false;
    }
    if scales {
        writer.write("scales = Identity(in2); outs = Cast(Floor(scales * sizes); to = 7);");
        return true;
    }
    let chosen = match policy {
        "stretch" => {
            writer.write("outs = Cast(in3; to = 7); scales = Cast(outs; to = 1) / sizes;");
            return true;
        }
        "not_larger" => "ReduceMin",
        "not_smaller" => "ReduceMax",
        _ => return false,
    };
    writer.write(&format!(
        "one = {chosen}(Cast(in3; to = 1) / sizes; keepdims = 1);
         scales = Expand(one, Shape(sizes));
         outs = Cast(Floor(scales * sizes + 0.5); to = 7);"
    ));
    true
}

/// Resizes one axis, and gives the word of the result.
fn one_axis(
    node: &Node,
    (mode, coordinates): (&str, &str),
    (number, count): (usize, usize),
    (axis, rank): (i64, usize),
    value: &str,
    writer: &mut Writer,
) -> String {
    // Words of their own for each axis.
    let text = |text: &str| text.replace('#', &number.to_string());
    writer.bind_int("number", number as i64);
    writer.write(&text(
        "old# = Gather(sizes, number); new# = Gather(outs, number); scale# = Gather(scales, number);
         wide# = scale# * old#; o# = Cast(Range(0, new#, 1); to = 1);",
    ));
    // Over a single number rten multiplies with the reciprocal, and what is nearest may become another: there are two of it.
    writer.write(&text(
        "twice# = scale# * Cast([1, 1]; to = 1);
         h# = Squeeze(Slice(Unsqueeze(o# + 0.5, [1]) / twice#, [0], [1], [1]), [1]);
         a# = Squeeze(Slice(Unsqueeze(o#, [1]) / twice#, [0], [1], [1]), [1]);",
    ));
    let half = "h# - 0.5";
    let place = match coordinates {
        "align_corners" => {
            "Where(Equal(wide#, 1.0), o# * 0.0, o# * (old# - 1.0) / (wide# - 1.0))".to_owned()
        }
        "asymmetric" => "a#".to_owned(),
        "pytorch_half_pixel" => format!("Where(Equal(wide#, 1.0), o# * 0.0, {half})"),
        "half_pixel_symmetric" => {
            format!("old# / 2.0 * (1.0 - Cast(new#; to = 1) / wide#) + {half}")
        }
        "tf_crop_and_resize" => {
            writer.bind_int("end", (number + count) as i64);
            writer.write(&text(
                "start# = Gather(in1, number); span# = Gather(in1, end) - start#;",
            ));
            "start# * (old# - 1.0) + Where(Equal(wide#, 1.0), o# * 0.0 + span# * (old# - 1.0) / 2.0, o# * span# * (old# - 1.0) / (wide# - 1.0))".to_owned()
        }
        _ => half.to_owned(),
    };
    writer.write(&text(&format!("x# = {place};")));
    let mut order: Vec<i64> = (0..rank as i64).collect();
    order.swap(axis as usize, rank - 1);
    let order = format!("{order:?}");
    if mode == "nearest" {
        let rounded = match node.words("nearest_mode").unwrap_or("round_prefer_floor") {
            "round_prefer_ceil" => "Floor(x# + 0.5)",
            "floor" => "Floor(x#)",
            "ceil" => "Ceil(x#)",
            _ => "Ceil(x# - 0.5)",
        };
        writer.write(&text(&format!(
            "nearest# = Cast(Clip({rounded}, 0.0, old# - 1.0); to = 7);
             last# = Gather(Transpose({value}; perm = {order}), nearest#; axis = {});",
            rank - 1
        )));
    } else {
        writer.write(&text(&weights(node, mode)));
        writer.write(&text(&format!(
            "last# = MatMul(Transpose({value}; perm = {order}), Transpose(weights#; perm = [1, 0]));"
        )));
    }
    let last = if coordinates == "tf_crop_and_resize" {
        writer.write(&text(
            "kept# = Where(Or(Less(x#, 0.0), Greater(x#, old# - 1.0)), beyond, last#);",
        ));
        "kept#"
    } else {
        "last#"
    };
    writer.write(&text(&format!(
        "value# = Transpose({last}; perm = {order});"
    )));
    text("value#")
}

/// The text of the matrix of weights: a row for each element of the output, of the input and some beyond both ends, which count for the ends.
fn weights(node: &Node, mode: &str) -> String {
    let spread = node.int("antialias").unwrap_or(0) != 0;
    let inside = node.int("exclude_outside").unwrap_or(0) != 0;
    let shrink = if spread {
        "Min(scale#, 1.0)"
    } else {
        "1.0 + scale# * 0.0"
    };
    let kernel = if mode == "linear" {
        "Relu(1.0 - d#)"
    } else {
        "Where(LessOrEqual(d#, 1.0), ((a + 2.0) * d# - (a + 3.0)) * d# * d# + 1.0,
            Where(Less(d#, 2.0), (((d# - 5.0) * d# + 8.0) * d# - 4.0) * a, d# * 0.0))"
    };
    let mut text = format!(
        "shrink# = {shrink};
         beyond# = Cast(Floor(2.0 / shrink#); to = 7) + 2;
         many# = Cast(old#; to = 7);
         j# = Cast(Range(0 - beyond#, many# + beyond#, 1); to = 1);
         d# = Abs(Unsqueeze(j#, [0]) - Unsqueeze(x#, [1])) * shrink#;
         raw# = {kernel};"
    );
    text += if inside {
        "seen# = raw# * Unsqueeze(Cast(And(GreaterOrEqual(j#, 0.0), Less(j#, old#)); to = 1), [0]);"
    } else {
        "seen# = raw# + 0.0;"
    };
    text += if inside || spread {
        "all# = seen# / ReduceSum(seen#, [1]; keepdims = 1);"
    } else {
        "all# = seen# + 0.0;"
    };
    // What lies beyond an end counts for the end.
    text + "from# = Reshape(beyond#, [1]); to# = from# + Reshape(many#, [1]); i# = Range(0, many#, 1);
        first# = Unsqueeze(Cast(Equal(i#, 0); to = 1), [0]);
        final# = Unsqueeze(Cast(Equal(i#, many# - 1); to = 1), [0]);
        weights# = Slice(all#, from#, to#, [1])
            + ReduceSum(Slice(all#, [0], from#, [1]), [1]; keepdims = 1) * first#
            + ReduceSum(Slice(all#, to#, [2147483647], [1]), [1]; keepdims = 1) * final#;"
}
