//! Card recognition data, tag `66`. [GPC H.2]

use huiwan_tlv::{At, Rules, Tag, TlvError, Writer, find_path, parse};

use crate::secure_channel::Scp;

/// GET DATA tag.
pub const TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA: Tag = Tag::new(0x66);
const TAG_6F_FCI: Tag = Tag::new(0x6F);
const TAG_A5_PROPRIETARY: Tag = Tag::new(0xA5);
const TAG_73: Tag = Tag::new(0x73);
const TAG_06_OID: Tag = Tag::new(0x06);
const TAG_60_VERSION: Tag = Tag::new(0x60);
const TAG_63_IDENTIFICATION: Tag = Tag::new(0x63);
const TAG_64_SECURE_CHANNEL: Tag = Tag::new(0x64);
/// What the issuer says: card configuration, card or chip details, trust point, certificates of the issuer.
const ISSUER: [Tag; 4] = [Tag::new(0x65), Tag::new(0x66), Tag::new(0x67), Tag::new(0x68)];

/// 1.2.840.114283, the arc all object identifiers here begin with.
const GLOBALPLATFORM: [u8; 6] = [0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B];

/// A secure channel protocol a card offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Protocol number (02, 03, …).
    pub scp: u8,
    /// Its "i" parameter: one byte, of SCP11 two.
    pub i: u16,
}

impl From<Scp> for Protocol {
    fn from(scp: Scp) -> Self {
        Self { scp: scp.number(), i: scp.i().into() }
    }
}

/// Writes the inner template `73`: GlobalPlatform 2.3.1 and the secure channel protocols. It also goes into the FCI of the issuer domain.
pub fn write_template(w: &mut Writer<'_>, protocols: impl Iterator<Item = Protocol>) {
    write_template_with(w, protocols, &[]);
}

/// The same with the objects the issuer adds behind it, see [`issuer_part`].
pub fn write_template_with(w: &mut Writer<'_>, protocols: impl Iterator<Item = Protocol>, issuer: &[u8]) {
    let mut protocols = protocols;
    let arc = &GLOBALPLATFORM[..];
    w.nested(TAG_73, |w| {
        w.put_parts(TAG_06_OID, &[arc, &[1]]);
        w.nested(TAG_60_VERSION, |w| w.put_parts(TAG_06_OID, &[arc, &[2, 2, 3, 1]]));
        w.nested(TAG_63_IDENTIFICATION, |w| w.put_parts(TAG_06_OID, &[arc, &[3]]));
        for protocol in &mut protocols {
            let (digits, first) = base_128(protocol.i);
            let i = digits.get(first..).unwrap_or(&digits);
            w.nested(TAG_64_SECURE_CHANNEL, |w| w.put_parts(TAG_06_OID, &[arc, &[4, protocol.scp], i]));
        }
        w.raw(issuer);
    });
}

/// The objects `65` to `68` in the value of a `66` that the issuer sends: all there may be in its `73`, each once; `None` for anything
/// else, since the card says the rest itself.
///
/// # Errors
/// [`TlvError`] and its byte.
pub fn issuer_part(value: &[u8]) -> Result<Option<&[u8]>, At<TlvError>> {
    let mut objects = parse(value, Rules::ISO);
    let Some(template) = objects.next().transpose()?.filter(|object| object.tag() == TAG_73) else {
        return Ok(None);
    };
    if objects.next().is_some() {
        return Ok(None);
    }
    let mut told = heapless::Vec::<Tag, { ISSUER.len() }>::new();
    for object in parse(template.value(), Rules::ISO) {
        let tag = object.map_err(|error| error.shifted(template.value_at()))?.tag();
        if !ISSUER.contains(&tag) || told.contains(&tag) || told.push(tag).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(template.value()))
}

/// A number of an object identifier, most significant digit first, and where it begins. [X.690 8.19.2]
fn base_128(number: u16) -> ([u8; 3], usize) {
    let digit = |shift: u32| u8::try_from(number.checked_shr(shift).unwrap_or(0) & 0x7F).unwrap_or(0);
    let digits = [0x80 | digit(14), 0x80 | digit(7), digit(0)];
    (digits, if number < 0x80 { 2 } else { usize::from(number < 0x4000) })
}

/// The number these digits say, the last of which alone lacks the high bit.
fn from_base_128(digits: &[u8]) -> Option<u16> {
    let (&last, before) = digits.split_last()?;
    let well_formed = last & 0x80 == 0
        && before.iter().all(|digit| digit & 0x80 != 0)
        && before.len() <= 2
        && before.first() != Some(&0x80);
    let number = digits.iter().fold(0_u32, |sum, digit| sum << 7 | u32::from(digit & 0x7F));
    u16::try_from(number).ok().filter(|_| well_formed)
}

/// The protocols in the response data of GET DATA `66`; unreadable ones are left out.
///
/// # Errors
/// [`TlvError`] and its byte.
pub fn protocols(data: &[u8]) -> Result<impl Iterator<Item = Protocol> + '_, At<TlvError>> {
    let template = find_path(data, Rules::ISO, &[TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA, TAG_73])?;
    Ok(listed(template.map_or(&[][..], |t| t.value())))
}

/// The protocols in the file control information of a security domain; unreadable ones are left out.
///
/// # Errors
/// [`TlvError`] and its byte.
pub fn protocols_of_application(fci: &[u8]) -> Result<impl Iterator<Item = Protocol> + '_, At<TlvError>> {
    let template = find_path(fci, Rules::ISO, &[TAG_6F_FCI, TAG_A5_PROPRIETARY, TAG_73])?;
    Ok(listed(template.map_or(&[][..], |t| t.value())))
}

/// The protocols in template `73`.
fn listed(template: &[u8]) -> impl Iterator<Item = Protocol> + '_ {
    parse(template, Rules::ISO).flatten().filter(|object| object.tag() == TAG_64_SECURE_CHANNEL).filter_map(
        |object| {
            let oid = parse(object.value(), Rules::ISO).next()?.ok()?;
            match *oid.value().strip_prefix(&GLOBALPLATFORM)? {
                [4, scp, ref i @ ..] => Some(Protocol { scp, i: from_base_128(i)? }),
                _ => None,
            }
        },
    )
}
