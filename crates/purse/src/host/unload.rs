//! Unload (圈提): money from the card back to the holder's account, after a PIN. [sheet 1.3, 2.4]
//!
//! The session is [`OnlineSession`](super::online::OnlineSession) with a request of type 03. Nothing is booked before
//! the card has debited itself: only [`Completed`](super::online::Outcome::Completed) pays the amount out. As long as a
//! session is doubtful the money is on the card or owed to its holder, and the host does not know which.
//! The card's proof is MAC3 under the session key, so the session keeps the card's random number; an unload has no TAC.
//! GET TRANSACTION PROVE gives MAC3 again in the place of the MAC. [sheet 3.4]
