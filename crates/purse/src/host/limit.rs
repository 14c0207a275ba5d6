//! Overdraft limit update. [sheet 1.3, 2.4: S:HB]
//!
//! The session is [`OnlineSession`](super::online::OnlineSession) with a request of type 07. MAC1 covers balance and old
//! limit; the new limit is the host's: it stands in the request's amount when the request is given to the session. The
//! balance of the card follows the limit (balance − old limit + new limit). The card's proof is the TAC.
