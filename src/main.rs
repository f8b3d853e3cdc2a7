//! The executable: role → parts → signals → drain → exit code.

fn main() {}
