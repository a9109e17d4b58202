//! Reports: a function of recorded files. Nothing is measured here, so a report can be made again, elsewhere and later.

pub mod charts;
pub mod document;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod records;
pub mod sections;
