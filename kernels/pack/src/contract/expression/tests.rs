//! Values, reasons, and what is refused with its place.

use super::*;

fn value(text: &str, purpose: Use) -> Result<i64, String> {
    let names = |name: &str| match name {
        "rows" => Some(6),
        "hidden" => Some(40),
        "zero" => Some(0),
        "largest" => Some(i64::MAX),
        _ => None,
    };
    Expression::parse(text, purpose)?
        .integer(&names)
        .map_err(|undefined| undefined.to_string())
}

#[test]
fn integers_follow_the_usual_order_of_operations() {
    for (text, expected) in [
        ("2+3*4", 14),
        (" ( 2 + 3 ) * 4 ", 20),
        ("10 - 3 - 2", 5),
        ("-7 / 2", -3),
        ("hidden % 32", 8),
        ("ceil_div(hidden, 32) * 34 * rows", 408),
        ("ceil_div(-7, 2)", -3),
        ("min(rows, hidden) + max(1, 2)", 8),
        ("--3", 3),
    ] {
        assert_eq!(value(text, Use::Size), Ok(expected), "{text}");
    }
    for (text, holds) in [
        ("hidden % 8 == 0", 1),
        ("rows >= 7", 0),
        ("rows != hidden / 2", 1),
        ("rows <= 6", 1),
        ("rows < 6", 0),
    ] {
        assert_eq!(value(text, Use::Constraint), Ok(holds), "{text}");
    }
}

#[test]
fn what_has_no_value_says_why() {
    for (text, why) in [
        ("largest + 1", "overflows 64 bits"),
        ("largest * largest", "overflows 64 bits"),
        ("-largest - 2", "overflows 64 bits"),
        ("rows / zero", "divides by zero"),
        ("rows % (hidden - 40)", "divides by zero"),
        ("ceil_div(rows, zero)", "divides by zero"),
        ("columns", "uses `columns`, which has no value here"),
    ] {
        assert_eq!(value(text, Use::Size), Err(why.to_owned()), "{text}");
    }
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    let deep = "(".repeat(100);
    let negative = "-".repeat(200);
    let long = "1+".repeat(200);
    for (text, purpose, why) in [
        ("", Use::Size, "at byte 0"),
        ("rows +", Use::Size, "at byte 6"),
        ("rows rows", Use::Size, "at byte 5"),
        ("(rows", Use::Size, "`)` is due"),
        ("rows == 3", Use::Size, "the end is due at byte 5"),
        ("rows", Use::Constraint, "one of =="),
        ("1 < 2 < 3", Use::Constraint, "the end"),
        ("0.5", Use::Size, "whole numbers"),
        ("1e3", Use::Constraint, "whole numbers"),
        ("sqrt(rows)", Use::Size, "calls `sqrt`"),
        ("system(1, 2)", Use::Distance, "calls `system`"),
        ("1e999", Use::Distance, "no number"),
        ("1.2.3", Use::Distance, "no number"),
        ("99999999999999999999", Use::Size, "overflows"),
        ("r\u{e4}", Use::Size, "at byte 1"),
        (&deep, Use::Size, "deeper"),
        (&negative, Use::Size, "deeper"),
        (&long, Use::Size, "at most 256"),
    ] {
        let refused = Expression::parse(text, purpose).unwrap_err();
        assert!(refused.contains(why), "{text:?}: {refused}");
    }
}

#[test]
fn distances_are_real() {
    let text = "max(1e-6, 6.25e-8*sqrt(hidden)) + eps/2";
    let expression = Expression::parse(text, Use::Distance).unwrap();
    assert_eq!(
        expression.names().into_iter().collect::<Vec<_>>(),
        ["eps", "hidden"]
    );
    let names = |name: &str| match name {
        "hidden" => Some(4096.0),
        "eps" => Some(1e-5),
        _ => None,
    };
    let value = expression.real(&names).unwrap();
    assert!((value - (4e-6 + 5e-6)).abs() < 1e-12, "{value}");
}
