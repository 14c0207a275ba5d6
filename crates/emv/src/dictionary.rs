//! Names of tags, status words and commands for traces.
