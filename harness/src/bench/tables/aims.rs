//! What is aimed at: `fixtures/goals.toml`, one field for each goal, so that no goal can be asked for that is not there.

use serde::Deserialize;
use std::sync::LazyLock;

/// The goals that this binary was built with.
const TEXT: &str = include_str!("../../../../fixtures/goals.toml");

/// A goal, before anything is measured.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Aim {
    /// Its name.
    pub(super) goal: String,
    /// What is aimed at, in words.
    pub(super) aim: String,
    /// Unit of the bound.
    pub(super) unit: String,
    /// The bound.
    pub(super) at_most: f64,
    /// Nanoseconds that are little enough whatever the ratio.
    pub(super) or_ns_more: Option<f64>,
}

/// All goals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Aims {
    pub(super) adapter_tax: Aim,
    pub(super) steady_call: Aim,
    pub(super) steady_call_everywhere: Aim,
    pub(super) full_path: Aim,
    pub(super) full_path_with_reset: Aim,
    pub(super) cost_of_epochs: Aim,
    pub(super) intervals_of_epochs: Aim,
    pub(super) cost_of_fuel: Aim,
    pub(super) intervals_of_fuel: Aim,
    pub(super) variants_over_native: Aim,
    pub(super) no_variant_far_from_native: Aim,
    pub(super) itself: Aim,
}

/// The goals that this binary was built with.
pub(super) fn aims() -> &'static Aims {
    static AIMS: LazyLock<Aims> =
        LazyLock::new(|| toml::from_str(TEXT).expect("a test reads this very text"));
    &AIMS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goals_are_read_and_another_key_is_refused() {
        assert_eq!(aims().steady_call.at_most, 200.0);
        assert_eq!(aims().adapter_tax.or_ns_more, Some(10.0));
        for (from, to) in [
            ("[steady_call]", "[steady]"),
            ("at_most = 200.0", "at_least = 200.0"),
            ("unit = \"half width\"", ""),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert_ne!(text, TEXT);
            assert!(toml::from_str::<Aims>(&text).is_err(), "{to}");
        }
    }
}
