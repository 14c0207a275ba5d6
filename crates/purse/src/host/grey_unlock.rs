//! Online grey unlock (联机解扣): the host debits and unlocks a card whose terminal cannot. [sheet 1.5, 2.4: S:LOH]
//!
//! The session is [`OnlineSession`](super::online::OnlineSession) with a request of type 95. MAC1 covers balance and
//! offline counter of the lock; what is owed the host knows from the locking terminal: it stands in the request's amount
//! (0 frees without a debit) when the request is given to the session. Only
//! [`Completed`](super::online::Outcome::Completed) pays the merchant. The card's proof is MAC3 under the session key.
