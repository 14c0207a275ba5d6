use heapless::Vec;
use huiwan_apdu::{Command, Response, SecureMessaging, Sw};
use huiwan_tlv::{Rules, Tag, Tlvs, dol::Dol, walk};

use super::{Family, Kind};

/// What is known about one logical channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    pub(super) family: Family,
    /// What the last command was, for GET RESPONSE.
    pub(super) last: Option<Kind>,
    pub(super) pdol: List,
    pub(super) cdol1: List,
    pub(super) cdol2: List,
    pub(super) ddol: List,
    /// Answered GENERATE AC commands.
    pub(super) cryptograms: u8,
    /// Security level of the open GlobalPlatform secure channel; 0: none.
    pub(super) level: u8,
}

/// A data object list of the card. One that is too long, or malformed, is forgotten.
#[derive(Debug, Clone, Default)]
pub(super) struct List(Vec<u8, 96>);

impl List {
    fn set(&mut self, raw: &[u8]) {
        self.0.clear();
        if Dol::parse(raw).is_ok() {
            // On failure the list stays empty.
            self.0.extend_from_slice(raw).unwrap_or_default();
        }
    }

    /// The list, if there is one and `data` is as long as it asks for.
    pub(super) fn fitting(&self, data: &[u8]) -> Option<Dol<'_>> {
        Dol::parse(&self.0).ok().filter(|dol| !dol.raw().is_empty() && dol.total_len() == data.len())
    }
}

impl Context {
    /// Takes note of an exchange.
    pub(super) fn learn(&mut self, command: &Command<'_>, response: &Response<'_>) {
        let kind = Kind::of(command, self);
        let answered = kind.answered(self);
        let sw = response.sw();
        let served = sw.is_ok() || sw.is_warning() || sw.sw1() == 0x61;
        match answered {
            Kind::Select if kind == Kind::Select && served => {
                *self =
                    Self { family: Family::of_selected(command.data(), response.data()), ..Self::default() };
            }
            Kind::Select if served && self.family == Family::Iso => {
                // GET RESPONSE brought the FCI of a name nobody knows.
                self.family = Family::of_selected(&[0], response.data());
            }
            Kind::InitializeUpdate => self.level = 0,
            Kind::GpExternalAuthenticate if sw.is_ok() => self.level = command.p1(),
            Kind::GenerateAc if sw.is_ok() => self.cryptograms = self.cryptograms.saturating_add(1),
            _ => {}
        }
        if kind != Kind::GetResponse {
            self.last = Some(kind);
        }
        if !response.data().is_empty() && sw != Sw::UNKNOWN {
            self.learn_lists(response.data());
        }
    }

    fn learn_lists(&mut self, data: &[u8]) {
        for (_, object) in walk(data, Rules::EMV).map_while(Result::ok) {
            match object.tag().get() {
                0x9F38 => self.pdol.set(object.value()),
                0x8C => self.cdol1.set(object.value()),
                0x8D => self.cdol2.set(object.value()),
                0x9F49 => self.ddol.set(object.value()),
                _ => {}
            }
        }
    }

    /// Whether command data of the open secure channel are encrypted.
    pub(super) const fn is_encrypted(&self) -> bool {
        self.level & 0x02 != 0
    }

    /// The bytes of MAC at the end of command data.
    pub(super) fn command_mac_len(&self, command: &Command<'_>, family: Family) -> usize {
        // ISO secure messaging has its MAC in an object of its own.
        let secure =
            command.class().is_ok_and(|class| class.secure_messaging() == SecureMessaging::Proprietary);
        match family {
            _ if !secure || command.data().is_empty() => 0,
            _ if self.level & 0x01 != 0 => 8,
            Family::Gp => 8,
            _ => 4,
        }
    }
}

/// Whether bytes are well formed BER-TLV whose first tag somebody knows.
pub(super) fn is_tlv(raw: &[u8], family: Family) -> bool {
    let mut objects = Tlvs::new(raw, Rules::EMV);
    let known = |tag: Tag| super::family::tag(tag, family).is_some();
    objects.next().is_some_and(|first| first.is_ok_and(|first| known(first.tag())))
        && objects.all(|o| o.is_ok())
}
