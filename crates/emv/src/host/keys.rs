//! The issuer's secret operations, at the level of the business, so that an HSM, a service or memory can do them.

use core::fmt;

use huiwan_crypto::{Secret, Tdes};

use crate::cryptogram::derivation::{MasterKeyOption, card_key, pboc_session};
use crate::cryptogram::iad::Idd;
use crate::cryptogram::{AcData, Cvn, arpc, verify};
use crate::pan::Pan;
use crate::personalisation::key_checks;
use crate::secure_messaging::{MAC_LEN, Transaction, script_mac};

/// Which card an operation is for, and the path by which its keys are derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardReference {
    /// The account number.
    pub pan: Pan,
    /// PAN sequence number, BCD.
    pub sequence: u8,
    /// Derivation key index: which generation of the issuer's keys.
    pub key_index: u8,
}

/// One cryptogram to check, with the discretionary data that came with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CryptogramCheck {
    /// Whose.
    pub card: CardReference,
    /// Which fields it covers.
    pub version: Cvn,
    /// The fields.
    pub data: AcData,
    /// 9F26.
    pub cryptogram: [u8; 8],
    /// What the card reported in 9F10, if it did.
    pub idd: Option<Idd>,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The cryptogram fits.
    pub cryptogram: bool,
    /// The discretionary data carry the card's MAC; `false` too when there were none.
    pub idd: bool,
}

/// Card keys as personalisation needs them: cryptogram ‖ MAC ‖ encipherment, and their check values.
#[derive(Debug, Clone)]
pub struct CardKeys {
    /// DGI 8000.
    pub keys: Secret<48>,
    /// DGI 9000.
    pub checks: [u8; 9],
}

/// The provider could not do it: no such key generation, or the device failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyError;

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("issuer key provider has no such key or failed")
    }
}
impl core::error::Error for KeyError {}

/// The issuer's keys in use.
pub trait IssuerKeys {
    /// Checks a cryptogram and the MAC of the discretionary data.
    ///
    /// # Errors
    /// [`KeyError`] when there is no such key; a wrong cryptogram is a [`Verdict`].
    fn check(&mut self, check: &CryptogramCheck) -> Result<Verdict, KeyError>;

    /// The response cryptogram for an ARQC that [`Self::check`] found right, method 1.
    ///
    /// # Errors
    /// [`KeyError`] when there is no such key.
    fn respond(
        &mut self,
        card: &CardReference,
        transaction: &Transaction,
        code: [u8; 2],
    ) -> Result<[u8; 8], KeyError>;

    /// The MAC of a script command; `header` is CLA INS P1 P2.
    ///
    /// # Errors
    /// [`KeyError`] when there is no such key or the data are too long for a command.
    fn script_mac(
        &mut self,
        card: &CardReference,
        transaction: &Transaction,
        header: [u8; 4],
        data: &[u8],
    ) -> Result<[u8; MAC_LEN], KeyError>;

    /// The keys a new card gets.
    ///
    /// # Errors
    /// [`KeyError`] when there is no such key.
    fn card_keys(&mut self, card: &CardReference) -> Result<CardKeys, KeyError>;

    /// Checks many cryptograms, for example a settlement file of TCs: one verdict each, none right where the provider failed.
    ///
    /// The shorter of the two slices counts. Providers that can work in parallel replace this loop.
    fn check_batch(&mut self, checks: &[CryptogramCheck], verdicts: &mut [Verdict]) {
        for (check, verdict) in checks.iter().zip(verdicts) {
            *verdict = self.check(check).unwrap_or_default();
        }
    }
}

/// Issuer master keys in memory, of one key index, for tests and small issuers.
#[derive(Debug, Clone)]
pub struct SoftIssuerKeys {
    index: u8,
    option: MasterKeyOption,
    cryptogram: Tdes,
    mac: Tdes,
    encipherment: Tdes,
}

impl SoftIssuerKeys {
    /// The three master keys of generation `index`. PBOC derives by [`MasterKeyOption::A`].
    #[must_use]
    pub fn new(
        index: u8,
        option: MasterKeyOption,
        cryptogram: &[u8; 16],
        mac: &[u8; 16],
        encipherment: &[u8; 16],
    ) -> Self {
        Self {
            index,
            option,
            cryptogram: Tdes::new2(cryptogram),
            mac: Tdes::new2(mac),
            encipherment: Tdes::new2(encipherment),
        }
    }

    fn session(&self, master: &Tdes, card: &CardReference, atc: [u8; 2]) -> Result<Tdes, KeyError> {
        if card.key_index != self.index {
            return Err(KeyError);
        }
        let key = Tdes::new2(card_key(master, self.option, &card.pan, card.sequence).expose());
        Ok(Tdes::new2(pboc_session(&key, atc).expose()))
    }
}

impl IssuerKeys for SoftIssuerKeys {
    fn check(&mut self, check: &CryptogramCheck) -> Result<Verdict, KeyError> {
        let session = self.session(&self.cryptogram, &check.card, check.data.atc)?;
        let cryptogram = verify(&session, check.version, &check.data, &check.cryptogram).is_ok();
        let idd = match &check.idd {
            Some(idd) => {
                idd.verify(&self.session(&self.mac, &check.card, check.data.atc)?, check.data.atc).is_ok()
            }
            None => false,
        };
        Ok(Verdict { cryptogram, idd })
    }

    fn respond(
        &mut self,
        card: &CardReference,
        transaction: &Transaction,
        code: [u8; 2],
    ) -> Result<[u8; 8], KeyError> {
        let session = self.session(&self.cryptogram, card, transaction.atc)?;
        Ok(arpc::method1(&session, &transaction.cryptogram, code))
    }

    fn script_mac(
        &mut self,
        card: &CardReference,
        transaction: &Transaction,
        header: [u8; 4],
        data: &[u8],
    ) -> Result<[u8; MAC_LEN], KeyError> {
        let session = self.session(&self.mac, card, transaction.atc)?;
        script_mac(&session, transaction, header, data).map_err(|_| KeyError)
    }

    fn card_keys(&mut self, card: &CardReference) -> Result<CardKeys, KeyError> {
        if card.key_index != self.index {
            return Err(KeyError);
        }
        let mut keys = Secret::new([0; 48]);
        let masters = [&self.cryptogram, &self.mac, &self.encipherment];
        for (master, key) in masters.into_iter().zip(keys.expose_mut().as_chunks_mut::<16>().0) {
            *key = *card_key(master, self.option, &card.pan, card.sequence).expose();
        }
        let checks = key_checks(keys.expose());
        Ok(CardKeys { keys, checks })
    }
}
