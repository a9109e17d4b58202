//! in progress
fn main(){}
