//! Personalisation from a script: INSTALL [for personalization], then one or more STORE DATA for each data grouping.
//!
//! A grouping has its own commands, so its fate is known by itself. One that is longer than a command goes over several; if it is
//! encrypted it is encrypted anew for each, which gives the same bytes, so that no buffer has to live between steps.

use huiwan_apdu::Aid;
use huiwan_crypto::padding;

use super::fault::{Fault, FaultKind, Stage};
use super::key_store::KeyAnswer;
use super::manager::{Channel, Event, Todo, Turn, command, expect_ok, too_long};
use crate::install::{self, FOR_PERSONALIZATION, Fields};
use crate::store_data::{Control, DGI_MAX, DgiPadding, Encryption, INS, Structure};

/// One data grouping of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping<'j> {
    /// Identifier.
    pub id: u16,
    /// Plain value, at most 512 bytes.
    pub value: &'j [u8],
    /// Encrypt it under the card's data encryption key.
    pub encrypt: bool,
}

/// What to personalise, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Personalise<'j> {
    /// The application; `None` for the security domain itself.
    pub application: Option<Aid>,
    /// The groupings in order.
    pub script: &'j [Grouping<'j>],
    /// How this card wants encrypted values padded.
    pub padding: DgiPadding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Announced,
    Encrypting,
    Storing { sent: usize, of: usize },
}

#[derive(Debug)]
pub(super) struct Storing {
    state: State,
    index: usize,
    id: u16,
    offset: usize,
    block: u8,
}

impl Storing {
    pub(super) const fn new() -> Self {
        Self { state: State::Start, index: 0, id: 0, offset: 0, block: 0 }
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Start | State::Announced => Stage::InstallForPersonalization,
            State::Encrypting | State::Storing { .. } => Stage::StoreData { index: self.index, id: self.id },
        }
    }

    pub(super) fn turn(
        &mut self,
        request: &Personalise<'_>,
        event: Event<'_>,
        channel: Option<&Channel>,
        cla: u8,
        out: &mut [u8],
    ) -> Turn {
        let stage = self.stage();
        match (self.state, event) {
            (State::Start, Event::Begin) => match &request.application {
                Some(aid) => {
                    self.state = State::Announced;
                    let fields = Fields { instance: aid.as_bytes(), ..Fields::default() };
                    let data = |out: &mut [u8]| Some(fields.write(out).ok()?.len());
                    command([cla, install::INS, FOR_PERSONALIZATION, 0], data, out, stage)
                }
                None => self.grouping(request, channel, cla, out),
            },
            (State::Announced, Event::Response(response)) => {
                expect_ok(response, stage)?;
                self.grouping(request, channel, cla, out)
            }
            (State::Encrypting, Event::Key(KeyAnswer::Bytes(value))) => {
                self.store(request, value, channel, cla, out)
            }
            (State::Encrypting, Event::Key(KeyAnswer::Refused(error))) => {
                Err(Fault { stage, kind: FaultKind::Key(error) })
            }
            (State::Storing { sent, of }, Event::Response(response)) => {
                expect_ok(response, stage)?;
                self.block = self.block.wrapping_add(1);
                self.offset = sent;
                if sent < of {
                    return self.grouping(request, channel, cla, out);
                }
                let told = Todo::Stored(self.index, self.id);
                self.index = self.index.saturating_add(1);
                self.offset = 0;
                Ok(told)
            }
            (State::Storing { .. }, Event::Continue) => self.grouping(request, channel, cla, out),
            _ => Err(Fault { stage, kind: FaultKind::Malformed("key store answer") }),
        }
    }

    /// The next piece of the present grouping, after its encryption if it wants that.
    fn grouping(
        &mut self,
        request: &Personalise<'_>,
        channel: Option<&Channel>,
        cla: u8,
        out: &mut [u8],
    ) -> Turn {
        let Some(grouping) = request.script.get(self.index) else {
            return Ok(Todo::Done);
        };
        self.id = grouping.id;
        let stage = Stage::StoreData { index: self.index, id: grouping.id };
        if grouping.value.len() > DGI_MAX {
            return Err(too_long(stage));
        }
        if !grouping.encrypt {
            return self.store(request, grouping.value, channel, cla, out);
        }
        self.state = State::Encrypting;
        let len = grouping.value.len();
        out.get_mut(..len).ok_or(too_long(stage))?.copy_from_slice(grouping.value);
        let block_len = channel.map_or(16, |channel| channel.protocol.block_len());
        let whole = request.padding == DgiPadding::WhenNeeded && len > 0 && len.is_multiple_of(block_len);
        let padded = if whole {
            len
        } else {
            padding::method2_in_place(out, len, block_len).map_err(|_| too_long(stage))?
        };
        Ok(Todo::Encrypt(padded))
    }

    /// STORE DATA with as much of the grouping as fits from where the last command stopped.
    fn store(
        &mut self,
        request: &Personalise<'_>,
        value: &[u8],
        channel: Option<&Channel>,
        cla: u8,
        out: &mut [u8],
    ) -> Turn {
        let stage = Stage::StoreData { index: self.index, id: self.id };
        let [i1, i2] = self.id.to_be_bytes();
        let len = u16::try_from(value.len()).map_err(|_| too_long(stage))?;
        let [l1, l2] = len.to_be_bytes();
        let long = [i1, i2, 0xFF, l1, l2];
        let header: &[u8] = if len < 0xFF { &[i1, i2, l2] } else { &long };
        let of = header.len().saturating_add(value.len());
        let most = channel.map_or(255, |channel| channel.protocol.max_command_data(channel.level));
        let sent = of.min(self.offset.saturating_add(most));
        self.state = State::Storing { sent, of };
        let encrypt = request.script.get(self.index).is_some_and(|grouping| grouping.encrypt);
        let last = sent == of && self.index.saturating_add(1) >= request.script.len();
        let control = Control {
            last,
            encryption: if encrypt { Encryption::All } else { Encryption::None },
            structure: Structure::Dgi,
        };
        let bytes = header.iter().chain(value).skip(self.offset).take(sent.saturating_sub(self.offset));
        let data = |out: &mut [u8]| {
            let mut len = 0_usize;
            for (&from, to) in bytes.zip(out) {
                *to = from;
                len = len.saturating_add(1);
            }
            Some(len)
        };
        command([cla, INS, control.byte(), self.block], data, out, stage)
    }
}
