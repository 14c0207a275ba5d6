//! What the card manager remembers between commands of a session, beside the secure channel: bytes of its volatile slot.

use super::secure_channel::SESSION_LEN;

/// What the card manager remembers between commands of a session, beside the secure channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Whom STORE DATA goes to: 0 for the domain itself, else an instance after INSTALL [for personalization].
    pub(super) target: u8,
    /// The next block number of STORE DATA.
    pub(super) block: u8,
    /// Pieces of an incomplete data grouping in memory, and their length together.
    pub(super) pieces: u8,
    pub(super) piece_len: u16,
    /// While a STORE DATA command is under way: how far it got.
    pub(super) at: u16,
    /// GET STATUS: the scope that has more entries, and the last one told.
    pub(super) listing: u8,
    pub(super) listed: u8,
    /// While an INSTALL or DELETE command is under way: the number given to the instance, how many have been told to go.
    pub(super) instance: u8,
    /// The domain whose keys serve the session: the one selected, or one above it while it has none.
    pub(super) key_owner: u8,
    /// The instruction of a chain of commands under way, or 0.
    pub(super) chain: u8,
    /// The load file that is being loaded, or 0; the next block number of LOAD; the step of a combined INSTALL.
    pub(super) loading: u8,
    pub(super) load_block: u16,
    pub(super) combined: u8,
}

impl Progress {
    pub(super) const LEN: usize = 16;

    pub(super) fn load(slot: &[u8]) -> Self {
        let Some(
            &[
                target,
                block,
                pieces,
                l1,
                l2,
                a1,
                a2,
                listing,
                listed,
                instance,
                key_owner,
                chain,
                loading,
                b1,
                b2,
                combined,
            ],
        ) = slot.get(SESSION_LEN..).and_then(|rest| rest.first_chunk::<{ Self::LEN }>())
        else {
            return Self::default();
        };
        Self {
            target,
            block,
            pieces,
            piece_len: u16::from_be_bytes([l1, l2]),
            at: u16::from_be_bytes([a1, a2]),
            listing,
            listed,
            instance,
            key_owner,
            chain,
            loading,
            load_block: u16::from_be_bytes([b1, b2]),
            combined,
        }
    }

    pub(super) fn store(&self, slot: &mut [u8]) {
        let [l1, l2] = self.piece_len.to_be_bytes();
        let [a1, a2] = self.at.to_be_bytes();
        let [b1, b2] = self.load_block.to_be_bytes();
        let bytes = [
            self.target,
            self.block,
            self.pieces,
            l1,
            l2,
            a1,
            a2,
            self.listing,
            self.listed,
            self.instance,
            self.key_owner,
            self.chain,
            self.loading,
            b1,
            b2,
            self.combined,
        ];
        if let Some(place) = slot.get_mut(SESSION_LEN..).and_then(|rest| rest.first_chunk_mut()) {
            *place = bytes;
        }
    }

    /// A STORE DATA sequence ends, complete or not.
    pub(super) fn end_personalisation(&mut self) {
        (self.target, self.block, self.pieces, self.piece_len, self.at) = (0, 0, 0, 0, 0);
    }

    /// Whatever was under way in the former session is given up.
    pub(super) fn end_session(&mut self) {
        self.end_personalisation();
        (self.listing, self.chain, self.loading, self.load_block, self.combined) = (0, 0, 0, 0, 0);
    }
}
