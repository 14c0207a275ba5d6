//! Answers: what is sent at once and what waits for GET RESPONSE. [ISO 7816-3 12.2] [ISO 7816-4 5.3.4]

use huiwan_apdu::{Command, Sw};
use zeroize::Zeroize;

use super::{ANSWER_LEN, Element, MAX_RESPONSE};
use crate::bytes::copy;
use crate::context::Interface;
use crate::directory::Directory;
use crate::memory::Memory;
use crate::response::ResponseWriter;

/// Answer data and, behind the part that is sent, its status word.
#[derive(Debug)]
pub(super) struct Answer<const SIZE: usize> {
    bytes: [u8; SIZE],
    pub(super) len: usize,
    sent: (usize, usize),
}

/// The part of an answer that was not sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    from: usize,
    /// What the status word of the part before overwrote.
    covered: [u8; 2],
    sw: Sw,
    channel: u8,
    /// After 6Cxx: the command that fetches the answer when it comes again with the right Le.
    repeat: Option<[u8; 4]>,
}

impl<const SIZE: usize> Answer<SIZE> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; SIZE], len: 0, sent: (0, 0) }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.as_mut_slice().zeroize();
        self.len = 0;
        self.sent = (0, 0);
    }

    /// A status word without data.
    pub(super) fn only(&mut self, sw: Sw) {
        self.clear();
        self.put(0, 0, sw);
    }

    /// What the last command is answered with.
    pub(super) fn sent(&self) -> &[u8] {
        let (from, to) = self.sent;
        self.bytes.get(from..to).unwrap_or_default()
    }

    pub(super) fn writer(&mut self) -> ResponseWriter<'_> {
        // The status word needs the last two.
        let most = SIZE.saturating_sub(2);
        ResponseWriter::resume(self.bytes.get_mut(..most).unwrap_or_default(), self.len)
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len;
    }

    /// Sends data `from..to` with `sw` and returns the two bytes that the status word covers.
    fn put(&mut self, from: usize, to: usize, sw: Sw) -> [u8; 2] {
        let end = to.saturating_add(2);
        let mut covered = [0; 2];
        if let Some(place) = self.bytes.get_mut(to..end) {
            copy(&mut covered, place);
            copy(place, &sw.value().to_be_bytes());
        }
        self.sent = (from, end);
        covered
    }

    fn uncover(&mut self, at: usize, covered: [u8; 2]) {
        if let Some(place) = self.bytes.get_mut(at..at.saturating_add(2)) {
            copy(place, &covered);
        }
    }
}

impl<'m, M: Memory, D: Directory, const SLOTS: usize, const SLOT: usize, const SCRATCH: usize>
    Element<'m, M, D, SLOTS, SLOT, SCRATCH>
{
    /// The same with room for answers of `N` bytes, status word included; fewer than [`ANSWER_LEN`] does not compile. Certificate
    /// chains are longer than one short response.
    #[must_use]
    pub fn with_answer<const N: usize>(self) -> Element<'m, M, D, SLOTS, SLOT, SCRATCH, N> {
        const { assert!(N >= ANSWER_LEN, "an answer holds at least 256 bytes and a status word") };
        Element {
            modules: self.modules,
            directory: self.directory,
            memory: self.memory,
            options: self.options,
            interface: self.interface,
            starting: self.starting,
            channels: self.channels,
            slots: self.slots,
            wearer_verified: self.wearer_verified,
            frames: self.frames,
            job: self.job,
            current: self.current,
            chain: self.chain,
            scratch: self.scratch,
            answer: Answer::new(),
            pending: None,
            outbox: self.outbox,
            signer: self.signer,
        }
    }
}

impl<
    M: Memory,
    D: Directory,
    const SLOTS: usize,
    const SLOT: usize,
    const SCRATCH: usize,
    const ANSWER: usize,
> Element<'_, M, D, SLOTS, SLOT, SCRATCH, ANSWER>
{
    fn speaks_t0(&self) -> bool {
        self.options.t0 && self.interface == Some(Interface::Contact)
    }

    /// Sends the answer of a command that is done.
    pub(super) fn send(&mut self, sw: Sw) {
        self.pending = None;
        if !sw.is_ok() && !sw.is_warning() {
            self.answer.only(sw);
            return;
        }
        let len = self.answer.len;
        match self.current.ne {
            // T=0 sends the answer of a command with data only on GET RESPONSE, whether an Le came along or not.
            ne if self.speaks_t0() && (self.current.has_data || ne.is_none()) => self.deliver(0, 0, sw),
            Some(ne) if self.speaks_t0() && ne != len && len != 0 => {
                let wrong_le = Sw::wrong_le(short(len));
                let covered = self.answer.put(0, 0, wrong_le);
                let repeat = Some(self.current.header);
                self.pending = Some(Pending { from: 0, covered, sw, channel: self.current.channel, repeat });
            }
            // Without an Le no data are expected, but readers leave it out and want them all the same.
            ne => self.deliver(0, ne.unwrap_or(MAX_RESPONSE), sw),
        }
    }

    /// Sends at most `most` bytes from `from` on; the rest waits.
    fn deliver(&mut self, from: usize, most: usize, sw: Sw) {
        let available = self.answer.len.saturating_sub(from);
        let to = from.saturating_add(most.min(available));
        let rest = self.answer.len.saturating_sub(to);
        if rest == 0 {
            self.answer.put(from, to, sw);
            self.pending = None;
        } else {
            let covered = self.answer.put(from, to, Sw::more_data(short(rest)));
            let channel = self.current.channel;
            self.pending = Some(Pending { from: to, covered, sw, channel, repeat: None });
        }
    }

    /// Whether `command` fetches an answer that waits; then it is sent.
    pub(super) fn resume_answer(&mut self, command: &Command<'_>) -> bool {
        let Some(pending) = self.pending.filter(|pending| pending.channel == self.current.channel) else {
            return false;
        };
        let fetches = match pending.repeat {
            Some(header) => command.header() == header && !self.current.has_data,
            None => command.ins() == 0xC0 && command.p1p2() == 0,
        };
        if !fetches {
            return false;
        }
        self.answer.uncover(pending.from, pending.covered);
        let available = self.answer.len.saturating_sub(pending.from);
        let most = self.current.ne.unwrap_or(MAX_RESPONSE);
        if self.speaks_t0() && most > available {
            let covered = self.answer.put(pending.from, pending.from, Sw::wrong_le(short(available)));
            self.pending = Some(Pending { covered, ..pending });
        } else {
            self.deliver(pending.from, most, pending.sw);
        }
        true
    }
}

/// A number of bytes as SW2 tells it: 00 for 256.
fn short(n: usize) -> u8 {
    u8::try_from(n).unwrap_or(0)
}
