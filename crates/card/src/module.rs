//! A module is the code of an application; its instances have their state in durable memory and in a volatile slot.

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_crypto::CryptoError;

use crate::context::{Context, Protection};
use crate::memory::InstanceId;
use crate::response::ResponseWriter;

/// The code of an application: an index into the element's list of modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleId(pub u8);

/// What a module wants done after it saw a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer with this status word and what was written to `reply`. An error status word goes without data.
    Reply(Sw),
    /// Call another instance, then [`Module::forwarded`] here. Only a security domain may.
    Forward(Forward),
    /// Hand this very command to the security domain of this instance, which serves the secure channel.
    ToSecurityDomain,
    /// Do a long private-key operation, then call [`Module::computed`] here.
    Compute(Compute),
}

/// A call of another instance on behalf of a security domain; its data are at the beginning of the caller's scratch.
///
/// The caller has to be a security domain: [`InstanceId::ISSUER`] or an instance that is its own domain. Every other caller gets
/// 6982 in [`Module::forwarded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// [`Module::install`] of `module` as `instance`; the parameters are in `scratch[..len]`. The instance need not be in the
    /// directory yet. 6985 if it is selected on a channel.
    Install {
        /// The code.
        module: ModuleId,
        /// The new instance.
        instance: InstanceId,
        /// Its AID.
        aid: Aid,
        /// The length of the parameters in scratch.
        len: usize,
    },
    /// [`Module::personalise`] of `to`, which is associated with the calling domain.
    Personalise {
        /// Whom.
        to: InstanceId,
        /// The data grouping identifier.
        dgi: u16,
        /// The length of its value in scratch, plain.
        len: usize,
    },
    /// [`Module::process`] of `to`, which belongs to the calling domain (the issuer's domain may reach all), with the plain command APDU in `scratch[..len]`.
    Process {
        /// Whom.
        to: InstanceId,
        /// What protected the command.
        protection: Protection,
        /// The length of the command APDU in scratch.
        len: usize,
    },
    /// [`Module::uninstall`] of `instance`; afterwards all its objects are deleted in one commit. 6985 while it is selected.
    Uninstall {
        /// Whom.
        instance: InstanceId,
    },
}

/// A long private-key operation for the platform's accelerator or our software. Keys are named, never handed over: the objects
/// belong to the calling instance. Input in the caller's `scratch[..len]`, the result replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compute {
    /// Raw RSA private operation by CRT over a message as long as the modulus.
    RsaCrt {
        /// The objects with p, q, dP, dQ, qInv, each big endian.
        key: [u16; 5],
        /// The length of the input.
        len: usize,
    },
    /// An SM2 signature r ‖ s (64 bytes) over the message with the default identity, ZA included. [GM/T 0009 7]
    Sm2Sign {
        /// The object with the private key, 32 bytes.
        key: u16,
        /// The length of the message.
        len: usize,
    },
}

/// The code of an application. It holds no state: state is in [`Context::memory`] and [`Context::volatile`].
///
/// Calls happen one at a time. Everything else (status words for lengths, class and channel, selection rules) has been checked
/// before a module sees a command; its own instructions and parameters are its own affair.
pub trait Module {
    /// Creates the instance from the installation parameters. Objects may be left over from an installation that was cut: start
    /// with [`Batch::delete_instance`](crate::Batch::delete_instance) in the one commit that writes the new ones.
    ///
    /// # Errors
    /// The status word of the INSTALL command.
    fn install(&self, cx: &mut Context<'_>, parameters: &[u8]) -> Result<(), Sw>;

    /// The instance is being selected: its FCI goes into `reply`. A status word other than 9000, 62xx or 63xx refuses.
    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw;

    /// A command for the selected instance.
    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action;

    /// Whether pieces of a chain with a proprietary class byte (`90`) are put together before this module sees them, as those of
    /// interindustry class always are. Otherwise it sees each piece.
    fn joins_chains(&self) -> bool {
        false
    }

    /// The call asked for by [`Action::Forward`] is done: `result` is its status word, and the answer data of a forwarded command
    /// are in `reply`. `command` is the one that [`process`](Self::process) saw.
    fn forwarded(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        result: Sw,
        reply: &mut ResponseWriter<'_>,
    ) -> Action {
        let _ = (cx, command, reply);
        Action::Reply(result)
    }

    /// The operation asked for by [`Action::Compute`] is done: `Ok(n)` with its result in `scratch[..n]`.
    fn computed(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        result: Result<usize, CryptoError>,
        reply: &mut ResponseWriter<'_>,
    ) -> Action {
        let _ = (cx, command, result, reply);
        Action::Reply(Sw::UNKNOWN)
    }

    /// The instance is no longer selected on this channel; its volatile slot is zeroized right after.
    fn deselect(&self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// One data grouping of STORE DATA, plain, at most 512 bytes.
    ///
    /// # Errors
    /// The status word of the STORE DATA command.
    fn personalise(&self, cx: &mut Context<'_>, dgi: u16, data: &[u8]) -> Result<(), Sw>;

    /// The instance is being deleted; its objects are deleted afterwards.
    ///
    /// # Errors
    /// The status word with which the instance refuses.
    fn uninstall(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        let _ = cx;
        Ok(())
    }

    /// Another instance did something that concerns this one, and it is done: [`Context::notify`]. It cannot be refused, and whatever
    /// happens here changes nothing of it. Notices are lost when power goes before they are delivered.
    fn notified(&self, cx: &mut Context<'_>, event: u8, about: &Aid) {
        let _ = (cx, event, about);
    }

    /// A session begins; called once for every instance before anything is selected.
    fn power_on(&self, cx: &mut Context<'_>) {
        let _ = cx;
    }
}
