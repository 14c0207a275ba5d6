//! The payment card behind the dispatcher: personalised by the host's data, tapped by hand-made commands.
#![allow(unreachable_pub)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs
)]

#[path = "card/band.rs"]
mod band;
#[path = "card/decisions.rs"]
mod decisions;
#[path = "card/issuer.rs"]
mod issuer;
#[path = "card/money.rs"]
mod money;
#[path = "card/power.rs"]
mod power;
#[path = "card/taps.rs"]
mod taps;
