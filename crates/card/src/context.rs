//! What every call of a module is given.

use huiwan_apdu::{Aid, Sw};
use huiwan_crypto::Random;

use crate::batch::Batch;
use crate::directory::Directory;
use crate::memory::{InstanceId, Memory, MemoryError, ObjectId};

/// A point in local time, as the band's clock tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime {
    /// Four digits.
    pub year: u16,
    /// 1–12.
    pub month: u8,
    /// 1–31.
    pub day: u8,
    /// 0–23.
    pub hour: u8,
    /// 0–59.
    pub minute: u8,
    /// 0–59.
    pub second: u8,
}

impl DateTime {
    /// YYYYMMDD in BCD.
    #[must_use]
    pub fn date_bcd(&self) -> [u8; 4] {
        let century = u8::try_from(self.year / 100).unwrap_or(99);
        let year = u8::try_from(self.year % 100).unwrap_or(0);
        [bcd(century), bcd(year), bcd(self.month), bcd(self.day)]
    }

    /// HHMMSS in BCD.
    #[must_use]
    pub fn time_bcd(&self) -> [u8; 3] {
        [bcd(self.hour), bcd(self.minute), bcd(self.second)]
    }
}

fn bcd(n: u8) -> u8 {
    ((n / 10 % 10) << 4) | (n % 10)
}

/// Where the command came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// Contacts, ISO 7816-3.
    Contact,
    /// The antenna, ISO 14443.
    Contactless,
    /// The band's own controller: screen, fingerprint sensor, phone link.
    Internal,
}

/// What protected the command as the application receives it; everything `false` for a plain command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Protection {
    /// The other side proved that it holds the keys of this session.
    pub authenticated: bool,
    /// The command carried a correct MAC.
    pub c_mac: bool,
    /// The command data were encrypted.
    pub c_enc: bool,
    /// The answer gets a MAC.
    pub r_mac: bool,
    /// The answer data get encrypted.
    pub r_enc: bool,
}

/// What a module works with during one call. Nothing of it can be kept.
pub struct Context<'a> {
    /// Who is called.
    pub instance: InstanceId,
    /// The AID of the instance.
    pub aid: Aid,
    /// The logical channel of the command, 0–19.
    pub channel: u8,
    /// The interface of this session.
    pub interface: Interface,
    /// The time, if the band knows it.
    pub now: Option<DateTime>,
    /// The band verified its wearer (a fingerprint, say) for this tap. See
    /// [`Element::set_wearer_verified`](crate::Element::set_wearer_verified).
    pub wearer_verified: bool,
    /// What protected the command before it came here.
    pub protection: Protection,
    /// For a security domain: the instance whose command this is, when it came by
    /// [`Action::ToSecurityDomain`](crate::Action::ToSecurityDomain).
    pub served: Option<InstanceId>,
    /// Random numbers; see also [`random_bytes`](Self::random_bytes).
    pub random: &'a mut dyn Random,
    /// Durable memory of the whole element. A module touches its own objects, and those that their owner shares.
    pub memory: &'a mut dyn Memory,
    /// All instances.
    pub directory: &'a dyn Directory,
    /// Session state of this instance on this channel: zero at power-on and after deselection.
    pub volatile: &'a mut [u8],
    /// Where [`notify`](Self::notify) leaves what other instances are to be told.
    pub outbox: &'a mut Outbox,
    /// Work space, at least 1024 bytes, not kept between calls and zeroized afterwards. A call that ends in
    /// [`Forward`](crate::Forward) or [`Compute`](crate::Compute) leaves its data at the beginning of it.
    pub scratch: &'a mut [u8],
}

impl Context<'_> {
    /// The object `id` of this instance.
    #[must_use]
    pub fn object(&self, id: u16) -> ObjectId {
        ObjectId::new(self.instance, id)
    }

    /// Reads object `id` of this instance from its beginning; the result is as long as the object, at most `out.len()`.
    ///
    /// # Errors
    /// 6A88 when there is none, 6581 when memory fails.
    pub fn read<'o>(&mut self, id: u16, out: &'o mut [u8]) -> Result<&'o [u8], Sw> {
        let object = self.object(id);
        self.memory.read(object, 0, out).map_err(Sw::from)
    }

    /// Reads as much of object `id` of this instance as fits into `out`; `None` when there is none.
    ///
    /// # Errors
    /// 6581 when memory fails.
    pub fn find<'o>(&mut self, id: u16, out: &'o mut [u8]) -> Result<Option<&'o [u8]>, Sw> {
        let object = self.object(id);
        match self.memory.read(object, 0, out) {
            Ok(read) => Ok(Some(read)),
            Err(MemoryError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads object `id` of this instance, which has exactly `N` bytes; `None` when there is none.
    ///
    /// # Errors
    /// 6581 when memory fails or the object has another length.
    pub fn find_array<const N: usize>(&mut self, id: u16) -> Result<Option<[u8; N]>, Sw> {
        let object = self.object(id);
        match self.memory.len(object)? {
            None => return Ok(None),
            Some(len) if len != N => return Err(Sw::MEMORY_FAILURE),
            Some(_) => {}
        }
        let mut out = [0; N];
        self.memory.read(object, 0, &mut out)?;
        Ok(Some(out))
    }

    /// Reads object `id` of this instance, which has exactly `N` bytes.
    ///
    /// # Errors
    /// 6A88 when there is none, 6581 when memory fails or the object has another length.
    pub fn read_array<const N: usize>(&mut self, id: u16) -> Result<[u8; N], Sw> {
        self.find_array(id)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)
    }

    /// Whether this instance has an object `id`.
    ///
    /// # Errors
    /// 6581 when memory fails.
    pub fn exists(&mut self, id: u16) -> Result<bool, Sw> {
        let object = self.object(id);
        Ok(self.memory.len(object)?.is_some())
    }

    /// Makes object `id` of this instance durable with this content, alone. This is the commit of monotonic counters, made before
    /// the counter is used. The data may have at most [`PUT_MAX`] bytes; a [`Batch`] takes more.
    ///
    /// # Errors
    /// 6A84 without room or for more than [`PUT_MAX`] bytes, 6581 when memory fails.
    pub fn put(&mut self, id: u16, data: &[u8]) -> Result<(), Sw> {
        let mut buffer = [0; PUT_MAX + crate::batch::WRITE_OVERHEAD];
        let mut batch = Batch::new(&mut buffer);
        batch.put(self.object(id), data);
        let result = self.memory.commit(&batch).map_err(Sw::from);
        zeroize::Zeroize::zeroize(buffer.as_mut_slice());
        result
    }

    /// Makes `batch` durable: whole or not at all.
    ///
    /// # Errors
    /// 6A84 without room or when the batch overflowed, 6581 when memory fails.
    pub fn commit(&mut self, batch: &Batch<'_>) -> Result<(), Sw> {
        self.memory.commit(batch).map_err(Sw::from)
    }

    /// Tells instance `to` something about the instance named `about`, once the command is done:
    /// [`Module::notified`](crate::Module::notified). Call it after the commit, since nothing can be taken back. `false` when the
    /// outbox is full; what is not delivered by then, or when power goes, is lost, so a listener does not rely on hearing everything.
    pub fn notify(&mut self, to: InstanceId, event: u8, about: Aid) -> bool {
        self.outbox.push(Notice { to, event, about })
    }

    /// Fresh random bytes.
    ///
    /// # Errors
    /// 6F00 when the source fails; nothing has been changed.
    pub fn random_bytes<const N: usize>(&mut self) -> Result<[u8; N], Sw> {
        let mut out = [0; N];
        match self.random.fill(&mut out) {
            Ok(()) => Ok(out),
            Err(_) => Err(Sw::UNKNOWN),
        }
    }
}

/// Something an instance is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whom.
    pub to: InstanceId,
    /// What; the meaning is that of those who talk.
    pub event: u8,
    /// The instance it is about; it may have gone.
    pub about: Aid,
}

/// Notices that wait for the command under way to be done.
#[derive(Debug, Default)]
pub struct Outbox(heapless::Vec<Notice, NOTICES>);

impl Outbox {
    /// Without notices.
    #[must_use]
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// Adds a notice; `false` when there is no room.
    pub fn push(&mut self, notice: Notice) -> bool {
        self.0.push(notice).is_ok()
    }

    pub(crate) fn take(&mut self) -> Self {
        core::mem::take(self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Notice> {
        self.0.iter()
    }
}

/// Notices one command leaves at most.
pub const NOTICES: usize = 16;

/// The most data [`Context::put`] takes.
pub const PUT_MAX: usize = 64;
