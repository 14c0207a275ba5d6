//! Extended card resources, tag `FF21`: how much room there is. (TS 102 226 8.2.1.7)
//!
//! ```text
//! FF21 { 81 applications, 82 free durable memory, 83 free volatile memory }
//! ```

use huiwan_tlv::{At, Rules, Tag, TlvError, Writer, find, parse};

use crate::get_data::TAG_FF21_RESOURCES;

const TAG_81_APPLICATIONS: Tag = Tag::new(0x81);
const TAG_82_DURABLE: Tag = Tag::new(0x82);
const TAG_83_VOLATILE: Tag = Tag::new(0x83);

/// What a card has left. Numbers are big endian on the wire, of any length up to 4 bytes; a larger one reads as the largest here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Applications installed.
    pub applications: Option<u32>,
    /// Free durable memory, bytes.
    pub free_durable: Option<u32>,
    /// Free volatile memory, bytes.
    pub free_volatile: Option<u32>,
}

impl Resources {
    /// Reads the response data of GET DATA, with or without the template around.
    ///
    /// # Errors
    /// [`TlvError`] and its byte.
    pub fn parse(data: &[u8]) -> Result<Self, At<TlvError>> {
        let objects = match find(data, Rules::ISO, TAG_FF21_RESOURCES)? {
            Some(template) => template.children(Rules::ISO),
            None => parse(data, Rules::ISO),
        };
        let mut resources = Self::default();
        for object in objects {
            let object = object?;
            let number = Some(number(object.value()));
            match object.tag() {
                TAG_81_APPLICATIONS => resources.applications = number,
                TAG_82_DURABLE => resources.free_durable = number,
                TAG_83_VOLATILE => resources.free_volatile = number,
                _ => {}
            }
        }
        Ok(resources)
    }

    /// Writes the template: the number of applications in two bytes, memory in four.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.nested(TAG_FF21_RESOURCES, |w| {
            if let Some(applications) = self.applications {
                let [.., a, b] = applications.min(0xFFFF).to_be_bytes();
                w.put(TAG_81_APPLICATIONS, &[a, b]);
            }
            for (tag, free) in [(TAG_82_DURABLE, self.free_durable), (TAG_83_VOLATILE, self.free_volatile)] {
                if let Some(free) = free {
                    w.put(tag, &free.to_be_bytes());
                }
            }
        });
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0_u32, |n, &byte| match n.checked_mul(256) {
        Some(shifted) => shifted | u32::from(byte),
        None => u32::MAX,
    })
}
