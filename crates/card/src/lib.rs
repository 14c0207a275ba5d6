//! What a smart-card application stands on: modules, selection, channels, files and atomic memory.
#![no_std]
#![forbid(unsafe_code)]
