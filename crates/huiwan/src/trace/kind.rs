use core::fmt;

use huiwan_apdu::{Command, Response};

use super::context::Context;
use super::out::Out;
use super::{Family, emv, gp, iso, purse};

/// Commands whose data this module can take apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    // iso.rs
    Select,
    ReadRecord,
    ReadBinary,
    UpdateRecord,
    UpdateBinary,
    GetData,
    GetResponse,
    Pin,
    GetChallenge,
    ManageChannel,
    // emv.rs
    GetProcessingOptions,
    GenerateAc,
    InternalAuthenticate,
    ExternalAuthenticate,
    // purse.rs
    InitializeForLoad,
    InitializeForPurchase,
    InitializeForUnload,
    CreditForLoad,
    DebitForPurchase,
    GetBalance,
    GetTransactionProve,
    UpdateCappDataCache,
    InitializeForUpdate,
    UpdateOverdrawLimit,
    DebitForUnload,
    GetAuthCode,
    InitializeForGreyLock,
    GreyLock,
    DebitForUnlock,
    InitializeForGreyUnlock,
    GreyUnlock,
    GetLockProof,
    InitSam,
    CreditSam,
    InitSamForGreyLock,
    CertifyGreyLock,
    CalculateGmac,
    // gp.rs
    InitializeUpdate,
    GpExternalAuthenticate,
    Install,
    Delete,
    GetStatus,
    SetStatus,
    PutKey,
    StoreData,
    Other,
}

/// Whether the class is the one of fuel cards and their PSAMs. To GlobalPlatform E0 is channel 4, protected.
pub(super) fn is_fuel(command: &Command<'_>, family: Family) -> bool {
    command.cla() == 0xE0 && (family == Family::Purse || matches!(command.ins(), 0x7A | 0x7C | 0x7E))
}

impl Kind {
    pub(super) fn of(command: &Command<'_>, context: &Context) -> Self {
        let Ok(class) = command.class() else { return Self::Other };
        let (p1, p2, data, family) = (command.p1(), command.p2(), command.data(), context.family);
        if !class.is_proprietary() {
            return match command.ins() {
                0xA4 => Self::Select,
                0xB2 => Self::ReadRecord,
                0xB0 => Self::ReadBinary,
                0xDC => Self::UpdateRecord,
                0xD6 => Self::UpdateBinary,
                0xCA | 0xCB => Self::GetData,
                0xC0 => Self::GetResponse,
                0x20 | 0x24 | 0x2C => Self::Pin,
                0x84 => Self::GetChallenge,
                0x70 => Self::ManageChannel,
                0x88 => Self::InternalAuthenticate,
                0x82 => Self::ExternalAuthenticate,
                _ => Self::Other,
            };
        }
        if is_fuel(command, family) {
            return match (command.ins(), p1) {
                (0x7A, 0x08) => Self::InitializeForGreyLock,
                (0x7A, 0x09) => Self::InitializeForGreyUnlock,
                (0x7C, 0x08) => Self::GreyLock,
                (0x7E, 0x08) => Self::DebitForUnlock,
                (0x7E, 0x09) => Self::GreyUnlock,
                (0xCA, _) => Self::GetLockProof,
                (0x40, _) => Self::InitSamForGreyLock,
                (0x42, _) => Self::CertifyGreyLock,
                (0x44, _) => Self::CalculateGmac,
                _ => Self::Other,
            };
        }
        match command.ins() {
            0xA8 => Self::GetProcessingOptions,
            0xAE => Self::GenerateAc,
            0x24 | 0x5E | 0x2C => Self::Pin,
            0xCA if family == Family::Purse && command.p1p2() == 0 => Self::GetAuthCode,
            0xCA | 0xCB => Self::GetData,
            // Purse and GlobalPlatform share 50; a challenge is not eleven bytes long.
            0x50 if !matches!((p1, data.len()), (0x04, 7) | (_, 11))
                && (family == Family::Gp || matches!(data.len(), 8 | 16)) =>
            {
                Self::InitializeUpdate
            }
            0x50 => match p1 {
                0x00 => Self::InitializeForLoad,
                0x01..=0x03 => Self::InitializeForPurchase,
                0x04 => Self::InitializeForUpdate,
                0x05 => Self::InitializeForUnload,
                _ => Self::Other,
            },
            0x52 => Self::CreditForLoad,
            0x54 if p1 == 0x03 => Self::DebitForUnload,
            0x54 => Self::DebitForPurchase,
            0x58 => Self::UpdateOverdrawLimit,
            0x5C => Self::GetBalance,
            0x5A => Self::GetTransactionProve,
            0xDC => Self::UpdateCappDataCache,
            // PSAM commands; MANAGE CHANNEL is interindustry.
            0x70 => Self::InitSam,
            0x72 => Self::CreditSam,
            0x82 if p2 == 0 && matches!(data.len(), 16 | 24 | 32) => Self::GpExternalAuthenticate,
            0xE6 => Self::Install,
            0xE4 => Self::Delete,
            0xF2 => Self::GetStatus,
            0xF0 => Self::SetStatus,
            0xD8 => Self::PutKey,
            0xE2 => Self::StoreData,
            _ => Self::Other,
        }
    }

    /// What a response answers: GET RESPONSE brings the data of the command before.
    pub(super) fn answered(self, context: &Context) -> Self {
        match self {
            Self::GetResponse => context.last.unwrap_or(Self::Other),
            kind => kind,
        }
    }

    /// The family that defines it, whatever is selected; `None`: the selected application's.
    pub(super) const fn family(self) -> Option<Family> {
        Some(match self {
            Self::GetProcessingOptions | Self::GenerateAc => Family::Emv,
            Self::InitializeForLoad
            | Self::InitializeForPurchase
            | Self::InitializeForUnload
            | Self::CreditForLoad
            | Self::DebitForPurchase
            | Self::GetBalance
            | Self::GetTransactionProve
            | Self::UpdateCappDataCache
            | Self::InitializeForUpdate
            | Self::UpdateOverdrawLimit
            | Self::DebitForUnload
            | Self::GetAuthCode
            | Self::InitializeForGreyLock
            | Self::GreyLock
            | Self::DebitForUnlock
            | Self::InitializeForGreyUnlock
            | Self::GreyUnlock
            | Self::GetLockProof
            | Self::InitSam
            | Self::CreditSam
            | Self::InitSamForGreyLock
            | Self::CertifyGreyLock
            | Self::CalculateGmac => Family::Purse,
            Self::InitializeUpdate
            | Self::GpExternalAuthenticate
            | Self::Install
            | Self::Delete
            | Self::GetStatus
            | Self::SetStatus
            | Self::PutKey
            | Self::StoreData => Family::Gp,
            _ => return None,
        })
    }

    /// The data of a command; they begin at byte `at`.
    pub(super) fn command(
        self,
        out: &mut Out<'_>,
        command: &Command<'_>,
        at: usize,
        context: &Context,
    ) -> fmt::Result {
        if !is_fuel(command, context.family) {
            iso::class(out, command)?;
        }
        match self {
            Self::GetProcessingOptions
            | Self::GenerateAc
            | Self::InternalAuthenticate
            | Self::ExternalAuthenticate => emv::command(self, out, command, at, context),
            _ => match self.family() {
                Some(Family::Purse) => purse::command(self, out, command, at, context),
                Some(Family::Gp) => gp::command(self, out, command, at, context),
                _ => iso::command(self, out, command, at, context),
            },
        }
    }

    /// The data of a response to `command`.
    pub(super) fn response(
        self,
        out: &mut Out<'_>,
        command: Option<&Command<'_>>,
        response: &Response<'_>,
        context: &Context,
    ) -> fmt::Result {
        let data = response.data();
        if data.is_empty() {
            return Ok(());
        }
        // What is cut off by 61xx goes on in the next answer.
        if response.sw().sw1() == 0x61 {
            return out.unknown(0, "data, to be continued", data);
        }
        match self {
            Self::GetProcessingOptions | Self::GenerateAc | Self::InternalAuthenticate => {
                emv::response(self, out, data, context)
            }
            _ => match self.family() {
                Some(Family::Purse) => purse::response(self, out, command, data),
                Some(Family::Gp) => gp::response(self, out, data, context),
                _ => iso::response(self, out, command, data, context),
            },
        }
    }
}
