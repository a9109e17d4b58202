//! The shared adapter suite.
