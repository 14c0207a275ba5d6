//! One command carried through 61xx, 6Cxx and command chaining.
