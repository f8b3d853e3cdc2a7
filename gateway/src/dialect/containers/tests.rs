//! Pure tests: what comes in, what goes out.
