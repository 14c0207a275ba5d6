//! The scheme an instance follows: chosen once, while it is empty, and kept. [`Scheme`]

use huiwan_apdu::Sw;
use huiwan_card::{Batch, Context, ObjectId};
use huiwan_crypto::Suite;

use super::{Purse, objects, session};
use crate::scheme::Scheme;

impl<S: Suite> Purse<S> {
    /// INSTALL: the instance begins empty, whatever an installation that was cut left behind. 6A80 for parameters that
    /// are no scheme, 6A81 for a scheme that is not served here.
    pub(super) fn install_as(&self, cx: &mut Context<'_>, parameters: &[u8]) -> Result<(), Sw> {
        let mut buffer = [0; 32];
        let mut batch = Batch::new(&mut buffer);
        batch.delete_instance(cx.instance);
        if !parameters.is_empty() {
            self.check_scheme(parameters)?;
            batch.put(cx.object(objects::SCHEME), parameters);
        }
        cx.commit(&batch)
    }

    /// Grouping 0003. Once anything else is there, it stays; to be told the same again changes nothing and is no error,
    /// since a grouping whose answer was lost is sent again.
    pub(super) fn take_scheme(&self, cx: &mut Context<'_>, data: &[u8]) -> Result<(), Sw> {
        self.check_scheme(data)?;
        if cx.find(objects::SCHEME, &mut [0; Scheme::MAX_LEN])? == Some(data) {
            return Ok(());
        }
        if Self::holds_more_than_scheme(cx)? {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        cx.put(objects::SCHEME, data)
    }

    /// This application as the instance's scheme has it. The session remembers the scheme as soon as a purse is there: from
    /// then on nothing changes it, whoever personalises the instance, on whatever channel.
    pub(super) fn of_instance(&self, cx: &mut Context<'_>) -> Result<Self, Sw> {
        let mut stored = [0; Scheme::MAX_LEN];
        let scheme = match session::scheme(cx.volatile) {
            Some(remembered) => remembered,
            None => {
                let scheme = cx.find(objects::SCHEME, &mut stored)?.unwrap_or_default();
                if Self::has_purse(cx)? {
                    session::set_scheme(cx.volatile, scheme);
                }
                scheme
            }
        };
        if scheme.is_empty() {
            return Ok(Self::new(self.profile));
        }
        // It was checked when it came; other firmware since may not know it any more.
        let scheme = Scheme::parse(scheme).map_err(|_| Sw::MEMORY_FAILURE)?;
        scheme.resolve(&self.profile).map(Self::new).ok_or(Sw::FUNCTION_NOT_SUPPORTED)
    }

    fn check_scheme(&self, raw: &[u8]) -> Result<(), Sw> {
        let scheme = Scheme::parse(raw).map_err(|_| Sw::WRONG_DATA)?;
        scheme.resolve(&self.profile).map(|_| ()).ok_or(Sw::FUNCTION_NOT_SUPPORTED)
    }

    fn holds_more_than_scheme(cx: &mut Context<'_>) -> Result<bool, Sw> {
        // No object has number 0.
        let mut next: ObjectId = cx.object(0);
        loop {
            match cx.memory.next_object(Some(next))? {
                Some(object) if object.instance != cx.instance => return Ok(false),
                Some(object) if object.id == objects::SCHEME => next = object,
                Some(_) => return Ok(true),
                None => return Ok(false),
            }
        }
    }
}
