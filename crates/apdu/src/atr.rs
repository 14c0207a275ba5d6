//! Answer to reset.
