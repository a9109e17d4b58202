//! Sampling on a grid in any mode: for each point the elements around it, gathered, weighted and added.

use super::{Known, Node, Writer};

pub(super) fn grid_sample(node: &Node, known: &Known, writer: &mut Writer) -> bool {
    let mode = node.words("mode").unwrap_or("linear");
    let padding = node.words("padding_mode").unwrap_or("zeros");
    let Some(space) = known
        .rank(node.input(0))
        .and_then(|rank| rank.checked_sub(2))
    else {
        return false;
    };
    let taps: &[i64] = match mode {
        "nearest" => &[0],
        "linear" | "bilinear" => &[0, 1],
        "cubic" | "bicubic" => &[-1, 0, 1, 2],
        _ => return false,
    };
    // The reference of ONNX moves a point to the border first, ONNX Runtime and PyTorch only what is around it.
    let unclear = taps.len() == 4 && padding == "border";
    let plain = taps.len() == 2 && padding == "zeros" && space == 2;
    if plain
        || unclear
        || !(1..=3).contains(&space)
        || !matches!(padding, "zeros" | "border" | "reflection")
    {
        return false;
    }
    let corners = node.int("align_corners").unwrap_or(0) != 0;
    writer.write(&format!(
        "shape = Shape(in0); outer = Slice(shape, [0], [2]);
         flat = Reshape(in0, Concat(outer, [-1]; axis = 0));
         points = Reshape(in1, Concat(Slice(shape, [0], [1]), [-1, {space}]; axis = 0));"
    ));
    for dimension in 0..space {
        let text = |text: &str| text.replace('#', &dimension.to_string());
        // The last number of a point is for the last dimension but the first of the grid's.
        writer.bind_int("at", (space - 1 - dimension) as i64);
        writer.bind_int("dimension", 2 + dimension as i64);
        writer.write(&text("size# = Gather(shape, dimension); length# = Cast(size#; to = 1); n# = Gather(points, at; axis = 2);"));
        writer.write(&text(if corners {
            "low# = length# * 0.0; span# = Max(length# - 1.0, 1e-9); u# = (n# + 1.0) / 2.0 * (length# - 1.0);"
        } else {
            "low# = length# * 0.0 - 0.5; span# = length# + 0.0; u# = ((n# + 1.0) * length# - 1.0) / 2.0;"
        }));
        let rounded = if mode == "nearest" {
            "Round(u#)"
        } else {
            "u# + 0.0"
        };
        writer.write(&text(&format!("r# = {rounded};")));
        writer.write(&text(&match padding {
            "border" => "v# = Clip(r#, 0.0, length# - 1.0);".to_owned(),
            "reflection" => turned("v#", "r#"),
            _ => "v# = r# + 0.0;".to_owned(),
        }));
        writer.write(&text("base# = Floor(v#); t# = v# - base#;"));
        for (number, tap) in taps.iter().enumerate() {
            one_tap(
                &format!("{dimension}_{number}"),
                *tap,
                (mode, padding),
                &text,
                writer,
            );
        }
    }
    let terms = terms(space, taps.len(), padding == "zeros", writer);
    writer.write(&format!(
        "sum = Sum({});
         out0 = Reshape(sum, Concat(outer, Slice(Shape(in1), [1], [-1]); axis = 0));",
        terms.join(", ")
    ));
    true
}

/// The text of a place that is turned back at the borders, as often as it takes. `#` is the dimension.
fn turned(to: &str, from: &str) -> String {
    format!(
        "{to}d = Abs({from} - low#);
         {to}m = {to}d - (span# + span#) * Floor({to}d / (span# + span#));
         {to} = low# + Where(LessOrEqual({to}m, span#), {to}m, span# + span# - {to}m);"
    )
}

/// Place and weight of an element beside a point, in one dimension.
fn one_tap(
    name: &str,
    tap: i64,
    (mode, padding): (&str, &str),
    text: &dyn Fn(&str) -> String,
    writer: &mut Writer,
) {
    let far = format!("(t# + {:.1})", -(tap as f64)).replace("+ -", "- ");
    let weight = match mode {
        "nearest" => "t# * 0.0 + 1.0".to_owned(),
        "linear" | "bilinear" => format!("1.0 - Abs{far}"),
        _ if (0..=1).contains(&tap) => {
            format!("(1.25 * Abs{far} - 2.25) * {far} * {far} + 1.0")
        }
        _ => format!("(((Abs{far} - 5.0) * Abs{far} + 8.0) * Abs{far} - 4.0) * -0.75"),
    };
    let p = format!("p{name}");
    writer.write(&text(
        &format!("w{name} = {weight}; {p} = base# + {}.0;", tap).replace("+ -", "- "),
    ));
    let kept = match padding {
        "reflection" => {
            // A place between elements is that of the one before.
            writer.write(&text(&turned(&format!("{p}t"), &p)));
            format!("Floor({p}t)")
        }
        _ => p.clone(),
    };
    writer.write(&text(&format!(
        "inside{name} = And(GreaterOrEqual({p}, 0.0), Less({p}, length#));
         i{name} = Cast(Clip({kept}, 0.0, length# - 1.0); to = 7);"
    )));
}

/// The words of what each element around the points adds.
fn terms(space: usize, taps: usize, zeros: bool, writer: &mut Writer) -> Vec<String> {
    let terms = (0..taps.pow(space as u32)).map(|number| {
        let mut rest = number;
        let parts: Vec<String> = (0..space)
            .map(|dimension| {
                let tap = rest % taps;
                rest /= taps;
                format!("{dimension}_{tap}")
            })
            .collect();
        let (mut place, mut weight, mut inside) = (format!("i{}", parts[0]), format!("w{}", parts[0]), format!("inside{}", parts[0]));
        for (dimension, part) in parts.iter().enumerate().skip(1) {
            place = format!("({place} * size{dimension} + i{part})");
            weight = format!("{weight} * w{part}");
            inside = format!("And({inside}, inside{part})");
        }
        writer.write(&format!(
            "place{number} = Unsqueeze({place}, [1]);
             found{number} = GatherElements(flat, Expand(place{number}, Concat(outer, Slice(Shape(place{number}), [2], [3]); axis = 0)); axis = 2);"
        ));
        let value = if zeros {
            format!("Where(Unsqueeze({inside}, [1]), found{number}, 0.0)")
        } else {
            format!("found{number}")
        };
        writer.write(&format!("term{number} = {value} * Unsqueeze({weight}, [1]);"));
        format!("term{number}")
    });
    terms.collect()
}
