//! What a host was told before it began.

use crate::{
    breaker::Breaker,
    fallback::{Native, OnFailure},
    measure::Measure,
    watch::Watch,
};
use runtime_api::Budget;
use std::{sync::Arc, time::Duration};

/// How a host serves.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) budget: Budget,
    pub(crate) grace: Duration,
    pub(crate) on_failure: OnFailure,
    pub(crate) native: Option<Arc<Native>>,
    pub(crate) breaker: Breaker,
    pub(crate) watch: Watch,
    pub(crate) measure: Measure,
    pub(crate) isolate: bool,
    pub(crate) max_memory_pages: u32,
    pub(crate) max_stack_bytes: u32,
    pub(crate) threads: usize,
}
