//! Which code ran, on screen.

use crate::coverage::Coverage;

/// A line for each module; nothing where nobody asked.
pub(super) fn text(coverage: &[Coverage]) -> String {
    let mut text = String::new();
    if coverage.is_empty() {
        return text;
    }
    text += &format!(
        "\n{:<16} {:<8} {:>15} {:>8} {:>10} {:>17}\n",
        "code that ran", "module", "blocks", "share", "shown not", "blocks that only"
    );
    text += &format!(
        "{:<16} {:<8} {:>15} {:>8} {:>10} {:>17}\n",
        "", "", "", "", "to run", "trap"
    );
    for module in coverage {
        let shown = module.uncovered.len() - module.open().count();
        text += &format!(
            "{:<16} {:<8} {:>15} {:>6.1} % {:>10} {:>17}\n",
            module.kernel,
            module.variant,
            format!("{} of {}", module.ran, module.blocks),
            module.share(),
            shown,
            format!("{} of {}", module.only_traps_ran, module.only_traps),
        );
    }
    text
}
