//! The choice of boxes by the specification. rten compares boxes by the area around both, and of all classes together.

use super::{Node, Writer};

pub(super) fn non_max_suppression(node: &Node, writer: &mut Writer) -> bool {
    // The last of equal scores is found, so boxes come from behind.
    writer.write(
        "turned = Slice(in0, [-1], [-2147483647], [1], [-1]);
         scores = Slice(in1, [-1], [-2147483647], [2], [-1]);
         shape = Shape(scores);
         many = Gather(shape, 2);
         c0 = Unsqueeze(Gather(turned, 0; axis = 2), [1]);
         c1 = Unsqueeze(Gather(turned, 1; axis = 2), [1]);
         c2 = Unsqueeze(Gather(turned, 2; axis = 2), [1]);
         c3 = Unsqueeze(Gather(turned, 3; axis = 2), [1]);",
    );
    writer.write(if node.int("center_point_box").unwrap_or(0) == 0 {
        "low1 = Min(c0, c2); high1 = Max(c0, c2); low2 = Min(c1, c3); high2 = Max(c1, c3);"
    } else {
        "low1 = c1 - c3 / 2.0; high1 = c1 + c3 / 2.0; low2 = c0 - c2 / 2.0; high2 = c0 + c2 / 2.0;"
    });
    for word in ["low1", "low2", "high1", "high2"] {
        writer.write(&format!("all_{word} = Expand({word}, shape);"));
    }
    writer.write("area = (all_high1 - all_low1) * (all_high2 - all_low2);");
    writer.write(if node.input(4).is_some() {
        "living = Cast(Greater(scores, in4); to = 7);"
    } else {
        "living = Expand(1, shape);"
    });
    writer.write(if node.input(3).is_some() {
        "most = in3 + 0.0;"
    } else {
        "most = 0.0 * 1.0;"
    });
    writer.write(if node.input(2).is_some() {
        "limit = Max(ReduceMax(Cast(in2; to = 7); keepdims = 0), 0);"
    } else {
        "limit = many * 0;"
    });
    // One turn at least, so that there is something of all turns.
    writer.write("turns = Max(Min(limit, many), 1); places = Range(0, many, 1);");
    writer.repeat(
        "turns",
        &[("left", "living")],
        &["chosen", "valid"],
        "chosen = ArgMax(Where(Equal(left, 1), scores, -inf); axis = 2, keepdims = 1);
         valid = GatherElements(left, chosen; axis = 2) * Cast(Less(turn, limit); to = 7);
         side1 = Min(all_high1, GatherElements(all_high1, chosen; axis = 2)) - Max(all_low1, GatherElements(all_low1, chosen; axis = 2));
         side2 = Min(all_high2, GatherElements(all_high2, chosen; axis = 2)) - Max(all_low2, GatherElements(all_low2, chosen; axis = 2));
         shared = Relu(side1) * Relu(side2);
         one = GatherElements(area, chosen; axis = 2);
         joint = area + one - shared;
         real = And(And(Greater(shared, 0.0), Greater(joint, 0.0)), And(Greater(area, 0.0), Greater(one, 0.0)));
         over = And(real, Greater(shared / joint, most));
         next_left = Where(Or(over, Equal(places, chosen)), 0, left);",
    );
    // Turn by turn last, so that what is found comes by batch, class and turn.
    writer.write(
        "found = Transpose(NonZero(Transpose(Squeeze(valid_all, [3]); perm = [1, 2, 0])); perm = [1, 0]);
         box = GatherND(Transpose(Squeeze(chosen_all, [3]); perm = [1, 2, 0]), found);
         out0 = Concat(Slice(found, [0], [2], [1]), Unsqueeze(many - 1 - box, [1]); axis = 1);",
    );
    true
}
