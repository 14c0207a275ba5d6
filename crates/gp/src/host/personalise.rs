//! Personalisation from a script: INSTALL [for personalization], then STORE DATA for the data groupings. [GPC 11.11, CPS, sheet 5.2]
//!
//! A grouping has its own commands, so its fate is known by itself; [`Packing::Filled`] gives that up for fewer commands. One that is
//! longer than a command goes over several; if it is encrypted it is encrypted anew for each, which gives the same bytes, so that no
//! buffer has to live between steps. The last command alone says that it is the last.
//!
//! Values that are encrypted may come out of a [`Zone`] between issuer and TSM, so that nobody but key stores and the card has them in the
//! clear.
//!
//! A sequence that stopped is begun again from its first grouping: cards take block numbers from 00 only, and what was stored before is
//! stored again as it was.

use core::fmt;

use huiwan_apdu::Aid;
use huiwan_crypto::padding;
use huiwan_tlv::At;
use huiwan_tlv::dgi::{Dgi, DgiError, Dgis, encoded_len};

use super::fault::{Fault, FaultKind, Stage};
use super::hidden::Hidden;
use super::key_store::{Chaining, KeyAnswer, KeyHandle, PinFormat};
use super::manager::{Channel, Event, Todo, Turn, command, copy, expect_ok, too_long};
use crate::install::{self, FOR_PERSONALIZATION, Fields};
use crate::store_data::{BLOCKS_MAX, Control, DgiPadding, Encryption, INS, Structure, is_secret};

/// Grouping of the reference PIN. [sheet 5.2]
const PIN_BLOCK: u16 = 0x8010;
/// Bytes of the reference PIN, a block of format 2.
const PIN_BLOCK_LEN: usize = 8;

/// One data grouping of a script. Its value is not printed: it may be secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Grouping<'j> {
    /// Identifier.
    pub id: u16,
    /// Plain value, at most 65 535 bytes; if it is encrypted, it has to fit the output buffer with its padding. Out of a [`Zone`] an
    /// encrypted one comes as it is encrypted there.
    pub value: &'j [u8],
    /// Encrypt it under the card's data encryption key.
    pub encrypt: bool,
}

impl fmt::Debug for Grouping<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, value, encrypt } = self;
        let mut shown = f.debug_struct("Grouping");
        let shown = shown.field("id", &format_args!("{id:04X}")).field("value", &Hidden(value));
        shown.field("encrypt", encrypt).finish()
    }
}

impl<'j> From<Dgi<'j>> for Grouping<'j> {
    /// Encrypted as [`is_secret`] says.
    fn from(Dgi { id, value, .. }: Dgi<'j>) -> Self {
        Self { id, value, encrypt: is_secret(id) }
    }
}

/// The groupings of a script in bytes, one after the other as they stand in STORE DATA, but plain.
pub fn groupings(script: &[u8]) -> impl Iterator<Item = Result<Grouping<'_>, At<DgiError>>> {
    Dgis::new(script).map(|grouping| grouping.map(Grouping::from))
}

/// How groupings share commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// A grouping has commands of its own.
    #[default]
    Single,
    /// Plain groupings that fit one command together go together. Fewer commands; but if the card refuses one, nobody knows which of
    /// them it refused, and those before it are stored. A fault names the first of them.
    Filled,
}

/// How a card wants STORE DATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    /// Whether P1 tells an application that the data are groupings: 08 68 88 E8, or else 00 60 80 E0. A security domain is told anyway.
    pub tells_structure: bool,
    /// How encrypted values are padded.
    pub padding: DgiPadding,
    /// How groupings share commands.
    pub packing: Packing,
}

impl Coding {
    /// As GlobalPlatform has it.
    pub const GP: Self = Self { tells_structure: true, padding: DgiPadding::Cps, packing: Packing::Single };
    /// As CPS has it, for payment cards.
    pub const CPS: Self = Self { tells_structure: false, ..Self::GP };

    /// The same with another padding.
    #[must_use]
    pub const fn with_padding(self, padding: DgiPadding) -> Self {
        Self { padding, ..self }
    }

    /// The same with another packing.
    #[must_use]
    pub const fn with_packing(self, packing: Packing) -> Self {
        Self { packing, ..self }
    }
}

/// Where values that are encrypted come from: a zone between issuer and TSM. The TSM has none of them in the clear; its key store takes
/// them from the zone's keys to the card's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone<'j> {
    /// Key of the values in the key store. They are whole blocks of its cipher, and all of each goes to the card.
    pub key: KeyHandle,
    /// How they are encrypted under it.
    pub chaining: Chaining,
    /// The PIN of grouping 8010, if it comes as a PIN block; `None`: as any other value.
    pub pin: Option<ZonePin<'j>>,
}

/// How the PIN comes from a zone. The card gets it as a block of format 2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ZonePin<'j> {
    /// The zone's PIN key in the key store.
    pub key: KeyHandle,
    /// How the block was made.
    pub format: PinFormat,
    /// Account number, ASCII digits with the check digit.
    pub account: &'j [u8],
}

impl fmt::Debug for ZonePin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ZonePin");
        shown.field("key", &self.key).field("format", &self.format).finish_non_exhaustive()
    }
}

/// Where the value of one grouping comes from.
#[derive(Debug, Clone, Copy)]
enum Source<'j> {
    /// The job has it as it goes into the command, or as it is encrypted.
    Plain,
    Zone(Zone<'j>),
    Pin(ZonePin<'j>),
}

/// A word of honour: nobody but the card hears the commands, so that they need no MAC. Bureaus personalise like this behind locked
/// doors; over the air it must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurePremises(());

impl SecurePremises {
    /// The card lies in a machine in a guarded room.
    #[must_use]
    pub const fn i_know() -> Self {
        Self(())
    }
}

/// What to personalise, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Personalise<'j> {
    /// The application; `None` for the security domain itself.
    pub application: Option<Aid>,
    /// The groupings in order.
    pub script: &'j [Grouping<'j>],
    /// How this card wants them.
    pub coding: Coding,
    /// Allows a channel without command MACs (level 00), and secret groupings in the clear.
    pub without_mac: Option<SecurePremises>,
    /// Where encrypted groupings come from; `None`: they are plain.
    pub zone: Option<Zone<'j>>,
}

impl<'j> Personalise<'j> {
    /// Personalisation of an application; `None` for the security domain itself.
    #[must_use]
    pub const fn new(application: Option<Aid>, script: &'j [Grouping<'j>], coding: Coding) -> Self {
        Self { application, script, coding, without_mac: None, zone: None }
    }

    /// The same with encrypted groupings out of a zone.
    #[must_use]
    pub const fn from_zone(self, zone: Zone<'j>) -> Self {
        Self { zone: Some(zone), ..self }
    }

    /// The same over a channel without command MACs.
    #[must_use]
    pub const fn without_mac(self, premises: SecurePremises) -> Self {
        Self { without_mac: Some(premises), ..self }
    }
}

/// A place in the script: so many groupings are on the card, and so many bytes of the next one with its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    index: usize,
    offset: usize,
}

/// The card's limits, as far as they shape commands.
#[derive(Debug, Clone, Copy)]
struct Limits {
    block_len: usize,
    data_max: usize,
}

impl Limits {
    fn of(channel: Option<&Channel>) -> Self {
        channel.map_or(Self { block_len: 16, data_max: 255 }, |channel| Self {
            block_len: channel.protocol.block_len(),
            data_max: channel.protocol.max_command_data(channel.level),
        })
    }
}

impl<'j> Personalise<'j> {
    fn source(&self, grouping: &Grouping<'_>) -> Source<'j> {
        match self.zone.filter(|_| grouping.encrypt) {
            None => Source::Plain,
            Some(Zone { pin: Some(pin), .. }) if grouping.id == PIN_BLOCK => Source::Pin(pin),
            Some(zone) => Source::Zone(zone),
        }
    }

    /// Bytes of the plain value.
    fn plain_len(&self, grouping: &Grouping<'_>) -> usize {
        if matches!(self.source(grouping), Source::Pin(_)) { PIN_BLOCK_LEN } else { grouping.value.len() }
    }

    /// Bytes of a grouping on the wire, with its header.
    fn wire_len(&self, grouping: &Grouping<'_>, limits: Limits) -> usize {
        let len = self.plain_len(grouping);
        encoded_len(if grouping.encrypt {
            self.coding.padding.padded_len(grouping.id, len, limits.block_len)
        } else {
            len
        })
    }

    /// Where the command that begins at `from` ends.
    fn end_of_command(&self, from: Place, limits: Limits) -> Place {
        let mut place = from;
        let mut room = limits.data_max;
        while let Some(grouping) = self.script.get(place.index) {
            let left = self.wire_len(grouping, limits).saturating_sub(place.offset);
            let first = place == from;
            if left > room {
                // A grouping is only begun at the beginning of a command.
                return if first {
                    Place { offset: place.offset.saturating_add(room), ..place }
                } else {
                    place
                };
            }
            if !first && grouping.encrypt {
                return place;
            }
            room = room.saturating_sub(left);
            place = Place { index: place.index.saturating_add(1), offset: 0 };
            let alone = grouping.encrypt || from.offset != 0 || self.coding.packing == Packing::Single;
            if alone {
                break;
            }
        }
        place
    }

    /// The first grouping that everybody on the way could read but should not: neither it nor the channel is encrypted.
    fn in_the_clear(&self, channel: Option<&Channel>) -> Option<(usize, u16)> {
        if self.without_mac.is_some() || channel.is_some_and(|channel| channel.level.c_enc()) {
            return None;
        }
        let mut groupings = self.script.iter().map(|grouping| (grouping.id, grouping.encrypt)).enumerate();
        groupings.find_map(|(index, (id, encrypt))| (is_secret(id) && !encrypt).then_some((index, id)))
    }

    /// Whether the block numbers are enough.
    fn fits(&self, limits: Limits) -> bool {
        let mut place = Place { index: 0, offset: 0 };
        for _ in 0..BLOCKS_MAX {
            if place.index >= self.script.len() {
                return true;
            }
            place = self.end_of_command(place, limits);
        }
        place.index >= self.script.len()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Announced,
    Encrypting,
    /// The card has a command that ends here.
    Storing(Place),
    /// The groupings up to here, exclusively, are on the card; the caller hears of one after the other.
    Telling(usize),
}

#[derive(Debug)]
pub(super) struct Storing {
    state: State,
    place: Place,
    id: u16,
    block: u8,
}

impl Storing {
    pub(super) const fn new() -> Self {
        Self { state: State::Start, place: Place { index: 0, offset: 0 }, id: 0, block: 0 }
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Start | State::Announced => Stage::InstallForPersonalization,
            State::Encrypting | State::Storing(_) | State::Telling(_) => {
                Stage::StoreData { index: self.place.index, id: self.id }
            }
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
        let limits = Limits::of(channel);
        match (self.state, event) {
            (State::Start, Event::Begin) => {
                if request.without_mac.is_none() {
                    let kind = match channel {
                        None => Some(FaultKind::NoChannel),
                        Some(channel) => (!channel.level.c_mac()).then_some(FaultKind::WithoutMac),
                    };
                    if let Some(kind) = kind {
                        return Err(Fault { stage, kind });
                    }
                }
                if let Some((index, id)) = request.in_the_clear(channel) {
                    let stage = Stage::StoreData { index, id };
                    return Err(Fault { stage, kind: FaultKind::SecretInClear });
                }
                if !request.fits(limits) {
                    return Err(too_long(stage));
                }
                match &request.application {
                    Some(aid) => {
                        self.state = State::Announced;
                        let fields = Fields { instance: aid.as_bytes(), ..Fields::default() };
                        let data = |out: &mut [u8]| Some(fields.write(out).ok()?.len());
                        command([cla, install::INS, FOR_PERSONALIZATION, 0], data, out, stage)
                    }
                    None => self.grouping(request, limits, cla, out),
                }
            }
            (State::Announced, Event::Response(response)) => {
                expect_ok(response, stage)?;
                self.grouping(request, limits, cla, out)
            }
            (State::Encrypting, Event::Key(KeyAnswer::Bytes(value))) => {
                self.store(request, value, limits, cla, out)
            }
            (State::Encrypting, Event::Key(KeyAnswer::Refused(error))) => {
                Err(Fault { stage, kind: FaultKind::Key(error) })
            }
            (State::Storing(end), Event::Response(response)) => {
                expect_ok(response, stage)?;
                self.block = self.block.wrapping_add(1);
                if end.index == self.place.index {
                    self.place = end;
                    return self.grouping(request, limits, cla, out);
                }
                self.state = State::Telling(end.index);
                self.tell(request)
            }
            (State::Telling(end), Event::Continue) if self.place.index < end => self.tell(request),
            (State::Telling(_), Event::Continue) => self.grouping(request, limits, cla, out),
            _ => Err(Fault { stage, kind: FaultKind::Malformed("key store answer") }),
        }
    }

    /// Tells the caller of a grouping that is on the card.
    fn tell(&mut self, request: &Personalise<'_>) -> Turn {
        let index = self.place.index;
        self.id = request.script.get(index).map_or(0, |grouping| grouping.id);
        self.place = Place { index: index.saturating_add(1), offset: 0 };
        Ok(Todo::Stored(index, self.id))
    }

    /// The next command, after the encryption of its grouping if it wants that.
    fn grouping(&mut self, request: &Personalise<'_>, limits: Limits, cla: u8, out: &mut [u8]) -> Turn {
        let Some(grouping) = request.script.get(self.place.index) else {
            return Ok(Todo::Done);
        };
        self.id = grouping.id;
        if !grouping.encrypt {
            return self.store(request, grouping.value, limits, cla, out);
        }
        self.state = State::Encrypting;
        let too_long = too_long(self.stage());
        let plain = request.plain_len(grouping);
        let padded = request.coding.padding.padded_len(grouping.id, plain, limits.block_len);
        let pad = padded != plain;
        let len = copy(grouping.value, out).ok_or(too_long)?.len();
        match request.source(grouping) {
            Source::Plain => {
                if pad {
                    padding::method2_in_place(out, len, limits.block_len).map_err(|_| too_long)?;
                }
                Ok(Todo::Encrypt(padded))
            }
            Source::Zone(Zone { key, chaining, .. }) => Ok(Todo::Reencrypt { zone: key, chaining, len, pad }),
            Source::Pin(ZonePin { key, format, account }) => {
                let account = copy(account, out.get_mut(len..).unwrap_or_default()).ok_or(too_long)?.len();
                Ok(Todo::TranslatePin { zone: key, format, len, account, pad })
            }
        }
    }

    /// STORE DATA from where the last command stopped; `value` is that of the present grouping as it goes to the card.
    fn store(
        &mut self,
        request: &Personalise<'_>,
        value: &[u8],
        limits: Limits,
        cla: u8,
        out: &mut [u8],
    ) -> Turn {
        let end = request.end_of_command(self.place, limits);
        self.state = State::Storing(end);
        let stage = self.stage();
        let Some(grouping) = request.script.get(self.place.index) else {
            return Ok(Todo::Done);
        };
        // A key store that answers with more or fewer bytes would shift all that follows.
        if encoded_len(value.len()) != request.wire_len(grouping, limits) {
            return Err(Fault { stage, kind: FaultKind::Malformed("key store answer") });
        }
        let control = Control {
            last: end.index >= request.script.len(),
            encryption: if grouping.encrypt { Encryption::All } else { Encryption::None },
            structure: if request.coding.tells_structure || request.application.is_none() {
                Structure::Dgi
            } else {
                Structure::Unstated
            },
        };
        let from = self.place;
        let data = |out: &mut [u8]| {
            let mut at = 0_usize;
            let present = Grouping { value, ..*grouping };
            let others = request.script.get(from.index.saturating_add(1)..end.index).unwrap_or_default();
            for grouping in [present].iter().chain(others) {
                let skip = if at == 0 { from.offset } else { 0 };
                at = append(grouping, skip, limits.data_max, at, out)?;
            }
            Some(at)
        };
        command([cla, INS, control.byte(), self.block], data, out, stage)
    }
}

/// Appends a grouping without its first `skip` bytes, up to `most` bytes in all; the new length.
fn append(grouping: &Grouping<'_>, skip: usize, most: usize, mut at: usize, out: &mut [u8]) -> Option<usize> {
    let [i1, i2] = grouping.id.to_be_bytes();
    let [l1, l2] = u16::try_from(grouping.value.len()).ok()?.to_be_bytes();
    let long = [i1, i2, 0xFF, l1, l2];
    let header: &[u8] = if grouping.value.len() < 0xFF { &[i1, i2, l2] } else { &long };
    for &byte in header.iter().chain(grouping.value).skip(skip) {
        if at >= most {
            break;
        }
        *out.get_mut(at)? = byte;
        at = at.checked_add(1)?;
    }
    Some(at)
}
