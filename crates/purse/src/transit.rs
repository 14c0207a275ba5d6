//! The transit files of JT/T 978: what each byte of 0015, 0016, 0017, 0018, 001A and 001E means; of highway
//! cards, 0019.
//!
//! Every layout is a table with one row per field ([`public_info`], [`holder`], [`management`], [`log`], [`rail`],
//! [`bus`], [`process`], [`etc`]); a record is the bytes themselves, read and written through those fields.
//!
//! ```
//! use huiwan_purse::transit::rail::{self, Rail, State};
//!
//! let record = Rail::new().with(rail::STATE, [State::Inside.code()]).with(rail::ENTRY_STATION, *b"\0\0\0\0\0\0\x12\x34");
//! assert_eq!(record.state(), Some(State::Inside));
//! assert_eq!(Rail::parse(record.as_bytes()).unwrap(), record);
//! ```

use core::fmt;
use core::marker::PhantomData;

use huiwan_tlv::At;

pub mod bus;
pub mod etc;
pub mod holder;
pub mod log;
pub mod management;
pub mod process;
pub mod public_info;
pub mod rail;

/// Why bytes are not such a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransitError {
    /// The record is not of its fixed length.
    WrongLength {
        /// Length it has to have, bytes.
        expected: usize,
    },
    /// The record begins with another identifier.
    WrongId,
}

impl fmt::Display for TransitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongLength { expected } => write!(f, "record is not {expected} bytes long"),
            Self::WrongId => f.write_str("record identifier is another one"),
        }
    }
}

impl core::error::Error for TransitError {}

/// A field of `N` bytes in records of type `R`.
pub struct Field<R, const N: usize> {
    at: usize,
    record: PhantomData<fn() -> R>,
}

impl<R, const N: usize> Field<R, N> {
    const fn at(at: usize) -> Self {
        Self { at, record: PhantomData }
    }

    /// Offset of its first byte.
    #[must_use]
    pub const fn offset(self) -> usize {
        self.at
    }
}

impl<R, const N: usize> Clone for Field<R, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, const N: usize> Copy for Field<R, N> {}

impl<R, const N: usize> fmt::Debug for Field<R, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}..{}", self.at, self.at.saturating_add(N))
    }
}

/// A row of a layout, for annotated traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Offset of the first byte.
    pub at: usize,
    /// Length in bytes.
    pub len: usize,
    /// What the field is.
    pub name: &'static str,
}

/// A record type over its bytes, and one constant per field.
macro_rules! layout {
    (
        $(#[$doc:meta])* $record:ident [$len:literal] $(head $head:expr)?;
        $($(#[$field_doc:meta])* $field:ident = $at:literal + $n:literal, $name:literal;)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $record([u8; $len]);

        $(#[doc = concat!("Bytes ", $at, " + ", $n, ": ", $name, ".")] $(#[$field_doc])*
        pub const $field: $crate::transit::Field<$record, $n> = $crate::transit::Field::at($at);)*

        /// Every field, in order.
        pub const LAYOUT: &[$crate::transit::Row] =
            &[$($crate::transit::Row { at: $at, len: $n, name: $name },)*];

        const _: () = assert!($crate::transit::is_whole(LAYOUT, $len), "the fields fill the record without gaps");

        impl $record {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// An empty record with its fixed head, if it has one.
            #[must_use]
            pub fn new() -> Self {
                #[allow(unused_mut)]
                let mut record = Self([0; $len]);
                $(record.0.iter_mut().zip($head).for_each(|(byte, head)| *byte = head);)?
                record
            }

            /// The record in these bytes.
            ///
            /// # Errors
            /// If the length or the identifier is another one.
            pub fn parse(raw: &[u8]) -> Result<Self, huiwan_tlv::At<$crate::transit::TransitError>> {
                let record = $crate::transit::fixed::<$len>(raw)?;
                $(if record.get(..2) != $head.get(..2) {
                    return Err(huiwan_tlv::At::new($crate::transit::TransitError::WrongId, 0));
                })?
                Ok(Self(record))
            }

            /// The record as it stands on the card.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// One field.
            #[inline]
            #[must_use]
            pub fn get<const N: usize>(&self, field: $crate::transit::Field<Self, N>) -> [u8; N] {
                self.0.get(field.offset()..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
            }

            /// Sets one field.
            #[inline]
            pub fn set<const N: usize>(&mut self, field: $crate::transit::Field<Self, N>, value: [u8; N]) {
                if let Some(place) = self.0.get_mut(field.offset()..).and_then(|rest| rest.first_chunk_mut::<N>()) {
                    *place = value;
                }
            }

            /// The record with one field set.
            #[inline]
            #[must_use]
            pub fn with<const N: usize>(mut self, field: $crate::transit::Field<Self, N>, value: [u8; N]) -> Self {
                self.set(field, value);
                self
            }
        }

        impl Default for $record {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}
use layout;

/// Whether the fields follow each other and end where the record ends.
const fn is_whole(mut layout: &[Row], len: usize) -> bool {
    let mut at = 0_usize;
    while let Some((row, rest)) = layout.split_first() {
        if row.at != at {
            return false;
        }
        at = at.saturating_add(row.len);
        layout = rest;
    }
    at == len
}

fn fixed<const N: usize>(raw: &[u8]) -> Result<[u8; N], At<TransitError>> {
    <[u8; N]>::try_from(raw).map_err(|_| At::new(TransitError::WrongLength { expected: N }, raw.len().min(N)))
}
