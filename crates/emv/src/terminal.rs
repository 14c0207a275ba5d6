//! The terminal side: entry point and kernel.
