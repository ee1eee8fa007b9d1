//! The command line: parse, call, exit status.

fn main() {}
