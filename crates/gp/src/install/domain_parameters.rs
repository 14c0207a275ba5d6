//! Parameters of a security domain, in its installation and in a registry update.

use huiwan_tlv::{At, Full, Rules, Tag, TlvError, Writer};

use super::{InstallError, RULES, TAG_D9_RESTRICTION, TAG_EF_SYSTEM_PARAMETERS};
use crate::recognition::Protocol;
use crate::scp11;

/// Parameters of a security domain, inside `C9`. [GPC 11.5.2.3.7]
///
/// What an acceptance byte means (from a single source):
/// b8 a domain above with authorized management, b7 one of the hierarchy, b6 the issuer domain, b5 one with delegated management below
/// such a domain, b4 any with authorized management.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainParameters<'a> {
    /// `81`: protocol number and "i" of each secure channel it has, see [`Self::protocols`]; empty: as the card has them.
    pub secure_channels: &'a [u8],
    /// `82`: whom extradition to it is accepted from, one or two bytes.
    pub accept_extradition: Option<&'a [u8]>,
    /// `83`: whom its deletion is accepted from.
    pub accept_deletion: Option<&'a [u8]>,
    /// `84`, empty: it is PERSONALIZED as soon as it is selectable.
    pub personalised: bool,
    /// `86`: controlling authority capabilities.
    pub authority: Option<[u8; 2]>,
    /// `87`: whom extradition away from it is accepted from.
    pub accept_extradition_away: Option<&'a [u8]>,
}

impl<'a> DomainParameters<'a> {
    /// The protocols of `81`: number (1) and "i", one byte; two of SCP11, as in its object identifier. (our reading: the text on SCP11 in
    /// these parameters is not public)
    pub fn protocols(&self) -> impl Iterator<Item = Protocol> + use<'a> {
        let mut rest = self.secure_channels;
        core::iter::from_fn(move || {
            let (first, behind) = protocol(rest)?;
            rest = behind;
            Some(first)
        })
    }

    /// Reads the value of `C9`.
    ///
    /// # Errors
    /// [`InstallError`] and its byte.
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<InstallError>> {
        let mut parameters = Self::default();
        for object in huiwan_tlv::parse(raw, Rules::ISO) {
            let object =
                object.map_err(|error| At::new(InstallError::Parameters(error.kind()), error.at()))?;
            let wrong = At::new(InstallError::Domain, object.at());
            match (object.tag().get(), object.value()) {
                (0x81, list @ [_, ..]) => {
                    let mut rest = list;
                    while !rest.is_empty() {
                        (_, rest) = protocol(rest).ok_or(wrong)?;
                    }
                    parameters.secure_channels = list;
                }
                (0x82, bits @ [_] | bits @ [_, _]) => parameters.accept_extradition = Some(bits),
                (0x83, bits @ [_] | bits @ [_, _]) => parameters.accept_deletion = Some(bits),
                (0x84, []) => parameters.personalised = true,
                (0x86, &[a, b]) => parameters.authority = Some([a, b]),
                (0x87, bits @ [_] | bits @ [_, _]) => parameters.accept_extradition_away = Some(bits),
                (0x81..=0x87, _) => return Err(wrong),
                _ => {}
            }
        }
        Ok(parameters)
    }

    /// Writes the value of `C9`.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut w = Writer::new(out);
        let mut put = |tag: u32, value: Option<&[u8]>| {
            if let Some(value) = value {
                w.put(Tag::new(tag), value);
            }
        };
        put(0x81, (!self.secure_channels.is_empty()).then_some(self.secure_channels));
        put(0x82, self.accept_extradition);
        put(0x83, self.accept_deletion);
        put(0x84, self.personalised.then_some(&[]));
        put(0x86, self.authority.as_ref().map(|value| &value[..]));
        put(0x87, self.accept_extradition_away);
        Ok(w.finish()?)
    }
}

/// The first protocol of a list, and the rest.
fn protocol(list: &[u8]) -> Option<(Protocol, &[u8])> {
    match list {
        [scp11::SCP, high, low, rest @ ..] => {
            Some((Protocol { scp: scp11::SCP, i: u16::from_be_bytes([*high, *low]) }, rest))
        }
        [scp11::SCP, ..] => None,
        [scp, i, rest @ ..] => Some((Protocol { scp: *scp, i: (*i).into() }, rest)),
        _ => None,
    }
}

/// `EF D9`: functions a security domain loses by registry update, bits as in P1 of INSTALL and b1 deletion. (from memory)
///
/// # Errors
/// [`InstallError`] and its byte.
pub fn restriction(parameters: &[u8]) -> Result<Option<u8>, At<InstallError>> {
    let tlv = |error: At<TlvError>| At::new(InstallError::Parameters(error.kind()), error.at());
    let path = [TAG_EF_SYSTEM_PARAMETERS, TAG_D9_RESTRICTION];
    match huiwan_tlv::find_path(parameters, RULES, &path).map_err(tlv)? {
        None => Ok(None),
        Some(object) => match *object.value() {
            [bits] => Ok(Some(bits)),
            _ => Err(At::new(InstallError::Domain, object.at())),
        },
    }
}
