//! Faults of content management, in words.

use super::{Advice, FaultKind, Stage, advice};

/// What was found before anything was sent, or in a receipt.
pub(super) const fn of_kind(kind: FaultKind) -> Advice {
    match kind {
        FaultKind::AidTaken(_) => advice(
            "an earlier load got further than its journal says, or another version is there",
            "nothing was changed; use what is there, or delete it with what depends on it and load again",
        ),
        FaultKind::ImportMissing { .. } => advice(
            "the file was made for a later Java Card version, or needs a library that is not loaded",
            "nothing was changed; load the library first, or convert the file for the card's version",
        ),
        FaultKind::NoMemory { .. } => advice(
            "the card is full",
            "nothing was changed; delete what is not needed, or a load that was given up",
        ),
        FaultKind::TooManyBlocks { .. } => advice(
            "protection takes its share of every command",
            "nothing was changed; open without command encryption, or leave the descriptor out",
        ),
        FaultKind::HashMissing => advice(
            "the plan is at odds with itself",
            "nothing was sent; name the hash the signatures are over",
        ),
        FaultKind::SignatureMissing(_) => advice(
            "whoever owns that domain decides what is loaded",
            "nothing was changed; have the hash of the file signed by the domain's owner",
        ),
        FaultKind::Receipt => advice(
            "the card's receipt key is another one, or the answer is of another card",
            "the change was made: do not repeat it; read the registry and the confirmation counter (C2)",
        ),
        _ => advice("the card has its own reason", "read the card's state before the next change"),
    }
}

/// What the card answered; `None`: nothing that is only so here.
pub(super) const fn of_status(stage: Stage, sw: u16) -> Option<Advice> {
    Some(match (stage, sw) {
        (Stage::InstallForLoad, 0x6985) => advice(
            "something of this AID is there, the domain may not load here, or it needs a token",
            "nothing was changed; list the registry with the keys of the issuer security domain",
        ),
        (Stage::InstallForLoad, 0x6A88) => {
            advice("the security domain the file is for is not there", "list applications and domains")
        }
        (Stage::Extradition, 0x6985) => advice(
            "one of the two domains does not agree, the new one is locked or below what moves, or it needs a token",
            "nothing was changed; list domains and read what the two accept",
        ),
        (Stage::RegistryUpdate, 0x6985) => advice(
            "it is not below this domain, another is the default application already, or it needs a token",
            "nothing was changed; list the registry with the keys of the issuer security domain",
        ),
        (Stage::Extradition | Stage::RegistryUpdate, 0x6A88) => {
            advice("the application or the domain is not there", "list applications, domains and load files")
        }
        (Stage::RegistryUpdate, 0x6A80) => advice(
            "the card cannot keep these privileges or parameters, or privileges contradict each other",
            "nothing was changed; read the card's capabilities (67)",
        ),
        (
            Stage::Install
            | Stage::InstallForLoad
            | Stage::Extradition
            | Stage::RegistryUpdate
            | Stage::Delete,
            0x6982,
        ) => advice(
            "the token is wrong or the card has no token key; or the protection of the command was wrong",
            "the command was not executed; open a new channel and check the token key",
        ),
        (Stage::InstallForLoad | Stage::Load { .. }, 0x6A84) => advice(
            "the card's memory is full, or it holds as many load files as it can",
            "nothing of the file stays; delete what is not needed and load again from the first block",
        ),
        (Stage::Load { .. }, 0x6438) => advice(
            "an imported package is not on the card (from single reports)",
            "nothing of the file stays; compare the imports with the card's load files and Java Card version",
        ),
        (Stage::Load { .. }, 0x6982) => advice(
            "a signature of the load file is wrong; or the protection of the command was",
            "nothing of the file stays; open a new channel and check signatures and their domains",
        ),
        (Stage::Load { .. }, 0x6985 | 0x6A80) => advice(
            "hash or signature do not fit the file, an import is missing, or the file is of a later Java Card version",
            "nothing of the file stays; check these and load again from the first block",
        ),
        (Stage::Load { .. }, 0x6400..=0x64FF) => advice(
            "the card's verifier refuses the file, for a reason of its own",
            "nothing of the file stays; convert it for the card's Java Card version, with its export files",
        ),
        (Stage::Load { .. }, 0x6A86) => advice(
            "a block came out of order or twice",
            "nothing of the file stays; load again from the first block",
        ),
        _ => return None,
    })
}
