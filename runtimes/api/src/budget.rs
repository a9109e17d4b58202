use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Length of an epoch tick.
pub const TICK: Duration = Duration::from_millis(10);

/// How much a single entry into wasm (instantiate, init, forward, ...) may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// Unlimited: for measuring what the other kinds cost, never for untrusted code.
    None,
    /// Wall-clock time in ticks of [`TICK`]. Engines without epochs honour it as a deadline.
    /// Exceeding it is [`Trap::EpochDeadline`](crate::Trap::EpochDeadline).
    Epoch(u64),
    /// The engine's own unit of work. Exceeding it is [`Trap::FuelExhausted`](crate::Trap::FuelExhausted).
    Fuel(u64),
}

/// A [`Budget`] without its amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetKind {
    /// Unlimited.
    None,
    /// Ticks of wall-clock time.
    Epoch,
    /// Units of work.
    Fuel,
}

impl Budget {
    /// The budget's kind.
    #[inline]
    pub const fn kind(self) -> BudgetKind {
        match self {
            Budget::None => BudgetKind::None,
            Budget::Epoch(_) => BudgetKind::Epoch,
            Budget::Fuel(_) => BudgetKind::Fuel,
        }
    }

    /// Whether a module compiled with `metering` honours this budget; no budget is always honoured.
    ///
    /// # Errors
    /// [`Error::Unsupported`]: it is of another kind.
    #[inline]
    pub fn require(self, metering: BudgetKind) -> Result<()> {
        let kind = self.kind();
        if kind == BudgetKind::None || kind == metering {
            Ok(())
        } else {
            Err(of_another_kind(kind, metering))
        }
    }

    /// The wall-clock time an epoch budget allows.
    #[inline]
    pub fn time(self) -> Option<Duration> {
        match self {
            Budget::Epoch(ticks) => {
                Some(TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX)))
            }
            Budget::None | Budget::Fuel(_) => None,
        }
    }
}

// Out of line: every call asks, and none but a mistake makes the text.
#[cold]
fn of_another_kind(kind: BudgetKind, metering: BudgetKind) -> Error {
    Error::unsupported(format!(
        "a budget of kind {kind} for a module compiled with metering {metering}"
    ))
}

impl fmt::Display for BudgetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BudgetKind::None => "none",
            BudgetKind::Epoch => "epoch",
            BudgetKind::Fuel => "fuel",
        })
    }
}
