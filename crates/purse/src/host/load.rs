//! Load (圈存): money from the payer's account to the card. [sheet 1.3, 2.4]
//!
//! The session is [`OnlineSession`](super::online::OnlineSession) with a request of type 01 (passbook) or 02 (purse). The
//! payer's account is charged before MAC2 leaves. [`Completed`](super::online::Outcome::Completed): the card has the
//! money. [`Declined`](super::online::Outcome::Declined) and [`Reversed`](super::online::Outcome::Reversed): give it back.
//! The card's proof is the TAC.
