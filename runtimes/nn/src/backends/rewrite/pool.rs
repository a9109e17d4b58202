//! Kernels that slide, with what rten has not: dilations, three dimensions of space, padding that begins with more, the places of the largest.
//!
//! Of pooling, for each cell of the kernel one slice of the padded input, and of all slices the largest or the mean.

use super::{Node, Writer};

/// Cells of a kernel.
const MAX_CELLS: i64 = 512;

pub(super) fn pool(node: &Node, writer: &mut Writer) -> bool {
    let kernel = node.ints("kernel_shape");
    let mut cells = kernel.iter();
    let cells = cells.try_fold(1, |product: i64, size| {
        let product = product.checked_mul(*size);
        product.filter(|cells| (1..=MAX_CELLS).contains(cells))
    });
    if is_plain(node) || cells.is_none() {
        return false;
    }
    let Some(dilations) = frame(node, writer) else {
        return false;
    };
    let offsets = offsets(kernel, &dilations);
    if node.0.op_type.as_deref() == Some("MaxPool") {
        writer.write("padded = Pad(in0, padding, CastLike(-inf, in0));");
        let slices = slices(&offsets, "padded", writer);
        if node.wants(1) {
            places(node, &slices, &offsets, writer);
        } else {
            writer.write(&format!("out0 = Max({});", slices.join(", ")));
        }
        return true;
    }
    writer.write(if node.int("count_include_pad").unwrap_or(0) == 0 {
        "counted = Pad(Expand(1.0, Concat([1, 1], space; axis = 0)), padding, 0.0);"
    } else {
        "all = Expand(1.0, Concat([1, 1], before + space + after; axis = 0));
         counted = Pad(all, Concat([0, 0], before * 0, [0, 0], needed - after; axis = 0), 0.0);"
    });
    writer.write("padded = Pad(in0, padding, 0.0);");
    let values = slices(&offsets, "padded", writer);
    let counts = slices(&offsets, "counted", writer);
    writer.write(&format!(
        "out0 = Sum({}) / Sum({});",
        values.join(", "),
        counts.join(", ")
    ));
    true
}

/// What rten does well by itself.
pub(super) fn is_plain(node: &Node) -> bool {
    let dilated = node.ints("dilations").iter().any(|step| *step != 1);
    let deep = node.ints("kernel_shape").len() > 2;
    !(dilated || deep || is_lower(node) || node.wants(1))
}

/// Whether more is padded before than after, which rten takes for the contrary.
pub(super) fn is_lower(node: &Node) -> bool {
    node.words("auto_pad") == Some("SAME_LOWER")
}

/// Convolution of an input that is padded here.
pub(super) fn convolution(node: &Node, writer: &mut Writer) -> bool {
    let deep = node.ints("kernel_shape").len() > 2;
    if deep || !is_lower(node) || node.input(0).is_none() || frame(node, writer).is_none() {
        return false;
    }
    writer.write(
        if node.input(2).is_some() && node.0.op_type.as_deref() == Some("ConvInteger") {
            "padded = Pad(in0, padding, in2);"
        } else {
            "padded = Pad(in0, padding, CastLike(0, in0));"
        },
    );
    let mut inner = node.0.clone();
    for attribute in &mut inner.attribute {
        match attribute.name.as_deref() {
            Some("auto_pad") => attribute.s = Some("NOTSET".to_owned()),
            Some("pads") => attribute.ints.fill(0),
            _ => {}
        }
    }
    inner.input[0] = writer.value("padded");
    writer.nodes.push(inner);
    true
}

/// Writes what a kernel needs of its input: `padding`, before and after, and how large the output is. Gives the dilations; nothing where the
/// file does not say how large the kernel is, or says what is none.
fn frame(node: &Node, writer: &mut Writer) -> Option<Vec<i64>> {
    let kernel = node.ints("kernel_shape");
    let space = kernel.len();
    let or = |name: &str, value: i64, count: usize| {
        let given = node.ints(name);
        let given = if given.is_empty() {
            vec![value; count]
        } else {
            given.to_vec()
        };
        let small = given
            .iter()
            .all(|it| (0..=i64::from(i16::MAX)).contains(it));
        (small && given.len() == count && space > 0).then_some(given)
    };
    or("kernel_shape", 0, space)?;
    let strides = or("strides", 1, space)?;
    let dilations = or("dilations", 1, space)?;
    let pads = or("pads", 0, 2 * space)?;
    if kernel.contains(&0) || strides.contains(&0) {
        return None;
    }
    let reach = kernel.iter().zip(&dilations);
    let reach: Vec<i64> = reach.map(|(size, step)| (size - 1) * step + 1).collect();
    writer.bind_ints("reach", &reach);
    writer.bind_ints("strides", &strides);
    writer.bind_ints("begin", &pads[..space]);
    writer.bind_ints("end", &pads[space..]);
    writer.bind_ints("axes", &(2..2 + space as i64).collect::<Vec<_>>());
    writer.write(
        "shape = Shape(in0); outer = Slice(shape, [0], [2]);
         space = Slice(shape, [2], [2147483647]); none = outer * 0;",
    );
    let exact = node.int("ceil_mode").unwrap_or(0) == 0;
    sizes(node.words("auto_pad").unwrap_or("NOTSET"), exact, writer);
    // Where a stride leads beyond what is padded, it ends there.
    writer.write(
        "needed = Max((out - 1) * strides + reach - space - before, after);
         padding = Concat(none, before, none, needed; axis = 0);",
    );
    Some(dilations)
}

/// The sizes of the output, and what is padded before and after.
fn sizes(rule: &str, exact: bool, writer: &mut Writer) {
    writer.write(match rule {
        "SAME_UPPER" | "SAME_LOWER" => {
            "out = (space + strides - 1) / strides;
             total = Max((out - 1) * strides + reach - space, begin * 0);"
        }
        "VALID" => "before = begin * 0; after = before; out = (space - reach) / strides + 1;",
        _ if exact => "before = begin + 0; after = end + 0; out = (space + before + after - reach) / strides + 1;",
        _ => {
            "before = begin + 0; after = end + 0;
             most = (space + before + after - reach + strides - 1) / strides + 1;
             out = most - Cast(GreaterOrEqual((most - 1) * strides, space + before); to = 7);"
        }
    });
    match rule {
        "SAME_UPPER" => writer.write("before = total / 2; after = total - before;"),
        "SAME_LOWER" => writer.write("after = total / 2; before = total - after;"),
        _ => {}
    }
}

/// Where each cell of a kernel is, the last dimension first in turn.
fn offsets(kernel: &[i64], dilations: &[i64]) -> Vec<Vec<i64>> {
    let mut offsets = vec![Vec::new()];
    for (size, step) in kernel.iter().zip(dilations) {
        let longer = offsets.iter().flat_map(|offset| {
            (0..*size).map(move |place| {
                let mut longer: Vec<i64> = offset.clone();
                longer.push(place * step);
                longer
            })
        });
        offsets = longer.collect();
    }
    offsets
}

/// The words of what each cell sees of a value.
fn slices(offsets: &[Vec<i64>], of: &str, writer: &mut Writer) -> Vec<String> {
    let slices = offsets.iter().enumerate().map(|(number, offset)| {
        let word = format!("{of}{number}");
        writer.bind_ints("from", offset);
        writer.write(&format!(
            "{word} = Slice({of}, from, from + (out - 1) * strides + 1, axes, strides);"
        ));
        word
    });
    slices.collect()
}

/// The largest, and where it was in the input.
fn places(node: &Node, slices: &[String], offsets: &[Vec<i64>], writer: &mut Writer) {
    writer.write("area = ReduceProd(space; keepdims = 0);");
    writer.write(if node.int("storage_order").unwrap_or(0) == 0 {
        "plane = Reshape(Range(0, area, 1), space);"
    } else {
        "plane = Transpose(Reshape(Range(0, area, 1), Slice(space, [-1], [-2147483647], [0], [-1])));"
    });
    writer.write(
        "planes = Range(0, ReduceProd(outer; keepdims = 0), 1) * area;
         places = Reshape(planes, Concat(outer, space * 0 + 1; axis = 0)) + plane;
         where = Pad(places, padding, -1);",
    );
    let places = self::slices(offsets, "where", writer);
    let (mut value, mut place) = (slices[0].clone(), places[0].clone());
    for (number, (slice, found)) in slices.iter().zip(&places).enumerate().skip(1) {
        writer.write(&format!(
            "larger{number} = Or(Greater({slice}, {value}), Less({place}, 0));
             value{number} = Where(larger{number}, {slice}, {value});
             place{number} = Where(larger{number}, {found}, {place});"
        ));
        (value, place) = (format!("value{number}"), format!("place{number}"));
    }
    writer.write(&format!("out0 = {value}; out1 = {place};"));
}
