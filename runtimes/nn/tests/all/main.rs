//! Integration tests: a file each.

mod conformance;
