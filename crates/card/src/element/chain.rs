//! Command chaining: the pieces are joined in scratch and processed as one extended command. [ISO 7816-4 5.3.3]
//!
//! Chains are joined for interindustry classes, whose coding of the chaining bit is ISO's, and for proprietary ones if the module wants
//! it ([`Module::joins_chains`](crate::Module::joins_chains)). One chain is open at a time; a command
//! that is not its next piece ends it with 6985, data that do not fit end it with 6A84.

use huiwan_apdu::{Class, Command, Sw};
use zeroize::Zeroize;

use super::{Element, Environment, MIN_SCRATCH};
use crate::bytes::copy;
use crate::directory::Directory;
use crate::memory::Memory;

/// Header and extended Lc of the joined command, before its data.
const DATA: usize = 7;
/// The extended Le behind them.
const NE: usize = 2;

/// A chain that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    header: [u8; 4],
    len: usize,
}

impl<
    M: Memory,
    D: Directory,
    const SLOTS: usize,
    const SLOT: usize,
    const SCRATCH: usize,
    const ANSWER: usize,
> Element<'_, M, D, SLOTS, SLOT, SCRATCH, ANSWER>
{
    /// Whether pieces of proprietary class are put together for what is selected.
    pub(super) fn joins(&mut self, channel: u8) -> bool {
        let selected = self.channels.get(usize::from(channel)).and_then(|channel| channel.selected);
        let Some(entry) =
            selected.and_then(|selected| self.directory.entry(&mut self.memory, selected.instance).ok())
        else {
            return false;
        };
        self.modules.get(usize::from(entry.module.0)).is_some_and(|module| module.joins_chains())
    }

    /// One command of a chain: the pieces are joined in scratch and processed as one extended command with the last.
    pub(super) fn join(
        &mut self,
        class: &Class,
        command: &Command<'_>,
        env: &mut Environment<'_>,
    ) -> Result<Option<Sw>, Sw> {
        let result = self.join_piece(class, command);
        match result {
            Ok(Some(len)) => {
                self.chain = None;
                let end = DATA.saturating_add(len);
                let [cla, ins, p1, p2] = command.header();
                let lc = u16::try_from(len).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
                let [hi, lo] = lc.to_be_bytes();
                if let Some(head) = self.scratch.first_chunk_mut::<DATA>() {
                    *head = [cla, ins, p1, p2, 0, hi, lo];
                }
                match (len, self.current.ne) {
                    // Without data there is no Lc; the bytes behind the header then read as an Le.
                    (0, None) => return self.process(4, env),
                    (0, Some(_)) | (_, None) => return self.process(end, env),
                    _ => {}
                }
                let end_le = end.saturating_add(NE);
                self.scratch.get_mut(end..end_le).ok_or(Sw::NOT_ENOUGH_MEMORY)?.fill(0);
                self.process(end_le, env)
            }
            Ok(None) => Ok(Some(Sw::OK)),
            Err(sw) => {
                self.chain = None;
                self.scratch.as_mut_slice().zeroize();
                Err(sw)
            }
        }
    }

    /// Adds the data; `Some(length of all data)` with the last command of the chain.
    fn join_piece(&mut self, class: &Class, command: &Command<'_>) -> Result<Option<usize>, Sw> {
        if matches!(command.ins(), 0xA4 | 0x70 | 0xC0) {
            return Err(if class.chaining() {
                Sw::CHAINING_NOT_SUPPORTED
            } else {
                Sw::CONDITIONS_NOT_SATISFIED
            });
        }
        let [cla, ins, p1, p2] = command.header();
        let header = [cla & !0x10, ins, p1, p2];
        let from = match self.chain {
            Some(chain) if chain.header == header => chain.len,
            Some(_) => return Err(Sw::CONDITIONS_NOT_SATISFIED),
            None => 0,
        };
        let len = from.saturating_add(command.data().len());
        let most = SCRATCH.saturating_sub(MIN_SCRATCH).saturating_sub(DATA + NE);
        if len > most {
            return Err(Sw::NOT_ENOUGH_MEMORY);
        }
        let (at, end) = (from.saturating_add(DATA), len.saturating_add(DATA));
        copy(self.scratch.get_mut(at..end).ok_or(Sw::NOT_ENOUGH_MEMORY)?, command.data());
        self.chain = class.chaining().then_some(Chain { header, len });
        self.current.has_data |= len != 0;
        Ok((!class.chaining()).then_some(len))
    }
}
